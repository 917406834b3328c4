//! Proposing: phase 2, for as many slots as there is something to decide.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::{NodeId, Stamp, Tick, always, planted};

use super::election::Found;
use super::entry::{Change, Entry, Gathering};
use super::message::{Ask, Body, Message};
use super::replica::{Asker, Replica, Role};
use super::{
    Host, MESSAGE_BYTES_MAX, Outcome, PIPELINE, QUEUE_BYTES_MAX, RESEND_MS, Slot, StateMachine,
    Timer, WAITING_MAX, WINDOW,
};
use crate::ballot::{Ballot, Voters};
use crate::members::{LEARNERS_MAX, VOTERS_MAX};
use crate::synod::Accepted;

/// Lives of members that a leader remembers the tickets of.
const LIVES_MAX: usize = 4096;
/// Reads that wait for an answer of a quorum.
const READS_MAX: usize = 64 * 1024;

/// What a leader keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leading {
    pub ballot: Ballot,
    promised: BTreeSet<NodeId>,
    /// To be proposed again.
    found: Found,
    /// The members have changed, and not enough of them have promised yet: nothing is proposed.
    extending: bool,
    /// A change of members that is not chosen yet: nothing is proposed behind it.
    barrier: Option<Slot>,
    /// Whoever led before may have told of what is up to here.
    safe_from: Slot,
    next: Slot,
    /// Up to here it is on the own disk; and what will be, once a stamp is durable.
    synced: Slot,
    unsynced: VecDeque<(Stamp, Slot)>,
    peers: BTreeMap<NodeId, Peer>,
    gathering: Gathering,
    /// Who asked for what is gathered.
    gathered: Vec<Asker>,
    /// Who asked for what is under way.
    under_way: VecDeque<(Slot, Vec<Asker>)>,
    /// A change that is to be proposed.
    wanted: Option<Change>,
    /// Who waits for the change to be over.
    changer: Option<Asker>,
    /// The slot after a change of members that is over. When it is chosen, a quorum of the members knows that they are that.
    farewell: Option<(Slot, Farewell)>,
    /// The last question that was asked.
    question: u64,
    reads: VecDeque<Reading>,
    /// What was forwarded, by whom: a message that comes twice asks once.
    forwarded: BTreeMap<(NodeId, u64), Forwarded>,
}

/// What a member forwarded since it was started, and was not answered, as far as it has said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Forwarded {
    /// Everything below was answered.
    floor: u64,
    /// Each with its answer, once there is one.
    tickets: BTreeMap<u64, Option<Outcome>>,
}

/// A farewell is due, or was proposed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Farewell {
    Due,
    Proposed,
}

/// What is known of another member.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Peer {
    /// Where it is taken to stand until it has said so.
    base: Slot,
    /// Everything up to here is on its disk, as it said.
    acked: Option<Slot>,
    /// It was sent everything up to here.
    sent: Slot,
    /// It was told that everything up to here is chosen.
    told: Slot,
    /// The last question that it has answered.
    answered: u64,
    up: bool,
}

/// A read that waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Reading {
    /// For answers to this question.
    question: u64,
    /// And for this to be applied.
    at: Slot,
    asker: Asker,
    query: Bytes,
}

impl Leading {
    pub fn new(
        ballot: Ballot,
        promised: BTreeSet<NodeId>,
        found: Found,
        committed: Slot,
        everybody: BTreeSet<NodeId>,
        id: NodeId,
        up: &BTreeSet<NodeId>,
    ) -> Leading {
        let safe_from = found.last().unwrap_or(committed).max(committed);
        let peer = |node: &NodeId| (*node, Peer::new(committed, up.contains(node)));
        Leading {
            ballot,
            promised,
            found,
            extending: false,
            barrier: None,
            safe_from,
            next: committed.next(),
            synced: committed,
            unsynced: VecDeque::new(),
            peers: everybody.iter().filter(|node| **node != id).map(peer).collect(),
            gathering: Gathering::default(),
            gathered: Vec::new(),
            under_way: VecDeque::new(),
            wanted: None,
            changer: None,
            farewell: None,
            question: 0,
            reads: VecDeque::new(),
            forwarded: BTreeMap::new(),
        }
    }

