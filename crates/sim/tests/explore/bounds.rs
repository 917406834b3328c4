//! What an exploration says when it is not allowed to end.

use ombak_sim::explore::{Explorer, Limit, Model, Outcome, Property, Steps};

/// Two counters that only grow.
struct Grid {
    size: u32,
}

impl Model for Grid {
    type State = (u32, u32);
    type Action = &'static str;

    fn initial(&self) -> Vec<(u32, u32)> {
        vec![(0, 0)]
    }

    fn next(&self, (x, y): &(u32, u32), steps: &mut impl Steps<Self>) {
        if *x < self.size {
            steps.step("right", (x + 1, *y));
        }
        if *y < self.size {
            if *y == 4 {
                steps.reached("up from four");
            }
            steps.step("up", (*x, y + 1));
        }
    }

    fn properties(&self) -> Vec<Property<(u32, u32)>> {
        let corner = self.size;
        vec![
            Property::sometimes("far out", |(x, y): &(u32, u32)| x * y > 1_000_000),
            Property::sometimes("diagonal", |(x, y): &(u32, u32)| *x == 3 && *y == 3),
            Property::reached("up from four"),
            Property::eventually("corner", move |(x, y): &(u32, u32)| x + y == 2 * corner),
        ]
    }
}

#[test]
fn without_bounds_all_is_visited() {
    let report = Explorer::new(&Grid { size: 9 }).run();
    assert_eq!(report.outcome, Outcome::Complete);
    // The corner is an end, and *eventually* true there: 100 places.
    assert_eq!((report.states, report.steps, report.ends), (100, 180, 1));
    assert_eq!((report.depth_complete, report.unexpanded), (18, 0));
    assert_eq!(report.unreached().collect::<Vec<_>>(), ["far out"]);
    let up = report.sometimes[2].example.as_ref().unwrap();
    assert_eq!(up.actions, ["up"; 5]);
}

#[test]
fn at_the_bound_on_states_it_says_what_was_covered() {
    for threads in [1, 2] {
        let report =
            Explorer::new(&Grid { size: 10_000 }).threads(threads).states_max(100_000).run();
        assert_eq!(report.outcome, Outcome::Stopped(Limit::States));
        assert!((100_000..102_000).contains(&report.states), "{report}");
        // After n whole levels, (n+1)(n+2)/2 places were visited.
        let n = u64::from(report.depth_complete);
        assert!((n + 1) * (n + 2) / 2 <= report.states, "{report}");
        assert!((n + 2) * (n + 3) / 2 >= report.states, "{report}");
        assert!(report.unexpanded > 0);
        assert!(report.to_string().starts_with("stopped at the bound on states: "), "{report}");
    }
}

#[test]
fn bytes_and_depth_are_bounds_too() {
    let report = Explorer::new(&Grid { size: 10_000 }).bytes_max(8 << 20).run();
    assert_eq!(report.outcome, Outcome::Stopped(Limit::Bytes));
    assert!(report.bytes_peak < 9 << 20, "{}", report.bytes_peak);
    let report = Explorer::new(&Grid { size: 10_000 }).depth_max(99).run();
    assert_eq!(report.outcome, Outcome::Stopped(Limit::Depth));
    assert_eq!((report.states, report.depth_complete, report.unexpanded), (5_050, 99, 100));
}

/// Two levels wait at most, 301 states of 24 bytes each.
#[test]
fn what_was_expanded_takes_no_memory() {
    for threads in [1, 2] {
        let report = Explorer::new(&Grid { size: 300 }).threads(threads).run();
        assert_eq!(report.states, 301 * 301);
        let waiting = report.bytes_peak - report.table_bytes;
        assert!(waiting <= 2 * 301 * 24, "{waiting} bytes of states that wait");
    }
}

#[test]
fn whoever_watches_sees_how_far_it_is() {
    let mut seen = Vec::new();
    let model = Grid { size: 100 };
    Explorer::new(&model).watch(1_000, |progress| seen.push(progress.clone())).run();
    assert_eq!(seen.len(), 10);
    assert!(seen.iter().all(|each| each.unreached.contains(&"far out")));
    assert!(seen.windows(2).all(|two| two[0].states < two[1].states));
}

/// It ends in three places, in one of them without ever having been at 2.
struct Fork;

impl Model for Fork {
    type State = u32;
    type Action = u32;

    fn initial(&self) -> Vec<u32> {
        vec![0]
    }

    fn next(&self, state: &u32, steps: &mut impl Steps<Self>) {
        let to: &[u32] = match state {
            0 => &[1, 2, 3],
            1 | 2 => &[4],
            _ => &[],
        };
        to.iter().for_each(|to| steps.step(*to, *to));
    }

    fn properties(&self) -> Vec<Property<u32>> {
        vec![Property::eventually("two or three", |state| *state == 2 || *state == 3)]
    }
}

/// 4 is reached by 2 and by 1: that one way came by 2 says nothing of the other.
#[test]
fn eventually_is_a_matter_of_the_way() {
    let violation = Explorer::new(&Fork).run().violation.unwrap();
    assert_eq!(violation.path.actions, [1, 4]);
    assert_eq!(
        violation.to_string(),
        "broken after 2 steps: eventually \"two or three\" has not come true by the end\n   1. 1\n   2. 4\n"
    );
}
