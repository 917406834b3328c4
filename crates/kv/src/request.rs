//! What clients ask and hear, whatever protocol they speak.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::props::{BucketProps, PropChange};
use crate::{BucketId, Content, Quorum, RequestError};

/// The quorums of a request; each is the bucket's own unless given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Quorums {
    /// Replicas that must answer a read.
    pub r: Quorum,
    /// Primaries that must answer a read.
    pub pr: Quorum,
    /// Replicas that must take a write.
    pub w: Quorum,
    /// Replicas that must make it durable.
    pub dw: Quorum,
    /// Primaries that must take it.
    pub pw: Quorum,
    /// For deletes: r, w and dw where they are not given.
    pub rw: Quorum,
    /// The client's idea of n_val: at most the bucket's.
    pub n_val: Option<u32>,
    /// Nodes that must answer a read or take a write. Unlike the others it is not met by fewer nodes where the row is
    /// shorter; the bucket's own unless given.
    pub node_confirms: Option<u32>,
}

impl Default for Quorums {
    fn default() -> Quorums {
        let default = Quorum::Default;
        Quorums {
            r: default,
            pr: default,
            w: default,
            dw: default,
            pw: default,
            rw: default,
            n_val: None,
            node_confirms: None,
        }
    }
}

/// Reads a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GetOp {
    /// Its bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Bytes,
    /// Quorums.
    pub quorums: Quorums,
    /// Whether half of the replicas saying "absent" is enough when `notfound_ok` is off.
    pub basic_quorum: Option<bool>,
    /// Whether "absent" counts towards r.
    pub notfound_ok: Option<bool>,
    /// Milliseconds; `None` for the default.
    pub timeout_ms: Option<u32>,
}

/// What a put answers with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Return {
    /// That it is done.
    #[default]
    Nothing,
    /// The metadata of what is stored now.
    Head,
    /// What is stored now.
    Body,
}

/// Writes a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PutOp {
    /// Its bucket.
    pub bucket: BucketId,
    /// The key; `None`: one is made.
    pub key: Option<Bytes>,
    /// The context of the read that the write rests on; empty for none. See [`ombak_crdt::Context`].
    pub context: Bytes,
    /// What to write. The time is set by the coordinator.
    pub content: Content,
    /// Quorums.
    pub quorums: Quorums,
    /// What to answer with.
    pub returns: Return,
    /// Only if there is nothing (best effort).
    pub if_none_match: bool,
    /// Only if nothing was written since `context` (best effort).
    pub if_not_modified: bool,
    /// Milliseconds; `None` for the default.
    pub timeout_ms: Option<u32>,
}

/// Deletes a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeleteOp {
    /// Its bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Bytes,
    /// What the client had seen; `None`: whatever is there now.
    pub context: Option<Bytes>,
    /// Quorums.
    pub quorums: Quorums,
    /// Milliseconds; `None` for the default.
    pub timeout_ms: Option<u32>,
}

/// What is done to one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "puts are the common case; a box would cost each an allocation"
)]
pub enum Operation {
    /// Read.
    Get(GetOp),
    /// Write.
    Put(PutOp),
    /// Delete.
    Delete(DeleteOp),
}

impl DeleteOp {
    /// The read that shows what it is to delete.
    pub fn reading(&self) -> GetOp {
        let Quorums { r, rw, .. } = self.quorums;
        let r = if r == Quorum::Default { rw } else { r };
        GetOp {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            quorums: Quorums { r, ..self.quorums },
            basic_quorum: None,
            notfound_ok: None,
            timeout_ms: self.timeout_ms,
        }
    }
}

impl Operation {
    /// Whether it is a read.
    pub fn is_get(&self) -> bool {
        matches!(self, Operation::Get(_))
    }

    /// As a log says it.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Get(_) => "get",
            Operation::Put(_) => "put",
            Operation::Delete(_) => "delete",
        }
    }

    /// The bucket that it concerns.
    pub fn bucket(&self) -> &BucketId {
        match self {
            Operation::Get(op) => &op.bucket,
            Operation::Put(op) => &op.bucket,
            Operation::Delete(op) => &op.bucket,
        }
    }

    /// The key; empty if it is still to be made.
    pub fn key(&self) -> &[u8] {
        match self {
            Operation::Get(op) => &op.key,
            Operation::Put(op) => op.key.as_deref().unwrap_or_default(),
            Operation::Delete(op) => &op.key,
        }
    }

    /// The time given.
    pub fn timeout_ms(&self) -> Option<u32> {
        match self {
            Operation::Get(op) => op.timeout_ms,
            Operation::Put(op) => op.timeout_ms,
            Operation::Delete(op) => op.timeout_ms,
        }
    }

    /// The quorums, to be changed.
    pub fn quorums_mut(&mut self) -> &mut Quorums {
        match self {
            Operation::Get(op) => &mut op.quorums,
            Operation::Put(op) => &mut op.quorums,
            Operation::Delete(op) => &mut op.quorums,
        }
    }

    /// The quorums.
    pub fn quorums(&self) -> &Quorums {
        match self {
            Operation::Get(op) => &op.quorums,
            Operation::Put(op) => &op.quorums,
            Operation::Delete(op) => &op.quorums,
        }
    }
}

/// What is listed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Listing {
    /// The buckets of a type that have keys.
    Buckets {
        /// The type; empty for the default.
        bucket_type: Bytes,
    },
    /// The keys of a bucket.
    Keys {
        /// The bucket.
        bucket: BucketId,
    },
}

/// A client's request to a shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "puts are the common case; a box would cost each an allocation"
)]
pub enum Request {
    /// Something about one key.
    Key(Operation),
    /// A listing, answered by any number of [`Answer::Listed`].
    List {
        /// What.
        listing: Listing,
        /// Milliseconds; `None` for the default.
        timeout_ms: Option<u32>,
    },
    /// A bucket's properties.
    GetProps(BucketId),
    /// Changes some of a bucket's properties.
    SetProps(BucketId, Vec<PropChange>),
    /// Sets a bucket's properties back to the defaults.
    ResetProps(BucketId),
}

/// An object as a client sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectAnswer {
    /// The siblings, each with the tag that names it (Riak's vtag).
    pub siblings: Vec<(Bytes, Content)>,
    /// The context to hand back with the next write.
    pub context: Bytes,
    /// The key, when the server made it.
    pub key: Option<Bytes>,
}

/// What a request comes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// A get found this; or a put returns it.
    Object(ObjectAnswer),
    /// There is nothing; a deletion leaves its context.
    NotFound(Option<Bytes>),
    /// A write is done. The key, when the server made it.
    Written(Option<Bytes>),
    /// A part of a listing: names, and whether it was the last part.
    Listed(Vec<Bytes>, bool),
    /// A bucket's properties.
    Props(Box<BucketProps>),
    /// A change of properties is everywhere.
    PropsSet,
    /// The request failed.
    Failed(RequestError),
}
