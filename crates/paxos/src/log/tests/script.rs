//! Replicas moved by hand, message by message: for schedules that chance does not find.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{ClientId, NodeId, Stamp, Tick};

use super::{Journal, command};
use crate::ballot::{Ballot, Voters};
use crate::log::{
    Ask, Body, COMMAND_BYTES_MAX, Entry, Host, Lease, Membership, Message, Outcome, Replica, Slot,
    Stored, Timer, Write,
};
use crate::members::Members;
use crate::synod::Accepted;

pub const A: NodeId = NodeId(0);
pub const B: NodeId = NodeId(1);
pub const C: NodeId = NodeId(2);
/// These two join.
const D: NodeId = NodeId(3);
const E: NodeId = NodeId(4);
const FOUNDERS: [NodeId; 3] = [A, B, C];

/// What a replica said and stored.
#[derive(Clone, Hash, Default)]
pub struct Desk {
    sent: Vec<(NodeId, Message, Stamp)>,
    stored: Vec<Write>,
    durable: Stamp,
    answered: Vec<Outcome>,
}

impl Host for Desk {
    fn send(&mut self, to: NodeId, message: Message, after: Stamp) {
        self.sent.push((to, message, after));
    }

    fn store(&mut self, write: Write) -> Stamp {
        self.stored.push(write);
        Stamp(self.stored.len() as u64)
    }

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, _: u64) -> u64 {
        0
    }

    fn answer(&mut self, _: ClientId, outcome: Outcome) {
        self.answered.push(outcome);
    }

    fn probe(&mut self, _: &'static str) {}
}

#[derive(Clone, Hash)]
pub struct Cast {
    all: BTreeMap<NodeId, (Replica<Journal>, Desk)>,
    lease: Option<Lease>,
    pub now: Tick,
    /// By how many millionths each clock is wrong, if it is.
    drifts: BTreeMap<NodeId, i64>,
}

impl Cast {
    fn new() -> Cast {
        Cast::with_lease(None)
    }

    pub fn with_lease(lease: Option<Lease>) -> Cast {
        Cast::of(&FOUNDERS, lease)
    }

    /// The same, on clocks that are wrong by so many millionths.
    pub fn with_drifts(lease: Lease, drifts: BTreeMap<NodeId, i64>) -> Cast {
        Cast { drifts, ..Cast::with_lease(Some(lease)) }
    }

    fn of(all: &[NodeId], lease: Option<Lease>) -> Cast {
        let (all_of, drifts) = Default::default();
        let mut cast = Cast { all: all_of, lease, now: Tick(0), drifts };
        for id in all {
            cast.all.insert(*id, (boot(*id, &[], lease), Desk::default()));
            cast.with(*id, |replica, now, desk| replica.start(now, desk));
        }
        for id in all {
            for other in all.iter().filter(|other| *other != id) {
                cast.with(*id, |replica, now, desk| replica.peer_up(now, *other, desk));
            }
        }
        cast
    }

    pub fn with(&mut self, id: NodeId, f: impl FnOnce(&mut Replica<Journal>, Tick, &mut Desk)) {
        let now = self.clock(id);
        let (replica, desk) = self.all.get_mut(&id).unwrap();
        f(replica, now, desk);
        replica.check();
    }

    /// What time it is by somebody's clock.
    fn clock(&self, id: NodeId) -> Tick {
        let wrong = self.drifts.get(&id).copied().unwrap_or(0);
        Tick(self.now.0 * 1_000_000_u64.saturating_add_signed(wrong) / 1_000_000)
    }

    /// Time passes, and no timer comes due.
    pub fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// All that two have to say to each other arrives.
    pub fn exchange(&mut self, one: NodeId, other: NodeId) {
        for _ in 0..3 {
            self.sync(one);
            self.pass(one, other);
            self.sync(other);
            self.pass(other, one);
        }
    }

    /// What was said so far is lost.
    pub fn forget_sent(&mut self) {
        self.all.values_mut().for_each(|(_, desk)| desk.sent.clear());
    }

    /// What it has said to another that has not arrived.
    pub fn says(&self, from: NodeId, to: NodeId, what: impl Fn(&Body) -> bool) -> bool {
        let mut sent = self.all[&from].1.sent.iter();
        sent.any(|(at, message, _)| *at == to && what(&message.body))
    }

    /// What was decided, as somebody knows it.
    pub fn lines(&self, at: NodeId) -> &[u64] {
        &self.all[&at].0.state().lines
    }

