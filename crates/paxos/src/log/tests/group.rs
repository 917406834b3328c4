//! Groups in a simulated world, and what must be true of it at every moment.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{ClientId, ClusterId, DirectoryId, NodeId, Partition, ShardId, Tick};
use ombak_sim::{
    Booted, Faults, Heard, LogDevice, LogWriter, Rng, SimDisk, SimFile, System, World, open_log,
};

use super::{Journal, StateMachine, command, number};
use crate::ballot::Voters;
use crate::log::{Ask, Entry, Outcome, Replica, Slot, Status};
use crate::member::{Applied, Group as Id, Member, Setup};
use crate::members::Members;

pub const SHARD: ShardId = ShardId(0);
/// Small, so that snapshots are a part of every run.
const SNAPSHOT_EVERY: usize = 600;

/// Boots members.
pub struct Group {
    /// Those that the group begins with; others join.
    founders: BTreeSet<NodeId>,
    groups: u32,
    /// Of who is booted next.
    pub cluster: ClusterId,
}

impl System for Group {
    type Machine = Member<Journal>;
    type Device = LogDevice;
    type Writer = LogWriter<SimFile>;

    fn boot(
        &mut self,
        id: NodeId,
        disk: &SimDisk,
        _: u64,
        rng: &mut Rng,
    ) -> Result<Booted<Group>, String> {
        let (devices, writer) = open_log(disk, 1).map_err(|error| error.to_string())?;
        let founders = self.founders.contains(&id).then(|| self.founders.clone());
        let members = Members::new(Voters::majority(founders.unwrap_or_default()));
        let groups = (0..self.groups).map(|group| (Id(group), members.clone())).collect();
        let setup = Setup {
            id,
            cluster: self.cluster,
            disk: DirectoryId(rng.below(u64::MAX)),
            home: Partition(0),
            groups,
            snapshot_every: SNAPSHOT_EVERY,
            damaged: false,
            beats: true,
            watch: true,
        };
        let shards = devices
            .into_iter()
            .map(|device| (Member::new(setup.clone(), Journal::default()), device));
        Ok(Booted { shards: shards.collect(), writer })
    }
}

/// A world with some groups, and all that its clients know.
pub struct Town {
    pub world: World<Group>,
    /// Of which group clients ask now.
    pub group: Id,
    asked: BTreeMap<ClientId, Asked>,
    /// The last line of any group.
    next: u64,
    /// Lines whose clients were told that they are in the group's journal.
    pub told: BTreeSet<u64>,
    pub outcomes: BTreeMap<&'static str, u64>,
    known: BTreeMap<Id, Known>,
    pub changed: u64,
}

/// What is known of a group.
#[derive(Default)]
struct Known {
    /// Its lines, as far as clients were told.
    told: BTreeSet<u64>,
    /// The longest journal that was seen.
    longest: Vec<u64>,
    /// What was decided, as any member has it.
    decided: BTreeMap<Slot, Entry>,
}

enum Asked {
    Line(Id, u64),
    /// With what had been told of by then.
    Read(BTreeSet<u64>),
    Members,
    Lead,
}

pub fn node(id: u32) -> NodeId {
    NodeId(id)
}

impl Town {
    /// `founders` of so many nodes found the group.
    pub fn new(nodes: u32, founders: u32, seed: u64) -> Town {
        Town::with_groups(1, nodes, founders, seed)
    }

    /// The same, of so many groups on the same nodes.
    pub fn with_groups(groups: u32, nodes: u32, founders: u32, seed: u64) -> Town {
        let founders = (0..founders).map(NodeId).collect();
        Town {
            world: World::new(Group { founders, groups, cluster: ClusterId(1) }, nodes, seed)
                .unwrap(),
            group: Id(0),
            asked: BTreeMap::new(),
            next: 0,
            told: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            known: (0..groups).map(|group| (Id(group), Known::default())).collect(),
            changed: 0,
        }
    }

    fn ask(&mut self, at: NodeId, ask: Ask, what: Asked) -> ClientId {
        let client = self.world.request(at, SHARD, (self.group, ask));
        self.asked.insert(client, what);
        client
    }

    /// A client asks for the next line to be written.
    pub fn write(&mut self, at: NodeId) -> u64 {
        self.next += 1;
        self.ask(at, Ask::Propose(command(self.next)), Asked::Line(self.group, self.next));
        self.next
    }

