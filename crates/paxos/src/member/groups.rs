//! The groups of a member: their replicas, and what each of them has on the member's disk.
//!
//! What one group costs while it has nothing to do is memory. So nothing here goes through all groups but what is rare: a start, and
//! a node that comes or goes.
//!
//! ```text
//! key  = 0                     who the member is                (numbers are big-endian: what belongs together lies together)
//!      | 1 node:u32 disk:u64   the last life of a node's disk that was heard of
//!      | 2 group:u32 rest
//! rest = 'p'                   a promise
//!      | 's'                   a snapshot
//!      | 'e' slot:u64          an entry
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, DirectoryId, Effects, Entry as Stored, NodeId, Partition, ShardId, Stamp,
    Tick,
};
use serde::{Deserialize, Serialize};

use super::refusals;
use super::telling::Telling;
use super::watched::{Applied, Watched};
use super::who::Who;
use super::{Group, Member, Timer};
use crate::log::{self, Host, Message, Outcome, Replica, Slot, StateMachine, Write};
use crate::members::{Disks, Members};

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

/// A group that has not begun, as far as is known here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Founding {
    /// Those who begin it.
    pub founders: Members,
    /// Those of them who have said that they have not begun it, and on which disks they are.
    pub met: Disks,
}

/// What a group is waiting for before this member votes in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Standing {
    /// All founders have to meet.
    Founding(Box<Founding>),
    /// It has voted, and others have to say that they know of this life.
    Waiting,
    /// Nothing.
    Ready,
}

/// All groups here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Groups<S> {
    home: Partition,
    /// What was applied, if somebody wants to know.
    watched: Option<Watched>,
    all: BTreeMap<Group, Hosted<S>>,
    /// Those that have stored something that is not known to be durable, and its stamp.
    unsynced: BTreeMap<Group, Stamp>,
    /// Who belongs to how many of the groups.
    peers: BTreeMap<NodeId, u32>,
    pub founding: BTreeMap<Group, Founding>,
    waiting: BTreeSet<Group>,
    /// This disk has been a member's in this life.
    pub has_belonged: bool,
    /// Those in which the member has lost its disk, and wants to be what it was; and since which change of members at least that is so.
    returning: BTreeMap<Group, Slot>,
}

