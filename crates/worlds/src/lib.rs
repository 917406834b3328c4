//! Simulated clusters of the production shard, and the bugs that are planted in it.
//!
//! [`run_seed`] draws a cluster, a workload and a swarm of faults from one number, runs [`ombak_node::Shard`] over the
//! real `log` backend on faulty disks, heals everything, and checks what clients were told against what is there:
//!
//! - no acknowledged write is lost, and none that was replaced or deleted comes back;
//! - nothing is shown that is older than what was acknowledged;
//! - an existing key is never answered "not found";
//! - nobody reads what nobody wrote, and nothing twice;
//! - a listing shows what is there;
//! - every request is answered;
//! - the replicas converge, on their disks, and so do the bucket properties;
//! - in a cluster with a root group, no two clients hold what does not go together, fences let through who holds a lock and nobody who
//!   held it before, value blocks show what was written last, and when all is healed a new session gets every lock.
//!
//! The rules are in [`history`](crate::History) and, of locks, in `locked.rs`; the properties that stand in the code itself are checked after every
//! step.

mod cluster;
mod conform;
mod explored;
mod families;
mod guide;
mod history;
mod keys;
mod locked;
mod plan;
mod route;
mod run;
mod script;
mod shrinking;
mod sometimes;
mod storage;
mod workload;

pub use cluster::{Cluster, Shape};
pub use conform::{Conformed, Nonconformity, Step, conform};
pub use explored::{EXPLORATIONS, Effort, Exploration, Explored, Told};
pub use families::{Families, Family, FamilyError};
pub use guide::Guide;
pub use history::{Broken, Found, History, Known, Listed, Op, OpKind, Outcome};
pub use plan::{Fork, ForkError, Plan};
pub use route::{Ended, Route, Schedule, Taken, broken_name};
pub use run::{
    Failure, Kept, Played, Report, play_script, record_plan, record_seed, run_plan, run_script,
    run_seed,
};
pub use script::{Action, Ask, Asked, Boot, Condition, Locking, Part, Script, ScriptError};
pub use shrinking::{Shrunk, shrink_script};
pub use sometimes::SOMETIMES;
pub use storage::{Backend, BackendError, SMALL_STORE};

mod planted;

pub use planted::{PLANTED, Planted};

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
