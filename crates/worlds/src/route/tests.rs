use ombak_sim::explore::Explorer;
use proptest::prelude::*;

use super::*;
use crate::script::parse::words;

/// Each kind of line; not all of it can happen.
const ODD: &str = "\
ombak schedule 2
-- by hand
explore write-crash -- three nodes
client 0
n0.s0>n2.s0 arrive
n0.s0>n1.s0 repeat
n0.s0>n1.s0 drop
n1 fire Heartbeat choosing 1,0
n1 sync
crash n0
start n0
reset n0 n2
end
";

fn route(text: &str) -> Route {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<Route>().unwrap_err().to_string()
}

/// How a schedule ends that somebody has written.
fn ended(text: &str) -> Ended {
    route(text).take(Kept::default()).unwrap().ended
}

#[test]
fn a_route_is_read_as_it_is_written() {
    let read = route(ODD);
    let plain: String = ODD
        .lines()
        .map(|line| words(line).join(" "))
        .filter(|line| !line.is_empty())
        .map(|line| line + "\n")
        .collect();
    assert_eq!(read.to_string(), plain);
    assert_eq!(read.steps().count(), 9);
    assert_eq!(Schedule::read(ODD.as_bytes()), Ok(Schedule::Route(read)));
}

#[test]
fn what_is_no_route_is_refused_with_its_line() {
    for (from, to, error) in [
        ("schedule 2", "schedule 3", "line 1: the way through an exploration begins with"),
        (
            "write-crash",
            "write-crush",
            "line 3: there is no \"write-crush\" to explore, but write-",
        ),
        ("explore write-crash", "explore", "line 3: \"explore\" is no step"),
        ("client 0", "client 2", "line 4: client 2: there are 2, from 0 on"),
        ("client 0", "client x", "line 4: \"x\" is no number"),
        ("client 0", "explore write-read", "line 4: \"explore\" is said in a line above already"),
        ("n0.s0>n2.s0", "n0.s0>n3.s0", "line 5: n3: there are 3 nodes"),
        ("n0.s0>n2.s0", "n0.s1>n2.s0", "line 5: n0.s1: explored nodes have one shard, s0"),
        ("n0.s0>n2.s0", "n0>n2", "line 5: \"n0\" is no shard"),
        ("arrive", "arive", "line 5: \"arive\": what is on its way can arrive, repeat or drop"),
        ("n1 fire Heartbeat", "n1 fire", "line 8: \"n1 fire\" is no step"),
        ("choosing 1,0", "choosing 1,x", "line 8: \"x\" is no number"),
        ("n1 sync", "1.000000 n1 sync", "line 9: \"1.000000 n1 sync\" is no step"),
        ("n1 sync", "n1 sink", "line 9: \"n1 sink\" is no step"),
        ("crash n0", "crash n7", "line 10: n7: there are 3 nodes"),
        ("start n0", "end", "line 12: nothing follows \"end\""),
        ("end\n", "", "line 12: the schedule ends here, and has no \"end\": it was cut short"),
    ] {
        assert!(ODD.contains(from), "{from}");
        let found = refused(&ODD.replacen(from, to, 1));
        assert!(found.starts_with(error), "{to}: {found}");
    }
    let early = "ombak schedule 2\nn1 sync\nexplore write-read\nend\n";
    assert_eq!(refused(early), "line 2: \"explore …\" must come first");
    assert_eq!(
        refused("ombak schedule 2\nend\n"),
        "line 2: the schedule ends here, and has no \"explore …\""
    );
    // The first version is older than routes.
    let first = ODD.replace("schedule 2", "schedule 1");
    assert!(refused(&first).starts_with("line 1: "));
}

/// Wherever it is cut, the error names a line of what is left.
#[test]
fn a_route_that_was_cut_short_is_refused() {
    for end in 0..ODD.len() - 1 {
        let cut = &ODD[..end];
        let Err(error) = cut.parse::<Route>() else { panic!("read: {cut}") };
        assert!((1..=cut.lines().count().max(1)).contains(&error.line), "{error}: {cut}");
    }
}

