//! Bugs that are planted one at a time: the exploration must find each, by the property that it breaks.

#![cfg(debug_assertions)]

use std::io::{Write, stdout};

use ombak_base::property::plant;
use ombak_sim::explore::Outcome;

use super::explored::{shared_and_exclusive, with_null};
use super::follow::{ONCE, TOKENS_GROW};
use super::oracle::{BY_THE_RULES, CIRCLES_BROKEN, VALUES};

const BUGS: [(&str, &str); 5] = [
    ("a grant before its predecessor's fence", TOKENS_GROW),
    ("a session that applies twice", ONCE),
    ("a value block that outlives its writer", VALUES),
    ("a request that overtakes", BY_THE_RULES),
    ("a circle that a grant closes", CIRCLES_BROKEN),
];

#[test]
fn every_planted_bug_is_found() {
    for (bug, breaks) in BUGS {
        plant(bug);
        let report = match breaks {
            CIRCLES_BROKEN => with_null(),
            _ => shared_and_exclusive(),
        };
        plant("");
        assert_eq!(report.outcome, Outcome::Violated, "{bug} was not found");
        let violation = report.violation.unwrap();
        let (steps, broken) = (violation.path.actions.len(), violation.broken);
        println!("{bug}: {steps} steps: {}", broken.chars().take(150).collect::<String>());
        assert!(broken.contains(breaks), "{bug} does not break \"{breaks}\": {broken}");
    }
    // What `println!` prints is not shown of a test that passes.
    let of = BUGS.len();
    writeln!(stdout(), "score: paxos, its locks: {of} of {of} planted bugs found").unwrap();
}
