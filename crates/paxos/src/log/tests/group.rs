//! Groups in a simulated world, and what must be true of it at every moment.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{ClientId, ClusterId, DirectoryId, NodeId, Partition, ShardId, Tick};
use ombak_sim::{
    Booted, Faults, Heard, LogDevice, LogWriter, Rng, SimDisk, SimFile, System, World, open_log,
};

use super::{Journal, StateMachine, command, number};
use crate::ballot::Voters;
use crate::log::sessions::{Answer, Client, Limits, SessionId, Sessions, open, unnumbered};
use crate::log::{Ask, Lease, Mark, Membership, Monitor, Outcome, Replica, Slot, Status};
use crate::member::{Applied, Group as Id, Member, Setup};
use crate::members::Members;

pub const SHARD: ShardId = ShardId(0);
/// Small, so that snapshots are a part of every run.
const SNAPSHOT_EVERY: usize = 600;
/// Small, so that sessions are lost in every run, by their number and by their answers.
const LIMITS: Limits = Limits { sessions: 5, window: 8, answer_bytes: 80 };

/// Boots members.
pub struct Group {
    /// Those that the group begins with; others join.
    founders: BTreeSet<NodeId>,
    /// Those of them that keep no state.
    witnesses: BTreeSet<NodeId>,
    groups: u32,
    lease: Option<Lease>,
    /// Of who is booted next.
    pub cluster: ClusterId,
}

impl System for Group {
    type Machine = Member<Sessions<Journal>>;
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
        let is_founder = founders.is_some();
        let mut members = Members::new(Voters::majority(founders.unwrap_or_default()));
        if is_founder {
            members.witnesses = self.witnesses.clone();
        }
        let groups = (0..self.groups).map(|group| (Id(group), members.clone())).collect();
        let setup = Setup {
            id,
            cluster: self.cluster,
            disk: DirectoryId(rng.below(u64::MAX)),
            home: Partition(0),
            groups,
            snapshot_every: SNAPSHOT_EVERY,
            lease: self.lease,
            damaged: false,
            beats: true,
            watch: true,
        };
        let shards = devices.into_iter().map(|device| {
            (Member::new(setup.clone(), Sessions::new(Journal::default(), LIMITS)), device)
        });
        Ok(Booted { shards: shards.collect(), writer })
    }
}

/// A world with some groups, and all that its clients know.
pub struct Town {
    pub world: World<Group>,
    /// Of which group clients ask now.
    pub group: Id,
    asked: BTreeMap<ClientId, (Id, Asked)>,
    /// The last line of any group.
    next: u64,
    /// Lines whose clients were told that they are in the group's journal.
    pub told: BTreeSet<u64>,
    pub outcomes: BTreeMap<&'static str, u64>,
    known: BTreeMap<Id, Known>,
    pub changed: u64,
    /// Of each node, for each group, a client that asks again until it knows: its session, and what it has not asked for yet.
    clients: BTreeMap<(Id, NodeId), (Option<Client>, Vec<u64>)>,
    /// To be asked for again, there.
    again: Vec<(NodeId, Once)>,
}

/// A line of a session, asked for until it is there or the session is lost.
#[derive(Clone)]
struct Once {
    group: Id,
    client: NodeId,
    session: SessionId,
    line: u64,
    number: u64,
    command: Bytes,
}

/// What is known of a group.
#[derive(Default)]
struct Known {
    /// Its lines, as far as clients were told.
    told: BTreeSet<u64>,
    /// The last slot that anybody was told of.
    told_at: Slot,
    /// The longest journal that was seen.
    longest: Vec<u64>,
    /// What is true of all members together, and how far each had come when it was looked at last.
    monitor: Monitor,
    marks: BTreeMap<NodeId, Mark>,
    /// Where lines of sessions are, as their clients were told.
    places: Vec<(u64, u64)>,
}

