//! Bugs that are planted one at a time: runs from seeds must find each of them.

#![cfg(debug_assertions)]

use std::io::{Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ombak_base::property::plant;

use super::disks::{a_disk_is_lost_after_it_has_accepted, a_disk_is_replaced_by_an_older_copy};
use super::leases::{a_leader_with_a_lease_is_replaced, who_has_granted_a_lease_is_started_again};
use super::scenarios::{
    a_leader_dies_where_everything_takes_long, a_leader_of_yesterday_is_read_from,
    a_leader_that_is_alone_wants_to_decide_alone,
};
use super::script::{the_power_goes_after_a_promise, the_power_goes_after_an_acceptance};
use super::seeds::run;
use super::witnesses::{
    the_other_one_leads_with_what_the_witness_has_kept, who_was_away_for_long_waits_for_who_knows,
};

const BUGS: [&str; 19] = [
    "an acceptor that forgets its promise",
    "a promise is not kept",
    "accepted before it is synced",
    "a leader takes up nothing",
    "a leader reuses a slot",
    "a change is decided by who is to vote",
    "a proposal behind a change",
    "a read without a round",
    "a snapshot skips a slot",
    "a forwarded command is taken twice",
    "a lost disk votes",
    "an older copy votes",
    "a session that applies twice",
    "a member reads before it has come so far",
    "election jitter is drawn once",
    "a lease over a skewed clock",
    "who was started lets others lead",
    "a witness forgets what not all know",
    "who lacks what was forgotten is let lead",
];
const SEEDS: u64 = 2_000;

/// The scenario or the first seed that shows the bug, and what is seen.
fn find(bug: &'static str) -> Option<(String, String)> {
    plant(bug);
    let seen = |place: String, f: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(f)).err()?;
        Some((place, panic.downcast_ref::<String>().cloned().unwrap_or_default()))
    };
    let scenarios: [fn(); 11] = [
        a_leader_that_is_alone_wants_to_decide_alone,
        a_leader_dies_where_everything_takes_long,
        a_leader_of_yesterday_is_read_from,
        a_leader_with_a_lease_is_replaced,
        who_has_granted_a_lease_is_started_again,
        the_power_goes_after_a_promise,
        the_power_goes_after_an_acceptance,
        a_disk_is_lost_after_it_has_accepted,
        a_disk_is_replaced_by_an_older_copy,
        the_other_one_leads_with_what_the_witness_has_kept,
        who_was_away_for_long_waits_for_who_knows,
    ];
    let scenario = scenarios.iter().find_map(|scenario| seen("a scenario".to_string(), scenario));
    let found = scenario
        .or_else(|| (0..SEEDS).find_map(|seed| seen(format!("seed {seed}"), &|| drop(run(seed)))));
    plant("");
    found
}

#[test]
fn every_planted_bug_is_found() {
    (0..40).for_each(|seed| drop(run(seed)));
    let mut missed = Vec::new();
    for bug in BUGS {
        match find(bug) {
            Some((place, text)) => {
                println!("{bug}: {place}: {}", text.chars().take(150).collect::<String>());
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found in {SEEDS} seeds: {missed:?}");
    // What `println!` prints is not shown of a test that passes.
    let of = BUGS.len();
    writeln!(stdout(), "score: paxos, its log: {of} of {of} planted bugs found").unwrap();
}
