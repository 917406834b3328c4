//! What is stored under a key: values, their metadata, links.

use bytes::Bytes;

use super::{Required, required};
use crate::WireError;

/// A name and a value: user metadata and secondary indexes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbPair {
    /// The name.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub key: Option<Bytes>,
    /// The value; a name may stand alone.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
}

impl Required for RpbPair {
    fn check(&self) -> Result<(), WireError> {
        required(&self.key, "key")?;
        Ok(())
    }
}

/// A one-way reference to another object.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbLink {
    /// The bucket of the target.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The key of the target.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// What the reference means.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub tag: Option<Bytes>,
}

impl Required for RpbLink {}

/// One sibling: a value and its metadata.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbContent {
    /// The value; empty in answers that carry metadata alone.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub value: Option<Bytes>,
    /// Media type.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub content_type: Option<Bytes>,
    /// Character set of a text.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub charset: Option<Bytes>,
    /// Such as `gzip`.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub content_encoding: Option<Bytes>,
    /// The sibling's entity tag, chosen by the server.
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub vtag: Option<Bytes>,
    /// References to other objects.
    #[prost(message, repeated, tag = "6")]
    pub links: Vec<RpbLink>,
    /// Seconds since 1970 of the last write.
    #[prost(uint32, optional, tag = "7")]
    pub last_mod: Option<u32>,
    /// Microseconds within that second.
    #[prost(uint32, optional, tag = "8")]
    pub last_mod_usecs: Option<u32>,
    /// The user's own metadata.
    #[prost(message, repeated, tag = "9")]
    pub usermeta: Vec<RpbPair>,
    /// Secondary index entries, named `…_bin` or `…_int`.
    #[prost(message, repeated, tag = "10")]
    pub indexes: Vec<RpbPair>,
    /// True for a tombstone.
    #[prost(bool, optional, tag = "11")]
    pub deleted: Option<bool>,
}

impl Required for RpbContent {
    fn check(&self) -> Result<(), WireError> {
        required(&self.value, "value")?;
        self.usermeta.iter().try_for_each(Required::check)?;
        self.indexes.iter().try_for_each(Required::check)?;
        Ok(())
    }
}
