//! Riak's semantics, as pure functions and small machines.
//!
//! | file | subject |
//! |---|---|
//! | [`Object`] | siblings with their causality and metadata, and their stored form |
//! | [`BucketId`] | buckets, types, and how keys lie in a partition |
//! | [`props`] | bucket properties as a map that merges |
//! | [`quorum`] | what `r`, `w`, `quorum` and `all` come to |
//! | [`GetCore`], [`PutCore`] | when a request has heard enough, and what that is worth |
//! | [`Kv`] | what a command does to a stored object: the vnode's side |
//! | [`Request`], [`Answer`], [`RequestError`] | what clients ask and hear |
//!
//! # What a tag is worth
//!
//! Every object is stored under a [tag](Object::tag) that names its causal state. The device keeps tags in memory, so
//! that of three replicas one reads: the coordinator's. The others compare tags. A read asks them whether they have the
//! same; a write tells them what the coordinator had before, and whoever has just that takes the new object as it is,
//! for it is the merge. Whoever has something else loads it, and does it the long way.
//!
//! # What an answer is worth
//!
//! A replica's answer to a read is a *value* (an object or a tombstone), *absent* from a complete vnode, *unknown*
//! (absent from an incomplete one) or an *error*. "Not found" needs so many *absents* that every acknowledged write
//! would have met one of them; unknowns and errors never count as evidence of absence. [`GetCore`] has the exact rules.

mod bucket;
mod error;
mod get;
mod object;
pub mod props;
mod put;
pub mod quorum;
mod request;
mod vnode;

pub use bucket::{BucketId, bucket_range, key_of, storage_key, type_range, validate_key};
pub use error::{Named, RequestError};
pub use get::{GetCore, GetDecision, Heard, Said};
pub use object::{Content, Link, Object, TAG_TOMBSTONE, Version, decode_content, encode_content};
pub use put::{Ack, PutCore};
pub use quorum::Quorum;
pub use request::{
    Answer, DeleteOp, GetOp, Listing, ObjectAnswer, Operation, PutOp, Quorums, Request, Return,
};
pub use vnode::{Command, CommandReply, CoordinatedWrite, Kv, Restoring};
