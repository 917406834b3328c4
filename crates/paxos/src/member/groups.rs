//! The groups of a member: their replicas, and what each of them has on the member's disk.
//!
//! What one group costs while it has nothing to do is memory. So nothing here goes through all groups but what is rare: a start, and
//! a node that comes or goes.
//!
//! ```text
//! key = group:u32 rest                                          big-endian: the things of a group lie together
//! rest: 'p' a promise, 's' a snapshot, 'e' slot:u64 an entry
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry as Stored, NodeId, Partition, ShardId, Stamp, Tick,
};
use serde::{Deserialize, Serialize};

use super::telling::Telling;
use super::watched::{Applied, Watched};
use super::{Group, Member, Timer};
use crate::log::{self, Host, Message, Outcome, Replica, Slot, StateMachine, Write};

/// The first and the last entry of a group that are stored.
pub(super) type Kept = Option<(Slot, Slot)>;

/// What is there of a group.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub stored: log::Stored,
    pub kept: Kept,
}

impl Found {
    pub fn add(&mut self, write: Write) {
        if let Write::Entry { slot, .. } = &write {
            self.kept = with(self.kept, *slot);
        }
        self.stored.found(write);
    }
}

/// One group here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Hosted<S> {
    replica: Replica<S>,
    kept: Kept,
    /// Whom it has counted among the peers, and which change of members that was.
    counted: BTreeSet<NodeId>,
    counted_at: Option<Slot>,
}

/// All groups here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Groups<S> {
    home: Partition,
    all: BTreeMap<Group, Hosted<S>>,
    /// Those that have stored something that is not known to be durable, and its stamp.
    unsynced: BTreeMap<Group, Stamp>,
    /// Who belongs to how many of the groups.
    peers: BTreeMap<NodeId, u32>,
    /// What was applied, if somebody wants to know.
    watched: Option<Watched>,
}

impl<S: StateMachine> Groups<S> {
    pub fn new(home: Partition, watch: bool) -> Groups<S> {
        let (all, unsynced, peers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Groups { home, all, unsynced, peers, watched: watch.then(Watched::default) }
    }

    pub fn add(&mut self, group: Group, replica: Replica<S>, kept: Kept) {
        let (counted, counted_at) = (BTreeSet::new(), None);
        self.all.insert(group, Hosted { replica, kept, counted, counted_at });
    }

    pub fn get(&self, group: Group) -> Option<&Replica<S>> {
        self.all.get(&group).map(|hosted| &hosted.replica)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Group, &Replica<S>)> {
        self.all.iter().map(|(group, hosted)| (*group, &hosted.replica))
    }

    pub fn take_applied(&mut self) -> Vec<(Group, Applied)> {
        self.watched.as_mut().map(Watched::take).unwrap_or_default()
    }

    #[cfg(test)]
    pub fn applied(&self) -> &[(Group, Applied)] {
        self.watched.as_ref().map_or(&[], Watched::applied)
    }

    /// Who belongs to any group.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.keys().copied()
    }

    /// Something happens to a group. Whether it is here.
    pub fn with<E: Effects<Member<S>>>(
        &mut self,
        group: Group,
        fx: &mut E,
        f: impl FnOnce(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) -> bool {
        let Some(hosted) = self.all.get_mut(&group) else { return false };
        let mut host = Adaptor::new(group, self.home, &mut hosted.kept, self.watched.as_mut(), fx);
        f(&mut hosted.replica, &mut host);
        if host.stored > Stamp::NONE {
            self.unsynced.insert(group, host.stored);
        }
        hosted.count(&mut self.peers);
        true
    }

    /// Something happens to all of them.
    pub fn each<E: Effects<Member<S>>>(
        &mut self,
        fx: &mut E,
        mut f: impl FnMut(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) {
        let Groups { home, all, unsynced, peers, watched } = self;
        for (group, hosted) in all {
            let mut host = Adaptor::new(*group, *home, &mut hosted.kept, watched.as_mut(), fx);
            f(&mut hosted.replica, &mut host);
            if host.stored > Stamp::NONE {
                unsynced.insert(*group, host.stored);
            }
            hosted.count(peers);
        }
    }

    /// Everything stored up to here is durable: those are told that wait for something.
    pub fn durable<E: Effects<Member<S>>>(&mut self, now: Tick, stamp: Stamp, fx: &mut E) {
        let waiting: Vec<(Group, Stamp)> = self.unsynced.iter().map(|(g, at)| (*g, *at)).collect();
        for (group, last) in waiting {
            if last <= stamp {
                self.unsynced.remove(&group);
            }
            self.with(group, fx, |replica, host| replica.durable(now, stamp, host));
        }
    }

    pub fn check(&self) {
        self.all.values().for_each(|hosted| hosted.replica.check());
    }
}

impl<S: StateMachine> Hosted<S> {
    /// Counts the group's members among the peers, if they are others than before.
    fn count(&mut self, peers: &mut BTreeMap<NodeId, u32>) {
        let members = self.replica.members();
        let at = (!members.voters.members().is_empty()).then_some(self.replica.members_at());
        if at == self.counted_at {
            return;
        }
        let now = members.everybody();
        for node in &now {
            *peers.entry(*node).or_default() += 1;
        }
        for node in std::mem::replace(&mut self.counted, now) {
            if let Some(groups) = peers.get_mut(&node) {
                *groups -= 1;
            }
        }
        peers.retain(|_, groups| *groups > 0);
        self.counted_at = at;
    }
}

/// Gives a replica what it asks of its host.
pub(super) struct Adaptor<'a, S, E> {
    group: Group,
    home: Partition,
    kept: &'a mut Kept,
    watched: Option<&'a mut Watched>,
    fx: &'a mut E,
    /// The stamp of the last thing that was stored.
    stored: Stamp,
    state: PhantomData<S>,
}

impl<'a, S: StateMachine, E: Effects<Member<S>>> Adaptor<'a, S, E> {
    fn new(
        group: Group,
        home: Partition,
        kept: &'a mut Kept,
        watched: Option<&'a mut Watched>,
        fx: &'a mut E,
    ) -> Self {
        Adaptor { group, home, kept, watched, fx, stored: Stamp::NONE, state: PhantomData }
    }