    pub fn answered(&self, at: NodeId) -> &[Outcome] {
        &self.all[&at].1.answered
    }

    /// Everything that was stored becomes durable.
    pub fn sync(&mut self, id: NodeId) {
        self.with(id, |replica, now, desk| {
            desk.durable = Stamp(desk.stored.len() as u64);
            replica.durable(now, desk.durable, desk);
        });
    }

    /// What `from` has to say to `to` and may say arrives.
    pub fn pass(&mut self, from: NodeId, to: NodeId) {
        let desk = &mut self.all.get_mut(&from).unwrap().1;
        let (durable, sent) = (desk.durable, std::mem::take(&mut desk.sent));
        let (now, later) =
            sent.into_iter().partition(|(at, _, after)| *at == to && *after <= durable);
        desk.sent = later;
        for (_, message, _) in now {
            self.with(to, |replica, now, desk| replica.receive(now, from, message, desk));
        }
    }

    /// Who has something to say to whom that may arrive.
    pub fn talks(&self) -> BTreeSet<(NodeId, NodeId)> {
        let all = self.all.iter().flat_map(|(from, (_, desk))| {
            let may = desk.sent.iter().filter(|(.., after)| *after <= desk.durable);
            may.map(|(to, ..)| (*from, *to))
        });
        all.collect()
    }

    /// The first thing of that arrives.
    pub fn pass_first(&mut self, from: NodeId, to: NodeId) {
        let desk = &mut self.all.get_mut(&from).unwrap().1;
        let first = desk.sent.iter().position(|(at, _, after)| *at == to && *after <= desk.durable);
        let (_, message, _) = desk.sent.remove(first.unwrap());
        self.with(to, |replica, now, desk| replica.receive(now, from, message, desk));
    }

    /// What two have to say to each other is lost.
    pub fn cut(&mut self, one: NodeId, other: NodeId) {
        for (from, at) in [(one, other), (other, one)] {
            self.all.get_mut(&from).unwrap().1.sent.retain(|(to, ..)| *to != at);
        }
    }

    pub fn is_synced(&self, id: NodeId) -> bool {
        let desk = &self.all[&id].1;
        desk.durable == Stamp(desk.stored.len() as u64)
    }

    pub fn leads(&self, id: NodeId) -> bool {
        self.all[&id].0.leads()
    }

    /// The power goes, and comes back.
    pub fn crash(&mut self, id: NodeId) {
        let desk = &self.all[&id].1;
        let stored = desk.stored[..desk.durable.0 as usize].to_vec();
        self.all.insert(id, (boot(id, &stored, self.lease), Desk { stored, ..Desk::default() }));
        self.with(id, |replica, now, desk| {
            desk.durable = Stamp(desk.stored.len() as u64);
            replica.start(now, desk);
        });
    }

    /// A leads, and B has promised that. C knows nothing yet.
    pub fn elect_a(&mut self) {
        self.elect(A, B);
    }

    /// One leads, and another has promised that.
    fn elect(&mut self, one: NodeId, other: NodeId) {
        self.with(one, |replica, now, desk| replica.timer(now, Timer::Election, desk));
        self.pass(one, other);
        self.pass(other, one);
        self.sync(one);
        self.pass(one, other);
        self.sync(other);
        self.pass(other, one);
        assert!(self.all[&one].0.leads());
    }

    fn change(&mut self, at: NodeId, voters: &[NodeId]) {
        let voters = voters.iter().copied().collect();
        let ask = Ask::Members(Box::new(Membership { voters, ..Membership::default() }));
        self.with(at, |replica, now, desk| replica.request(now, ClientId(0), ask, desk));
    }

    /// What it tells of what is chosen is lost.
    fn drop_chosen(&mut self, from: NodeId) {
        let is_other = |message: &Message| !matches!(message.body, Body::Chosen { .. });
        self.all.get_mut(&from).unwrap().1.sent.retain(|(_, message, _)| is_other(message));
    }

    /// B stands, and C promises that; it is not on C's disk yet.
    fn stand_b(&mut self) {
        self.with(B, |replica, now, desk| replica.timer(now, Timer::Election, desk));
        self.pass(B, C);
        self.pass(C, B);
        self.sync(B);
        self.pass(B, C);
        self.pass(C, B);
    }

    pub fn write(&mut self, at: NodeId, line: u64) {
        let ask = Ask::Propose(command(line));
        self.with(at, |replica, now, desk| replica.request(now, ClientId(line), ask, desk));
    }

