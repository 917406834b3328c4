//! Requests on one key, and their answers.

use bytes::Bytes;

use super::{Required, RpbContent, required};
use crate::WireError;

/// Reads one key.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The key.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// Replies to wait for: a number or a [`quorum`](crate::quorum) sentinel, as every quorum here.
    #[prost(uint32, optional, tag = "3")]
    pub r: Option<u32>,
    /// Replies from primaries to wait for.
    #[prost(uint32, optional, tag = "4")]
    pub pr: Option<u32>,
    /// Give up at a majority of absences, when `notfound_ok` is false.
    #[prost(bool, optional, tag = "5")]
    pub basic_quorum: Option<bool>,
    /// Whether an absence counts towards `r`.
    #[prost(bool, optional, tag = "6")]
    pub notfound_ok: Option<bool>,
    /// Send nothing but `unchanged` if the causal context is still this.
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub if_modified: Option<Bytes>,
    /// Metadata without the value.
    #[prost(bool, optional, tag = "8")]
    pub head: Option<bool>,
    /// Send the causal context of a tombstone.
    #[prost(bool, optional, tag = "9")]
    pub deletedvclock: Option<bool>,
    /// Milliseconds.
    #[prost(uint32, optional, tag = "10")]
    pub timeout: Option<u32>,
    /// False: no fallbacks.
    #[prost(bool, optional, tag = "11")]
    pub sloppy_quorum: Option<bool>,
    /// Ask so many replicas, whatever the bucket says.
    #[prost(uint32, optional, tag = "12")]
    pub n_val: Option<u32>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub bucket_type: Option<Bytes>,
    /// Distinct nodes that must answer.
    #[prost(uint32, optional, tag = "14")]
    pub node_confirms: Option<u32>,
}

impl Required for RpbGetReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        required(&self.key, "key")?;
        Ok(())
    }
}

/// What was read. Without content the key was not found.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetResp {
    /// The siblings; more than one is a conflict for the client to resolve.
    #[prost(message, repeated, tag = "1")]
    pub content: Vec<RpbContent>,
    /// The causal context to send along with the next put.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub vclock: Option<Bytes>,
    /// The context that the request named is still current.
    #[prost(bool, optional, tag = "3")]
    pub unchanged: Option<bool>,
}

impl Required for RpbGetResp {
    fn check(&self) -> Result<(), WireError> {
        self.content.iter().try_for_each(Required::check)?;
        Ok(())
    }
}

/// Writes one key.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbPutReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The key; absent, the server makes one up.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// The causal context that the writer has seen.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub vclock: Option<Bytes>,
    /// The new value.
    #[prost(message, optional, tag = "4")]
    pub content: Option<RpbContent>,
    /// Replies to wait for.
    #[prost(uint32, optional, tag = "5")]
    pub w: Option<u32>,
    /// Durable replies to wait for.
    #[prost(uint32, optional, tag = "6")]
    pub dw: Option<u32>,
    /// Answer with the object as stored.
    #[prost(bool, optional, tag = "7")]
    pub return_body: Option<bool>,
    /// Replies from primaries to wait for.
    #[prost(uint32, optional, tag = "8")]
    pub pw: Option<u32>,
    /// Refuse unless the stored context equals `vclock`.
    #[prost(bool, optional, tag = "9")]
    pub if_not_modified: Option<bool>,
    /// Refuse if the key exists.
    #[prost(bool, optional, tag = "10")]
    pub if_none_match: Option<bool>,
    /// Answer with the object's metadata.
    #[prost(bool, optional, tag = "11")]
    pub return_head: Option<bool>,
    /// Milliseconds.
    #[prost(uint32, optional, tag = "12")]
    pub timeout: Option<u32>,
    /// Store without minting a new version (replication).
    #[prost(bool, optional, tag = "13")]
    pub asis: Option<bool>,
    /// False: no fallbacks.
    #[prost(bool, optional, tag = "14")]
    pub sloppy_quorum: Option<bool>,
    /// Write to so many replicas, whatever the bucket says.
    #[prost(uint32, optional, tag = "15")]
    pub n_val: Option<u32>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "16")]
    pub bucket_type: Option<Bytes>,
    /// Distinct nodes that must answer.
    #[prost(uint32, optional, tag = "17")]
    pub node_confirms: Option<u32>,
}

impl Required for RpbPutReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        required(&self.content, "content")?;
        self.content.iter().try_for_each(Required::check)?;
        Ok(())
    }
}

/// What was written, as far as the request wanted to know.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbPutResp {
    /// The siblings, for `return_body` and `return_head`.
    #[prost(message, repeated, tag = "1")]
    pub content: Vec<RpbContent>,
    /// Their causal context.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub vclock: Option<Bytes>,
    /// The key that the server made up.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub key: Option<Bytes>,
}

impl Required for RpbPutResp {
    fn check(&self) -> Result<(), WireError> {
        self.content.iter().try_for_each(Required::check)?;
        Ok(())
    }
}

/// Deletes one key. The answer (code 14) has no body and comes for missing keys too.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbDelReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The key.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// `r` and `w` in one, from Riak's early days.
    #[prost(uint32, optional, tag = "3")]
    pub rw: Option<u32>,
    /// The causal context that the deleter has seen.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub vclock: Option<Bytes>,
    /// Replies to the read before the delete.
    #[prost(uint32, optional, tag = "5")]
    pub r: Option<u32>,
    /// Replies to wait for.
    #[prost(uint32, optional, tag = "6")]
    pub w: Option<u32>,
    /// Replies from primaries to the read.
    #[prost(uint32, optional, tag = "7")]
    pub pr: Option<u32>,
    /// Replies from primaries to wait for.
    #[prost(uint32, optional, tag = "8")]
    pub pw: Option<u32>,
    /// Durable replies to wait for.
    #[prost(uint32, optional, tag = "9")]
    pub dw: Option<u32>,
    /// Milliseconds.
    #[prost(uint32, optional, tag = "10")]
    pub timeout: Option<u32>,
    /// False: no fallbacks.
    #[prost(bool, optional, tag = "11")]
    pub sloppy_quorum: Option<bool>,
    /// Delete from so many replicas, whatever the bucket says.
    #[prost(uint32, optional, tag = "12")]
    pub n_val: Option<u32>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbDelReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        required(&self.key, "key")?;
        Ok(())
    }
}

/// Asks where a key lives.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetBucketKeyPreflistReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The key.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbGetBucketKeyPreflistReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        required(&self.key, "key")?;
        Ok(())
    }
}

/// One vnode of a preflist.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbBucketKeyPreflistItem {
    /// The partition's number, not its hash.
    #[prost(int64, optional, tag = "1")]
    pub partition: Option<i64>,
    /// The node that it is on.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub node: Option<Bytes>,
    /// False for a fallback.
    #[prost(bool, optional, tag = "3")]
    pub primary: Option<bool>,
}

impl Required for RpbBucketKeyPreflistItem {
    fn check(&self) -> Result<(), WireError> {
        required(&self.partition, "partition")?;
        required(&self.node, "node")?;
        required(&self.primary, "primary")?;
        Ok(())
    }
}

/// The vnodes of a key, the first choice first.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetBucketKeyPreflistResp {
    /// As many as the bucket's n_val.
    #[prost(message, repeated, tag = "1")]
    pub preflist: Vec<RpbBucketKeyPreflistItem>,
}

impl Required for RpbGetBucketKeyPreflistResp {
    fn check(&self) -> Result<(), WireError> {
        self.preflist.iter().try_for_each(Required::check)?;
        Ok(())
    }
}