    /// A client asks for the journal.
    pub fn read(&mut self, at: NodeId) {
        let told = self.known[&self.group].told.clone();
        self.ask(at, Ask::Read(Bytes::new()), Asked::Read(told));
    }

    /// A client asks for other members.
    pub fn change(&mut self, at: NodeId, voters: &[u32], learners: &[u32]) {
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect();
        let ask = Ask::Members { voters: nodes(voters), learners: nodes(learners) };
        self.ask(at, ask, Asked::Members);
    }

    /// A client asks for a certain leader.
    pub fn lead(&mut self, at: NodeId, to: NodeId) {
        self.ask(at, Ask::Lead(to), Asked::Lead);
    }

    /// Requests without an answer.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Time passes; every answer and every replica is looked at.
    pub fn run_for(&mut self, us: u64) {
        let until = self.world.now() + us;
        while self.world.now() < until {
            let rest = until.since(self.world.now());
            self.world.run_for(rest.min(20_000));
            self.look();
        }
    }

    pub fn run_until(&mut self, us_max: u64, mut done: impl FnMut(&Town) -> bool) -> bool {
        let until = self.world.now() + us_max;
        while self.world.now() < until {
            if done(self) {
                return true;
            }
            self.run_for(5_000);
        }
        done(self)
    }

    /// The same, looking after every event.
    pub fn run_until_soon(&mut self, us_max: u64, mut done: impl FnMut(&Town) -> bool) -> bool {
        let until = self.world.now() + us_max;
        while self.world.now() < until && !done(self) && self.world.step() {
            self.look();
        }
        done(self)
    }

    fn look(&mut self) {
        for node in self.world.node_ids().collect::<Vec<_>>() {
            self.all_groups().for_each(|group| {
                self.look_at(group, node);
            });
        }
        for reply in self.world.take_replies() {
            let asked = self.asked.remove(&reply.client);
            self.hear(asked, reply.heard);
            self.world.finish(reply.client);
        }
    }

    fn hear(&mut self, asked: Option<Asked>, heard: Heard<Outcome>) {
        let Heard::Reply(outcome) = heard else { return };
        *self.outcomes.entry(name(&outcome)).or_default() += 1;
        match (asked, outcome) {
            (Some(Asked::Line(group, line)), Outcome::Applied { .. }) => {
                self.told.insert(line);
                self.known.get_mut(&group).unwrap().told.insert(line);
            }
            (Some(Asked::Read(told)), Outcome::Read { answer }) => {
                let read = Journal::restore(answer).unwrap().lines;
                let read = BTreeSet::from_iter(read);
                assert!(told.is_subset(&read), "a read misses {:?}", &told - &read);
            }
            (Some(Asked::Members), Outcome::Changed { .. }) => self.changed += 1,
            _ => {}
        }
    }

    /// All journals of a group are beginnings of one, and of a slot everybody knows the same.
    fn look_at(&mut self, group: Id, node: NodeId) {
        let member = self.world.machine(node, SHARD);
        let Some(replica) = member.and_then(|member| member.replica(group)) else { return };
        self.look_at_what_was_told(group, node, replica.state().lines.len() as u64);
        let known = self.known.get_mut(&group).unwrap();
        let status = replica.status();
        let lines = &replica.state().lines;
        let common = lines.len().min(known.longest.len());
        assert_eq!(lines[..common], known.longest[..common], "the journal of {group:?} at {node}");
        if lines.len() > common {
            let distinct = BTreeSet::from_iter(lines);
            assert_eq!(distinct.len(), lines.len(), "a line was written twice");
            known.longest = lines.clone();
        }
        for slot in (status.forgotten.0 + 1..=status.committed.0).map(Slot) {
            let Some(entry) = replica.decided(slot) else { continue };
            let first = known.decided.entry(slot).or_insert_with(|| entry.clone());
            assert_eq!(first, entry, "{slot:?} of {group:?} at {node}");
        }
    }