    fn check_journals(&self) {
        let journals = || self.all.values().map(|(replica, _)| &replica.state().lines);
        for (one, other) in journals().flat_map(|one| journals().map(move |other| (one, other))) {
            let common = one.len().min(other.len());
            assert!(one[..common] == other[..common], "{one:?} and {other:?}");
        }
    }
}

fn boot(id: NodeId, found: &[Write], lease: Option<Lease>) -> Replica<Journal> {
    let mut stored = Stored::default();
    found.iter().for_each(|write| stored.found(write.clone()));
    let members = match FOUNDERS.contains(&id) {
        true => Members::new(Voters::majority(FOUNDERS)),
        false => Members::nobody(),
    };
    Replica::new(id, stored, Journal::default(), members, usize::MAX).unwrap().with_lease(lease)
}

/// C loses the power between its promise to B and the sync of that, and then hears from A what it has promised to refuse.
pub fn the_power_goes_after_a_promise() {
    let mut cast = Cast::new();
    cast.elect_a();
    cast.write(A, 1);
    cast.sync(A);

    cast.stand_b();
    cast.crash(C);

    cast.pass(A, C);
    cast.sync(C);
    cast.pass(C, A);
    assert_eq!(cast.all[&A].0.state().lines, [1]);
    cast.write(B, 2);
    cast.sync(B);
    cast.pass(B, C);
    cast.sync(C);
    cast.pass(C, B);
    cast.check_journals();
}

/// B loses the power between accepting and the sync of that; C and B choose another leader, who asks nobody else.
pub fn the_power_goes_after_an_acceptance() {
    let mut cast = Cast::new();
    cast.elect_a();
    cast.write(A, 1);
    cast.sync(A);
    cast.pass(A, B);
    cast.pass(B, A);
    cast.crash(B);

    cast.with(C, |replica, now, desk| replica.timer(now, Timer::Election, desk));
    cast.pass(C, B);
    cast.pass(B, C);
    cast.sync(C);
    cast.pass(C, B);
    cast.sync(B);
    cast.pass(B, C);
    cast.write(C, 2);
    cast.sync(C);
    cast.pass(C, B);
    cast.sync(B);
    cast.pass(B, C);
    assert_eq!(cast.all[&C].0.state().lines, [2]);
    cast.check_journals();
}

/// A ballot or a slot from the end of all numbers: to take it up would leave no room for what comes.
#[test]
fn what_can_not_be_is_refused_and_changes_nothing() {
    let far = Ballot { round: u64::MAX, proposer: A };
    let near = Ballot { round: 1, proposer: A };
    let most = Slot(u64::MAX);
    let accept = |first, committed| Body::Accept {
        committed,
        first,
        entries: vec![Entry::Nothing, Entry::Nothing],
        question: 0,
    };
    let accepted = Accepted { ballot: near, value: Entry::Nothing };
    for (ballot, body) in [
        (far, Body::Canvass { committed: Slot(0) }),
        (far, Body::Prepare { committed: Slot(0) }),
        (far, accept(Slot(1), Slot(0))),
        (near, Body::Canvass { committed: most }),
        (near, Body::Prepare { committed: most }),
        (near, Body::Enquire { committed: most }),
        (near, accept(most, Slot(0))),
        (near, accept(Slot(1), most)),
        (near, Body::Chosen { first: most, entries: vec![accepted.clone(), accepted.clone()] }),
        (far, Body::Refuse { promised: far }),
        (
            near,
            Body::Chosen { first: Slot(1), entries: vec![Accepted { ballot: far, ..accepted }] },
        ),
        (near, Body::State { through: most, offset: 0, total: 0, piece: Bytes::new() }),
    ] {
        let mut cast = Cast::new();
        let before = cast.all[&B].0.clone();
        let message = Message { ballot, body };
        cast.with(B, |replica, now, desk| replica.receive(now, A, message.clone(), desk));
        assert_eq!(cast.all[&B].0, before, "{message:?}");
        assert!(cast.all[&B].1.stored.is_empty() && cast.all[&B].1.sent.is_empty(), "{message:?}");
    }
}

#[test]
fn a_promise_is_synced_before_it_is_given() {
    the_power_goes_after_a_promise();
}

#[test]
fn an_acceptance_is_synced_before_it_is_given() {
    the_power_goes_after_an_acceptance();
}

