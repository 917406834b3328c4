//! What is noted for a picture of the run, and the picture.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use bytes::Bytes;
use ombak_base::{Address, NodeId, ShardId, Wire};

use super::{System, World};
use crate::chances::What;
use crate::diagram::{Diagram, MessageName, Of, Sent};

/// A picture of what happened.
impl<S: System> World<S> {
    /// From now on keeps the last `events_max` events for [`diagram`](World::diagram); 0: none. It changes nothing in the
    /// run and its hash, but it takes time: after each step, what changed in the machine is told from its `Debug` text.
    /// Where a run is played again and its length is known, it is enough to ask for it near the end: who is down, paused
    /// or cut off by then is noted first.
    pub fn keep_diagram(&mut self, events_max: usize) {
        self.trace.diagram = (events_max > 0).then(|| Diagram::new(events_max));
        for node in self.node_ids() {
            if !self.is_up(node) {
                self.note(Some(node), "crash", &"before");
            } else if self.nodes[node.0 as usize].is_paused {
                self.note(Some(node), "pause", &"before");
            }
            for shard in self.shard_ids(node) {
                self.see_machine(Address { node, shard });
            }
        }
        let blocked: Vec<_> = self.network.blocked().collect();
        blocked.into_iter().for_each(|(from, to)| self.note(Some(from), "block", &to));
    }

    /// The run as a space-time diagram: an HTML page that needs nothing else. Each shard is a line on which time runs down,
    /// each message an arrow under the name that it has in [`decisions`](World::decisions). It is as large as the number of
    /// events that [`keep_diagram`](World::keep_diagram) was given, times about a kilobyte.
    pub fn diagram(&self, title: &str) -> String {
        let nothing = Diagram::new(0);
        let diagram = self.trace.diagram.as_ref().unwrap_or(&nothing);
        diagram.page(title, Of::Seed(self.seed), self.nodes.len(), self.now)
    }

    fn shard_ids(&self, node: NodeId) -> impl Iterator<Item = ShardId> + use<S> {
        let process = self.nodes[node.0 as usize].process.as_ref();
        (0..process.map_or(0, |process| process.shards.len() as u16)).map(ShardId)
    }

    fn see_machine(&mut self, at: Address) {
        let process = self.nodes[at.node.0 as usize].process.as_ref();
        let shard = process.and_then(|process| process.shards.get(usize::from(at.shard.0)));
        if let (Some(diagram), Some(shard)) = (&mut self.trace.diagram, shard) {
            diagram.see(at, &shard.machine);
        }
    }

    /// Something that is no part of the trace: it follows from what the seed and the scenario say.
    pub(super) fn note(&mut self, node: Option<NodeId>, kind: &'static str, text: &dyn Debug) {
        if let Some(diagram) = &mut self.trace.diagram {
            diagram.note(self.now, node, None, kind, text);
        }
    }

    /// A message leaves, of which it has just been decided how long it takes.
    pub(super) fn note_sent(&mut self, from: Address, to: Address, message: &dyn Debug) -> Sent {
        let Some(diagram) = &mut self.trace.diagram else { return Sent::default() };
        let sent = Sent { at: self.now, n: self.chances.last(What::Delay(from, to)) };
        diagram.about(MessageName { from, to, sent });
        diagram.note(self.now, Some(from.node), Some(from.shard), "sent", message);
        sent
    }

    /// A send that found the queue full: the `n`-th of that link at this time.
    pub(super) fn note_refused(&mut self, from: Address, to: Address, n: u64) {
        if let Some(diagram) = &mut self.trace.diagram {
            let name = MessageName { from, to, sent: Sent { at: self.now, n } };
            let text = format_args!("{name} refuse");
            diagram.note(self.now, Some(from.node), Some(from.shard), "unsent", &text);
        }
    }

    /// The next entry of the trace is about this message.
    pub(super) fn about(&mut self, from: Address, to: Address, sent: Sent) {
        if let Some(diagram) = &mut self.trace.diagram {
            diagram.about(MessageName { from, to, sent });
        }
    }
}

/// A message as bytes, which shows as what it says. It is decoded only if it is to be shown.
pub(super) struct Encoded<'a, M> {
    bytes: &'a Bytes,
    message: PhantomData<M>,
}

impl<'a, M> Encoded<'a, M> {
    pub fn new(bytes: &'a Bytes) -> Encoded<'a, M> {
        Encoded { bytes, message: PhantomData }
    }
}

impl<M: Wire + Debug> Debug for Encoded<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match M::decode(self.bytes.clone()) {
            Ok(message) => message.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}
