//! Who has stored what, and what of it is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use ombak_base::{Address, Event, NodeId, Partition, RequestId, Stamp};
use ombak_crdt::{Dot, VersionVector};
use ombak_kv::{Object, key_of};
use ombak_node::{NODE_PARTITION, REGISTER_PARTITION, ROOT_PARTITION};

use super::{Effect, Nonconformity, Step};

/// No objects are there.
const APART: [Partition; 3] = [NODE_PARTITION, ROOT_PARTITION, REGISTER_PARTITION];

#[derive(Default)]
pub(super) struct Stored {
    /// What each dot names: the key, and a fingerprint of the write.
    dots: BTreeMap<Dot, (Bytes, u64)>,
    /// The dots under which a request was done.
    requests: BTreeMap<RequestId, (Bytes, Vec<Dot>)>,
    /// All that a node's objects under a key have ever seen: in its storage, and durable there.
    seen: BTreeMap<(Bytes, NodeId), Seen>,
    /// What is not known to be durable yet, by shard.
    waiting: BTreeMap<Address, VecDeque<(Stamp, Bytes, VersionVector)>>,
    /// Keys that were removed: what is absent there may have been deleted.
    removed: BTreeSet<Bytes>,
}

#[derive(Default)]
struct Seen {
    stored: VersionVector,
    durable: VersionVector,
}

impl Stored {
    /// So many dots have been seen.
    pub fn dots(&self) -> u64 {
        self.dots.len() as u64
    }

    /// Notes what a step stores, and what it hears of durability.
    pub fn note(&mut self, step: &Step) -> Result<(), Nonconformity> {
        if let Event::Durable(stamp) = &step.event {
            self.durable(step.at, *stamp);
        }
        for effect in &step.effects {
            let Effect::Store(partition, key, entry, stamp) = effect else { continue };
            // What else a node keeps lies apart, and its keys may look like those of objects.
            if APART.contains(partition) || key_of(key).is_none() {
                continue;
            }
            match entry {
                None => {
                    self.removed.insert(key.clone());
                }
                Some(entry) => match Object::decode(&entry.bytes) {
                    Ok(object) => self.store(step, key, &object, *stamp)?,
                    Err(error) => {
                        let detail = format!("{key:?}: {error}");
                        return Err(step.broken("what is stored can be read", detail));
                    }
                },
            }
        }
        Ok(())
    }

    /// A message that waited for a stamp of its sender has been received: everything up to it is durable there.
    pub fn is_durable(&mut self, step: &Step, after: Stamp) {
        if let Event::Message { from, .. } = &step.event {
            self.durable(*from, after);
        }
    }

    fn store(
        &mut self,
        step: &Step,
        key: &Bytes,
        object: &Object,
        stamp: Stamp,
    ) -> Result<(), Nonconformity> {
        for (dot, version) in object.siblings() {
            let named = (key.clone(), fingerprint(object, *dot));
            if let Some(known) = self.dots.insert(*dot, named.clone())
                && known != named
            {
                let detail = format!("{dot:?} names two, the second under {key:?}");
                return Err(step.broken("a dot names one write", detail));
            }
            let (_, dots) =
                self.requests.entry(version.request).or_insert_with(|| (key.clone(), Vec::new()));
            if !dots.contains(dot) {
                dots.push(*dot);
            }
        }
        let seen = self.seen.entry((key.clone(), step.at.node)).or_default();
        seen.stored.join(object.seen());
        let waiting = self.waiting.entry(step.at).or_default();
        waiting.push_back((stamp, key.clone(), object.seen().clone()));
        Ok(())
    }

    fn durable(&mut self, at: Address, stamp: Stamp) {
        let Some(waiting) = self.waiting.get_mut(&at) else { return };
        while let Some((_, key, seen)) = waiting.pop_front_if(|(waits, ..)| *waits <= stamp) {
            self.seen.entry((key, at.node)).or_default().durable.join(&seen);
        }
    }

    /// The key of a request, and the dots under which it was done.
    pub fn done(&self, request: RequestId) -> Option<(&Bytes, &[Dot])> {
        self.requests.get(&request).map(|(key, dots)| (key, dots.as_slice()))
    }

    /// On how many nodes a write is, and on how many it is durable.
    pub fn holders(&self, key: &Bytes, dot: Dot) -> (usize, usize) {
        let of_key = self.seen.range((key.clone(), NodeId(0))..=(key.clone(), NodeId(u32::MAX)));
        of_key.fold((0, 0), |(stored, durable), (_, seen)| {
            let count = |vector: &VersionVector| usize::from(vector.covers(dot));
            (stored + count(&seen.stored), durable + count(&seen.durable))
        })
    }

    /// Whether what was under a key has been removed at some node.
    pub fn was_removed(&self, key: &Bytes) -> bool {
        self.removed.contains(key)
    }
}

/// Of what a dot names in an object.
fn fingerprint(object: &Object, dot: Dot) -> u64 {
    let named = object.siblings().iter().find(|(named, _)| *named == dot);
    let mut hasher = DefaultHasher::new();
    named.map(|(_, version)| (version.request, &version.content)).hash(&mut hasher);
    hasher.finish()
}
