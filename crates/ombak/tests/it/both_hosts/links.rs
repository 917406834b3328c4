//! What arrives at one shard from another is what that one sent: nothing else, nothing twice, in order, and as long as
//! their connection stands, all of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{Address, Event, NodeId, Stamp, Wire};
use ombak_node::Message;

use crate::both_hosts::recorded::{Effect, Log, Record, Step};

/// A shard, and the record of each of its starts.
pub type Lives = (Address, Vec<Record>);

/// Holds every link between any two of them, within a node and between nodes, against the law.
pub fn assert_links(shards: &[Lives]) {
    for from in shards {
        for to in shards {
            Link::between(from, to).assert_lawful();
        }
    }
}

/// All that went from one shard to another. Messages are looked at as the bytes that go over the wire.
struct Link {
    name: String,
    /// The bytes of what was taken for sending, and whether it waited for nothing.
    sent: Vec<(Vec<u8>, bool)>,
    arrived: Vec<Vec<u8>>,
    /// Whether neither side was started again, and the connection was made only once.
    unbroken: bool,
}

impl Link {
    fn between((from, senders): &Lives, (to, receivers): &Lives) -> Link {
        let all = |records: &[Record], each: &mut dyn FnMut(&Step)| {
            records.iter().for_each(|record| record.log().steps.iter().for_each(&mut *each));
        };
        let (mut sent, mut arrived) = (Vec::new(), Vec::new());
        all(senders, &mut |step| sent.extend(sent_to(*to, step)));
        all(receivers, &mut |step| arrived.extend(arrived_from(*from, step)));
        let once = senders.len() == 1 && receivers.len() == 1;
        let unbroken = once && senders.iter().all(|record| ups(&record.log(), to.node) <= 1);
        Link { name: format!("{from:?} to {to:?}"), sent, arrived, unbroken }
    }

    fn assert_lawful(&self) {
        let mut unheard: BTreeMap<&[u8], usize> = BTreeMap::new();
        self.sent.iter().for_each(|(bytes, _)| *unheard.entry(bytes).or_default() += 1);
        for bytes in &self.arrived {
            let left = unheard.get_mut(bytes.as_slice()).filter(|left| **left > 0);
            let left = left.unwrap_or_else(|| panic!("{}: not sent: {}", self.name, text(bytes)));
            *left -= 1;
        }
        self.assert_order();
    }

    /// The order is kept among messages that wait for nothing. Those that wait for a stamp leave with the sync, and nobody
    /// is promised when that is.
    fn assert_order(&self) {
        let waited: BTreeSet<&[u8]> =
            self.sent.iter().filter(|(_, at_once)| !at_once).map(|(bytes, _)| &**bytes).collect();
        let at_once = |bytes: &&[u8]| !waited.contains(bytes);
        let mut sent = self.sent.iter().map(|(bytes, _)| &**bytes).filter(at_once);
        for bytes in self.arrived.iter().map(|bytes| &**bytes).filter(at_once) {
            // Where the connection broke, some may be missing.
            let found = if self.unbroken {
                sent.next() == Some(bytes)
            } else {
                sent.any(|sent| sent == bytes)
            };
            assert!(
                found,
                "{}: out of order, or one before it is lost: {}",
                self.name,
                text(bytes)
            );
        }
    }
}

fn sent_to(to: Address, step: &Step) -> impl Iterator<Item = (Vec<u8>, bool)> {
    step.effects.iter().filter_map(move |effect| match effect {
        Effect::Send(address, message, after, Ok(())) if *address == to => {
            Some((bytes(message), *after == Stamp::NONE))
        }
        _ => None,
    })
}

fn arrived_from(from: Address, step: &Step) -> Option<Vec<u8>> {
    match &step.event {
        Event::Message { from: address, message } if *address == from => Some(bytes(message)),
        _ => None,
    }
}

/// How often a connection to `node` was made.
fn ups(log: &Log, node: NodeId) -> usize {
    let is_up =
        |step: &&Step| matches!(step.event, Event::PeerUp { node: peer, .. } if peer == node);
    log.steps.iter().filter(is_up).count()
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn text(bytes: &[u8]) -> String {
    format!("{:?}", Message::decode(Bytes::copy_from_slice(bytes)))
}
