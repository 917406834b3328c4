//! What the lock manager does, as it would be told on a whiteboard. See [`script`](super::script) for the words.

mod deadlocks;
mod holders;
mod queues;
mod sessions;

use super::script::run;
