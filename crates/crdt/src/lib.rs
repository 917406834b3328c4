//! Causality: who wrote what, knowing what.
//!
//! Every write gets a [`Dot`], the pair of the replica that took it and a number that this replica never uses twice.
//! A set of dots without gaps is a [`VersionVector`]. What a client hands back with a write is a *causal context*: the
//! version vector of everything that it had seen. [`Versioned`] puts the two together: values, each under the dot of
//! its write, beside the context of all the writes that this copy has ever seen. That is enough to tell apart
//!
//! - a value that the other copy has not seen yet (its dot is not in the other's context: keep it), from
//! - a value that the other copy has seen and replaced (its dot is in the other's context, but the value is gone:
//!   drop it).
//!
//! ```text
//!            copy 1                       copy 2                        merged
//!   context {a:2}  values a2="x"  +  context {a:1,b:1} values b1="y"  =  context {a:2,b:1} values a2="x", b1="y"
//! ```
//!
//! `a2` and `b1` are siblings: neither writer had seen the other. Had copy 2's context held `a:2`, then `"x"` would be
//! gone: `"y"` was written by someone who had read it.
//!
//! Sources: Preguiça, Baquero, Almeida, Fonte, Gonçalves, *Dotted Version Vectors: Logical Clocks for Optimistic
//! Replication* (2010), and Almeida et al., *Scalable and Accurate Causality Tracking for Eventually Consistent Stores*
//! (2014), whose "dotted version vector set" [`Versioned`] is.

mod context;
mod vector;
mod versioned;

pub use context::{CONTEXT_BYTES_MAX, Context, RETRIES_MAX, decode_requests, encode_requests};
pub use vector::{Dot, VersionVector};
pub use versioned::Versioned;
