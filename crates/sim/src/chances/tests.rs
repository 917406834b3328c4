use ombak_base::ShardId;

use super::*;

const A: Address = Address { node: NodeId(0), shard: ShardId(0) };
const B: Address = Address { node: NodeId(1), shard: ShardId(0) };
const SPAN: (u64, u64) = (10, 1_000_000);

fn delays(chances: &mut Chances, what: What, count: usize) -> Vec<u64> {
    (0..count).map(|_| chances.span(what, SPAN)).collect()
}

#[test]
fn a_decision_does_not_depend_on_the_others() {
    let (mut alone, mut busy) = (Chances::new(7), Chances::new(7));
    let expected = delays(&mut alone, What::Delay(A, B), 20);
    delays(&mut busy, What::Delay(B, A), 5);
    let mut found = delays(&mut busy, What::Delay(A, B), 10);
    delays(&mut busy, What::TimerDelay(A), 5);
    found.extend(delays(&mut busy, What::Delay(A, B), 10));
    assert_eq!(found, expected);
    assert_ne!(delays(&mut Chances::new(8), What::Delay(A, B), 20), expected);
    assert_ne!(delays(&mut Chances::new(7), What::Delay(B, A), 20), expected);
}

#[test]
fn what_was_recorded_gives_the_same_again() {
    let mut chances = Chances::new(3);
    chances.record();
    let spans = delays(&mut chances, What::Delay(A, B), 50);
    chances.time(5);
    let drops: Vec<bool> = (0..50).map(|_| chances.happens(What::Drop(A, B), 300)).collect();
    let chosen = chances.choose(A, 1_000);
    let recorded = chances.recorded();
    assert!(recorded.keys().all(|point| !matches!(point.what, What::Choice(_))));
    let mut again = Chances::new(3);
    again.follow(&recorded);
    assert_eq!(delays(&mut again, What::Delay(A, B), 50), spans);
    again.time(5);
    assert_eq!((0..50).map(|_| again.happens(What::Drop(A, B), 0)).collect::<Vec<_>>(), drops);
    assert_eq!(again.choose(A, 1_000), chosen, "a choice comes from the seed all the same");
}

#[test]
fn what_is_not_given_goes_well() {
    let mut chances = Chances::new(3);
    let point = |at, n| Point { at: Tick(at), what: What::Drop(A, B), n };
    chances.follow(&[(point(0, 2), 1), (point(7, 1), 1)].into());
    let drops = |chances: &mut Chances| -> Vec<bool> {
        (0..4).map(|_| chances.happens(What::Drop(A, B), 1000)).collect()
    };
    assert_eq!(drops(&mut chances), [false, true, false, false]);
    assert_eq!(chances.left_over(), [(point(7, 1), 1)].into());
    chances.time(9);
    assert_eq!(drops(&mut chances), [true, false, false, false], "nothing was decided at 7");
    assert_eq!(chances.left_over(), Decisions::new());
    assert_eq!(delays(&mut chances, What::Delay(A, B), 3), [10, 10, 10]);
    assert_eq!(chances.number(What::Survive(NodeId(0))), 0);
}

#[test]
fn an_order_is_part_of_the_decision() {
    let order = Order::Lanes { us: 1_000_000, period_us: 10_000 };
    let of = |chances: &mut Chances, what| chances.delay(what, (1, 9), order, 0);
    let mut chances = Chances::new(5);
    chances.record();
    let forth: Vec<u64> = (0..20).map(|_| of(&mut chances, What::Delay(A, B))).collect();
    assert!(forth.iter().all(|delay| delay.abs_diff(forth[0]) < 9), "{forth:?}");
    let decisions = chances.recorded();
    chances.follow(&decisions);
    assert_eq!(of(&mut chances, What::Delay(A, B)), forth[0]);
    chances.follow(&Decisions::new());
    assert_eq!(of(&mut chances, What::Delay(A, B)), 1, "nothing goes wrong");
}

#[test]
fn codes_are_different() {
    let (a, b) = (A, B);
    let (n, m) = (A.node, B.node);
    let all = [
        What::Drop(a, b),
        What::Drop(b, a),
        What::Repeat(a, b),
        What::Astray(a, b),
        What::Delay(a, b),
        What::AstrayDelay(a, b),
        What::RepeatDelay(a, b),
        What::Refuse(a, b),
        What::Choice(a),
        What::LateLoad(a),
        What::LoadDelay(a),
        What::TimerDelay(a),
        What::TimerDelay(b),
        What::Connect(n, m),
        What::Hear(n, m),
        What::Hear(m, n),
        What::Write(n),
        What::Notice(n),
        What::Tidy(n),
        What::Boot(n),
        What::Survive(n),
    ];
    let codes: std::collections::BTreeSet<u64> = all.iter().map(|what| what.code()).collect();
    assert_eq!(codes.len(), all.len());
}
