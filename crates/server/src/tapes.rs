//! What the node's shards record of themselves.

use std::time::Duration;

use ombak_base::Address;
use ombak_node::Shard;
use ombak_tape::{Recorder, Recording, Reels, TakeError};
use tokio::sync::oneshot;

/// A shard hears of something several times a second: of its own heartbeat, if of nothing else.
const WITHIN: Duration = Duration::from_secs(5);

/// The rings of all shards, for who asks what is in them. Empty if nothing is recorded.
pub(crate) struct Tapes {
    node: String,
    shards: Vec<Reels>,
}

impl Tapes {
    /// Rings of so many bytes together, and what each shard is to tell; none of 0 bytes.
    pub fn new(
        node: &str,
        shards: impl ExactSizeIterator<Item = Address>,
        bytes_max: usize,
    ) -> (Tapes, Vec<Box<dyn Recorder<Shard>>>) {
        let each = bytes_max / shards.len().max(1);
        let mut tapes = Tapes { node: node.to_owned(), shards: Vec::new() };
        let mut recorders: Vec<Box<dyn Recorder<Shard>>> = Vec::new();
        for at in shards.filter(|_| each > 0) {
            let (tape, reels) = ombak_tape::tape(at, each);
            recorders.push(Box::new(tape));
            tapes.shards.push(reels);
        }
        (tapes, recorders)
    }

    /// What there is, up to now. `None`: nothing is recorded.
    pub async fn take(&self) -> Option<Result<Recording, TakeError>> {
        if self.shards.is_empty() {
            return None;
        }
        let asked: Vec<_> = self.shards.iter().map(ask).collect();
        let mut reels = Vec::new();
        for given in asked {
            match tokio::time::timeout(WITHIN, given).await {
                Ok(Ok(given)) => reels.extend(given),
                Ok(Err(_)) => return Some(Err(TakeError::Ended)),
                Err(_) => return Some(Err(TakeError::Late)),
            }
        }
        Some(Ok(Recording::new(self.node.clone(), reels)))
    }
}

fn ask(shard: &Reels) -> oneshot::Receiver<Vec<std::sync::Arc<ombak_tape::Reel>>> {
    let (tell, told) = oneshot::channel();
    // Whoever asked may have gone away.
    shard.ask(move |reels| drop(tell.send(reels)));
    told
}