    /// A member's host is told of each line once, in order: the answer to a line is its place.
    fn look_at_what_was_told(&self, group: Id, node: NodeId, lines: u64) {
        let mut told = None;
        let mut last = Slot(0);
        for applied in self.applied(group, node) {
            let (slot, place) = match applied {
                Applied::Command { slot, answer } => (*slot, Some(number(answer))),
                Applied::Restored { slot } => (*slot, None),
            };
            assert!(last <= slot, "{node} was told of {slot:?} after {last:?}");
            let is_next = told.is_none() || place.is_none_or(|place| told == Some(place - 1));
            assert!(is_next, "{node} was told of {place:?} after {told:?}");
            (last, told) = (slot, place);
        }
        assert!(told.is_none_or(|told| told == lines), "{node} was told {told:?} of {lines}");
    }

    /// What the host of a member was told of a group.
    pub fn applied(&self, group: Id, node: NodeId) -> Vec<&Applied> {
        let applied = self.world.machine(node, SHARD).map_or(&[][..], Member::applied);
        applied.iter().filter(|(of, _)| *of == group).map(|(_, applied)| applied).collect()
    }

    pub fn replica(&self, node: NodeId) -> Option<&Replica<Journal>> {
        self.world.machine(node, SHARD)?.replica(self.group)
    }

    pub fn status(&self, node: NodeId) -> Option<Status> {
        self.replica(node).map(Replica::status)
    }

    /// Whoever leads with the highest ballot.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders =
            self.world.node_ids().filter(|node| self.replica(*node).is_some_and(Replica::leads));
        leaders.max_by_key(|node| self.status(*node).map(|status| status.promised))
    }

    pub fn await_leader(&mut self) -> NodeId {
        assert!(self.run_until(5_000_000, |town| town.leader().is_some()), "nobody leads");
        self.leader().unwrap()
    }

    /// All is well again; everybody is up. Whatever was asked is answered, and everybody gets to know everything.
    pub fn converge(&mut self) {
        self.world.heal();
        self.world.set_faults(Faults::calm());
        for node in self.world.node_ids().collect::<Vec<_>>() {
            self.world.set_rate(node, 0);
            self.world.disk(node).call_off();
            self.world.resume(node);
            if !self.world.is_up(node) {
                self.world.restart(node).unwrap();
            }
        }
        self.run_for(15_000_000);
        let open = self.asked.len();
        assert_eq!(open, 0, "requests without an answer: {}", self.describe());
        for group in self.all_groups() {
            self.group = group;
            self.everybody_knows_everything();
        }
        self.group = Id(0);
    }

    fn everybody_knows_everything(&mut self) {
        let members = self.members();
        let at = *members.voters().first().unwrap();
        let mut line = self.write(at);
        for _ in 0..20 {
            self.run_for(2_000_000);
            if self.told.contains(&line) {
                break;
            }
            line = self.write(at);
        }
        self.run_for(2_000_000);
        let known = &self.known[&self.group];
        let last = &known.longest;
        assert!(last.contains(&line), "nothing can be written: {}", self.describe());
        let lost = &known.told - &last.iter().copied().collect();
        assert!(lost.is_empty(), "told of, and lost: {lost:?}");
        for node in self.members().everybody() {
            let lines = self.replica(node).map(|replica| replica.state().lines.len());
            assert_eq!(lines, Some(last.len()), "{node} lags: {}", self.describe());
        }
    }

    /// How all are doing, for a message.
    fn describe(&self) -> String {
        let lines = self.world.node_ids().map(|node| {
            let failure = self.world.machine(node, SHARD).and_then(Member::failure);
            format!("\n{node} {:?} {failure:?}", self.replica(node))
        });
        format!("{:?}{}", self.outcomes, lines.collect::<String>())
    }

    /// As whoever knows most knows them.
    pub fn members(&self) -> Members {
        let known = self.world.node_ids().filter_map(|node| self.status(node));
        let known = known.filter(|status| !status.members.voters().is_empty());
        known.max_by_key(|status| status.committed).unwrap().members
    }

    pub fn all_groups(&self) -> impl Iterator<Item = Id> + use<> {
        self.known.keys().copied().collect::<Vec<_>>().into_iter()
    }

    pub fn now(&self) -> Tick {
        self.world.now()
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied { .. } => "applied",
        Outcome::Read { .. } => "read",
        Outcome::Changed { .. } => "changed",
        Outcome::Unknown => "unknown",
        Outcome::NoLeader => "no leader",
        Outcome::Busy => "busy",
        Outcome::TooLarge => "too large",
        Outcome::Refused => "refused",
        Outcome::Led => "led",
    }
}
