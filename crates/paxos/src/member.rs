//! The replicas of many groups on one node, as a [`Machine`]: with a disk, and a liveness of its peers, for any host of machines.
//!
//! A group is a log of its own, with members and a leader of its own. What groups have in common is what belongs to the node: whether
//! another node lives is asked once, for all of them, so that a group that has nothing to do costs nothing but memory.
//!
//! # Lost disks
//!
//! A member is a node *on a disk*: what it has promised is there. How others see that a node is on another disk, or on an older
//! copy, stands in `who.rs`; what it is good for stands here. Of a group of 2f + 1 voters:
//!
//! - **Empty disks.** A node on another disk than the one in the log does not vote in its name: neither it nor anybody else counts it. What
//!   a client was told of is on f + 1 disks, and a majority of the group has one of them as long as at most f are lost: nothing is
//!   forgotten, and the group goes on if all the rest is up. With more than f lost disks at a time it stops, and does not begin again.
//!   If all are lost it is as if there had never been a group.
//! - **Two voters:** with each lost disk the group stops. **One voter:** nobody can know that there was another disk. It begins again.
//! - **Older copies.** A voter votes only after so many others have said that they know of its life that it makes a quorum with them;
//!   they have that on their disks before they say it. If one of those whom it asks, or who ask it later, has heard of a later life of
//!   the disk, or of another life of the same number, it is a copy and gives up its name. That finds a copy from before the node's last
//!   start that is met by a member that has met the node since that start, and keeps its own disk. It does **not** find:
//!   a copy that was made since the node's last start (a snapshot of a running machine); a copy that meets only members that were down or
//!   cut off during the node's later lives (of 2f + 1, f others can be such); a group of one.
//! - **Taken in again.** The leader takes out who was a voter and comes with another disk, makes it a learner, and a voter when it has
//!   everything, without being asked, if the others are enough without it. Meanwhile the group has one voter less. It counts among the
//!   lost until that change is over: until a majority has it on its disks that it was chosen.
//!
//! A group begins when all its founders have met: only then is known on which disks they are. Until then it decides nothing.

mod failure;
mod groups;
mod refusals;
mod telling;
mod watched;
mod who;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{
    Chunk, ClusterId, DirectoryId, Effects, Entry as Stored, Event, Machine, NodeId, Now,
    Partition, Scan, Stamp, Tick, Ticket, planted,
};
use serde::{Deserialize, Serialize};

use crate::log::{self, Ask, Body, Lease, Message, Outcome, Replica, Slot, StateMachine, Write};
use crate::members::{Disks, Members};
use groups::{Founding, Groups, Standing, group_of, key_of_life, node_of, to};
use who::{Identity, Met, Who};

pub use failure::Failure;
pub use refusals::{REFUSALS, refusal_places};
pub use telling::{Greeting, Refusal, Telling};
pub use watched::{APPLIED_BYTES_MAX, Applied};
pub use who::Life;

/// Members tell each other that they live so often.
pub const BEAT_MS: u64 = 100;
/// A member that was silent for so long is suspected.
pub const SUSPECT_MS: u64 = 400;

/// So many groups at a time ask to be taken in again.
const RETURNS_MAX: usize = 64;
const SCAN: Ticket = Ticket(0);
const SCAN_ENTRIES_MAX: u32 = 256;
const SCAN_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// A group of replicas that keep one log. The number is the same on all its members, and never that of another group, neither now
/// nor later.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Group(pub u32);

/// How a member is set up.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Who it is.
    pub id: NodeId,
    /// Nodes of two clusters never mix.
    pub cluster: ClusterId,
    /// Names the data directory: random, and another one whenever it is formatted anew. Once something is stored, what is stored
    /// counts.
    pub disk: DirectoryId,
    /// The partition of the device in which it keeps its things. It is for nothing else.
    pub home: Partition,
    /// The groups that it takes part in. With each who begins it, the same on all of them; nobody, if this node joins it. A host that
    /// knows the founders' disks names them, the same on all; otherwise they find out when they meet.
    pub groups: Vec<(Group, Members)>,
    /// Whether some of what is there may be lost.
    pub damaged: bool,
    /// A snapshot is taken after so many bytes of entries, and not before they are as many as the last snapshot's.
    pub snapshot_every: usize,
    /// Whether leaders answer reads by themselves while they have a lease. The host promises what `log/lease.rs` says.
    pub lease: Option<Lease>,
    /// Whether members listen for each other. Without it they go by what the host says of connections, the host loses no message as
    /// long as a connection stands, and who has lost its disk does not ask to be taken in again.
    pub beats: bool,
    /// Whether it collects what was applied, for [`Member::take_applied`].
    pub watch: bool,
}

