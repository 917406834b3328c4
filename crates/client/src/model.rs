//! The pool as it runs in production, under a scheduler that does everything in any order, beside a model.
//!
//! | file | subject |
//! |---|---|
//! | `scheduler` | one thread, one seed: which task is polled next, when a caller is dropped, what time it is |
//! | `world` | nodes and the connections to them: slow, silent, refusing, closing |
//! | `rules` | the model: what a pool may do, said without looking at how it does it |
//! | `plan` | what callers do and what goes wrong, in a form that shrinks |
//! | `run` | one plan, to its end |
//! | `calls` | the same for whole requests through several nodes: retries, what may have been done |
//! | `planted` | the bugs that are planted in the pool |
//!
//! Everything between the callers and the sockets is the code of production: the machine, its host, the futures, the
//! leases, the framing. A run is the same each time for the same plan.

#![expect(clippy::disallowed_types, reason = "a test's host: the clock and the tasks are shared")]

mod calls;
mod plan;
mod planted;
mod rules;
mod run;
mod scheduler;
mod tests;
mod world;

pub(crate) use scheduler::Scheduler;
pub(crate) use world::{FakeNet, Mood};
