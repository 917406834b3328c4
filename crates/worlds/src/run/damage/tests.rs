use super::*;
use crate::plan::Plan;

/// The first so many seeds in which something is damaged: what is, and what was found of it.
fn struck(backend: Backend, seeds: usize) -> Vec<(Action, Vec<String>)> {
    let drawn = (0..).filter_map(|seed| {
        let plan = Plan { backend, ..Plan::of_seed(seed) };
        let run = Run::drawn(&plan, 0).unwrap();
        run.draw_damage(Tick(0)).map(|(_, action)| (run, action))
    });
    let run = |(mut run, action): (Run, Action)| {
        run.draw_storm().unwrap_or_else(|failure| panic!("{failure}"));
        (action, run.damage_found)
    };
    drawn.take(seeds).map(run).collect()
}

fn found(struck: &[(Action, Vec<String>)], words: &str) -> usize {
    struck.iter().filter(|(_, found)| found.iter().any(|found| found.contains(words))).count()
}

/// A run in which nothing of it is found shows nothing.
#[test]
fn a_damaged_log_makes_vnodes_incomplete() {
    let struck = struck(Backend::Log, 8);
    let logs = |(action, _): &(Action, _)| {
        matches!(action, Action::Rot(_, Part::Log, _) | Action::Misdirect(_, Part::Log, ..))
    };
    assert!(struck.iter().all(logs), "{struck:?}");
    assert!(found(&struck, "vnodes are incomplete") > 1, "{struck:?}");
}

#[test]
fn a_damaged_tree_is_refused_and_its_node_begins_anew() {
    let struck = struck(Backend::Btree, 10);
    assert!(found(&struck, "btree/wal/segment-") > 0, "{struck:?}");
    assert!(found(&struck, "btree/pages is damaged") > 0, "{struck:?}");
}