#[test]
fn a_step_that_cannot_happen_is_named_with_those_that_can() {
    let stuck =
        |steps: &str| match ended(&format!("ombak schedule 2\nexplore write-loss\n{steps}end\n")) {
            Ended::Stuck(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
    assert_eq!(
        stuck("n0.s0>n1.s0 arrive\n"),
        "line 3: \"n0.s0>n1.s0 arrive\" cannot happen here; what can: client 0; client 1"
    );
    let error = stuck("client 0\n-- a comment\n\nclient 0\n");
    assert!(
        error.starts_with("line 6: \"client 0\" cannot happen here; what can: n0.s0>n"),
        "{error}"
    );
    // No more is lost than the exploration lets be lost.
    let lost = "client 0\nn0.s0>n1.s0 drop\nn0.s0>n2.s0 drop\nclient 1\n";
    let error = stuck(&format!("{lost}n1.s0>n0.s0 drop\n"));
    assert!(error.starts_with("line 7: \"n1.s0>n0.s0 drop\" cannot"), "{error}");
    assert!(error.contains("n1.s0>n0.s0 arrive") && error.contains("n0 sync"), "{error}");
}

#[test]
fn a_route_that_breaks_nothing_holds() {
    let text = "ombak schedule 2\nexplore write-read\nclient 0\nn0 sync\nend\n";
    let kept = Kept { trace_lines: 1, diagram_events: 10 };
    let taken = route(text).take(kept).unwrap();
    assert_eq!((taken.ended, taken.steps), (Ended::Holds(3), 2));
    assert_eq!(taken.trace, ["n0 syncs"]);
    assert!(taken.diagram.unwrap().contains("explored: write-read"));
    assert_eq!(route(text).take(Kept::default()).unwrap().diagram, None);
}

/// Every cluster that is explored can be walked through: it begins in one way, and keeps messages in order.
#[test]
fn every_exploration_has_routes() {
    for exploration in crate::EXPLORATIONS {
        let text = format!("ombak schedule 2\nexplore {}\nclient 0\nend\n", exploration.name);
        assert!(matches!(ended(&text), Ended::Holds(1..)), "{}", exploration.name);
    }
}

/// What the explorer finds is written down, read and taken again, and breaks the same.
#[test]
fn what_was_found_is_found_again() {
    let (exploration, cluster) = crate::explored::tests::a_missed_write();
    let violation = Explorer::new(&cluster).run().violation.unwrap();
    let named = cluster.named(&violation.path.actions);
    let mut walk = cluster.walk();
    named.iter().for_each(|step| walk.take(step).unwrap());
    assert_eq!(walk.broken(), Some(violation.broken.as_str()));
    let route = Route::to(exploration, &violation).unwrap();
    let text = route.commented().unwrap();
    assert_eq!(text.parse(), Ok(route), "lines and all");
    assert_eq!(text.parse::<Route>().unwrap().steps().cloned().collect::<Vec<_>>(), named);
    assert!(text.contains("client 0 -- c0 asks n0: Kv(Key(Put(…)))\n"), "{text}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(ombak schedule 2\nexplore write-read\n)?([ -~]{0,40}\n){0,8}") {
        let _ = Schedule::read(text.as_bytes());
    }

    /// Changed by a careless hand.
    #[test]
    fn any_change_is_read_or_refused(at in 0..ODD.len(), with in "[ -~\n]{0,4}") {
        let mut text = ODD.to_string();
        text.replace_range(at..at + 1, &with);
        if let Ok(route) = text.parse::<Route>() {
            let again = route.to_string().parse::<Route>().unwrap();
            prop_assert!(again.steps().eq(route.steps()));
        }
    }

    /// Steps by chance: each is taken or refused by its line, and nothing panics.
    #[test]
    fn any_steps_are_taken_or_refused(chosen in prop::collection::vec(0..8_usize, 0..30)) {
        let lines = ["client 0", "client 1", "n0 sync", "crash n0", "start n0", "n0.s0>n1.s0 arrive", "n1.s0>n0.s0 arrive", "n1 sync"];
        let steps: String = chosen.iter().map(|at| format!("{}\n", lines[*at])).collect();
        let taken = route(&format!("ombak schedule 2\nexplore write-crash\n{steps}end\n")).take(Kept::default()).unwrap();
        match taken.ended {
            Ended::Stuck(error) => prop_assert_eq!(error.line, 3 + taken.steps),
            Ended::Holds(_) => prop_assert_eq!(taken.steps, chosen.len()),
            Ended::Broken(broken) => prop_assert!(false, "{}", broken),
        }
    }
}
