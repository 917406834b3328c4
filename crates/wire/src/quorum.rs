//! Quorums by name.
//!
//! A quorum field (`r`, `w`, `pr`, …) holds a number of replies or one of these, which count down from the top of a
//! `u32` so that no number of replicas can be mistaken for them. An absent field means [`DEFAULT`].

/// One reply.
pub const ONE: u32 = u32::MAX - 1;
/// A majority of the bucket's n_val.
pub const QUORUM: u32 = u32::MAX - 2;
/// All of the bucket's n_val.
pub const ALL: u32 = u32::MAX - 3;
/// What the bucket's properties say.
pub const DEFAULT: u32 = u32::MAX - 4;