/// The replicas of one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Member<S> {
    setup: Setup,
    phase: Phase<S>,
    liveness: Liveness,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Phase<S> {
    /// What is stored is being read.
    Reading(Box<Found>, S),
    /// Who it is in this life is being stored.
    Naming(Box<Found>, Who, S),
    /// It takes part.
    Running(Box<Running<S>>),
    /// It takes no part.
    Failed(Failure),
}

/// What was stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Found {
    me: Option<Identity>,
    lives: Vec<(NodeId, Life)>,
    groups: BTreeMap<Group, groups::Found>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Running<S> {
    who: Who,
    groups: Groups<S>,
}

/// Who is heard of.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Liveness {
    connected: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Tick>,
    up: BTreeSet<NodeId>,
}

/// A member's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// To say that one lives, and see who does.
    Beat,
    /// A replica's.
    Log(Group, log::Timer),
}

/// What somebody says about a group.
struct Said {
    from: NodeId,
    group: Group,
    disk: DirectoryId,
    members_at: Slot,
}

impl<S: StateMachine> Member<S> {
    /// A member that has read nothing yet. `state`: of each group, before its first command.
    pub fn new(setup: Setup, state: S) -> Member<S> {
        let phase = Phase::Reading(Box::default(), state);
        Member { setup, phase, liveness: Liveness::default() }
    }

    /// A group's replica, once what is stored was read.
    pub fn replica(&self, group: Group) -> Option<&Replica<S>> {
        self.running().and_then(|running| running.groups.get(group))
    }

    /// All replicas, once what is stored was read.
    pub fn replicas(&self) -> impl Iterator<Item = (Group, &Replica<S>)> {
        self.running().into_iter().flat_map(|running| running.groups.iter())
    }

    /// What was applied since it was called last, in order within each group, if the [`Setup`] says that somebody watches. It
    /// is to be called after every step.
    pub fn take_applied(&mut self) -> Vec<(Group, Applied)> {
        match &mut self.phase {
            Phase::Running(running) => running.groups.take_applied(),
            _ => Vec::new(),
        }
    }

    /// What was applied and is not taken yet.
    #[cfg(test)]
    pub(crate) fn applied(&self) -> &[(Group, Applied)] {
        self.running().map_or(&[], |running| running.groups.applied())
    }

    /// Whether a group has begun, and this member may vote in it if it is a voter on its disk: those who know of its life are enough.
    pub fn is_ready(&self, group: Group) -> bool {
        self.running().is_some_and(|running| running.groups.is_ready(group))
    }

    /// Who it is in this life, once what is stored was read.
    pub fn life(&self) -> Option<Life> {
        self.running().map(|running| running.who.me.life)
    }

