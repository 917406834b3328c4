//! Leases: what is granted, and what not, by hand; and a leader that can't know that it has been replaced.

use bytes::Bytes;
use ombak_base::{ClientId, NodeId};

use super::group::{Town, node};
use super::script::{A, B, C, Cast};
use crate::ballot::Ballot;
use crate::log::{Ask, Body, Lease, Message, Outcome, Slot, Timer};

const LEASE: Lease = Lease { ms: 1_000, drift_ppm: 200_000 };
/// By the clock of who is granted one, and by that of who grants one.
const SHORT_MS: u64 = 800;
const LONG_MS: u64 = 1_201;

fn read(cast: &mut Cast, at: NodeId) {
    let ask = Ask::Read(Bytes::new());
    cast.with(at, |replica, now, desk| replica.request(now, ClientId(1), ask, desk));
}

fn reads(cast: &Cast, at: NodeId) -> usize {
    cast.answered(at).iter().filter(|outcome| matches!(outcome, Outcome::Read { .. })).count()
}

fn is_silent(cast: &Cast) -> bool {
    !cast.says(A, B, |_| true) && !cast.says(A, C, |_| true)
}

fn hear(cast: &mut Cast, at: NodeId, from: NodeId, ballot: Ballot, body: Body) {
    let message = Message { ballot, body };
    cast.with(at, |replica, now, desk| replica.receive(now, from, message, desk));
}

/// A leads, and B has granted it a lease. C knows of nothing.
fn leased() -> Cast {
    let mut cast = Cast::with_lease(Some(LEASE));
    cast.pass_ms(LONG_MS);
    cast.elect_a();
    cast.exchange(A, B);
    read(&mut cast, A);
    cast.exchange(A, B);
    assert_eq!(reads(&cast, A), 1);
    cast.forget_sent();
    cast
}

#[test]
fn a_read_by_lease_takes_no_message() {
    let mut cast = leased();
    cast.pass_ms(SHORT_MS / 2 - 1);
    read(&mut cast, A);
    assert_eq!(reads(&cast, A), 2);
    assert!(is_silent(&cast));
}

#[test]
fn a_lease_is_asked_for_again_while_reads_come() {
    let mut cast = leased();
    cast.pass_ms(SHORT_MS / 2);
    read(&mut cast, A);
    assert_eq!(reads(&cast, A), 2);
    let asks = |body: &Body| matches!(body, Body::Lease { .. });
    assert!(cast.says(A, B, asks) && cast.says(A, C, asks));
    cast.exchange(A, B);
    cast.pass_ms(SHORT_MS - 1);
    read(&mut cast, A);
    assert_eq!(reads(&cast, A), 3);
}

#[test]
fn a_leader_whose_lease_is_over_asks() {
    let mut cast = leased();
    cast.pass_ms(SHORT_MS);
    read(&mut cast, A);
    assert_eq!(reads(&cast, A), 1);
    cast.exchange(A, B);
    assert_eq!(reads(&cast, A), 2);
}

fn supports(body: &Body) -> bool {
    matches!(body, Body::Support | Body::Promise { .. })
}

/// C asks B whether it may lead, without saying first that A is dead, and then says so.
fn c_asks_b(cast: &mut Cast, round: u64) -> bool {
    let ballot = Ballot { round, proposer: C };
    cast.with(B, |replica, now, desk| replica.peer_down(now, A, desk));
    hear(cast, B, C, ballot, Body::Canvass { committed: Slot(0) });
    hear(cast, B, C, ballot, Body::Prepare { committed: Slot(0) });
    cast.says(B, C, supports)
}

#[test]
fn who_has_granted_a_lease_lets_nobody_else_lead() {
    let mut cast = leased();
    cast.pass_ms(LONG_MS - 1);
    assert!(!c_asks_b(&mut cast, 10));
    cast.with(B, |replica, now, desk| replica.timer(now, Timer::Election, desk));
    let resign = Body::Resign { successor: true };
    hear(&mut cast, B, A, Ballot { round: 1, proposer: A }, resign);
    assert!(!cast.says(B, C, |body| matches!(body, Body::Canvass { .. } | Body::Prepare { .. })));
    // Whom it has granted it may lead again.
    hear(&mut cast, B, A, Ballot { round: 9, proposer: A }, Body::Prepare { committed: Slot(0) });
    assert!(cast.says(B, A, supports));
    cast.pass_ms(1);
    assert!(c_asks_b(&mut cast, 11));
}

#[test]
fn who_was_started_lets_nobody_lead_for_a_lease() {
    let mut cast = leased();
    cast.crash(B);
    cast.pass_ms(LONG_MS - 1);
    assert!(!c_asks_b(&mut cast, 10));
    hear(&mut cast, B, A, Ballot { round: 9, proposer: A }, Body::Prepare { committed: Slot(0) });
    assert!(!cast.says(B, A, supports));
    cast.pass_ms(1);
    assert!(c_asks_b(&mut cast, 10));
}

