//! The C interface of `ombak-embed`: see `include/ombak.h`, which is written by hand and says all that a caller must know.
//!
//! Of the workspace's crates, this one alone has `unsafe`, and in two files: `border`, what C calls, and `callbacks`, what C is
//! called for. Everything that can be said without it stands elsewhere.
//!
//! # How a state that lives in C is a state machine
//!
//! A [`StateMachine`](ombak_embed::StateMachine) can be cloned, compared and hashed, because simulators and explorers do so. A host
//! in production does none of it, and C could not tell us how. So there are two kinds of `State`: the one that is
//! *held*, a context and its callbacks, of which there is one for each group; and *copies*, which are no more than what `snapshot`
//! wrote when they were made. To compare or hash is to take snapshots. A copy answers no command: nothing here asks one to.
//!
//! `restore` of a state machine makes a state out of nothing, which no C context can. So a held state is *installed* upon
//! ([`StateMachine::install`](ombak_embed::StateMachine::install)): `restore` of the header changes what is behind the context.
//!
//! # How nothing crosses the border
//!
//! Panics are caught in `border`, by one function through which all that can panic goes. A panic of the group's own thread (it can't
//! be a callback's: those are C) ends the group, as [`ombak_embed::Group::stop`] says.

mod border;
mod callbacks;
mod code;
mod layout;
mod state;
mod status;

#[doc(hidden)]
pub use border::*;
#[doc(hidden)]
pub use code::{CODES, Code};
#[doc(hidden)]
pub use layout::LAYOUT;
#[doc(hidden)]
pub use status::Status;