    fn forget(&mut self, through: Slot) -> Stamp {
        let mut stamp = Stamp::NONE;
        let Some((first, last)) = *self.kept else { return stamp };
        let mut slot = first;
        while slot <= through.min(last) {
            stamp = self.fx.store(self.home, &key_of(self.group, slot), None);
            slot = slot.next();
        }
        *self.kept = (slot <= last).then_some((slot, last));
        stamp
    }

    fn keep(&mut self, write: &Write) -> Stamp {
        let key = match write {
            Write::Promise(_) => key(self.group, b"p"),
            Write::Snapshot(_) => key(self.group, b"s"),
            Write::Entry { slot, .. } => {
                *self.kept = with(*self.kept, *slot);
                key_of(self.group, *slot)
            }
            Write::Forget(through) => return self.forget(*through),
        };
        let mut bytes = Vec::new();
        write.encode(&mut bytes);
        let entry = Stored { tag: 0, bytes: Bytes::from(bytes) };
        let stamp = self.fx.store(self.home, &key, Some(entry));
        self.fx.await_durable(stamp);
        stamp
    }
}

/// The first and the last of some slots, and one more.
fn with(kept: Kept, slot: Slot) -> Kept {
    let (first, last) = kept.unwrap_or((slot, slot));
    Some((first.min(slot), last.max(slot)))
}

fn key(group: Group, rest: &[u8]) -> Bytes {
    Bytes::from([&group.0.to_be_bytes(), rest].concat())
}

fn key_of(group: Group, slot: Slot) -> Bytes {
    key(group, &[b"e", &slot.0.to_be_bytes()[..]].concat())
}

/// Whose it is that is stored under a key.
pub(super) fn group_of(key: &[u8]) -> Option<Group> {
    let number = key.first_chunk::<4>().filter(|_| key.len() > 4)?;
    Some(Group(u32::from_be_bytes(*number)))
}

pub(super) fn to(node: NodeId) -> Address {
    Address { node, shard: ShardId(0) }
}

impl<S: StateMachine, E: Effects<Member<S>>> Host for Adaptor<'_, S, E> {
    fn send(&mut self, node: NodeId, message: Message, after: Stamp) {
        let _ = self.fx.send(to(node), Telling::Log(self.group, message), after);
    }

    fn store(&mut self, write: Write) -> Stamp {
        let stamp = self.keep(&write);
        self.stored = self.stored.max(stamp);
        stamp
    }

    fn arm(&mut self, timer: log::Timer, at: Tick) {
        self.fx.arm(Timer::Log(self.group, timer), at);
    }

    fn disarm(&mut self, timer: log::Timer) {
        self.fx.disarm(Timer::Log(self.group, timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.fx.choose(n)
    }

    fn answer(&mut self, client: ClientId, outcome: Outcome) {
        self.fx.reply(client, outcome, Stamp::NONE);
    }

    fn applied(&mut self, slot: Slot, answer: &Bytes) {
        if let Some(watched) = &mut self.watched {
            watched.command(self.group, slot, answer);
        }
    }

    fn restored(&mut self, slot: Slot) {
        if let Some(watched) = &mut self.watched {
            watched.restored(self.group, slot);
        }
    }

    fn probe(&mut self, name: &'static str) {
        self.fx.probe(name);
    }
}