/// Who has answered a question is asked another one, if the answer was lost.
#[test]
fn a_read_whose_confirmation_is_lost_is_confirmed_again() {
    let mut cast = Cast::new();
    cast.elect_a();
    let ask = Ask::Read(Bytes::new());
    cast.with(A, |replica, now, desk| replica.request(now, ClientId(1), ask, desk));
    cast.pass(A, B);
    cast.sync(B);
    cast.all.get_mut(&B).unwrap().1.sent.clear();
    cast.with(A, |replica, now, desk| replica.timer(now, Timer::Resend, desk));
    cast.pass(A, B);
    cast.pass(B, A);
    let read = Outcome::Read { slot: Slot(0), answer: Bytes::new() };
    assert_eq!(cast.all[&A].1.answered, [read]);
}

/// C leads A, B and C into C, D and E, and writes there with D. A, who knows nothing of that, is elected by B. C's promise comes when
/// A has enough of them, and before A has heard of new members; it is one of theirs, and all that it has to tell counts then.
#[test]
fn a_promise_that_comes_before_the_change_it_counts_for_is_heard_whole() {
    let mut cast = Cast::of(&[A, B, C, D, E], None);
    cast.elect(C, B);
    cast.forget_sent();
    cast.change(C, &[C, D, E]);
    cast.exchange(C, B);
    cast.exchange(C, D);
    cast.exchange(C, B); // What B accepts last is the end of the change. It never hears that this is chosen.
    cast.with(C, |replica, now, desk| replica.timer(now, Timer::Resend, desk));
    cast.exchange(C, D);
    cast.write(C, 1);
    cast.exchange(C, D);
    assert_eq!(cast.all[&C].0.state().lines, [1]);
    cast.forget_sent();

    // B is out, and does not know; nor does it hear of C any more. What it knows to be chosen does not get to A.
    cast.with(B, |replica, now, desk| replica.peer_down(now, C, desk));
    for _ in 0..2 {
        cast.with(A, |replica, now, desk| replica.timer(now, Timer::Election, desk));
        cast.pass(A, B);
        cast.drop_chosen(B);
        cast.pass(B, A);
        cast.sync(A);
    }
    cast.pass(A, B);
    cast.sync(B);
    cast.pass(B, A);
    assert!(cast.all[&A].0.leads());
    cast.pass(A, C);
    cast.sync(C);
    cast.pass(C, A);
    cast.write(A, 2);

    for _ in 0..4 {
        for other in [B, E, C] {
            cast.exchange(A, other);
        }
        cast.with(A, |replica, now, desk| replica.timer(now, Timer::Resend, desk));
    }
    cast.check_journals();
    assert_eq!(cast.all[&A].0.state().lines, [1]);
}

/// C lacks an entry that is larger than what is sent at once. Whoever knows that it is chosen tells C all the same.
#[test]
fn an_entry_larger_than_a_message_is_told_of() {
    let mut cast = Cast::new();
    cast.elect_a();
    let mut large = command(1).to_vec();
    large.resize(COMMAND_BYTES_MAX, 7);
    let ask = Ask::Propose(Bytes::from(large));
    cast.with(A, |replica, now, desk| replica.request(now, ClientId(1), ask, desk));
    cast.exchange(A, B);
    assert_eq!(cast.all[&A].0.state().lines, [1]);
    cast.forget_sent();
    let enquiry = Message { ballot: Ballot::NONE, body: Body::Enquire { committed: Slot(0) } };
    cast.with(A, |replica, now, desk| replica.receive(now, C, enquiry, desk));
    assert!(cast.says(
        A,
        C,
        |body| matches!(body, Body::Chosen { entries, .. } if entries.len() == 1)
    ));
}

/// Who forwards it should not have taken it. It is not taken here either.
#[test]
fn a_forwarded_command_that_is_too_large_is_refused() {
    let mut cast = Cast::new();
    cast.elect_a();
    cast.exchange(A, B);
    let ballot = cast.all[&A].0.status().promised;
    let ask = Ask::Propose(Bytes::from(vec![7; COMMAND_BYTES_MAX + 1]));
    let body = Body::Forward { life: 1, ticket: 1, floor: 1, ask };
    cast.with(A, |replica, now, desk| replica.receive(now, B, Message { ballot, body }, desk));
    let is_refusal = |body: &Body| matches!(body, Body::Answer { outcome: Outcome::TooLarge, .. });
    assert!(cast.says(A, B, is_refusal));
    assert_eq!(cast.all[&A].1.stored.len(), 1, "its own promise and nothing else");
}
