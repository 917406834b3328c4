//! One member's copy of the log: its parts, and who does what with an event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::{DirectoryId, NodeId, Stamp, Tick, always, planted};
use serde::{Deserialize, Serialize};

use super::clients::{Asker, Waiting};
use super::election::Preparing;
use super::entries::Entries;
use super::entry::Entry;
use super::leading::Leading;
use super::lease::{Held, Lease};
use super::message::{Body, Message};
use super::stored::{Place, Snapshot, Stored, Write};
use super::{Host, ROUNDS_AHEAD_MAX, SLOT_MAX, Slot, StateMachine, Timer};
use crate::ballot::Ballot;
use crate::members::Members;
use crate::synod::Promised;

/// One member of a group: acceptor, learner, and proposer if it leads.
///
/// Call order: [`new`](Replica::new) from what is [`Stored`], [`start`](Replica::start) once, then whatever happens.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Replica<S> {
    pub(super) id: NodeId,
    /// The disk that it is on, if its host looks at that.
    disk: Option<DirectoryId>,
    pub(super) promised: Promised,
    pub(super) entries: Entries,
    /// Everything up to here is known to be chosen, and applied.
    pub(super) committed: Slot,
    /// As of `committed`, unless this is a witness.
    pub(super) state: S,
    /// It has applied nothing since it was told that it is a witness, and never will.
    pub(super) is_witness: bool,
    /// As of `committed`.
    pub(super) members: Members,
    /// The slot that made them so.
    pub(super) members_at: Slot,
    pub(super) snapshot: Option<Snapshot>,
    /// Bytes of entries since.
    pub(super) since_snapshot: usize,
    /// A snapshot is taken after so many bytes of entries.
    pub(super) snapshot_every: usize,
    /// Whether leaders may answer reads by themselves.
    pub(super) lease: Option<Lease>,
    /// Until when it lets nobody else lead.
    pub(super) held: Held,
    pub(super) role: Role,
    /// The ballot whose leader was followed last, and how far its log goes here, without gaps.
    pub(super) followed: Ballot,
    pub(super) through: Slot,
    /// The last question of that leader.
    pub(super) question: u64,
    /// Of a snapshot that arrives in pieces from that leader: after which slot, and what is there.
    pub(super) arriving: Option<(Slot, Vec<u8>)>,
    /// The last thing that was stored and is not known to be durable. What is said of the disk waits for it.
    pub(super) written: Stamp,
    /// Nodes that can be reached, as the host says.
    pub(super) up: BTreeSet<NodeId>,
    pub(super) waiting: VecDeque<Waiting>,
    /// What was sent to the leader.
    pub(super) forwarded: BTreeMap<u64, Waiting>,
    /// Clients of this node that wait for a slot to be applied here.
    pub(super) readers: BTreeMap<(Slot, u64), Waiting>,
    pub(super) tickets: u64,
    /// Tells what it forwards from what it forwarded before it was started.
    pub(super) life: u64,
}

/// What a replica does besides accepting.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Role {
    /// Somebody leads, or is to be found.
    Following { leader: Option<Ballot> },
    /// Asks whether standing for election makes sense.
    Canvassing { ballot: Ballot, support: BTreeSet<NodeId> },
    /// Phase 1.
    Preparing(Preparing),
    /// Phase 2.
    Leading(Box<Leading>),
}

/// How a replica is doing, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The highest ballot that it has promised.
    pub promised: Ballot,
    /// What it has accepted.
    pub last: Slot,
    /// What it knows to be chosen, and has applied.
    pub committed: Slot,
    /// Everything up to here is in its snapshot alone.
    pub forgotten: Slot,
    /// It is being sent the state after this slot.
    pub arriving: Option<Slot>,
    /// It keeps no state.
    pub is_witness: bool,
    /// Who belongs to the group.
    pub members: Members,
}

