//! The thread that makes things durable: all commits that are there, one write, one sync, the notices.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ombak_base::{Machine, ShardId, Writer};

use crate::counters::{LogBoard, LogCounters};
use crate::errands::ErrandList;
use crate::queue::{Bell, Receiver, Sender};
use crate::running::Shared;
use crate::shard::Input;

/// Writes between two pieces of tidying while commits keep coming.
const WRITES_PER_TIDY: u64 = 8;
/// Commits in one write; what is over waits for the next.
const COMMITS_MAX: usize = 1024;
/// How often a writer without room is asked to look again.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) struct LogThread<M: Machine, W: Writer> {
    pub writer: W,
    pub commits: Receiver<(ShardId, W::Commit)>,
    pub shards: Vec<Sender<Input<M, W::Notice>>>,
    pub errands: Option<ErrandList<W>>,
    /// Whether the writer may have something to tidy.
    pub untidy: bool,
    pub bell: Arc<Bell>,
    pub shared: Arc<Shared>,
    pub board: Arc<LogBoard>,
    /// Whether the shards were told that there is no room.
    pub is_full: bool,
}

impl<M: Machine, W: Writer> LogThread<M, W> {
    /// Until the shards have ended and nothing is left. A failure is told to all shards, and then everything that
    /// still comes is thrown away: nothing may become durable after a failed sync.
    pub fn run(mut self) {
        let mut counted = LogCounters::default();
        if let Some(errands) = &self.errands {
            errands.wake_by(&self.bell);
        }
        if let Err(error) = self.serve(&mut counted) {
            tracing::error!(%error, "the log failed: nothing more will be made durable, nothing more acknowledged");
            counted.failed = 1;
            self.board.cells.publish(&counted);
            for shard in &self.shards {
                shard.send(Input::DeviceFailed);
            }
            self.untidy = false;
            self.is_full = false;
            while self.wait() {
                self.untidy = false;
                while self.commits.pop().is_some() {}
                self.feed();
            }
        }
    }

    fn serve(&mut self, counted: &mut LogCounters) -> io::Result<()> {
        let mut notices = Vec::new();
        self.tell_of_room();
        loop {
            self.run_errands();
            let commits = self.take_commits();
            let idle = commits.is_empty();
            // What waits for room is tried again.
            if !idle || self.is_full {
                counted.writes += u64::from(!idle);
                counted.commits += commits.len() as u64;
                let begun = Instant::now();
                self.writer.write(commits, &mut notices)?;
                if !idle {
                    self.board.syncs.record(micros_since(begun), 1);
                }
                self.publish(&mut notices);
                self.untidy = true;
            }
            if self.untidy && (idle || counted.writes.is_multiple_of(WRITES_PER_TIDY)) {
                counted.tidies += 1;
                let begun = Instant::now();
                self.untidy = self.writer.tidy(&mut notices)?;
                counted.tidy_us += micros_since(begun);
                self.publish(&mut notices);
            }
            self.count(counted);
            self.tell_of_room();
            if idle && !self.untidy && !self.wait() {
                return Ok(());
            }
        }
    }

    fn run_errands(&mut self) {
        while let Some(errand) = self.errands.as_ref().and_then(ErrandList::next) {
            errand(&mut self.writer);
            self.untidy = true;
        }
    }

    fn count(&self, counted: &mut LogCounters) {
        let usage = self.writer.usage();
        counted.log_used_bytes = usage.log_used_bytes;
        counted.log_bytes_max = usage.log_bytes_max;
        counted.log_written_bytes = usage.log_written_bytes;
        counted.gathered_bytes = usage.gathered_bytes;
        counted.checkpoints = usage.checkpoints;
        counted.files_removed = usage.files_removed;
        self.board.cells.publish(counted);
    }

    fn take_commits(&mut self) -> Vec<(ShardId, W::Commit)> {
        let commits: Vec<_> = std::iter::from_fn(|| self.commits.pop()).take(COMMITS_MAX).collect();
        if !commits.is_empty() {
            self.feed();
        }
        commits
    }

    /// Shards that found the queue full wait to hear of room.
    fn feed(&self) {
        if self.commits.take_starved() {
            self.shared.ring_shards();
        }
    }

    fn publish(&self, notices: &mut Vec<(ShardId, W::Notice)>) {
        for (shard, notice) in notices.drain(..) {
            if let Some(queue) = self.shards.get(usize::from(shard.0)) {
                queue.send(Input::Notice(notice));
            }
        }
    }

    fn tell_of_room(&mut self) {
        let is_full = self.writer.is_full();
        if is_full == self.is_full {
            return;
        }
        self.is_full = is_full;
        if is_full {
            tracing::warn!("the disk is full: writes are refused until there is room");
        } else {
            tracing::info!("there is room on the disk again: writes are taken");
        }
        for shard in &self.shards {
            shard.send(Input::DeviceFull(is_full));
        }
    }

    /// Sleeps until there is a commit or an errand, or it is time to look for room. `false`: there will be no commit.
    fn wait(&mut self) -> bool {
        let finished = self.shared.finished.load(Ordering::SeqCst);
        self.bell.lie_down();
        self.run_errands();
        if self.commits.is_empty()
            && !self.untidy
            && !finished
            && !self.shared.finished.load(Ordering::SeqCst)
        {
            if self.is_full { self.bell.park_for(LOOK) } else { self.bell.park() }
        }
        self.bell.rise();
        !finished || !self.commits.is_empty()
    }
}

/// The log thread waits for the disk: two readings of the clock are nothing beside that.
fn micros_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}