    /// Why it takes no part.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.phase {
            Phase::Failed(why) => Some(why),
            _ => None,
        }
    }

    fn running(&self) -> Option<&Running<S>> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    fn scan(&self, from: Bytes) -> Scan {
        Scan {
            partition: self.setup.home,
            from,
            to: Bytes::new(),
            entries_max: SCAN_ENTRIES_MAX,
            bytes_max: SCAN_BYTES_MAX,
            values: true,
        }
    }

    fn read<E: Effects<Self>>(&mut self, chunk: Chunk, fx: &mut E) {
        let Phase::Reading(found, _) = &mut self.phase else { return };
        for entry in chunk.entries {
            let bytes = entry.bytes.unwrap_or_default();
            if let Err(why) = found.add(&self.setup, entry.key, bytes) {
                if why.is_others() {
                    fx.probe(refusals::OTHER_DATA);
                }
                self.phase = Phase::Failed(why);
                return;
            }
        }
        match chunk.next {
            Some(from) => fx.scan(SCAN, self.scan(from)),
            None => self.name(fx),
        }
    }

    /// Nothing is said to anybody before it is on the disk who says it.
    fn name<E: Effects<Self>>(&mut self, fx: &mut E) {
        if !matches!(self.phase, Phase::Reading(..)) {
            return;
        }
        let Phase::Reading(found, state) = self.take_phase() else { return };
        let Setup { id, cluster, disk, home, .. } = self.setup;
        if found.me.is_none() && !found.groups.is_empty() {
            self.phase = Phase::Failed(Failure::NoIdentity);
            return;
        }
        let fresh = Life { disk, boot: 0, name: 0 };
        let before = found.me.map_or(fresh, |me| me.life);
        let life = Life { boot: before.boot + 1, name: fx.choose(u64::MAX), ..before };
        let mut who = Who::new(Identity { cluster, node: id, life });
        who.me_at = store_identity(home, &who.me, fx);
        for (node, life) in &found.lives {
            who.note(*node, *life, Stamp::NONE);
        }
        self.phase = Phase::Naming(found, who, state);
    }

    fn take_phase(&mut self) -> Phase<S> {
        std::mem::replace(&mut self.phase, Phase::Failed(Failure::Disk))
    }

    fn begin<E: Effects<Self>>(&mut self, now: Now, stamp: Stamp, fx: &mut E) {
        if !matches!(&self.phase, Phase::Naming(_, who, _) if who.me_at <= stamp) {
            return;
        }
        let Phase::Naming(mut found, mut who, state) = self.take_phase() else { return };
        who.me_at = Stamp::NONE;
        // A copy may be nothing but something to compare with: the last group gets what was given.
        let mut states = std::iter::repeat_n(state, self.setup.groups.len());
        let mut groups = Groups::new(self.setup.home, self.setup.watch);
        for (group, members) in &self.setup.groups {
            let of_group = found.groups.remove(group);
            let Some(state) = states.next() else { break };
            let Some(()) = self.host(&mut groups, *group, members, of_group, state) else {
                let key = groups::key(*group, b"s");
                let why = ombak_base::DecodeError::Invalid("state of the state machine");
                self.phase = Phase::Failed(Failure::Unreadable(key, why.to_string()));
                return;
            };
        }
        let disk = who.me.life.disk;
        groups.each(&who, fx, |replica, host| replica.set_disk(now.tick, disk, host));
        groups.find_lost(&who, fx);
        groups.start(now.tick, &who, fx);
        self.phase = Phase::Running(Box::new(Running { who, groups }));
        self.liveness.connected.iter().for_each(|node| self.greet(*node, fx));
        for node in self.liveness.up.clone() {
            self.tell_up(now, node, fx);
        }
    }

    /// A group as it was left, or as it begins.
    fn host(
        &self,
        groups: &mut Groups<S>,
        group: Group,
        founders: &Members,
        found: Option<groups::Found>,
        state: S,
    ) -> Option<()> {
        let Setup { id, snapshot_every, lease, .. } = self.setup;
        let knows_disks = founders.voters().iter().all(|node| founders.disks.contains_key(node));
        let founds = found.is_none() && !knows_disks && founders.is_voter(id);
        let (members, standing) = match () {
            () if planted!("a lost disk votes") => (founders.clone(), Standing::Ready),
            () if founds => {
                let (founders, met) = (founders.clone(), Disks::new());
                (Members::nobody(), Standing::Founding(Box::new(Founding { founders, met })))
            }
            () if knows_disks => (founders.clone(), Standing::Waiting),
            () => (Members::nobody(), Standing::Waiting),
        };
        let groups::Found { stored, kept } = found.unwrap_or_default();
        let replica = Replica::new(id, stored, state, members, snapshot_every)?;
        groups.add(group, replica.with_lease(lease), kept, standing);
        Some(())
    }

    fn beat<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        fx.arm(Timer::Beat, now.tick.plus_ms(BEAT_MS));
        let Some(running) = self.running() else { return };
        let connected = self.liveness.connected.iter().copied();
        let founding = running.groups.founding.values();
        let founders = founding.flat_map(|founding| founding.founders.voters());
        let peers = running.groups.peers().chain(connected).chain(founders);
        for node in peers.collect::<BTreeSet<_>>() {
            if node != self.setup.id {
                self.greet(node, fx);
                self.say_begin_to(node, fx);
            }
        }
        self.ask_to_return(now, fx);
        let silent = |node: &&NodeId| {
            let heard = self.liveness.heard.get(node).copied().unwrap_or_default();
            now.tick.since(heard) > SUSPECT_MS * 1_000
        };
        let silent: Vec<NodeId> = self.liveness.up.iter().filter(silent).copied().collect();
        silent.into_iter().for_each(|node| self.lose(now, node, fx));
    }

    fn hear<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if !self.setup.beats {
            return;
        }
        self.liveness.heard.insert(node, now.tick);
        if self.liveness.up.insert(node) {
            self.tell_up(now, node, fx);
        }
    }

    fn lose<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if self.liveness.up.remove(&node)
            && let Phase::Running(running) = &mut self.phase
        {
            let Running { who, groups } = &mut **running;
            groups.each(who, fx, |replica, host| replica.peer_down(now.tick, node, host));
        }
    }

    fn tell_up<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if let Phase::Running(running) = &mut self.phase {
            let Running { who, groups } = &mut **running;
            groups.each(who, fx, |replica, host| replica.peer_up(now.tick, node, host));
        }
    }

    fn connection<E: Effects<Self>>(&mut self, now: Now, node: NodeId, is_up: bool, fx: &mut E) {
        if let Phase::Running(running) = &mut self.phase {
            running.who.forget(node);
        }
        if !is_up {
            self.liveness.connected.remove(&node);
            return self.lose(now, node, fx);
        }
        self.liveness.connected.insert(node);
        if self.setup.beats {
            self.liveness.heard.insert(node, now.tick);
        }
        self.liveness.up.insert(node);
        self.greet(node, fx);
        self.tell_up(now, node, fx);
    }

    fn greet<E: Effects<Self>>(&self, node: NodeId, fx: &mut E) {
        if let Some(running) = self.running() {
            let (greeting, after) = running.who.greeting(node);
            let _ = fx.send(to(node), Telling::Beat(greeting), after);
        }
    }

    fn message<E: Effects<Self>>(&mut self, now: Now, from: NodeId, telling: Telling, fx: &mut E) {
        match telling {
            Telling::Beat(greeting) => self.hear_greeting(now, from, greeting, fx),
            Telling::Log { group, disk, members_at, message } => {
                let said = Said { from, group, disk, members_at };
                self.hear_log(now, said, message, fx);
            }
            Telling::Begin { group, disk, to, begun } => {
                let said = Said { from, group, disk, members_at: Slot(0) };
                self.hear_begin(now, said, to, begun, fx);
            }
            Telling::Refused { group, members_at, why } => {
                fx.probe("paxos: a message was refused by another");
                self.hear_refused(now, group, members_at, why, fx);
            }
            Telling::Return { group, disk } => {
                let said = Said { from, group, disk, members_at: Slot(0) };
                self.hear_return(now, said, fx);
            }
        }
    }

    fn hear_greeting<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        greeting: Greeting,
        fx: &mut E,
    ) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Greeting { cluster, life, asks, yours } = greeting;
        if cluster != self.setup.cluster {
            running.who.forget(from);
            return refuse(from, Group(0), Slot(0), Refusal::OtherCluster, fx);
        }
        let Running { who, groups } = &mut **running;
        let met = who.meet(from, life);
        if met == Met::New {
            for disk in who.forget_lives(from, |disk| groups.has_member(from, disk)) {
                fx.store(self.setup.home, &key_of_life(from, disk), None);
            }
            let entry = Stored { tag: 0, bytes: life.stored() };
            let at = fx.store(self.setup.home, &key_of_life(from, life.disk), Some(entry));
            who.note(from, life, at);
        }
        let me = who.me.life;
        if met == Met::Stale {
            fx.probe("paxos: a copy of a disk was found out");
            return self.greet(from, fx);
        }
        if yours.is_some_and(|yours| me.is_undone_by(&yours)) {
            return self.give_up_name(now, fx);
        }
        if yours == Some(me) && who.known_to.insert(from) {
            groups.reconsider(now.tick, who, fx);
        }
        if asks {
            self.greet(from, fx);
        }
        if met != (Met::Known { before: true }) {
            self.say_begin_to(from, fx);
        }
        self.hear(now, from, fx);
    }

    /// This is an older copy of a disk that has lived on, or a disk that was replaced: it may not pass any more for what it was.
    fn give_up_name<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Running { who, groups } = &mut **running;
        let disk = DirectoryId(fx.choose(u64::MAX));
        who.me.life = Life { disk, boot: 1, name: fx.choose(u64::MAX) };
        who.me_at = store_identity(self.setup.home, &who.me, fx);
        who.known_to.clear();
        groups.has_belonged = false;
        groups.change_disk(now.tick, who, fx);
        fx.probe("paxos: a member gives up the name of its disk");
        let Liveness { connected, up, .. } = &self.liveness;
        connected.union(up).for_each(|node| self.greet(*node, fx));
    }

    fn hear_log<E: Effects<Self>>(&mut self, now: Now, said: Said, message: Message, fx: &mut E) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Said { from, group, .. } = said;
        match running.admit(&said, &message.body) {
            Ok(()) => {}
            Err(why) => return self.refuse_log(now, &said, message, why, fx),
        }
        let Running { who, groups } = &mut **running;
        if groups.is_ready(group) {
            groups.with(group, who, fx, |replica, host| {
                replica.receive(now.tick, from, message, host);
            });
        }
        self.hear(now, from, fx);
    }

    fn refuse_log<E: Effects<Self>>(
        &mut self,
        now: Now,
        said: &Said,
        message: Message,
        why: Refusal,
        fx: &mut E,
    ) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Said { from, group, .. } = *said;
        let Running { who, groups } = &mut **running;
        let members_at = groups.get(group).map_or(Slot(0), Replica::members_at);
        refuse(from, group, members_at, why, fx);
        match (why, message) {
            (Refusal::NotGreeted, _) => self.greet(from, fx),
            (
                Refusal::Removed,
                Message { ballot, body: Body::Canvass { committed } | Body::Prepare { committed } },
            ) => {
                // It learns that it is out from what has been chosen.
                let body = Body::Enquire { committed };
                groups.with(group, who, fx, |replica, host| {
                    replica.receive(now.tick, from, Message::new(ballot, body), host);
                });
            }
            _ => {}
        }
    }

    /// To each founder of a group that has not begun, as far as is known here: nor here.
    fn say_begin_to<E: Effects<Self>>(&self, node: NodeId, fx: &mut E) {
        let Some(Running { who, groups }) = self.running() else { return };
        let Some(to) = who.disk(node) else { return };
        for (group, founding) in &groups.founding {
            let is_to_meet =
                founding.founders.is_voter(node) && founding.met.get(&node) != Some(&to);
            if is_to_meet {
                say_begin(node, to, *group, who, None, fx);
            }
        }
    }

    fn hear_begin<E: Effects<Self>>(
        &mut self,
        now: Now,
        said: Said,
        to: DirectoryId,
        begun: Option<(Slot, Disks)>,
        fx: &mut E,
    ) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Running { who, groups } = &mut **running;
        let Said { from, group, disk, .. } = said;
        let (node, mine) = (who.me.node, who.me.life.disk);
        let Some(replica) = groups.get(group) else {
            return refuse(from, group, Slot(0), Refusal::NoGroup, fx);
        };
        if who.disk(from) != Some(disk) || to != mine {
            return; // It was not said to this one, or by one who is not there any more.
        }
        let known = (replica.members_at(), replica.members().disks.clone());
        match (groups.founding.get_mut(&group), begun) {
            (None, None) if known.1.is_empty() => {} // Nobody has told me either.
            (None, None) => say_begin(from, disk, group, who, Some(known), fx),
            (None, Some(_)) => {}
            (Some(founding), None) => {
                if founding.met.insert(from, disk) != Some(disk) {
                    say_begin(from, disk, group, who, None, fx);
                }
                groups.founded(now.tick, group, who, fx);
            }
            (Some(_), Some((Slot(0), disks))) if disks.get(&node) == Some(&mine) => {
                groups.found(now.tick, group, disks, who, fx);
            }
            (Some(_), Some((at, disks))) => {
                groups.join(now.tick, group, who, fx);
                if disks.get(&node).is_some_and(|disk| *disk != mine) {
                    groups.lost(group, at, fx);
                }
            }
        }
    }

    /// Somebody takes this for a stranger, and may be right.
    fn hear_refused<E: Effects<Self>>(
        &mut self,
        now: Now,
        group: Group,
        members_at: Slot,
        why: Refusal,
        fx: &mut E,
    ) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Running { who, groups } = &mut **running;
        let Some(replica) = groups.get(group) else { return };
        let known = replica.members().disks.get(&who.me.node);
        let is_behind = members_at > replica.members_at();
        match why {
            // By what is known here it is a member on this disk: the other one is behind.
            Refusal::OtherDisk if known == Some(&who.me.life.disk) && !is_behind => {}
            Refusal::OtherDisk => {
                groups.join(now.tick, group, who, fx);
                groups.lost(group, members_at, fx);
            }
            Refusal::Removed => {
                let is_out = !replica.members().is_member(who.me.node);
                groups.stay_out(group);
                if is_behind || is_out {
                    groups.with(group, who, fx, |replica, host| {
                        replica.hear_removed(now.tick, host);
                    });
                }
            }
            _ => {}
        }
    }

    /// Under a name that has never been a member's. A disk that was replaced does not know what was promised since in its place, and
    /// nobody who remembers it may take it for what it was.
    fn ask_to_return<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Running { who, groups } = &mut **running;
        let asking = groups.asking(who, RETURNS_MAX);
        let has_lived = who.me.life.boot > 1 || groups.has_belonged;
        if has_lived && asking.iter().any(|group| !groups.belongs(*group, who)) {
            return self.give_up_name(now, fx);
        }
        for group in asking {
            for node in &self.liveness.up {
                let telling = Telling::Return { group, disk: who.me.life.disk };
                let _ = fx.send(to(*node), telling, who.me_at);
            }
        }
    }

    fn hear_return<E: Effects<Self>>(&mut self, now: Now, said: Said, fx: &mut E) {
        let Phase::Running(running) = &mut self.phase else { return };
        let Running { who, groups } = &mut **running;
        let Said { from, group, disk, .. } = said;
        if who.disk(from) != Some(disk) {
            return refuse(from, group, Slot(0), Refusal::NotGreeted, fx);
        }
        let mut is_member = true;
        groups.with(group, who, fx, |replica, host| {
            is_member = replica.readmit(now.tick, from, disk, host);
        });
        if !is_member {
            let members_at = groups.get(group).map_or(Slot(0), Replica::members_at);
            refuse(from, group, members_at, Refusal::Removed, fx);
        }
    }
}

