//! What has been sent and not been received yet.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{Address, FNV_START, Stamp, Wire, fnv1a};
use ombak_node::Message;

use super::merged::Merged;
use super::{Effect, Step};

/// From one shard to another: each message by its fingerprint, with the stamps that they waited for. The order is not
/// looked at: what waits for a stamp leaves later than what does not, and what connections lose never comes.
pub(super) struct Sent {
    links: BTreeMap<(Address, Address), BTreeMap<u64, Vec<Stamp>>>,
    recorded: BTreeSet<Address>,
}

impl Sent {
    pub fn of(merged: &Merged) -> Sent {
        Sent { links: BTreeMap::new(), recorded: merged.addresses().collect() }
    }

    /// Notes what a step sends to shards that are recorded.
    pub fn note(&mut self, step: &Step) {
        for effect in &step.effects {
            if let Effect::Send(to, message, after, Ok(())) = effect
                && self.recorded.contains(to)
            {
                let link = self.links.entry((step.at, *to)).or_default();
                link.entry(fingerprint(message)).or_default().push(*after);
            }
        }
    }

    /// A message is received: what it had waited for, if it was sent.
    pub fn take(&mut self, from: Address, to: Address, message: &Message) -> Option<Stamp> {
        let link = self.links.get_mut(&(from, to))?;
        let fingerprint = fingerprint(message);
        let stamps = link.get_mut(&fingerprint)?;
        let after = stamps.pop();
        if stamps.is_empty() {
            link.remove(&fingerprint);
        }
        after
    }
}

fn fingerprint(message: &Message) -> u64 {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    fnv1a(FNV_START, &bytes)
}
