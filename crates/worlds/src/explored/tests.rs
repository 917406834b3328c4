use ombak_sim::explore::{Explorer, Outcome};

use ombak_kv::Quorum;

use super::*;

const MISSED: &str = "always \"a read finds what was acknowledged before it\"";

fn named(name: &str) -> Cluster<Shard, Told> {
    EXPLORATIONS.iter().find(|each| each.name == name).unwrap().cluster().unwrap()
}

/// The counts are pinned: with every change of the machine it shows whether there are more schedules or fewer. The larger
/// ones are counted by `.ci/run`.
#[test]
fn small_clusters_hold_in_every_schedule() {
    let counted = [
        ("write-read", 1_088, 4),
        ("write-write", 1_780, 3),
        ("write-loss", 3_854, 89),
        ("write-double", 9_658, 12),
        ("write-reset", 80_173, 19),
    ];
    for (name, states, ends) in counted {
        let report = Explorer::new(&named(name)).threads(2).run();
        report.assert_holds();
        assert_eq!((report.states, report.ends), (states, ends), "{name}");
    }
}

/// What is looked for can be broken, and seen: a put that one replica is enough for is not on the others yet.
#[test]
fn the_shortest_schedule_of_a_missed_write_is_found() {
    let one = Quorums { w: Quorum::One, dw: Quorum::One, ..Quorums::default() };
    let cluster = Exploration { puts: 1, gets: 1, ..EXPLORATIONS[0] }.cluster_with(one).unwrap();
    let report = Explorer::new(&cluster).run();
    assert_eq!(report.outcome, Outcome::Violated);
    let violation = report.violation.unwrap();
    assert_eq!(violation.broken, MISSED);
    let lines = violation.path.lines;
    assert!(lines[0].starts_with("c0 asks n0"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("c1 asks n1")), "{lines:#?}");
}

/// Bugs that are planted in the production code: how many steps the shortest schedule of each has, among all.
#[cfg(debug_assertions)]
const FOUND: &[(&str, &str, usize, &str)] = &[
    ("acknowledging before durable", "write-crash", 14, MISSED),
    ("read repair writing the older value", "write-write-read", 10, MISSED),
    ("a merge that trusts any tag", "write-write-read", 10, MISSED),
    ("retry without the request id", "forward-crash", 15, "always \"a value stands once\""),
];

#[cfg(debug_assertions)]
#[test]
fn the_explorer_finds_planted_bugs() {
    for (bug, name, steps, broken) in FOUND {
        ombak_base::property::plant(bug);
        let report = Explorer::new(&named(name)).run();
        ombak_base::property::plant("");
        let violation = report.violation.expect(bug);
        assert_eq!((violation.broken.as_str(), violation.path.actions.len()), (*broken, *steps));
    }
}
