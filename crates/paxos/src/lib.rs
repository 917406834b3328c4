//! Consensus to embed.
//!
//! - [`synod`]: how one value is chosen, and never another. Start here: it is the page that everything else stands on.
//! - [`Ballot`] and [`Voters`]: the numbers of proposals, and how many must agree.

mod ballot;
pub mod synod;

pub use ballot::{Ballot, Disjoint, Voters};
