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
pub use error::RequestError;
pub use get::{GetCore, GetDecision, Heard};
pub use object::{
    Content, Link, Object, TAG_LIVE, TAG_TOMBSTONE, Version, decode_content, digest, encode_content,
};
pub use put::{Ack, PutCore};
pub use quorum::Quorum;
pub use request::{
    Answer, DeleteOp, GetOp, Listing, ObjectAnswer, Operation, PutOp, Quorums, Request, Return,
};
pub use vnode::{Command, CommandReply, CoordinatedWrite, Kv};