impl<S: StateMachine> Groups<S> {
    pub fn new(home: Partition, watch: bool) -> Groups<S> {
        Groups {
            home,
            watched: watch.then(Watched::default),
            all: BTreeMap::new(),
            unsynced: BTreeMap::new(),
            peers: BTreeMap::new(),
            founding: BTreeMap::new(),
            waiting: BTreeSet::new(),
            has_belonged: false,
            returning: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, group: Group, replica: Replica<S>, kept: Kept, standing: Standing) {
        let (counted, counted_at) = (BTreeSet::new(), None);
        let mut hosted = Hosted { replica, kept, counted, counted_at };
        hosted.count(&mut self.peers);
        self.all.insert(group, hosted);
        match standing {
            Standing::Founding(founding) => drop(self.founding.insert(group, *founding)),
            Standing::Waiting => drop(self.waiting.insert(group)),
            Standing::Ready => {}
        }
    }

    /// Whether the group has begun, and this member may vote in it if it is a voter.
    pub fn is_ready(&self, group: Group) -> bool {
        !(self.waiting.contains(&group) || self.founding.contains_key(&group))
    }

    /// Those that wait for nothing begin.
    pub fn start<E: Effects<Member<S>>>(&mut self, now: Tick, who: &Who, fx: &mut E) {
        let ready: Vec<Group> =
            self.all.keys().copied().filter(|group| self.is_ready(*group)).collect();
        for group in ready {
            self.with(group, who, fx, |replica, host| replica.start(now, host));
        }
        for group in self.founding.keys().copied().collect::<Vec<_>>() {
            self.founded(now, group, who, fx);
        }
        self.reconsider(now, who, fx);
    }

    /// A group whose founders have all met begins.
    pub fn founded<E: Effects<Member<S>>>(
        &mut self,
        now: Tick,
        group: Group,
        who: &Who,
        fx: &mut E,
    ) {
        let me = who.me;
        let Some(Founding { founders, met }) = self.founding.get(&group) else { return };
        let has_met = |node: NodeId| node == me.node || met.contains_key(&node);
        if founders.voters().into_iter().all(has_met) {
            let mut disks = met.clone();
            disks.insert(me.node, me.life.disk);
            self.found(now, group, disks, who, fx);
        }
    }

    /// A group begins, with its founders on these disks.
    pub fn found<E: Effects<Member<S>>>(
        &mut self,
        now: Tick,
        group: Group,
        disks: Disks,
        who: &Who,
        fx: &mut E,
    ) {
        let Some(Founding { founders, .. }) = self.founding.remove(&group) else { return };
        let members = Members { disks, ..founders }.without_others();
        self.with(group, who, fx, |replica, host| replica.found(members, host));
        self.waiting.insert(group);
        self.reconsider(now, who, fx);
    }

    /// It takes part in a group that has begun without it.
    pub fn join<E: Effects<Member<S>>>(&mut self, now: Tick, group: Group, who: &Who, fx: &mut E) {
        if self.founding.remove(&group).is_some() {
            self.with(group, who, fx, |replica, host| replica.start(now, host));
        }
    }

    /// Those begin to vote that can with those who know of this life.
    pub fn reconsider<E: Effects<Member<S>>>(&mut self, now: Tick, who: &Who, fx: &mut E) {
        let company = who.company();
        let may_vote = |group: &Group| {
            self.get(*group).is_none_or(|replica| {
                let members = replica.members();
                let enough = members.can_propose(&company) || members.have_chosen(&company);
                enough || !replica.votes()
            })
        };
        let ready: Vec<Group> = self.waiting.iter().copied().filter(may_vote).collect();
        for group in ready {
            self.waiting.remove(&group);
            self.with(group, who, fx, |replica, host| replica.start(now, host));
        }
    }

    /// Whether a disk of a node is a member of any group here, or was and is to be again.
    pub fn has_member(&self, node: NodeId, disk: DirectoryId) -> bool {
        self.all.values().any(|hosted| {
            let Members { disks, returning, .. } = hosted.replica.members();
            disks.get(&node) == Some(&disk) || returning.get(&node) == Some(&disk)
        })
    }

    /// It was a member of a group, on a disk that it has lost, as whoever knows of the change of members at this slot says.
    pub fn lost<E: Effects<Member<S>>>(&mut self, group: Group, at: Slot, fx: &mut E) {
        let since = self.returning.insert(group, at);
        if since.is_none() {
            fx.probe("paxos: a member has lost its disk");
        }
    }

    /// It will not be what it was in this group.
    pub fn stay_out(&mut self, group: Group) {
        self.returning.remove(&group);
    }

    /// Some of those in which it still has to ask.
    pub fn asking(&mut self, who: &Who, max: usize) -> Vec<Group> {
        let (node, disk) = (who.me.node, who.me.life.disk);
        let Groups { all, returning, .. } = self;
        // What it knows itself may be from before it was lost.
        let is_back = |replica: &Replica<S>, since: Slot| {
            let members = replica.members();
            let is_member = members.disks.get(&node) == Some(&disk);
            is_member && !members.is_lost(node, disk) && replica.members_at() >= since
        };
        let is_open = |hosted: &Hosted<S>, since| !is_back(&hosted.replica, since);
        returning.retain(|group, since| all.get(group).is_some_and(|each| is_open(each, *since)));
        returning.keys().copied().take(max).collect()
    }

    /// Whether the group knows it on this disk, as far as is known.
    pub fn belongs(&self, group: Group, who: &Who) -> bool {
        let since = self.returning.get(&group).copied().unwrap_or_default();
        let is_known = |hosted: &Hosted<S>| hosted.replica.members_at() >= since;
        self.all.get(&group).is_some_and(|hosted| hosted.belongs(who) && is_known(hosted))
    }

    /// Finds those in which it was on another disk.
    pub fn find_lost<E: Effects<Member<S>>>(&mut self, who: &Who, fx: &mut E) {
        let lost = self.all.iter().filter(|(_, hosted)| hosted.is_lost(who));
        let lost: Vec<Group> = lost.map(|(group, _)| *group).collect();
        lost.into_iter().for_each(|group| self.lost(group, Slot(0), fx));
    }

    /// The member is on another disk from now on.
    pub fn change_disk<E: Effects<Member<S>>>(&mut self, now: Tick, who: &Who, fx: &mut E) {
        self.each(who, fx, |replica, host| replica.set_disk(now, who.me.life.disk, host));
        self.find_lost(who, fx);
        self.reconsider(now, who, fx);
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
        who: &Who,
        fx: &mut E,
        f: impl FnOnce(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) -> bool {
        let Some(hosted) = self.all.get_mut(&group) else { return false };
        let stored = hosted.act(group, self.home, who, self.watched.as_mut(), fx, f);
        if stored > Stamp::NONE {
            self.unsynced.insert(group, stored);
        }
        if hosted.count(&mut self.peers) {
            self.has_belonged |= hosted.belongs(who);
            if hosted.is_lost(who) {
                self.returning.entry(group).or_default();
            }
        }
        true
    }

    /// Something happens to all of them.
    pub fn each<E: Effects<Member<S>>>(
        &mut self,
        who: &Who,
        fx: &mut E,
        mut f: impl FnMut(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) {
        let Groups { home, all, unsynced, peers, has_belonged, returning, watched, .. } = self;
        for (group, hosted) in all {
            let stored = hosted.act(*group, *home, who, watched.as_mut(), fx, &mut f);
            if stored > Stamp::NONE {
                unsynced.insert(*group, stored);
            }
            if hosted.count(peers) {
                *has_belonged |= hosted.belongs(who);
                if hosted.is_lost(who) {
                    returning.entry(*group).or_default();
                }
            }
        }
    }

    /// Everything stored up to here is durable: those are told that wait for something.
    pub fn durable<E: Effects<Member<S>>>(
        &mut self,
        now: Tick,
        stamp: Stamp,
        who: &Who,
        fx: &mut E,
    ) {
        let waiting: Vec<(Group, Stamp)> = self.unsynced.iter().map(|(g, at)| (*g, *at)).collect();
        for (group, last) in waiting {
            if last <= stamp {
                self.unsynced.remove(&group);
            }
            self.with(group, who, fx, |replica, host| replica.durable(now, stamp, host));
        }
    }

    pub fn check(&self) {
        self.all.values().for_each(|hosted| hosted.replica.check());
    }
}

impl<S: StateMachine> Hosted<S> {
    /// Gives the stamp of the last thing that it has stored.
    fn act<E: Effects<Member<S>>>(
        &mut self,
        group: Group,
        home: Partition,
        who: &Who,
        watched: Option<&mut Watched>,
        fx: &mut E,
        f: impl FnOnce(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) -> Stamp {
        let members_at = self.replica.members_at();
        let (kept, stored, state) = (&mut self.kept, Stamp::NONE, PhantomData);
        let mut host = Adaptor { group, home, who, members_at, kept, watched, fx, stored, state };
        f(&mut self.replica, &mut host);
        host.stored
    }

    /// Counts the group's members among the peers, if they are others than before. Whether they are.
    fn count(&mut self, peers: &mut BTreeMap<NodeId, u32>) -> bool {
        let members = self.replica.members();
        let at = (!members.voters.members().is_empty()).then_some(self.replica.members_at());
        if at == self.counted_at {
            return false;
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
        true
    }

    fn belongs(&self, who: &Who) -> bool {
        self.replica.members().disks.get(&who.me.node) == Some(&who.me.life.disk)
    }

    fn is_lost(&self, who: &Who) -> bool {
        self.replica.members().is_lost(who.me.node, who.me.life.disk)
    }
}

/// Gives a replica what it asks of its host.
pub(super) struct Adaptor<'a, S, E> {
    group: Group,
    home: Partition,
    who: &'a Who,
    /// Before the call: what it says in the middle of it is not later than that.
    members_at: Slot,
    kept: &'a mut Kept,
    watched: Option<&'a mut Watched>,
    fx: &'a mut E,
    /// The stamp of the last thing that was stored.
    stored: Stamp,
    state: PhantomData<S>,
}

impl<S: StateMachine, E: Effects<Member<S>>> Adaptor<'_, S, E> {
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

/// Where the member keeps who it is: before all others.
pub(super) const IDENTITY: Bytes = Bytes::from_static(&[0]);

/// Where the life of a node's disk is kept.
pub(super) fn key_of_life(node: NodeId, disk: DirectoryId) -> Bytes {
    Bytes::from([&[1], &node.0.to_be_bytes()[..], &disk.0.to_be_bytes()].concat())
}

/// Whose life is kept under a key.
pub(super) fn node_of(key: &[u8]) -> Option<NodeId> {
    let (node, _) = key.strip_prefix(&[1])?.split_first_chunk::<4>()?;
    Some(NodeId(u32::from_be_bytes(*node)))
}

pub(super) fn key(group: Group, rest: &[u8]) -> Bytes {
    Bytes::from([&[2], &group.0.to_be_bytes()[..], rest].concat())
}

fn key_of(group: Group, slot: Slot) -> Bytes {
    key(group, &[b"e", &slot.0.to_be_bytes()[..]].concat())
}

/// Whose it is that is stored under a key.
pub(super) fn group_of(key: &[u8]) -> Option<Group> {
    let (group, _) = key.strip_prefix(&[2])?.split_first_chunk::<4>()?;
    Some(Group(u32::from_be_bytes(*group)))
}

pub(super) fn to(node: NodeId) -> Address {
    Address { node, shard: ShardId(0) }
}

impl<S: StateMachine, E: Effects<Member<S>>> Host for Adaptor<'_, S, E> {
    fn send(&mut self, node: NodeId, message: Message, after: Stamp) {
        let (disk, members_at) = (self.who.me.life.disk, self.members_at);
        let telling = Telling::Log { group: self.group, disk, members_at, message };
        let _ = self.fx.send(to(node), telling, after);
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
        if outcome == Outcome::TooLarge {
            self.fx.probe(refusals::TOO_LARGE);
        }
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

    fn disk(&self, node: NodeId) -> Option<DirectoryId> {
        self.who.disk(node)
    }
}