/// C leads by votes that are not B's, and is granted a lease as well. It may not have B's promise by that, while A's is not over.
#[test]
fn a_lease_for_one_is_no_leave_for_another() {
    let mut cast = leased();
    cast.pass_ms(LONG_MS / 2);
    let later = Ballot { round: 10, proposer: C };
    let accept = Body::Accept { committed: Slot(0), first: Slot(1), entries: vec![], question: 0 };
    hear(&mut cast, B, C, later, accept);
    hear(&mut cast, B, C, later, Body::Lease { number: 1, ms: 1_000 });
    assert!(cast.says(B, C, |body| matches!(body, Body::Granted { .. })));
    hear(&mut cast, B, C, later, Body::Prepare { committed: Slot(0) });
    assert!(!cast.says(B, C, supports));
    cast.pass_ms(LONG_MS / 2 + 1);
    hear(&mut cast, B, C, later, Body::Prepare { committed: Slot(0) });
    assert!(cast.says(B, C, supports));
}

#[test]
fn nobody_grants_more_than_it_has_set_up() {
    let mut cast = leased();
    let first = Ballot { round: 1, proposer: A };
    let granted = |body: &Body| matches!(body, Body::Granted { .. });
    hear(&mut cast, B, A, first, Body::Lease { number: 9, ms: LEASE.ms + 1 });
    assert!(!cast.says(B, A, granted));
    // Nor who follows somebody else.
    hear(&mut cast, B, A, Ballot { round: 2, proposer: A }, Body::Lease { number: 9, ms: 1 });
    assert!(!cast.says(B, A, granted));
    hear(&mut cast, B, A, first, Body::Lease { number: 9, ms: LEASE.ms });
    assert!(cast.says(B, A, granted));
}

/// An old leader, whose clock is as slow as may be, and two others, whose clocks are as fast. It can be heard by nobody, and hears
/// one of them, and therefore does not find out that both have another leader.
fn deaf_leader() -> (Town, NodeId, NodeId) {
    let (old, other, third) = (node(0), node(1), node(2));
    let mut town = Town::with(1, Some(LEASE), 3, 3, 21);
    town.start_with_rate(old, -200_000);
    town.start_with_rate(other, 200_000);
    town.start_with_rate(third, 200_000);
    town.await_leader();
    town.lead(old, old);
    assert!(town.run_until(5_000_000, |town| town.leader() == Some(old)), "{:?}", town.outcomes);
    town.run_for(2_000_000);
    town.read(old);
    town.run_for(50_000);
    town.world.partition(&[old], &[other]);
    town.world.one_way(old, third);
    (town, old, other)
}

/// As long as it has its lease it may be read from: then nobody else leads. It is asked all the time.
pub fn a_leader_with_a_lease_is_replaced() {
    let (mut town, old, other) = deaf_leader();
    for _ in 0..400 {
        town.read(old);
        if town.leader() == Some(other) {
            town.write(other);
        }
        town.run_for(5_000);
    }
    assert!(town.replica(old).is_some_and(|replica| replica.leads()), "it knows");
    assert!(!town.told.is_empty(), "nobody else came to lead: {:?}", town.outcomes);
    town.converge();
}

#[test]
fn a_leader_reads_by_lease_until_another_may_lead() {
    a_leader_with_a_lease_is_replaced();
}

/// The others have granted it a lease, are started again, and have forgotten that.
pub fn who_has_granted_a_lease_is_started_again() {
    let (mut town, old, other) = deaf_leader();
    for id in [other, node(2)] {
        town.world.crash(id);
        town.world.restart(id).unwrap();
    }
    town.world.partition(&[old], &[other]);
    for _ in 0..400 {
        town.read(old);
        if town.leader() == Some(other) || town.leader() == Some(node(2)) {
            town.write(other);
        }
        town.run_for(5_000);
    }
    assert!(!town.told.is_empty(), "nobody else came to lead: {:?}", town.outcomes);
    town.converge();
}

#[test]
fn a_lease_that_was_forgotten_holds() {
    who_has_granted_a_lease_is_started_again();
}

#[test]
fn nobody_leads_before_a_lease_is_over() {
    let (mut town, old, _) = deaf_leader();
    let asked = town.now();
    assert!(town.run_until(5_000_000, |town| town.leader() != Some(old)), "nobody else leads");
    let us = town.now().since(asked);
    assert!((900_000..1_600_000).contains(&us), "{us} us");
    town.converge();
}

/// The lead is handed over once the lease is over, which was for a second: nobody waits for it to be found out.
#[test]
fn the_lead_is_handed_over_after_a_lease() {
    let mut town = Town::with(1, Some(LEASE), 3, 3, 22);
    let leader = town.await_leader();
    town.run_for(2_000_000);
    town.read(leader);
    town.run_for(50_000);
    let to = node((leader.0 + 1) % 3);
    town.lead(leader, to);
    town.run_for(900_000);
    assert_eq!(town.leader(), Some(leader));
    assert!(town.run_until(600_000, |town| town.leader() == Some(to)), "{:?}", town.outcomes);
    assert_eq!(town.outcomes.get("led"), Some(&1), "{:?}", town.outcomes);
    town.converge();
}

/// A group that is not read from asks for nothing.
#[test]
fn a_group_with_leases_that_has_nothing_to_do_is_silent() {
    let mut cast = leased();
    cast.pass_ms(10 * LONG_MS);
    cast.with(A, |replica, now, desk| replica.timer(now, Timer::Resend, desk));
    assert!(is_silent(&cast));
}
