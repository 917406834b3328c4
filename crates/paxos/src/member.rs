//! The replicas of many groups on one node, as a [`Machine`]: with a disk, and a liveness of its peers, for any host of machines.
//!
//! A group is a log of its own, with members and a leader of its own. What groups have in common is what belongs to the node: whether
//! another node lives is asked once, for all of them, so that a group that has nothing to do costs nothing but memory.

mod groups;
mod telling;
mod watched;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{Effects, Event, Machine, NodeId, Now, Partition, Scan, Stamp, Tick, Ticket};
use serde::{Deserialize, Serialize};

use crate::log::{self, Ask, Outcome, Replica, StateMachine, Write};
use crate::members::Members;
use groups::{Found, Groups, group_of, to};

pub use telling::Telling;
pub use watched::{APPLIED_BYTES_MAX, Applied};

/// Members tell each other that they live so often.
pub const BEAT_MS: u64 = 100;
/// A member that was silent for so long is suspected.
pub const SUSPECT_MS: u64 = 400;

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
    /// The partition of the device in which it keeps its things. It is for nothing else.
    pub home: Partition,
    /// The groups that it takes part in. With each who begins it, the same on all of them; nobody, if this node joins it.
    pub groups: Vec<(Group, Members)>,
    /// A snapshot is taken after so many bytes of entries.
    pub snapshot_every: usize,
    /// Whether members listen for each other. Without it they go by what the host says of connections.
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
    Reading(BTreeMap<Group, Found>, S),
    /// It takes part.
    Running(Groups<S>),
    /// What is stored can't be read: it takes no part, for it has promised it knows not what.
    Failed(String),
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

impl<S: StateMachine> Member<S> {
    /// A member that has read nothing yet. `state`: of each group, before its first command.
    pub fn new(setup: Setup, state: S) -> Member<S> {
        let phase = Phase::Reading(BTreeMap::new(), state);
        Member { setup, phase, liveness: Liveness::default() }
    }

    /// A group's replica, once what is stored was read.
    pub fn replica(&self, group: Group) -> Option<&Replica<S>> {
        self.running().and_then(|groups| groups.get(group))
    }

    /// All replicas, once what is stored was read.
    pub fn replicas(&self) -> impl Iterator<Item = (Group, &Replica<S>)> {
        self.running().into_iter().flat_map(Groups::iter)
    }

    /// What was applied since it was called last, in order within each group, if the [`Setup`] says that somebody watches. It
    /// is to be called after every step.
    pub fn take_applied(&mut self) -> Vec<(Group, Applied)> {
        match &mut self.phase {
            Phase::Running(groups) => groups.take_applied(),
            _ => Vec::new(),
        }
    }

    /// What was applied and is not taken yet.
    #[cfg(test)]
    pub(crate) fn applied(&self) -> &[(Group, Applied)] {
        self.running().map_or(&[], Groups::applied)
    }

    /// Why it takes no part.
    pub fn failure(&self) -> Option<&str> {
        match &self.phase {
            Phase::Failed(why) => Some(why),
            _ => None,
        }
    }

    fn running(&self) -> Option<&Groups<S>> {
        match &self.phase {
            Phase::Running(groups) => Some(groups),
            _ => None,
        }
    }

    fn fail(&mut self, why: impl Into<String>) {
        self.phase = Phase::Failed(why.into());
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

    fn read<E: Effects<Self>>(&mut self, now: Now, chunk: ombak_base::Chunk, fx: &mut E) {
        for entry in chunk.entries {
            if let Err(why) = self.find(&entry.key, entry.bytes.unwrap_or_default()) {
                let key = entry.key.escape_ascii();
                return self.fail(format!("what is stored under {key}: {why}"));
            }
        }
        match chunk.next {
            Some(from) => fx.scan(SCAN, self.scan(from)),
            None => self.begin(now, fx),
        }
    }

    fn find(&mut self, key: &Bytes, bytes: Bytes) -> Result<(), String> {
        let Phase::Reading(found, _) = &mut self.phase else { return Ok(()) };
        let is_here = |group: &Group| self.setup.groups.iter().any(|(here, _)| here == group);
        let group = group_of(key).filter(is_here).ok_or("it is of no group of this member")?;
        let write = Write::decode(bytes).map_err(|error| error.to_string())?;
        found.entry(group).or_default().add(write);
        Ok(())
    }

    fn begin<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let done = Phase::Failed(String::new());
        let Phase::Reading(mut found, state) = std::mem::replace(&mut self.phase, done) else {
            return;
        };
        let Setup { id, home, snapshot_every, watch, .. } = self.setup;
        let mut groups = Groups::new(home, watch);
        for (group, members) in &self.setup.groups {
            let Found { stored, kept } = found.remove(group).unwrap_or_default();
            let (state, members) = (state.clone(), members.clone());
            match Replica::new(id, stored, state, members, snapshot_every) {
                Some(replica) => groups.add(*group, replica, kept),
                None => return self.fail(format!("the snapshot of {group:?} can't be read")),
            }
        }
        groups.each(fx, |replica, host| replica.start(now.tick, host));
        self.phase = Phase::Running(groups);
        let up = self.liveness.up.clone();
        up.into_iter().for_each(|node| self.tell_up(now, node, fx));
    }