    /// Everybody who waits for an answer.
    pub fn abandon(&mut self) -> Vec<Asker> {
        let mut askers = std::mem::take(&mut self.gathered);
        askers.extend(self.under_way.drain(..).flat_map(|(_, askers)| askers));
        askers.extend(self.changer.take());
        askers.extend(self.reads.drain(..).map(|read| read.asker));
        askers
    }

    /// A promise that came after it had enough.
    pub fn hear_late_promise(
        &mut self,
        from: NodeId,
        committed: Slot,
        tail: Vec<(Slot, Accepted<Entry>)>,
        known: Slot,
    ) {
        self.promised.insert(from);
        if self.extending {
            // Of slots that were proposed already it has had its say.
            let open = tail.iter().filter(|(slot, _)| *slot >= self.next);
            open.for_each(|(slot, entry)| self.found.note(*slot, entry));
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.acked = peer.acked.max(Some(committed.min(known)));
        }
    }

    /// What each member has on its disk.
    fn acked(&self, id: NodeId, slot: Slot) -> BTreeSet<NodeId> {
        let peers =
            self.peers.iter().filter(|(_, peer)| peer.acked >= Some(slot)).map(|(node, _)| *node);
        peers.chain((self.synced >= slot).then_some(id)).collect()
    }

    fn answered(&self, id: NodeId, question: u64) -> BTreeSet<NodeId> {
        let peers = self.peers.iter().filter(|(_, peer)| peer.answered >= question);
        peers.map(|(node, _)| *node).chain([id]).collect()
    }

    fn is_waiting_for(&self, peer: &Peer) -> bool {
        peer.up && (peer.stands_at().next() < self.next || self.is_asking(peer))
    }

    fn is_asking(&self, peer: &Peer) -> bool {
        self.reads.front().is_some_and(|read| peer.answered < read.question)
    }

    pub fn check(&self, promised: Ballot) {
        always!(self.ballot == promised, "who leads has promised nobody else", "{promised:?}");
        let chosen_first = self.barrier.is_none_or(|barrier| self.next == barrier.next());
        always!(chosen_first, "nothing is proposed behind a change of members");
        for (node, peer) in &self.peers {
            always!(peer.acked < Some(self.next), "nobody has what was not proposed", "{node:?}");
        }
    }
}

impl Peer {
    fn new(known: Slot, up: bool) -> Peer {
        Peer { base: known, acked: None, sent: known, told: Slot(0), answered: 0, up }
    }

    /// It is sent what comes after this.
    fn stands_at(&self) -> Slot {
        self.acked.unwrap_or(self.base)
    }
}

/// What to do with a request that was forwarded.
enum Heard {
    First,
    /// It is under way, or was answered long ago.
    Again,
    /// The answer was lost.
    Answered(Outcome),
}

impl Forwarded {
    fn hear(&mut self, ticket: u64, floor: u64) -> Heard {
        if floor > self.floor {
            self.floor = floor;
            self.tickets = self.tickets.split_off(&floor);
        }
        match self.tickets.get(&ticket) {
            _ if planted!("a forwarded command is taken twice") => Heard::First,
            Some(Some(outcome)) => Heard::Answered(outcome.clone()),
            Some(None) => Heard::Again,
            None if ticket < self.floor || self.tickets.len() >= WAITING_MAX => Heard::Again,
            None => {
                self.tickets.insert(ticket, None);
                Heard::First
            }
        }
    }
}