impl<S: StateMachine> Replica<S> {
    /// From what was stored. `members`: of a group that begins, the same on all of them. `snapshot_every` bytes of entries, a
    /// snapshot is taken. `None`: the stored snapshot can't be read.
    pub fn new(
        id: NodeId,
        stored: Stored,
        state: S,
        members: Members,
        snapshot_every: usize,
    ) -> Option<Replica<S>> {
        let mut replica = Replica {
            id,
            disk: None,
            promised: Promised::restored(stored.promised),
            entries: Entries::after(Slot(0)),
            committed: Slot(0),
            state,
            is_witness: members.is_witness(id),
            members,
            members_at: Slot(0),
            snapshot: None,
            since_snapshot: 0,
            snapshot_every,
            lease: None,
            held: Held::default(),
            role: Role::Following { leader: None },
            followed: Ballot::NONE,
            through: Slot(0),
            question: 0,
            arriving: None,
            written: Stamp::NONE,
            up: BTreeSet::new(),
            waiting: VecDeque::new(),
            forwarded: BTreeMap::new(),
            readers: BTreeMap::new(),
            tickets: 0,
            life: 0,
        };
        if let Some(snapshot) = stored.snapshot {
            replica.install(snapshot)?;
        }
        for (slot, accepted) in stored.entries {
            if slot > replica.entries.last() && !replica.entries.set(slot, accepted) {
                break; // Behind a gap: written after something that did not become durable.
            }
        }
        let known = stored.committed.min(replica.entries.last());
        while replica.committed < known {
            replica.apply_next(|_, _| {});
        }
        replica.through = replica.committed;
        Some(replica)
    }

    /// It is on this disk. If that is another than its group knows it on, it does not vote, and gives way if it leads.
    pub fn set_disk(&mut self, now: Tick, disk: DirectoryId, host: &mut impl Host) {
        self.disk = Some(disk);
        if !self.votes() && !matches!(self.role, Role::Following { .. }) {
            self.give_way(now, host);
        }
    }

    /// The group begins, with these members.
    pub fn found(&mut self, members: Members, host: &mut impl Host) {
        self.members = members;
        self.is_witness |= self.members.is_witness(self.id);
        self.take_snapshot(self.committed, host);
        host.probe("paxos: a group begins");
    }

    /// Whether it votes: it is a voter, and on the disk that it was one on.
    pub fn votes(&self) -> bool {
        self.members.is_voter(self.id) && self.is_itself()
    }

    /// Whether it may lead: it votes, and has the state.
    pub(super) fn can_lead(&self) -> bool {
        self.votes() && !self.is_witness
    }

    /// It is not on another disk than the member of its name.
    pub(super) fn is_itself(&self) -> bool {
        self.disk.is_none_or(|disk| self.members.is_on(self.id, disk))
    }

    /// The state is what a snapshot says. One without a state makes it a witness.
    pub(super) fn install(&mut self, snapshot: Snapshot) -> Option<()> {
        if let Some(state) = &snapshot.state {
            self.state.install(state.clone()).ok()?;
        }
        let Place { through, members, members_at } = snapshot.place.clone();
        self.is_witness = snapshot.state.is_none() || members.is_witness(self.id);
        self.entries.forget(through);
        self.committed = through;
        self.through = self.through.max(through);
        (self.members, self.members_at) = (members, members_at);
        self.snapshot = Some(snapshot);
        self.since_snapshot = 0;
        Some(())
    }

    /// Applies the next entry. `answer` gets, for each command in it, in order, what the state machine said.
    pub(super) fn apply_next(&mut self, mut answer: impl FnMut(Slot, Bytes)) {
        let slot = self.committed.next();
        let Some(accepted) = self.entries.get(slot) else { return };
        self.since_snapshot += accepted.value.weight();
        match &accepted.value {
            Entry::Commands(_) if self.is_witness => {}
            Entry::Nothing => {}
            Entry::Commands(batch) => {
                let state = &mut self.state;
                batch.for_each(|command| answer(slot, state.apply(slot, command)));
            }
            Entry::Members(change) if change.after == self.members_at => {
                (self.members, self.members_at) = (change.members.clone(), slot);
                self.is_witness |= self.members.is_witness(self.id);
            }
            Entry::Members(_) => {} // Another one came first.
        }
        self.committed = slot;
    }