    fn beat<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        fx.arm(Timer::Beat, now.tick.plus_ms(BEAT_MS));
        let Some(groups) = self.running() else { return };
        let connected = self.liveness.connected.iter().copied();
        for node in groups.peers().chain(connected).collect::<BTreeSet<_>>() {
            if node != self.setup.id {
                let _ = fx.send(to(node), Telling::Beat, Stamp::NONE);
            }
        }
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
            && let Phase::Running(groups) = &mut self.phase
        {
            groups.each(fx, |replica, host| replica.peer_down(now.tick, node, host));
        }
    }

    fn tell_up<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if let Phase::Running(groups) = &mut self.phase {
            groups.each(fx, |replica, host| replica.peer_up(now.tick, node, host));
        }
    }

    fn connection<E: Effects<Self>>(&mut self, now: Now, node: NodeId, is_up: bool, fx: &mut E) {
        if !is_up {
            self.liveness.connected.remove(&node);
            return self.lose(now, node, fx);
        }
        self.liveness.connected.insert(node);
        if self.setup.beats {
            self.liveness.heard.insert(node, now.tick);
        }
        self.liveness.up.insert(node);
        self.tell_up(now, node, fx);
    }

    fn message<E: Effects<Self>>(&mut self, now: Now, from: NodeId, telling: Telling, fx: &mut E) {
        self.hear(now, from, fx);
        let Telling::Log(group, message) = telling else { return };
        let Phase::Running(groups) = &mut self.phase else { return };
        let is_here = groups.with(group, fx, |replica, host| {
            replica.receive(now.tick, from, message, host);
        });
        if !is_here {
            fx.probe("paxos: a message of a group that is not here");
        }
    }
}

impl<S: StateMachine> Machine for Member<S> {
    type Message = Telling;
    /// Of a group that is not here, nobody knows a leader.
    type Request = (Group, Ask);
    type Reply = Outcome;
    type Timer = Timer;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        let tick = now.tick;
        match (event, &mut self.phase) {
            (Event::Start, _) => {
                if self.setup.beats {
                    fx.arm(Timer::Beat, tick.plus_ms(BEAT_MS));
                }
                fx.scan(SCAN, self.scan(Bytes::new()));
            }
            (Event::Scanned { chunk: Ok(chunk), .. }, _) => self.read(now, chunk, fx),
            (Event::Scanned { chunk: Err(error), .. }, _) => self.fail(error.to_string()),
            (Event::Request { client, request: (group, ask) }, phase) => match phase {
                Phase::Running(groups) if groups.get(group).is_some() => {
                    groups
                        .with(group, fx, |replica, host| replica.request(tick, client, ask, host));
                }
                _ => fx.reply(client, Outcome::NoLeader, Stamp::NONE),
            },
            (Event::Gone(client), Phase::Running(groups)) => {
                groups.each(fx, |replica, _| replica.gone(client));
            }
            (Event::Message { from, message }, _) => self.message(now, from.node, message, fx),
            (Event::PeerUp { node, .. }, _) => self.connection(now, node, true, fx),
            (Event::PeerDown(node), _) => self.connection(now, node, false, fx),
            (Event::Timer(Timer::Beat), _) => self.beat(now, fx),
            (Event::Timer(Timer::Log(group, timer)), Phase::Running(groups)) => {
                groups.with(group, fx, |replica, host| replica.timer(tick, timer, host));
            }
            (Event::Durable(stamp), Phase::Running(groups)) => groups.durable(tick, stamp, fx),
            (Event::DeviceFailed, _) => self.fail("the disk failed"),
            _ => {}
        }
    }

    fn check(&self) {
        if let Phase::Running(groups) = &self.phase {
            groups.check();
        }
    }
}