impl<S: StateMachine> Replica<S> {
    /// A member asks on behalf of a client of its own. The ballot says that no other leader takes it: it is enough
    /// that this one remembers what it has taken, and messages may come twice.
    pub(super) fn hear_forward(
        &mut self,
        now: Tick,
        asker: Asker,
        floor: u64,
        ballot: Ballot,
        ask: Ask,
        host: &mut impl Host,
    ) {
        let Asker::Node { node, life, ticket } = asker else { return };
        let leading = match &mut self.role {
            Role::Leading(leading) if leading.ballot == ballot => leading,
            // It may have been taken while that ballot was led.
            _ => {
                let resign = Body::Resign { successor: false };
                host.send(node, Message::new(ballot, resign), Stamp::NONE);
                return self.tell(asker, Outcome::Unknown, host);
            }
        };
        let key = (node, life);
        if !leading.forwarded.contains_key(&key) && leading.forwarded.len() >= LIVES_MAX {
            return self.tell(asker, Outcome::Busy, host);
        }
        match leading.forwarded.entry(key).or_default().hear(ticket, floor) {
            Heard::First => self.take(now, asker, ask, host),
            Heard::Again => {}
            Heard::Answered(outcome) => self.tell(asker, outcome, host),
        }
    }

    /// What is answered is kept until whoever asked says that he has heard it.
    pub(super) fn note_answer(&mut self, asker: Asker, outcome: &Outcome) {
        let Asker::Node { node, life, ticket } = asker else { return };
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(forwarded) = leading.forwarded.get_mut(&(node, life)) else { return };
        if let Some(answer) = forwarded.tickets.get_mut(&ticket) {
            *answer = Some(outcome.clone());
        }
    }

    /// Takes a request as the leader.
    pub(super) fn take(&mut self, now: Tick, asker: Asker, ask: Ask, host: &mut impl Host) {
        let refused = match ask {
            Ask::Propose(command) => self.gather(asker, &command),
            Ask::Read(query) => self.ask_for_read(asker, query),
            Ask::Members { voters, learners } => self.change(asker, voters, learners),
        };
        match refused {
            Some(outcome) => self.tell(asker, outcome, host),
            None => {
                self.pump(now, host);
                self.answer_reads(host); // A group of one asks nobody.
            }
        }
    }

    fn gather(&mut self, asker: Asker, command: &Bytes) -> Option<Outcome> {
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        if leading.gathering.len() + command.len() > QUEUE_BYTES_MAX {
            return Some(Outcome::Busy);
        }
        leading.gathering.push(command);
        leading.gathered.push(asker);
        None
    }

    fn ask_for_read(&mut self, asker: Asker, query: Bytes) -> Option<Outcome> {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        if leading.reads.len() >= READS_MAX {
            return Some(Outcome::Busy);
        }
        // The question must be asked after the read came: not the one that is under way.
        let question = leading.question + 1;
        let at = committed.max(leading.safe_from);
        leading.reads.push_back(Reading { question, at, asker, query });
        None
    }

    fn change(
        &mut self,
        asker: Asker,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Option<Outcome> {
        let bounded = (1..=VOTERS_MAX).contains(&voters.len()) && learners.len() <= LEARNERS_MAX;
        let after = self.members_at;
        let is_between = self.members.next.is_some();
        let mut members = self.members.clone();
        members.learners = learners.difference(&voters).copied().collect();
        if members.voters.members() != &voters {
            members = members.towards(Voters::majority(voters));
        }
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        let is_changing = leading.barrier.is_some() || leading.farewell.is_some();
        if !bounded || is_between || leading.changer.is_some() || is_changing {
            return Some(Outcome::Refused);
        }
        leading.wanted = Some(Change { after, members });
        leading.changer = Some(asker);
        None
    }

    /// Proposes what there is, and sends what was not sent.
    pub(super) fn pump(&mut self, now: Tick, host: &mut impl Host) {
        while let Some(entry) = self.next_entry() {
            let Role::Leading(leading) = &mut self.role else { return };
            let slot = leading.next;
            if matches!(entry, Entry::Members(_)) {
                leading.barrier = Some(slot);
            }
            leading.next = slot.next();
            let (ballot, committed) = (leading.ballot, self.committed);
            let stamp = self.accept_next(ballot, entry, committed, host);
            let Role::Leading(leading) = &mut self.role else { return };
            leading.unsynced.push_back((stamp, slot));
        }
        self.ask_question();
        self.send_all(now, host);
    }

    /// What the next slot is to decide, if it may be proposed.
    fn next_entry(&mut self) -> Option<Entry> {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return None };
        let is_barred = leading.barrier.is_some() && !planted!("a proposal behind a change");
        if leading.extending || is_barred {
            return None;
        }
        if let Some(entry) = leading.found.take(leading.next) {
            return Some(entry);
        }
        if let Some((slot, farewell @ Farewell::Due)) = &mut leading.farewell {
            *farewell = Farewell::Proposed;
            *slot = leading.next;
            return Some(Entry::Nothing);
        }
        if let Some(change) = leading.wanted.take() {
            return Some(Entry::Members(change));
        }
        let under_way = leading.next.0 - committed.next().0;
        if leading.gathering.is_empty() || under_way >= PIPELINE {
            return None;
        }
        leading.under_way.push_back((leading.next, std::mem::take(&mut leading.gathered)));
        Some(Entry::Commands(leading.gathering.take()))
    }

