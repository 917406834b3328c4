#[cfg(debug_assertions)]
use ombak_sim::explore::Violation;
use ombak_sim::explore::{Explorer, Outcome};

use ombak_kv::Quorum;

use super::*;
#[cfg(debug_assertions)]
use crate::{Ended, Kept, Route, Taken};

const MISSED: &str = "always \"a read finds what was acknowledged before it\"";

fn named(name: &str) -> Explored {
    Exploration::named(name).unwrap().cluster().unwrap()
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

/// A put that one replica is enough for is not on the others yet.
pub(crate) fn a_missed_write() -> (Exploration, Explored) {
    let one = Quorums { w: Quorum::One, dw: Quorum::One, ..Quorums::default() };
    let exploration = Exploration { puts: 1, gets: 1, ..EXPLORATIONS[0] };
    (exploration, exploration.cluster_with(one).unwrap())
}

/// What is looked for can be broken, and seen.
#[test]
fn the_shortest_schedule_of_a_missed_write_is_found() {
    let (_, cluster) = a_missed_write();
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
    (
        "acknowledging before durable",
        "write-write-crash",
        4,
        "always \"what is acknowledged is on two nodes\"",
    ),
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
        let violation = Explorer::new(&named(name)).run().violation.expect(bug);
        let (again, text) = again(name, &violation);
        // What stands behind is not taken any more: nobody asks twice.
        let longer = text.replace("\nend\n", "\nclient 0\nend\n").parse::<Route>().unwrap();
        let longer = longer.take(Kept::default()).unwrap();
        ombak_base::property::plant("");
        assert_eq!((violation.broken.as_str(), violation.path.actions.len()), (*broken, *steps));
        assert_eq!((&again.ended, again.steps), (&Ended::Broken((*broken).to_owned()), *steps));
        assert_eq!((longer.ended, longer.steps), (again.ended.clone(), again.steps));
        assert_eq!(again.trace, violation.path.lines, "{text}");
        let sound = text.parse::<Route>().unwrap().take(Kept::default()).unwrap();
        assert!(!matches!(sound.ended, Ended::Broken(_)), "{bug}: {sound:?}");
    }
}

/// What was found, written down, read and taken again.
#[cfg(debug_assertions)]
fn again(name: &str, violation: &Violation<Explored>) -> (Taken, String) {
    let route = Route::to(Exploration::named(name).unwrap(), violation).unwrap();
    let text = route.commented().unwrap();
    let kept = Kept { trace_lines: usize::MAX, diagram_events: 0 };
    (text.parse::<Route>().unwrap().take(kept).unwrap(), text)
}

/// The bytes of what is written, comments and all. A change of the machine may change the way, and so this file: what it may not
/// change is the language, which the parser's tests pin.
#[cfg(debug_assertions)]
#[test]
fn a_counterexample_is_written_as_it_was() {
    let (bug, name, ..) = FOUND[2];
    ombak_base::property::plant(bug);
    let violation = Explorer::new(&named(name)).run().violation.expect(bug);
    let (_, text) = again(name, &violation);
    ombak_base::property::plant("");
    let kept =
        include_str!("../../scenarios/read_repair_writes_what_is_newest_in_every_order.schedule");
    let kept: String = kept
        .lines()
        .filter(|line| !line.starts_with("-- "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(text, kept);
}
