//! Random histories: those of a real execution pass, and small ones get the verdict of the definition.

use ombak_base::{ClientId, Tick};
use proptest::prelude::*;

use super::super::*;
use super::{STEPS, brute};
use crate::Rng;

type Registers = CasRegister<u64, u64>;

fn some_call(rng: &mut Rng, key: u64) -> CasCall<u64, u64> {
    match rng.below(3) {
        0 => CasCall::Read(key),
        1 => CasCall::Write(key, rng.below(3)),
        _ => CasCall::Swap { key, expected: rng.below(3), new: rng.below(3) },
    }
}

fn some_answer(rng: &mut Rng, call: &CasCall<u64, u64>) -> CasAnswer<u64> {
    match call {
        CasCall::Read(_) => CasAnswer::Value(rng.below(3)),
        CasCall::Write(..) => CasAnswer::Done,
        CasCall::Swap { .. } if rng.chance(1, 2) => CasAnswer::Done,
        CasCall::Swap { .. } => CasAnswer::Differs,
    }
}

/// The answer of a register that holds `state`, and what it holds then.
fn true_answer(state: u64, call: &CasCall<u64, u64>) -> (CasAnswer<u64>, u64) {
    match call {
        CasCall::Read(_) => (CasAnswer::Value(state), state),
        CasCall::Write(_, value) => (CasAnswer::Done, *value),
        CasCall::Swap { expected, new, .. } if *expected == state => (CasAnswer::Done, *new),
        CasCall::Swap { .. } => (CasAnswer::Differs, state),
    }
}

/// How a history is made.
struct Shape {
    operations: u64,
    keys: u64,
    /// Operations reach this far to both sides of the moment at which they are done; one is done every 10.
    width: u64,
    /// One in so many is never answered; half of these are never done.
    pending_one_in: u64,
}

/// What clients see of registers that do one operation after the other.
fn executed(rng: &mut Rng, shape: &Shape) -> History<Registers> {
    let mut history = History::new();
    let mut states = vec![0; shape.keys as usize];
    for number in 0..shape.operations {
        let done_at = 1_000 + number * 10;
        let key = rng.below(shape.keys);
        let call = some_call(rng, key);
        let id =
            history.call(ClientId(number), Tick(done_at - rng.below(shape.width)), call.clone());
        let pending = rng.chance(1, shape.pending_one_in);
        if pending && rng.chance(1, 2) {
            continue;
        }
        let (answer, after) = true_answer(states[key as usize], &call);
        states[key as usize] = after;
        if !pending {
            history.answer(id, Tick(done_at + rng.below(shape.width)), answer);
        }
    }
    history
}

/// Operations at random times. `wrong_one_in`: how many answers are drawn from a hat; the rest are those of an execution
/// in the order of the calls.
fn anything(rng: &mut Rng, wrong_one_in: u64) -> History<Registers> {
    let mut history = History::new();
    let (mut state, mut called) = (0, 0);
    for client in 0..rng.between(1, 7) {
        called += rng.below(5);
        let call = some_call(rng, 0);
        let id = history.call(ClientId(client), Tick(called), call.clone());
        let (mut answer, after) = true_answer(state, &call);
        if rng.chance(1, 8) {
            continue;
        }
        state = after;
        if rng.chance(1, wrong_one_in) {
            answer = some_answer(rng, &call);
        }
        history.answer(id, Tick(called + rng.below(12)), answer);
    }
    history
}

#[test]
fn small_histories_get_the_verdict_of_the_definition() {
    let (mut fine, mut broken) = (0, 0);
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let history = anything(&mut rng, 1 + seed % 8);
        let verdict = check(&Registers::starting_with(0), &history, STEPS);
        let expected = brute::explains(&Registers::starting_with(0), &history, 0);
        assert_eq!(verdict.is_linearisable(), expected, "seed {seed}: {history:#?}\n{verdict}");
        assert!(!matches!(verdict, Verdict::Undecided { .. }));
        if expected { fine += 1 } else { broken += 1 }
    }
    assert!(fine > 4_000 && broken > 4_000, "{fine} fine, {broken} broken");
}

/// The order of a report is one: it keeps time, and its answers are those of the specification.
#[test]
fn the_order_in_a_report_is_true() {
    let mut reports = 0;
    for seed in 0..5_000 {
        let history = anything(&mut Rng::new(seed), 2);
        let spec = Registers::starting_with(0);
        let Verdict::Broken(broken) = check(&spec, &history, STEPS) else { continue };
        reports += 1;
        let mut state = 0;
        for (place, op) in broken.order.iter().enumerate() {
            state = spec.step(&state, &op.call, op.answer()).expect("an answer that fits");
            let later = &broken.order[place + 1..];
            assert!(later.iter().all(|later| later.until() >= op.called), "{broken}");
        }
        assert_eq!(state, broken.state);
        let none_fits =
            |op: &&Operation<Registers>| spec.step(&state, &op.call, op.answer()).is_none();
        assert!(!broken.unplaced.is_empty() && broken.unplaced.iter().all(none_fits), "{broken}");
        let placed = broken.order.iter().filter(|op| op.answered.is_some()).count();
        let answered = history.operations().iter().filter(|op| op.answered.is_some()).count();
        assert_eq!(placed + broken.left, answered);
    }
    assert!(reports > 1_000);
}

proptest! {
    #[test]
    fn what_was_executed_passes(seed: u64, operations in 1_u64..300, keys in 1_u64..5, width in 1_u64..80) {
        let shape = Shape { operations, keys, width, pending_one_in: 20 };
        let history = executed(&mut Rng::new(seed), &shape);
        let verdict = check(&Registers::starting_with(0), &history, STEPS);
        prop_assert!(verdict.is_linearisable(), "{}", verdict);
    }

    #[test]
    fn a_read_that_was_changed_fails_unless_the_definition_allows_it(seed: u64, which: prop::sample::Index) {
        let shape = Shape { operations: 7, keys: 1, width: 40, pending_one_in: 10 };
        let history = executed(&mut Rng::new(seed), &shape);
        let changed = change_a_read(&history, which);
        let verdict = check(&Registers::starting_with(0), &changed, STEPS);
        let expected = brute::explains(&Registers::starting_with(0), &changed, 0);
        prop_assert_eq!(verdict.is_linearisable(), expected, "{}", verdict);
    }
}

/// The same history, but one of its reads saw another value.
fn change_a_read(history: &History<Registers>, which: prop::sample::Index) -> History<Registers> {
    let reads =
        history.operations().iter().filter(|op| matches!(op.answer(), Some(CasAnswer::Value(_))));
    let chosen = which.index(reads.count().max(1));
    let mut changed = History::new();
    let mut read = 0;
    for op in history.operations() {
        let id = changed.call(op.client, op.called, op.call.clone());
        let Some((at, answer)) = &op.answered else { continue };
        let mut answer = answer.clone();
        if let CasAnswer::Value(value) = &mut answer {
            *value = if read == chosen { (*value + 1) % 3 } else { *value };
            read += 1;
        }
        changed.answer(id, *at, answer);
    }
    changed
}
