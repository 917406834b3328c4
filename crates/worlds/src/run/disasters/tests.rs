use std::collections::BTreeSet;

use super::*;
use crate::record_seed;
use crate::script::{Action, Part};

/// With fewer at once, each comes oftener; that all are there says the next test.
#[test]
fn each_run_draws_its_own() {
    let drawn: Vec<Disasters> =
        (0..200).map(|seed| Disasters::random(&mut Rng::new(seed))).collect();
    for (harm, _, remedy) in HARMS {
        let with: Vec<_> = drawn.iter().filter(|drawn| drawn.kinds.contains(&harm)).collect();
        assert!((60..140).contains(&with.len()), "{harm:?} in {}", with.len());
        let is_good = |drawn: &&Disasters| remedy.is_none_or(|kind| drawn.kinds.contains(&kind));
        assert!(with.iter().all(is_good), "{harm:?}");
    }
    for one_in in [10, 20, 40, 80] {
        assert!(drawn.iter().any(|drawn| drawn.one_in == one_in), "1 in {one_in}");
    }
}

#[test]
fn no_disaster_comes_where_none_is_drawn() {
    let none = Disasters { kinds: Vec::new(), one_in: 1 };
    assert_eq!(none.draw(&mut Rng::new(1)), None);
    let kinds = vec![Kind::Reset];
    let (all, few) =
        (Disasters { kinds: kinds.clone(), one_in: 1 }, Disasters { kinds, one_in: 80 });
    let count = |drawn: &Disasters| {
        let mut rng = Rng::new(1);
        (0..800).filter(|_| drawn.draw(&mut rng) == Some(Kind::Reset)).count()
    };
    assert_eq!(count(&all), 800);
    assert!((1..40).contains(&count(&few)), "{}", count(&few));
}

const FAULTS: [&str; 22] = [
    "clock",
    "crash",
    "crash all",
    "cut",
    "cut with a bridge",
    "cut-power",
    "fail-sync",
    "fill",
    "heal",
    "misdirect",
    "misdirect the log",
    "older",
    "one-way",
    "pause",
    "reset",
    "resume",
    "room",
    "rot",
    "rot the log",
    "slow",
    "start",
    "wipe",
];

fn name(action: &Action, nodes: usize) -> Option<&'static str> {
    Some(match action {
        Action::Clock(..) => "clock",
        Action::Crash(_) => "crash",
        Action::CrashAll => "crash all",
        Action::CutPower(..) => "cut-power",
        Action::Cut(left, right) if left.len() + right.len() < nodes => "cut with a bridge",
        Action::Cut(..) => "cut",
        Action::FailSync(..) => "fail-sync",
        Action::Fill(..) => "fill",
        Action::Heal => "heal",
        Action::Misdirect(_, Part::Vnodes, ..) => "misdirect",
        Action::Misdirect(..) => "misdirect the log",
        Action::Older(..) => "older",
        Action::OneWay(..) => "one-way",
        Action::Pause(_) => "pause",
        Action::Reset(..) => "reset",
        Action::Resume => "resume",
        Action::Room => "room",
        Action::Rot(_, Part::Vnodes, _) => "rot",
        Action::Rot(..) => "rot the log",
        Action::Slow(..) => "slow",
        Action::Start(..) => "start",
        Action::Wipe(..) => "wipe",
        Action::Ask(_) | Action::Turn(..) => return None,
    })
}

/// What is never drawn is never tested, and nobody would see it.
#[test]
fn the_first_seeds_draw_every_fault() {
    let mut missing: Vec<&str> = FAULTS.to_vec();
    for seed in 0..60 {
        let script = record_seed(seed).unwrap();
        let nodes = script.shape.nodes as usize;
        let drawn = script.actions.iter().filter_map(|(_, action)| name(action, nodes));
        let drawn: BTreeSet<&str> = drawn.collect();
        missing.retain(|fault| !drawn.contains(fault));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never drawn: {missing:?}");
}
