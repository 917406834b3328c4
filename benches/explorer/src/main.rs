//! The explorer beside stateright: the same models, one thread each, states per CPU second.
//!
//! ```console
//! $ cargo run --release -- two-phase 9 ombak
//! $ cargo run --release -- two-phase 9 stateright
//! ```
//!
//! Models: `two-phase N`, `paxos N`. Sides: `ombak` (the model in `crates/sim/tests/explore`), `stateright` (its own
//! example's model in its own checker), `adapter` (its own example's model in our explorer). One run a process, so that
//! the peak of resident memory belongs to that run.

mod adapter;
mod measure;
#[path = "../../../crates/sim/tests/explore/paxos.rs"]
#[allow(dead_code, unused_imports)]
mod paxos;
mod their_paxos;
mod their_two_phase;
#[path = "../../../crates/sim/tests/explore/two_phase.rs"]
#[allow(dead_code, unused_imports)]
mod two_phase;

use std::fmt::Debug;
use std::hash::Hash;

use adapter::Adapter;
use measure::measure;
use ombak_sim::explore::{Explorer, Model};
use stateright::Checker;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, size, side] = &arguments[..] else {
        eprintln!("usage: explorer-bench two-phase|paxos N ombak|stateright|adapter");
        std::process::exit(2);
    };
    let size: usize = size.parse().expect("N is a number");
    match model.as_str() {
        "two-phase" => {
            let ours = two_phase::TwoPhase { managers: size, is_symmetric: false };
            run(side, ours, || their_two_phase::model(size))
        }
        "paxos" => run(side, paxos::Paxos { clients: size }, || their_paxos::model(size)),
        _ => panic!("no model {model}"),
    }
}

/// What both checkers ask of a model.
pub trait Theirs:
    stateright::Model<
        State: Clone + Hash + Debug + PartialEq + Send + Sync,
        Action: Clone + Debug + PartialEq + Send + Sync,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Theirs for T where
    T: stateright::Model<
            State: Clone + Hash + Debug + PartialEq + Send + Sync,
            Action: Clone + Debug + PartialEq + Send + Sync,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

fn run<T: Theirs>(side: &str, ours: impl Model, theirs: impl Fn() -> T) {
    measure(side, || match side {
        "ombak" => explore(&ours),
        "adapter" => explore(&Adapter(theirs())),
        "stateright" => {
            let checker = stateright::Model::checker(theirs()).spawn_bfs().join();
            checker.assert_properties();
            checker.unique_state_count() as u64
        }
        _ => panic!("no side {side}"),
    });
}

fn explore(model: &impl Model) -> u64 {
    let report = Explorer::new(model).run();
    report.assert_holds();
    let each = report.table_bytes as f64 / report.states as f64;
    println!(
        "table: {each:.1} bytes a state; {} steps, depth {}",
        report.steps, report.depth_complete
    );
    report.states
}