    /// Takes a snapshot if there is enough new. Whether it did. A witness takes none: the leader tells it what it may forget.
    pub(super) fn snapshot_if_due(&mut self, host: &mut impl Host) -> bool {
        if self.since_snapshot < self.snapshot_every || self.is_witness {
            return false;
        }
        // Not before there is as much log as state: a byte that is decided costs no more than a byte of a snapshot, and who is sent
        // a large state finds the entries since when it has it.
        let state = self.snapshot.as_ref().and_then(|snapshot| snapshot.state.as_ref());
        if self.since_snapshot < state.map_or(0, Bytes::len) {
            return false;
        }
        let skips = planted!("a snapshot skips a slot");
        let through = if skips { self.committed.next() } else { self.committed };
        // Who is a little behind is told the entries since the snapshot before, and not all of the state.
        if let Some(before) = self.take_snapshot(through, host) {
            self.store(Write::Forget(before.through()), host);
            self.entries.forget(before.through());
        }
        host.probe("paxos: a snapshot was taken");
        true
    }

    /// Gives the one before.
    fn take_snapshot(&mut self, through: Slot, host: &mut impl Host) -> Option<Snapshot> {
        let (members, members_at) = (self.members.clone(), self.members_at);
        let place = Place { through, members, members_at };
        let state = (!self.is_witness).then(|| self.state.snapshot());
        let snapshot = Snapshot { place, state };
        self.store(Write::Snapshot(Box::new(snapshot.clone())), host);
        self.since_snapshot = 0;
        self.snapshot.replace(snapshot)
    }

    pub(super) fn store(&mut self, write: Write, host: &mut impl Host) -> Stamp {
        let stamp = host.store(write);
        self.written = self.written.max(stamp);
        stamp
    }

    /// The host is ready.
    pub fn start(&mut self, now: Tick, host: &mut impl Host) {
        self.life = host.choose(u64::MAX);
        self.held.start(now, self.lease);
        if self.committed > Slot(0) && !self.is_witness {
            host.restored(self.committed);
        }
        if self.members.voters() == BTreeSet::from([self.id]) {
            self.stand(now, host); // Nobody to ask.
        } else {
            self.await_leader(now, host);
        }
    }

    /// A message from another member.
    pub fn receive(&mut self, now: Tick, from: NodeId, message: Message, host: &mut impl Host) {
        let Message { ballot, body } = message;
        let rounds_max = self.promised.ballot().round.saturating_add(ROUNDS_AHEAD_MAX);
        let highest = ballot.max(body.highest_ballot());
        if highest.round > rounds_max || body.highest_slot() > SLOT_MAX {
            return host.probe("paxos: a message that can't be was refused");
        }
        match body {
            Body::Canvass { committed } => self.hear_canvass(now, from, ballot, committed, host),
            Body::Support => self.hear_support(now, from, ballot, host),
            Body::Prepare { committed } => self.hear_prepare(now, from, ballot, committed, host),
            Body::Promise { committed, tail } => {
                self.hear_promise(now, from, ballot, committed, tail, host);
            }
            Body::Refuse { promised } => self.hear_refusal(now, ballot, promised, host),
            Body::Accept { committed, first, entries, question } => {
                let accept = super::following::Accept { committed, first, entries, question };
                self.hear_accept(now, from, ballot, accept, host);
            }
            Body::Accepted { through, question } => {
                self.hear_accepted(now, from, ballot, through, question, host);
            }
            Body::State { through, offset, total, piece } => {
                self.hear_state(now, from, ballot, (through, offset, total, piece), host);
            }
            Body::Forward { life, ticket, floor, ask } => {
                let asker = Asker::Node { node: from, life, ticket };
                self.hear_forward(now, asker, floor, ballot, ask, host);
            }
            Body::Answer { life, ticket, outcome } => {
                // Before a restart it gave out the same tickets.
                if life == self.life {
                    self.hear_answer(ticket, outcome, host);
                }
            }
            Body::Enquire { committed } => self.hear_enquiry(now, from, ballot, committed, host),
            Body::Chosen { first, entries } => self.hear_chosen(now, first, entries, host),
            Body::Lease { number, ms } => self.hear_lease(now, from, ballot, (number, ms), host),
            Body::Granted { number } => self.hear_granted(now, from, ballot, number, host),
            Body::Took { through, offset } => {
                self.hear_took(now, from, ballot, (through, offset), host);
            }
            Body::Skip(place) => self.hear_skip(now, from, ballot, *place, host),
            Body::Resign { successor } => {
                if self.leader_ballot() == Some(ballot) && ballot.proposer == from {
                    self.give_way(now, host);
                    if successor {
                        self.stand(now, host);
                    }
                }
            }
        }
    }

