use super::*;

const A: NodeId = NodeId(0);
const S0: ShardId = ShardId(0);
const AT: Address = Address { node: A, shard: S0 };

fn kinds(diagram: &Diagram) -> Vec<&'static str> {
    diagram.kept().iter().map(|moment| moment.kind).collect()
}

#[test]
fn the_last_ones_are_kept_and_the_faults_before_them() {
    let mut diagram = Diagram::new(2);
    for kind in ["timer", "crash", "timer", "boot", "start", "timer", "durable"] {
        diagram.note(0, Some(A), None, kind, &());
    }
    assert_eq!(kinds(&diagram), ["crash", "boot", "timer", "durable"]);
    assert_eq!((diagram.moments.len(), diagram.faults.len(), diagram.count), (2, 2, 7));
}

#[test]
fn faults_are_bounded_too() {
    let mut diagram = Diagram::new(1);
    (0..2 * FAULTS_MAX).for_each(|n| diagram.note(0, Some(A), None, "crash", &n));
    let kept = diagram.kept();
    assert_eq!(kept.len(), FAULTS_MAX + 1);
    assert_eq!(kept.last().unwrap().text, (2 * FAULTS_MAX - 1).to_string());
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(cut(&"abc", 5), "\"abc\"");
    assert_eq!(cut(&"äöü", 6), "\"äö…");
    assert_eq!(cut(&("x", [1, 2, 3]), 8), "(\"x\", [1…");
    let long = "x".repeat(10 * TEXT_MAX);
    let mut diagram = Diagram::new(1);
    diagram.note(0, None, None, "heal", &long);
    assert_eq!(diagram.kept()[0].text.chars().count(), TEXT_MAX + 1);
}

#[test]
fn a_step_tells_what_it_changed_and_a_start_begins_anew() {
    let mut diagram = Diagram::new(9);
    let mut step = |kind, machine: &str| {
        diagram.note(0, Some(A), Some(S0), kind, &());
        diagram.stepped(AT, &format_args!("{machine}"));
        let State { now, was } = diagram.moments.back().unwrap().state.clone();
        (was, now)
    };
    let told = |was: &str, now: &str| (was.to_owned(), now.to_owned());
    assert_eq!(step("start", "M { a: 1, b: 1 }"), told("", "M { a: 1, b: 1 }"));
    assert_eq!(step("timer", "M { a: 1, b: 2 }"), told("b: 1", "b: 2"));
    assert_eq!(step("timer", "M { a: 1, b: 2 }"), told("", ""));
    assert_eq!(step("start", "M { a: 1, b: 3 }"), told("", "M { a: 1, b: 3 }"));
}

/// A machine that steps after something else was noted must not claim that.
#[test]
fn a_change_is_told_of_its_own_step_only() {
    let mut diagram = Diagram::new(9);
    diagram.note(0, Some(NodeId(1)), Some(S0), "timer", &());
    diagram.stepped(AT, &"state");
    assert_eq!(diagram.kept()[0].state, State::default());
}
