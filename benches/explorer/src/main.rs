//! The explorer beside stateright: the same models, one thread each, states per CPU second.
//!
//! ```console
//! $ cargo run --release -- two-phase 9 ombak
//! $ cargo run --release -- two-phase 9 stateright
//! ```
//!
//! Models: `two-phase N`, `paxos N`. Sides: `ombak` (the model in `crates/sim/tests/explore`), `machines` (Paxos as
//! machines in a cluster, there too), `stateright` (its own example's model in its own checker), `adapter` (its own
//! example's model in our explorer). A number of threads may follow. One run a process, so that the peak of resident
//! memory belongs to that run. Where the number of states is known, another one is a failure.

mod adapter;
mod measure;
#[path = "../../../crates/sim/tests/explore/paxos.rs"]
#[allow(dead_code, unused_imports)]
mod paxos;
#[path = "../../../crates/sim/tests/explore/paxos_machines.rs"]
#[allow(dead_code, unused_imports)]
mod paxos_machines;
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
    let [model, size, side, threads @ ..] = &arguments[..] else {
        eprintln!(
            "usage: explorer-bench two-phase|paxos N ombak|machines|stateright|adapter [THREADS]"
        );
        std::process::exit(2);
    };
    let size: usize = size.parse().expect("N is a number");
    let threads = threads.first().map_or(1, |threads| threads.parse().expect("a number"));
    let states = match (model.as_str(), side.as_str()) {
        ("two-phase", "ombak") => {
            let model = two_phase::TwoPhase { managers: size, is_symmetric: false };
            measure(side, || explore(&model, threads))
        }
        ("paxos", "ombak") => measure(side, || explore(&paxos::Paxos { clients: size }, threads)),
        ("paxos", "machines") => {
            let cluster = paxos_machines::cluster(size as u32);
            measure(side, || explore(&cluster, threads))
        }
        ("two-phase", _) => theirs(side, threads, their_two_phase::model(size)),
        ("paxos", _) => theirs(side, threads, their_paxos::model(size)),
        _ => panic!("no model {model}"),
    };
    if let Some(known) = known(model, size) {
        assert_eq!(states, known, "{model} {size} has so many states, and {side} found others");
    }
}

/// How many states a model has, as stateright's examples and ours count them.
fn known(model: &str, size: usize) -> Option<u64> {
    match (model, size) {
        ("two-phase", 7) => Some(296_448),
        ("two-phase", 8) => Some(1_745_408),
        ("two-phase", 9) => Some(10_340_352),
        ("paxos", 2) => Some(16_668),
        ("paxos", 3) => Some(1_194_428),
        _ => None,
    }
}

fn theirs(side: &str, threads: usize, model: impl Theirs) -> u64 {
    measure(side, || match side {
        "adapter" => explore(&Adapter(model), threads),
        "stateright" => {
            let checker = stateright::Model::checker(model).threads(threads).spawn_bfs().join();
            checker.assert_properties();
            checker.unique_state_count() as u64
        }
        _ => panic!("no side {side}"),
    })
}

fn explore(model: &impl Model, threads: usize) -> u64 {
    let report = Explorer::new(model).threads(threads).run();
    report.assert_holds();
    let each = report.table_bytes as f64 / report.states as f64;
    println!(
        "table: {each:.1} bytes a state; {} steps, depth {}",
        report.steps, report.depth_complete
    );
    report.states
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