    /// One question at a time, for all reads that came since the last.
    fn ask_question(&mut self) {
        let Role::Leading(leading) = &mut self.role else { return };
        let first = leading.reads.front().map(|read| read.question);
        let last = leading.reads.back().map(|read| read.question);
        if first == last && last > Some(leading.question) {
            leading.question += 1;
        }
    }

    /// Sends each member that can be reached what it was not sent.
    fn send_all(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &self.role else { return };
        let nodes: Vec<NodeId> = leading.peers.keys().copied().collect();
        for node in nodes {
            self.send_next(node, false, host);
        }
        self.arm_resend(now, host);
    }

    fn arm_resend(&self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &self.role else { return };
        let waits = leading.peers.values().any(|peer| leading.is_waiting_for(peer));
        match waits || leading.extending {
            true => host.arm(Timer::Resend, now.plus_ms(RESEND_MS)),
            false => host.disarm(Timer::Resend),
        }
    }

    /// Sends a member what comes next, if there is anything, or if it must be.
    fn send_next(&mut self, node: NodeId, must: bool, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        let question = leading.question;
        let asks = leading.reads.iter().any(|read| read.question == question);
        let idle = leading.next == committed.next();
        let Some(peer) = leading.peers.get_mut(&node).filter(|peer| peer.up) else { return };
        if peer.sent < self.entries.forgotten() {
            return self.send_state(node, host);
        }
        let end = leading.next.min(Slot(peer.stands_at().0 + WINDOW).next());
        let first = peer.sent.next();
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (slot, accepted) in self.entries.from(first).take_while(|(slot, _)| *slot < end) {
            bytes += accepted.value.weight();
            if bytes > MESSAGE_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(accepted.value.clone());
            peer.sent = slot;
        }
        let is_news = peer.told < committed && idle;
        let is_asked = asks && peer.answered < question;
        if entries.is_empty() && !(must || is_news || is_asked) {
            return;
        }
        peer.told = committed;
        let body = Body::Accept { committed, first, entries, question };
        host.send(node, Message::new(leading.ballot, body), Stamp::NONE);
    }

    /// The member lacks what was forgotten: the state instead, in pieces.
    fn send_state(&mut self, node: NodeId, host: &mut impl Host) {
        let Some(snapshot) = &self.snapshot else { return };
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(peer) = leading.peers.get_mut(&node) else { return };
        let mut bytes = Vec::new();
        snapshot.encode(&mut bytes);
        let bytes = Bytes::from(bytes);
        let total = bytes.len() as u64;
        let mut offset = 0;
        while offset < bytes.len() {
            let piece = bytes.slice(offset..bytes.len().min(offset + MESSAGE_BYTES_MAX));
            let body = Body::State {
                through: snapshot.through,
                offset: offset as u64,
                total,
                piece: piece.clone(),
            };
            host.send(node, Message::new(leading.ballot, body), Stamp::NONE);
            offset += piece.len();
        }
        peer.sent = snapshot.through;
        host.probe("paxos: a snapshot was sent");
    }

