//! What clients say, in few words.

use bytes::Bytes;
use ombak_kv::props::{PropChange, PropValue};
use ombak_kv::{
    Answer, BucketId, Content, DeleteOp, GetOp, Listing, Operation, PutOp, Quorums, Return,
};
use ombak_node::{Reply, Request};

/// A bucket that is told to keep siblings, and one that is not.
pub const SIBLINGS: &str = "siblings";
pub const LATEST: &str = "latest";

pub fn bucket(name: &str) -> BucketId {
    BucketId::default_type(name.to_owned())
}

pub fn reading(name: &str, key: &str) -> GetOp {
    GetOp {
        bucket: bucket(name),
        key: Bytes::from(key.to_owned()),
        quorums: Quorums::default(),
        basic_quorum: None,
        notfound_ok: None,
        timeout_ms: None,
    }
}

pub fn writing(name: &str, key: &str, value: &str) -> PutOp {
    PutOp {
        bucket: bucket(name),
        key: Some(Bytes::from(key.to_owned())),
        context: Bytes::new(),
        content: Content { value: Bytes::from(value.to_owned()), ..Content::default() },
        quorums: Quorums::default(),
        returns: Return::Nothing,
        if_none_match: false,
        if_not_modified: false,
        timeout_ms: None,
    }
}

pub fn deleting(name: &str, key: &str, context: Option<Bytes>) -> DeleteOp {
    DeleteOp {
        bucket: bucket(name),
        key: Bytes::from(key.to_owned()),
        context,
        quorums: Quorums::default(),
        timeout_ms: None,
    }
}

pub fn key(operation: Operation) -> Request {
    Request::Kv(ombak_kv::Request::Key(operation))
}

pub fn keys(name: &str, timeout_ms: Option<u32>) -> Request {
    listing(Listing::Keys { bucket: bucket(name) }, timeout_ms)
}

pub fn buckets(bucket_type: &'static str) -> Request {
    listing(Listing::Buckets { bucket_type: Bytes::from(bucket_type) }, None)
}

fn listing(listing: Listing, timeout_ms: Option<u32>) -> Request {
    Request::Kv(ombak_kv::Request::List { listing, timeout_ms })
}

pub fn set(name: &str, property: &str, value: Option<PropValue>) -> Request {
    let change = PropChange { name: property.into(), value };
    Request::Kv(ombak_kv::Request::SetProps(bucket(name), vec![change]))
}

pub fn keep_siblings() -> Request {
    set(SIBLINGS, "allow_mult", Some(PropValue::Bool(true)))
}

/// Whether an answer has no further part.
pub fn is_last(reply: &Reply) -> bool {
    !matches!(reply, Reply::Kv(Answer::Listed(_, false)))
}

/// The context of what was found.
pub fn context(reply: &Reply) -> Option<Bytes> {
    match reply {
        Reply::Kv(Answer::Object(object)) => Some(object.context.clone()),
        Reply::Kv(Answer::NotFound(context)) => context.clone(),
        _ => None,
    }
}