impl Found {
    fn add(&mut self, setup: &Setup, key: Bytes, bytes: Bytes) -> Result<(), Failure> {
        let unreadable =
            |error: ombak_base::DecodeError| Failure::Unreadable(key.clone(), error.to_string());
        if key == groups::IDENTITY {
            let me = Identity::read(bytes).map_err(unreadable)?;
            self.me = Some(me);
            return me.check(setup);
        }
        if let Some(node) = node_of(&key) {
            self.lives.push((node, Life::read(bytes).map_err(unreadable)?));
            return Ok(());
        }
        let invalid = ombak_base::DecodeError::Invalid("key");
        let group = group_of(&key).ok_or_else(|| unreadable(invalid))?;
        if !setup.groups.iter().any(|(here, _)| *here == group) {
            return Err(Failure::OtherGroup(group));
        }
        let write = Write::decode(bytes).map_err(unreadable)?;
        self.groups.entry(group).or_default().add(write);
        Ok(())
    }
}

impl Identity {
    fn check(&self, setup: &Setup) -> Result<(), Failure> {
        match self {
            me if me.cluster != setup.cluster => Err(Failure::OtherCluster(me.cluster)),
            me if me.node != setup.id => Err(Failure::OtherNode(me.node)),
            _ => Ok(()),
        }
    }
}

