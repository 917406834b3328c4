//! Bugs that are planted one at a time: the crash tests must find each of them.

#![cfg(debug_assertions)]

use std::io::{Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ombak_base::property::plant;
use ombak_sim::Rng;

use super::*;

const BUGS: [&str; 9] = [
    "undo without its compensation record",
    "a page before its log",
    "a checkpoint forgets a dirty page",
    "redo without the page LSN",
    "a torn record is accepted",
    "a commit before its sync",
    "pages written once",
    "a split is taken back",
    "a deletion forgets what it locked",
];
const SEEDS: u64 = 400;

fn lives(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(seed);
    for _ in 0..6 {
        world.disk.cut_power(1 + rng.below(300));
        world.live(200);
        world.crash(|_| rng.chance(1, 2));
    }
    world.start().unwrap();
}

/// The first seed that shows the bug, and what is seen.
fn find(bug: &'static str) -> Option<(u64, String)> {
    plant(bug);
    let found = (0..SEEDS).find_map(|seed| {
        let panic = catch_unwind(AssertUnwindSafe(|| lives(seed))).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        Some((seed, text.unwrap_or_default()))
    });
    plant("");
    found
}

#[test]
fn every_planted_bug_is_found() {
    (0..40).for_each(lives);
    let mut missed = Vec::new();
    for bug in BUGS {
        match find(bug) {
            Some((seed, text)) => {
                println!("{bug}: seed {seed}: {}", text.chars().take(150).collect::<String>());
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found in {SEEDS} seeds: {missed:?}");
    // What `println!` prints is not shown of a test that passes.
    let of = BUGS.len();
    writeln!(stdout(), "score: aries: {of} of {of} planted bugs found").unwrap();
}