    /// A timer has come due.
    pub fn timer(&mut self, now: Tick, timer: Timer, host: &mut impl Host) {
        match timer {
            Timer::Election if self.can_lead() => self.canvass(now, host),
            Timer::Election => self.enquire(now, host),
            Timer::Resend => self.resend(now, host),
            Timer::Clients => self.look_after_clients(now, host),
            Timer::Handover => self.look_after_handover(now, host),
        }
    }

    /// Everything stored up to this stamp is durable.
    pub fn durable(&mut self, now: Tick, stamp: Stamp, host: &mut impl Host) {
        if self.written <= stamp {
            self.written = Stamp::NONE;
        }
        match &mut self.role {
            Role::Preparing(_) => self.own_promise(now, stamp, host),
            Role::Leading(_) => self.own_accepted(now, stamp, host),
            _ => {}
        }
    }

    /// The node can be reached, or can again.
    pub fn peer_up(&mut self, now: Tick, node: NodeId, host: &mut impl Host) {
        self.up.insert(node);
        self.greet(now, node, host);
    }

    /// The node is dead, or cut off, or silent for too long.
    pub fn peer_down(&mut self, now: Tick, node: NodeId, host: &mut impl Host) {
        self.up.remove(&node);
        if self.leader_ballot().is_some_and(|ballot| ballot.proposer == node) {
            self.role = Role::Following { leader: None };
            self.lose_forwarded(host);
            self.await_leader(now, host);
        }
        self.step_down_if_alone(now, host);
    }

    /// The ballot of whom it follows.
    pub(super) fn leader_ballot(&self) -> Option<Ballot> {
        match &self.role {
            Role::Following { leader } => *leader,
            _ => None,
        }
    }

    /// The state, as of [`committed`](Status::committed). Of a witness, nothing that is of use.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Who belongs to the group, as of [`committed`](Status::committed).
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The slot that made them so.
    pub fn members_at(&self) -> Slot {
        self.members_at
    }

    /// Whether it leads, as far as it knows.
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    /// What was decided for a slot, if it is known here and not forgotten.
    pub fn decided(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot).filter(|_| slot <= self.committed).map(|accepted| &accepted.value)
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        Status {
            leader: match &self.role {
                Role::Leading(_) => Some(self.id),
                _ => self.leader_ballot().map(|ballot| ballot.proposer),
            },
            promised: self.promised.ballot(),
            last: self.entries.last(),
            committed: self.committed,
            forgotten: self.entries.forgotten(),
            arriving: self.arriving.as_ref().map(|(through, _)| *through),
            is_witness: self.is_witness,
            members: self.members.clone(),
        }
    }

    /// Invariants of the state; panics if one is broken.
    pub fn check(&self) {
        let (forgotten, last) = (self.entries.forgotten(), self.entries.last());
        always!(
            forgotten <= self.committed && self.committed <= last,
            "what is committed is there",
            "{forgotten:?} {:?} {last:?}",
            self.committed
        );
        let promised = self.promised.ballot();
        let highest = self.entries.from(Slot(0)).map(|(_, entry)| entry.ballot).max();
        always!(
            highest.is_none_or(|highest| highest <= promised),
            "what is accepted is promised",
            "{highest:?} > {promised:?}"
        );
        if let Role::Leading(leading) = &self.role {
            leading.check(promised, self.through);
            always!(!self.is_witness, "who leads has the state");
        }
    }
}