impl<S: StateMachine> Running<S> {
    /// Whether what somebody says about a log is to be listened to.
    fn admit(&self, said: &Said, body: &Body) -> Result<(), Refusal> {
        if self.who.disk(said.from) != Some(said.disk) {
            return Err(Refusal::NotGreeted);
        }
        let replica = self.groups.get(said.group).ok_or(Refusal::NoGroup)?;
        let members = replica.members();
        // Whoever knows of a later change may be a member by that. But votes count for those members that are known here.
        let is_ahead = said.members_at > replica.members_at();
        let is_fact = matches!(body, Body::Chosen { .. });
        if !members.is_on(said.from, said.disk) && !is_fact && (body.is_vote() || !is_ahead) {
            return Err(Refusal::OtherDisk);
        }
        let is_known = !members.voters.members().is_empty();
        let may_say = match body {
            Body::Canvass { .. } | Body::Prepare { .. } => members.is_voter(said.from),
            Body::Forward { .. } => members.is_member(said.from),
            _ => true,
        };
        if is_known && !is_ahead && !may_say {
            return Err(Refusal::Removed);
        }
        Ok(())
    }
}

/// Says so to the sender, and to whoever counts here. Nothing else happens.
fn refuse<S: StateMachine, E: Effects<Member<S>>>(
    node: NodeId,
    group: Group,
    members_at: Slot,
    why: Refusal,
    fx: &mut E,
) {
    let _ = fx.send(to(node), Telling::Refused { group, members_at, why }, Stamp::NONE);
    fx.probe(why.name());
}