enum Asked {
    Line(u64),
    Once(NodeId, Once),
    Open(NodeId, NodeId),
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
        Town::with(1, None, nodes, founders, seed)
    }

    /// The same, of so many groups on the same nodes, whose leaders may have leases.
    pub fn with(groups: u32, lease: Option<Lease>, nodes: u32, founders: u32, seed: u64) -> Town {
        Town::with_witnesses(groups, lease, (nodes, founders, &[]), seed)
    }

    /// The same, and some of the founders keep no state.
    pub fn with_witnesses(
        groups: u32,
        lease: Option<Lease>,
        (nodes, founders, witnesses): (u32, u32, &[u32]),
        seed: u64,
    ) -> Town {
        let founders = (0..founders).map(NodeId).collect();
        let witnesses = witnesses.iter().copied().map(NodeId).collect();
        let system = Group { founders, witnesses, groups, lease, cluster: ClusterId(1) };
        Town {
            world: World::new(system, nodes, seed).unwrap(),
            group: Id(0),
            asked: BTreeMap::new(),
            next: 0,
            told: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            known: (0..groups).map(|group| (Id(group), Known::default())).collect(),
            changed: 0,
            clients: BTreeMap::new(),
            again: Vec::new(),
        }
    }

    /// The node's clock goes too fast by so many millionths, from a start on that is now.
    pub fn start_with_rate(&mut self, node: NodeId, ppm: i64) {
        self.world.set_rate(node, ppm);
        self.world.crash(node);
        self.world.restart(node).unwrap();
    }

    fn ask(&mut self, at: NodeId, ask: Ask, what: Asked) -> ClientId {
        self.ask_of(self.group, at, ask, what)
    }

    fn ask_of(&mut self, group: Id, at: NodeId, ask: Ask, what: Asked) -> ClientId {
        let client = self.world.request(at, SHARD, (group, ask));
        self.asked.insert(client, (group, what));
        client
    }

    /// A client asks for the next line to be written.
    pub fn write(&mut self, at: NodeId) -> u64 {
        self.next += 1;
        let ask = Ask::Propose(unnumbered(&command(self.next)));
        self.ask(at, ask, Asked::Line(self.next));
        self.next
    }

    /// The same, and the snapshot is to become so much larger.
    pub fn write_much(&mut self, at: NodeId, bytes: usize) -> u64 {
        self.next += 1;
        let padded = [&command(self.next)[..], &vec![7; bytes]].concat();
        let ask = Ask::Propose(unnumbered(&Bytes::from(padded)));
        self.ask(at, ask, Asked::Line(self.next));
        self.next
    }

    /// A client asks for the next line to be written, and does not give up.
    pub fn write_once(&mut self, client: NodeId) -> u64 {
        self.next += 1;
        let group = self.group;
        let (session, waiting) = self.clients.entry((group, client)).or_default();
        let opens = session.is_none() && waiting.is_empty();
        waiting.push(self.next);
        if opens {
            self.open_session(group, client, client);
        }
        self.next
    }

    fn open_session(&mut self, group: Id, client: NodeId, at: NodeId) {
        self.ask_of(group, at, Ask::Propose(open()), Asked::Open(client, at));
    }

    /// Clients ask again what they have no answer to, and for what they have not asked.
    fn go_on(&mut self) {
        for (at, once) in std::mem::take(&mut self.again) {
            let client = self.clients.get(&(once.group, once.client));
            let client = client.and_then(|(client, _)| client.as_ref());
            let client = client.filter(|client| client.session() == once.session);
            let again = client.map(|client| client.again(once.number, &command(once.line)));
            let ask = Ask::Propose(again.unwrap_or(once.command.clone()));
            self.ask_of(once.group, at, ask, Asked::Once(at, once));
        }
        let mut fresh = Vec::new();
        for ((group, id), (session, waiting)) in &mut self.clients {
            let Some(session) = session else { continue };
            for line in waiting.drain(..) {
                let (number, command) = session.command(&command(line));
                let (group, client, session) = (*group, *id, session.session());
                fresh.push((*id, Once { group, client, session, line, number, command }));
            }
        }
        self.again.extend(fresh);
    }

    /// The member that is asked next.
    fn after(&self, group: Id, at: NodeId) -> NodeId {
        let status = self.most_known(group);
        let members = status.map_or(BTreeSet::new(), |status| status.members.everybody());
        let next = members.range(NodeId(at.0 + 1)..).chain(&members).next();
        next.copied().unwrap_or(at)
    }

    /// What became of a command of a session. Another member is asked next time.
    fn hear_once(&mut self, at: NodeId, once: Once, heard: Heard<Outcome>) {
        let next = self.after(once.group, at);
        let Heard::Reply(Outcome::Applied { answer, .. }) = heard else {
            return self.again.push((next, once));
        };
        let (client, waiting) = self.clients.entry((once.group, once.client)).or_default();
        let session = client.as_mut().filter(|open| open.session() == once.session);
        match Answer::decode(answer).unwrap() {
            Answer::Applied(place) => {
                self.told.insert(once.line);
                let known = self.known.get_mut(&once.group).unwrap();
                known.told.insert(once.line);
                known.places.push((number(&place), once.line));
                session.into_iter().for_each(|session| session.answered(once.number));
            }
            Answer::SessionLost => {
                *self.outcomes.entry("session lost").or_default() += 1;
                if session.is_some() {
                    *client = None;
                    if !waiting.is_empty() {
                        self.open_session(once.group, once.client, at);
                    }
                }
            }
            Answer::Full => self.again.push((next, once)),
            other => panic!("{other:?}"),
        }
    }

    fn hear_opened(&mut self, group: Id, client: NodeId, at: NodeId, heard: Heard<Outcome>) {
        let Heard::Reply(Outcome::Applied { answer, .. }) = heard else {
            return self.open_session(group, client, self.after(group, at));
        };
        let Answer::Opened(session) = Answer::decode(answer).unwrap() else { panic!() };
        self.clients.entry((group, client)).or_default().0 = Some(Client::new(session));
    }

    /// A client asks for the journal.
    pub fn read(&mut self, at: NodeId) {
        let told = self.known[&self.group].told.clone();
        self.ask(at, Ask::Read(Bytes::new()), Asked::Read(told));
    }

    /// A client that has heard all answers asks this member for the journal.
    pub fn read_at(&mut self, at: NodeId) {
        let Known { told, told_at, .. } = &self.known[&self.group];
        let (ask, told) = (Ask::ReadAt(*told_at, Bytes::new()), told.clone());
        self.ask(at, ask, Asked::Read(told));
    }

    /// A client asks for other members.
    pub fn change(&mut self, at: NodeId, voters: &[u32], learners: &[u32]) {
        self.change_to(at, voters, learners, &[], None);
    }

    /// The same, for some of the voters to be witnesses, and for so many to decide.
    pub fn change_to(
        &mut self,
        at: NodeId,
        voters: &[u32],
        learners: &[u32],
        witnesses: &[u32],
        accept: Option<usize>,
    ) {
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect();
        let (voters, learners, witnesses) = (nodes(voters), nodes(learners), nodes(witnesses));
        let members = Membership { voters, learners, witnesses, accept };
        self.ask(at, Ask::Members(Box::new(members)), Asked::Members);
    }

    /// A client asks for a certain leader.
    pub fn lead(&mut self, at: NodeId, to: NodeId) {
        self.ask(at, Ask::Lead(to), Asked::Lead);
    }

    /// Requests without an answer.
    pub fn asked(&self) -> usize {
        self.asked.len() + self.again.len()
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

    /// All disks of the group are lost: what begins again is another one, of the same name.
    pub fn look_at_another_group(&mut self) {
        let known = self.known.get_mut(&self.group).unwrap();
        (known.monitor, known.marks) = (Monitor::default(), BTreeMap::new());
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
        self.go_on();
    }

    fn hear(&mut self, asked: Option<(Id, Asked)>, heard: Heard<Outcome>) {
        if let Heard::Reply(outcome) = &heard {
            *self.outcomes.entry(name(outcome)).or_default() += 1;
        }
        let Some((group, asked)) = asked else { return };
        if let Heard::Reply(Outcome::Applied { slot, .. } | Outcome::Read { slot, .. }) = &heard {
            let known = self.known.get_mut(&group).unwrap();
            known.told_at = known.told_at.max(*slot);
        }
        let asked = match asked {
            Asked::Once(at, once) => return self.hear_once(at, once, heard),
            Asked::Open(client, at) => return self.hear_opened(group, client, at, heard),
            asked => asked,
        };
        let Heard::Reply(outcome) = heard else { return };
        match (asked, outcome) {
            (Asked::Line(line), Outcome::Applied { .. }) => {
                self.told.insert(line);
                self.known.get_mut(&group).unwrap().told.insert(line);
            }
            (Asked::Read(told), Outcome::Read { answer, .. }) => {
                let read = Journal::restore(answer).unwrap().lines;
                let read = BTreeSet::from_iter(read);
                assert!(told.is_subset(&read), "a read misses {:?}", &told - &read);
            }
            (Asked::Members, Outcome::Changed { .. }) => self.changed += 1,
            _ => {}
        }
    }

    /// All journals of a group are beginnings of one, and of a slot everybody knows the same, from one leader.
    fn look_at(&mut self, group: Id, node: NodeId) {
        let member = self.world.machine(node, SHARD);
        let Some(replica) = member.and_then(|member| member.replica(group)) else { return };
        self.look_at_what_was_told(group, node, replica.state().state().lines.len() as u64);
        let known = self.known.get_mut(&group).unwrap();
        let status = replica.status();
        let lines = &replica.state().state().lines;
        let common = lines.len().min(known.longest.len());
        assert_eq!(lines[..common], known.longest[..common], "the journal of {group:?} at {node}");
        if lines.len() > common {
            let distinct = BTreeSet::from_iter(lines);
            assert_eq!(distinct.len(), lines.len(), "a line was written twice");
            known.longest = lines.clone();
        }
        if known.marks.insert(node, replica.mark()) != Some(replica.mark()) {
            let seen = known.monitor.see(&replica.glance(status.forgotten));
            seen.unwrap_or_else(|why| panic!("{group:?}: {why}"));
        }
    }

    /// A member's host is told of everything, in order: the answer to a line is its place, or a place that was told before. After a
    /// restore, nobody knows which.
    fn look_at_what_was_told(&self, group: Id, node: NodeId, lines: u64) {
        let applied = self.applied(group, node);
        if applied.is_empty() {
            return; // It has read what is stored, and not begun.
        }
        let mut told = Some(0);
        let mut last = Slot(0);
        for applied in applied {
            let slot = match applied {
                Applied::Command { slot, answer } => {
                    let (place, before) = (place(answer).unwrap_or(0), told);
                    told = told.map(|told| told.max(place));
                    let is_next = before.is_none_or(|before| place <= before + 1);
                    assert!(is_next, "{node} was told of {place} after {before:?}");
                    *slot
                }
                Applied::Restored { slot } => {
                    told = None;
                    *slot
                }
            };
            assert!(last <= slot, "{node} was told of {slot:?} after {last:?}");
            last = slot;
        }
        assert!(told.is_none_or(|told| told == lines), "{node} was told {told:?} of {lines}");
    }

    /// What the host of a member was told of a group.
    pub fn applied(&self, group: Id, node: NodeId) -> Vec<&Applied> {
        let applied = self.world.machine(node, SHARD).map_or(&[][..], Member::applied);
        applied.iter().filter(|(of, _)| *of == group).map(|(_, applied)| applied).collect()
    }

    pub fn replica(&self, node: NodeId) -> Option<&Replica<Sessions<Journal>>> {
        self.replica_of(self.group, node)
    }

    fn replica_of(&self, group: Id, node: NodeId) -> Option<&Replica<Sessions<Journal>>> {
        self.world.machine(node, SHARD)?.replica(group)
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
        let open = self.asked();
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
        for (place, line) in &known.places {
            assert_eq!(last[*place as usize - 1], *line, "the answer is that of another");
        }
        let members = self.members();
        let at = self.most_known(self.group).map(|status| status.committed);
        for node in members.everybody() {
            let lines = self.replica(node).map(|replica| replica.state().state().lines.len());
            let has_state = !members.is_witness(node);
            assert!(!has_state || lines == Some(last.len()), "{node} lags: {}", self.describe());
            let status = self.status(node);
            let known = status.as_ref().map(|status| (Some(status.committed), status.is_witness));
            assert_eq!(known, Some((at, !has_state)), "{node} lags: {}", self.describe());
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
        self.most_known(self.group).unwrap().members
    }

    fn most_known(&self, group: Id) -> Option<Status> {
        let replicas = self.world.node_ids().filter_map(|node| self.replica_of(group, node));
        let known = replicas.map(Replica::status);
        let known = known.filter(|status| !status.members.voters().is_empty());
        known.max_by_key(|status| status.committed)
    }

    pub fn all_groups(&self) -> impl Iterator<Item = Id> + use<> {
        self.known.keys().copied().collect::<Vec<_>>().into_iter()
    }

    pub fn now(&self) -> Tick {
        self.world.now()
    }
}

/// What a journal said of a line.
fn place(answer: &Bytes) -> Option<u64> {
    match Answer::decode(answer.clone()) {
        Ok(Answer::Applied(place)) => Some(number(&place)),
        _ => None,
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
        Outcome::Behind => "behind",
    }
}
