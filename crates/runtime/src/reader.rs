//! The thread that runs what would block a shard: reads, and the upkeep of its device.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ombak_base::{Machine, ReadJob, ShardId, Tick, Ticket, UpkeepJob};

use crate::queue::{Bell, Receiver, Sender};
use crate::running::Shared;
use crate::shard::Input;

/// Work for the thread; its outcome goes back to `shard`.
pub(crate) struct Work<N> {
    pub shard: ShardId,
    pub job: Job<N>,
}

pub(crate) enum Job<N> {
    /// A read, and when it was asked for.
    Read(Ticket, ReadJob, Tick),
    Upkeep(UpkeepJob<N>),
}

impl<N> Job<N> {
    pub fn run<M: Machine>(self) -> Input<M, N> {
        match self {
            Job::Read(ticket, job, since) => Input::Loaded { ticket, entry: job(), since },
            Job::Upkeep(job) => Input::Notice(job()),
        }
    }
}

pub(crate) struct Reader<M: Machine, N> {
    pub work: Receiver<Work<N>>,
    pub shards: Vec<Sender<Input<M, N>>>,
    pub bell: Arc<Bell>,
    pub shared: Arc<Shared>,
}

impl<M: Machine, N> Reader<M, N> {
    /// Until the shards have ended.
    pub fn run(mut self) {
        loop {
            while let Some(Work { shard, job }) = self.work.pop() {
                self.shards[usize::from(shard.0)].send(job.run());
            }
            if self.shared.finished.load(Ordering::SeqCst) {
                return;
            }
            self.bell.lie_down();
            if self.work.is_empty() && !self.shared.finished.load(Ordering::SeqCst) {
                self.bell.park();
            }
            self.bell.rise();
        }
    }
}