fn say_begin<S: StateMachine, E: Effects<Member<S>>>(
    node: NodeId,
    disk: DirectoryId,
    group: Group,
    who: &Who,
    begun: Option<(Slot, Disks)>,
    fx: &mut E,
) {
    let mine = who.me.life.disk;
    let telling = Telling::Begin { group, disk: mine, to: disk, begun };
    let _ = fx.send(to(node), telling, who.me_at);
}

fn store_identity<S: StateMachine, E: Effects<Member<S>>>(
    home: Partition,
    me: &Identity,
    fx: &mut E,
) -> Stamp {
    let entry = Stored { tag: 0, bytes: me.stored() };
    let stamp = fx.store(home, &groups::IDENTITY, Some(entry));
    fx.await_durable(stamp);
    stamp
}

impl<S: StateMachine> Machine for Member<S> {
    type Message = Telling;
    /// Of a group that is not here, nobody knows a leader.
    type Request = (Group, Ask);
    type Reply = Outcome;
    type Timer = Timer;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Start if self.setup.damaged => self.phase = Phase::Failed(Failure::Damaged),
            Event::Start => {
                if self.setup.beats {
                    fx.arm(Timer::Beat, now.tick.plus_ms(BEAT_MS));
                }
                fx.scan(SCAN, self.scan(Bytes::new()));
            }
            Event::Scanned { chunk: Ok(chunk), .. } => self.read(chunk, fx),
            Event::Scanned { chunk: Err(error), .. } => {
                self.phase = Phase::Failed(Failure::Unread(error));
            }
            Event::Message { from, message } => self.message(now, from.node, message, fx),
            Event::PeerUp { node, .. } => self.connection(now, node, true, fx),
            Event::PeerDown(node) => self.connection(now, node, false, fx),
            Event::Timer(Timer::Beat) => self.beat(now, fx),
            Event::Durable(stamp) if matches!(self.phase, Phase::Naming(..)) => {
                self.begin(now, stamp, fx);
            }
            Event::DeviceFailed => self.phase = Phase::Failed(Failure::Disk),
            Event::Damaged(_) => self.phase = Phase::Failed(Failure::Damaged),
            Event::Broken(_) => self.phase = Phase::Failed(Failure::Broken),
            other => match &mut self.phase {
                Phase::Running(running) => running.step(now.tick, other, fx),
                _ => {
                    if let Event::Request { client, .. } = other {
                        fx.reply(client, Outcome::NoLeader, Stamp::NONE);
                    }
                }
            },
        }
    }

    fn check(&self) {
        if let Phase::Running(running) = &self.phase {
            running.groups.check();
        }
    }
}

impl<S: StateMachine> Running<S> {
    /// What concerns the groups alone.
    fn step<E: Effects<Member<S>>>(&mut self, now: Tick, event: Event<Member<S>>, fx: &mut E) {
        let Running { who, groups } = self;
        match event {
            Event::Request { client, request: (group, ask) } => {
                if groups.get(group).is_none() {
                    return fx.reply(client, Outcome::NoLeader, Stamp::NONE);
                }
                groups
                    .with(group, who, fx, |replica, host| replica.request(now, client, ask, host));
            }
            Event::Gone(client) => groups.each(who, fx, |replica, _| replica.gone(client)),
            // Who may not vote yet does not stand either.
            Event::Timer(Timer::Log(group, log::Timer::Election)) if !groups.is_ready(group) => {}
            Event::Timer(Timer::Log(group, timer)) => {
                groups.with(group, who, fx, |replica, host| replica.timer(now, timer, host));
            }
            Event::Durable(stamp) => {
                who.durable(stamp);
                groups.durable(now, stamp, who, fx);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
