//! How fast histories are checked. Prints one line for each kind of history.
//!
//! ```text
//! cargo run -p ombak-sim --example linear_speed
//! ```
//!
//! Ten clients at a time read, write and swap, one operation after the other. An operation takes effect at a random moment
//! between its call and its answer. One line is of a history with a wrong read near its end.

use std::time::Instant;

use ombak_base::{ClientId, Tick};
use ombak_sim::Rng;
use ombak_sim::linear::{CasAnswer, CasCall, CasRegister, History, check};

type Registers = CasRegister<u64, u64>;

struct Shape {
    operations: u64,
    keys: u64,
    clients: u64,
    /// So many operations are never answered.
    pending: u64,
    /// Swaps expect, and writes write, one of so many values.
    values: u64,
}

fn main() {
    let wide = Shape { operations: 100_000, keys: 1_000, clients: 10, pending: 0, values: 5 };
    run("over 1,000 keys", &wide, false);
    run("over 1,000 keys, 1,000 pending", &Shape { pending: 1_000, ..wide }, false);
    run("over 1,000 keys, one wrong read", &wide, true);
    run("on 1 key", &Shape { keys: 1, ..wide }, false);
    run("on 1 key, of 1,000 values", &Shape { keys: 1, values: 1_000, ..wide }, false);
    run("on 1 key, one wrong read", &Shape { keys: 1, ..wide }, true);
    run("on 1 key, 10 pending", &Shape { keys: 1, pending: 10, ..wide }, false);
    run("on 1 key, 50 clients", &Shape { keys: 1, clients: 50, ..wide }, false);
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn run(name: &str, shape: &Shape, wrong: bool) {
    let history = executed(&mut Rng::new(1), shape, wrong);
    let start = Instant::now();
    let verdict = check(&Registers::starting_with(0), &history, 20_000_000);
    let took = start.elapsed();
    let text = verdict.to_string();
    let first = text.lines().next().unwrap_or_default();
    println!("{:>7} operations {name:<36} {:>7} ms  {first}", shape.operations, took.as_millis());
}

/// When an operation takes effect, and the client and call.
struct Flight {
    done_at: u64,
    client: u64,
    called: u64,
    call: CasCall<u64, u64>,
}

fn executed(rng: &mut Rng, shape: &Shape, wrong: bool) -> History<Registers> {
    let mut flights = flights(rng, shape);
    flights.sort_by_key(|flight| flight.done_at);
    let mut history = History::new();
    let mut states = vec![0; shape.keys as usize];
    let wrong_from = if wrong { flights.len() * 9 / 10 } else { usize::MAX };
    let mut wrong = wrong;
    for (number, flight) in flights.into_iter().enumerate() {
        let id = history.call(ClientId(flight.client), Tick(flight.called), flight.call.clone());
        let mut answer = answer(&mut states, &flight.call);
        if rng.chance(shape.pending, shape.operations) {
            continue;
        }
        if let (true, CasAnswer::Value(seen)) = (wrong && number >= wrong_from, &mut answer) {
            *seen = u64::MAX;
            wrong = false;
        }
        history.answer(id, Tick(flight.done_at + (flight.done_at - flight.called)), answer);
    }
    history
}

/// Each client calls as soon as it was answered.
fn flights(rng: &mut Rng, shape: &Shape) -> Vec<Flight> {
    let mut free_at = vec![0; shape.clients as usize];
    (0..shape.operations)
        .map(|number| {
            let client = number % shape.clients;
            let called = free_at[client as usize] + 1;
            let done_at = called + rng.between(1, 1_000);
            free_at[client as usize] = done_at + (done_at - called);
            Flight { done_at, client, called, call: some_call(rng, shape) }
        })
        .collect()
}

fn some_call(rng: &mut Rng, shape: &Shape) -> CasCall<u64, u64> {
    let key = rng.below(shape.keys);
    match rng.below(3) {
        0 => CasCall::Read(key),
        1 => CasCall::Write(key, rng.below(shape.values)),
        _ => CasCall::Swap { key, expected: rng.below(shape.values), new: rng.below(shape.values) },
    }
}

fn answer(states: &mut [u64], call: &CasCall<u64, u64>) -> CasAnswer<u64> {
    match call {
        CasCall::Read(key) => CasAnswer::Value(states[*key as usize]),
        CasCall::Write(key, value) => {
            states[*key as usize] = *value;
            CasAnswer::Done
        }
        CasCall::Swap { key, expected, new } if states[*key as usize] == *expected => {
            states[*key as usize] = *new;
            CasAnswer::Done
        }
        CasCall::Swap { .. } => CasAnswer::Differs,
    }
}
