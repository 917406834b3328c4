//! Two freezes of a worker pool that were found by choosing schedules, and how fast this finds them.
//!
//! Riak Core has a pool of workers for each vnode. It froze in 2013 (basho/riak_core issue 298), was repaired, and froze
//! again until 2020 (issue 958); both times Erlang's scheduler had hidden it from ordinary tests, and PULSE, a scheduler that
//! picks at random, had found it. For the second one, about one schedule in 16,000 was needed.
//!
//! What is here is not that code but its design, in machines that fit on a page each:
//!
//! ```text
//!   client      ─► pool         work
//!   pool        ─► supervisor   checkout, checkin
//!   supervisor  ─► pool         lent, or all out
//!   pool        ─► worker       work
//!   worker      ─► client       answer
//!   worker      ─► pool         up, checkin, down
//!   worker      ─► supervisor   started, exit (and checkin, in 298)
//!   supervisor  ─► worker       start, in place of a dead one
//! ```
//!
//! The *supervisor* (poolboy, there) lends workers and replaces dead ones. The *pool* puts a queue in front of it: while
//! workers are to be had it is *ready* and asks for one; when it hears "all out" it is *queueing* until one comes back.
//! Messages arrive in any order, except that those from one process to another keep theirs, as in Erlang.
//!
//! - `Bug::Freeze298`: a worker that is done says so to supervisor and pool itself. If the pool hears first, it asks, hears
//!   "all out", and goes on waiting for a checkin that has come already. (The same with a dead worker and its successor.)
//! - `Bug::Freeze958`: workers check in at the pool alone, and say when they are up. But a pool that is queueing with an
//!   empty queue takes no notice of a new worker, and queues the next job for ever.
//!
//! `schedule.rs` picks; `search.rs` looks for a freeze and makes it short. To read what happens:
//!
//! ```text
//! cargo test -p ombak-sim --test worker_pool -- --nocapture --test-threads 1
//! ```

mod client;
mod pool;
mod process;
mod schedule;
mod search;
mod supervisor;
mod worker;

use std::io::{Write, stdout};

use ombak_base::NodeId;
use ombak_sim::Rng;

use process::{Bug, CLIENT, POOL, SUPERVISOR, WORKERS};
use schedule::Late;
use search::{
    Explored, Freeze, Scenario, explore, find, freezes, random_scenario, replay, shrink_freeze,
    story,
};

const OK: bool = false;
const DIE: bool = true;

/// A freeze must be found with fewer. PULSE needed about so many for issue 958; here they take 0.2 s.
const SCHEDULES_MAX: u64 = 16_000;

/// Looks for a freeze in `scenario`, prints what it took, and returns the shortest form of the first one.
fn hunt(name: &str, bug: Bug, mut scenario: impl FnMut(&mut Rng) -> Scenario) -> Freeze {
    let started = search::clock();
    let found = find(bug, SCHEDULES_MAX, &mut scenario);
    let searched = started.elapsed();
    let (schedules, freeze) = found.unwrap_or_else(|| panic!("{name}: no freeze"));
    let short = shrink_freeze(bug, &freeze);
    println!("{name}: frozen by schedule {schedules}, after {searched:?}");
    println!("  {} deviations and {:?}", freeze.passed_over.len(), freeze.scenario);
    println!("  shrunk within {:?} to {short:?}", started.elapsed() - searched);
    print!("{}", story(bug, &short));
    assert!(replay(bug, &short), "{short:?} does not freeze");
    assert!(short.steps() <= 6, "{short:?}");
    short
}

#[test]
fn without_a_bug_nothing_freezes() {
    let started = search::clock();
    assert!(find(Bug::None, 20_000, random_scenario).is_none());
    assert!(find(Bug::None, 20_000, |_| Scenario::new(1, &[OK, DIE, OK])).is_none());
    println!("40,000 schedules without a freeze, in {:?}", started.elapsed());
}

#[test]
fn issue_298_is_found_with_one_worker_and_two_jobs() {
    hunt("298, one worker", Bug::Freeze298, |_| Scenario::new(1, &[OK, OK]));
}

#[test]
fn issue_298_is_found_with_a_worker_that_dies() {
    hunt("298, death", Bug::Freeze298, |_| Scenario::new(1, &[DIE, OK]));
}

#[test]
fn issue_298_is_found_in_any_pool() {
    hunt("298, any pool", Bug::Freeze298, random_scenario);
}

#[test]
fn issue_958_is_found_with_one_worker_and_the_jobs_of_the_report() {
    let short = hunt("958, one worker", Bug::Freeze958, |_| Scenario::new(1, &[OK, DIE, OK]));
    assert_eq!(short.scenario.jobs.len(), 3, "fewer jobs do not freeze it");
}

#[test]
fn issue_958_is_found_in_any_pool() {
    hunt("958, any pool", Bug::Freeze958, random_scenario);
}

#[test]
fn how_many_schedules_freeze() {
    let of = SCHEDULES_MAX;
    let issue_298 = freezes(Bug::Freeze298, of, |_| Scenario::new(1, &[OK, OK]));
    let issue_958 = freezes(Bug::Freeze958, of, |_| Scenario::new(1, &[OK, DIE, OK]));
    println!("of {of} random schedules, {issue_298} freeze 298, {issue_958} freeze 958");
    assert!(issue_298 > 0 && issue_958 > 0);
    // What `println!` prints is not shown of a test that passes.
    writeln!(stdout(), "score: sim's worker pool: 2 of 2 planted bugs found").unwrap();
}

/// Not a sample: every schedule, and how many states they lead to.
#[test]
fn every_schedule_of_small_pools() {
    let two = Scenario::new(1, &[OK, OK]);
    let report = Scenario::new(1, &[OK, DIE, OK]);
    let wide = Scenario::new(2, &[OK, DIE, OK]);
    for (bug, scenario, states, frozen) in [
        (Bug::None, &two, 90, 0),
        (Bug::None, &report, 548, 0),
        (Bug::None, &wide, 10_300, 0),
        (Bug::Freeze298, &two, 103, 1),
        (Bug::Freeze298, &report, 904, 4),
        (Bug::Freeze958, &two, 90, 0),
        (Bug::Freeze958, &report, 572, 1),
        (Bug::Freeze958, &wide, 10_340, 0),
    ] {
        assert_eq!(explore(bug, scenario), Explored { states, frozen }, "{bug:?}, {scenario:?}");
    }
}

/// What is to be understood of each bug, in one deviation from "oldest first".
#[test]
fn one_late_message_freezes_the_pool() {
    let late = |from, to, number| vec![Late { from, to, number }];
    let cases = [
        (Bug::Freeze298, vec![OK, OK], late(NodeId(WORKERS), SUPERVISOR, 1)),
        (Bug::Freeze298, vec![DIE, OK], late(NodeId(WORKERS), SUPERVISOR, 1)),
        (Bug::Freeze958, vec![OK, DIE, OK], late(CLIENT, POOL, 3)),
    ];
    for (bug, jobs, passed_over) in cases {
        let freeze = Freeze { scenario: Scenario::new(1, &jobs), passed_over };
        assert!(replay(bug, &freeze), "{bug:?}: {freeze:?}");
        assert!(!replay(Bug::None, &freeze), "{freeze:?}");
        let in_order = Freeze { passed_over: Vec::new(), ..freeze };
        assert!(!replay(bug, &in_order), "{bug:?}: oldest first");
    }
}