    /// A sign of life to all: there is a leader.
    pub(super) fn greet_all(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &self.role else { return };
        let nodes: Vec<NodeId> = leading.peers.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.send_next(node, true, host));
        self.arm_resend(now, host);
    }

    /// The node can be reached again: it may not know who leads, or have missed something.
    pub(super) fn greet(&mut self, now: Tick, node: NodeId, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        let extending = leading.extending && !leading.promised.contains(&node);
        let ballot = leading.ballot;
        let Some(peer) = leading.peers.get_mut(&node) else { return };
        peer.up = true;
        peer.sent = peer.stands_at();
        if extending {
            let prepare = Message::new(ballot, Body::Prepare { committed });
            host.send(node, prepare, Stamp::NONE);
        }
        self.send_next(node, true, host);
        self.arm_resend(now, host);
    }

    /// Some were not heard of for a while.
    pub(super) fn resend(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        let extending = leading.extending;
        let promised = leading.promised.clone();
        let ballot = leading.ballot;
        let mut late = Vec::new();
        for (node, peer) in &leading.peers {
            if leading.is_waiting_for(peer) || (extending && !promised.contains(node)) {
                late.push(*node);
            }
        }
        let committed = self.committed;
        for node in late {
            if extending && !promised.contains(&node) {
                let prepare = Message::new(ballot, Body::Prepare { committed });
                host.send(node, prepare, Stamp::NONE);
            }
            if let Role::Leading(leading) = &mut self.role
                && let Some(peer) = leading.peers.get_mut(&node)
            {
                peer.sent = peer.stands_at();
            }
            self.send_next(node, true, host);
        }
        self.arm_resend(now, host);
    }

    /// What was stored up to here is on the own disk.
    pub(super) fn own_accepted(&mut self, now: Tick, stamp: Stamp, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        while let Some((_, slot)) = leading.unsynced.pop_front_if(|(after, _)| *after <= stamp) {
            leading.synced = slot;
        }
        self.commit_as_leader(now, host);
    }

    pub(super) fn hear_accepted(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        through: Slot,
        question: u64,
        host: &mut impl Host,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.ballot != ballot {
            return;
        }
        // It may know of more that is chosen than what was proposed again so far.
        let through = through.min(Slot(leading.next.0 - 1));
        let Some(peer) = leading.peers.get_mut(&from) else { return };
        peer.answered = peer.answered.max(question);
        let is_behind = peer.acked.is_none() || Some(through) < peer.acked;
        peer.acked = peer.acked.max(Some(through));
        if is_behind || peer.sent < through {
            peer.sent = through; // It has told where it stands.
        }
        self.commit_as_leader(now, host);
        self.answer_reads(host);
        self.pump(now, host);
    }

    /// Whatever a quorum has on its disks is chosen.
    fn commit_as_leader(&mut self, now: Tick, host: &mut impl Host) {
        let before = self.committed;
        while self.is_next_chosen() {
            let slot = self.committed.next();
            let Role::Leading(leading) = &mut self.role else { return };
            let askers = match leading.under_way.front() {
                Some((first, _)) if *first == slot => leading.under_way.pop_front(),
                _ => None,
            };
            let mut askers = askers.map_or(Vec::new(), |(_, askers)| askers).into_iter();
            let mut answers = Vec::with_capacity(askers.len());
            self.apply_next(|_, answer| {
                if let Some(asker) = askers.next() {
                    answers.push((asker, Outcome::Applied { slot, answer }));
                }
            });
            answers.into_iter().for_each(|(asker, outcome)| self.tell(asker, outcome, host));
            self.members_may_have_changed(now, slot, host);
            self.take_farewell(now, slot, host);
        }
        if self.committed > before {
            self.answer_reads(host);
            self.snapshot_if_due(host);
            self.pump(now, host);
        }
    }

    fn is_next_chosen(&self) -> bool {
        let slot = self.committed.next();
        let Role::Leading(leading) = &self.role else { return false };
        slot < leading.next && self.members.have_chosen(&leading.acked(self.id, slot))
    }

    /// After a change of members that was chosen: who is in is told, who is out is not, and a change that has begun goes on.
    fn members_may_have_changed(&mut self, now: Tick, slot: Slot, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.barrier != Some(slot) {
            return;
        }
        leading.barrier = None;
        let everybody = self.members.everybody();
        let up = &self.up;
        for node in everybody.iter().filter(|node| **node != self.id) {
            let fresh = || Peer::new(slot, up.contains(node));
            leading.peers.entry(*node).or_insert_with(fresh);
        }
        match self.members.settled() {
            Some(members) => leading.wanted = Some(Change { after: self.members_at, members }),
            None => leading.farewell = Some((slot, Farewell::Due)),
        }
        self.extend(now, host);
    }

    /// A quorum of the members has on its disks that they are that.
    fn take_farewell(&mut self, now: Tick, slot: Slot, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.farewell != Some((slot, Farewell::Proposed)) {
            return;
        }
        leading.farewell = None;
        self.change_is_over(host);
        if !self.members.is_voter(self.id) {
            self.resign(now, host);
        }
    }

    /// It does not vote any more. The others are told what is chosen, and the one that has most is told to lead.
    fn resign(&mut self, now: Tick, host: &mut impl Host) {
        self.greet_all(now, host);
        let Role::Leading(leading) = &self.role else { return };
        let voters = leading.peers.iter().filter(|(node, _)| self.members.is_voter(**node));
        if let Some((successor, _)) = voters.max_by_key(|(_, peer)| (peer.up, peer.acked)) {
            let resign = Body::Resign { successor: true };
            host.send(*successor, Message::new(leading.ballot, resign), Stamp::NONE);
        }
        host.probe("paxos: a leader that was removed resigns");
        self.give_way(now, host);
    }

    fn change_is_over(&mut self, host: &mut impl Host) {
        let outcome = Outcome::Changed { slot: self.members_at };
        let Role::Leading(leading) = &mut self.role else { return };
        if let Some(changer) = leading.changer.take() {
            self.tell(changer, outcome, host);
        }
    }

    /// The members are others: those who vote now must have promised this ballot as well.
    fn extend(&mut self, now: Tick, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        leading.extending = !self.members.can_propose(&leading.promised);
        if !leading.extending {
            return;
        }
        host.probe("paxos: a leader needs promises of new members");
        let (ballot, promised) = (leading.ballot, leading.promised.clone());
        let asked = self.members.voters().into_iter().filter(|voter| !promised.contains(voter));
        for voter in asked.collect::<Vec<_>>() {
            let prepare = Message::new(ballot, Body::Prepare { committed });
            host.send(voter, prepare, Stamp::NONE);
        }
        self.arm_resend(now, host);
    }

    pub(super) fn extend_if_promised(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.extending && self.members.can_propose(&leading.promised) {
            leading.extending = false;
            leading.safe_from = leading.safe_from.max(leading.found.last().unwrap_or_default());
            self.pump(now, host);
        }
    }

    /// Answers what a quorum has confirmed, and what it may be answered from is applied.
    fn answer_reads(&mut self, host: &mut impl Host) {
        loop {
            let committed = self.committed;
            let id = self.id;
            let Role::Leading(leading) = &mut self.role else { return };
            let Some(read) = leading.reads.front() else { return };
            let answered = leading.answered(id, read.question);
            let confirmed =
                self.members.have_chosen(&answered) || planted!("a read without a round");
            if leading.extending || read.at > committed || !confirmed {
                return;
            }
            let Some(Reading { asker, query, .. }) = leading.reads.pop_front() else { return };
            let answer = self.state.read(&query);
            self.tell(asker, Outcome::Read { answer }, host);
        }
    }

    /// A leader that can't reach enough of the others leads nobody.
    pub(super) fn step_down_if_alone(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        leading.peers.iter_mut().for_each(|(node, peer)| peer.up = self.up.contains(node));
        let reached: BTreeSet<NodeId> = self.up.iter().copied().chain([self.id]).collect();
        if !self.members.have_chosen(&reached) {
            host.probe("paxos: a leader that is alone steps down");
            self.give_way(now, host);
        }
    }
}
