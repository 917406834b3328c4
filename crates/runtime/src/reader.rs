//! The thread that runs reads which would block a shard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ombak_base::{Machine, ReadJob, ShardId, Ticket};

use crate::queue::{Bell, Receiver, Sender};
use crate::running::Shared;
use crate::shard::Input;

pub(crate) struct Read {
    pub shard: ShardId,
    pub ticket: Ticket,
    pub job: ReadJob,
}

pub(crate) struct Reader<M: Machine, N> {
    pub reads: Receiver<Read>,
    pub shards: Vec<Sender<Input<M, N>>>,
    pub bell: Arc<Bell>,
    pub shared: Arc<Shared>,
}

impl<M: Machine, N> Reader<M, N> {
    /// Until the shards have ended.
    pub fn run(mut self) {
        loop {
            while let Some(read) = self.reads.pop() {
                let input = Input::Loaded { ticket: read.ticket, entry: (read.job)() };
                self.shards[usize::from(read.shard.0)].send(input);
            }
            if self.shared.finished.load(Ordering::SeqCst) {
                return;
            }
            self.bell.lie_down();
            if self.reads.is_empty() && !self.shared.finished.load(Ordering::SeqCst) {
                self.bell.park();
            }
            self.bell.rise();
        }
    }
}
