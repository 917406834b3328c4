//! Bucket properties and the functions that they name.

use bytes::Bytes;

use super::{Required, required};
use crate::WireError;

/// A function of the server's, by name.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbModFun {
    /// The module.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub module: Option<Bytes>,
    /// The function in it.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub function: Option<Bytes>,
}

impl Required for RpbModFun {
    fn check(&self) -> Result<(), WireError> {
        required(&self.module, "module")?;
        required(&self.function, "function")?;
        Ok(())
    }
}

/// What runs before or after a write.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbCommitHook {
    /// A function of the server's.
    #[prost(message, optional, tag = "1")]
    pub modfun: Option<RpbModFun>,
    /// A JavaScript function.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub name: Option<Bytes>,
}

impl Required for RpbCommitHook {
    fn check(&self) -> Result<(), WireError> {
        self.modfun.iter().try_for_each(Required::check)?;
        Ok(())
    }
}

/// Bucket properties, fields 1 to 29. In a request, absent means unchanged.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbBucketProps {
    /// Replicas.
    #[prost(uint32, optional, tag = "1")]
    pub n_val: Option<u32>,
    /// Whether concurrent writes become siblings.
    #[prost(bool, optional, tag = "2")]
    pub allow_mult: Option<bool>,
    /// Whether the clock decides between concurrent writes.
    #[prost(bool, optional, tag = "3")]
    pub last_write_wins: Option<bool>,
    /// What runs before a write and can refuse it.
    #[prost(message, repeated, tag = "4")]
    pub precommit: Vec<RpbCommitHook>,
    /// Tells an empty `precommit` from an absent one.
    #[prost(bool, optional, tag = "5")]
    pub has_precommit: Option<bool>,
    /// What runs after a write.
    #[prost(message, repeated, tag = "6")]
    pub postcommit: Vec<RpbCommitHook>,
    /// Tells an empty `postcommit` from an absent one.
    #[prost(bool, optional, tag = "7")]
    pub has_postcommit: Option<bool>,
    /// How bucket and key become a place on the ring.
    #[prost(message, optional, tag = "8")]
    pub chash_keyfun: Option<RpbModFun>,
    /// How links are read from an object.
    #[prost(message, optional, tag = "9")]
    pub linkfun: Option<RpbModFun>,
    /// Seconds after which a version vector's entry may be pruned.
    #[prost(uint32, optional, tag = "10")]
    pub old_vclock: Option<u32>,
    /// Seconds before which it may not be.
    #[prost(uint32, optional, tag = "11")]
    pub young_vclock: Option<u32>,
    /// Entries above which a version vector is pruned.
    #[prost(uint32, optional, tag = "12")]
    pub big_vclock: Option<u32>,
    /// Entries below which it is not.
    #[prost(uint32, optional, tag = "13")]
    pub small_vclock: Option<u32>,
    /// Default of a read's `pr`.
    #[prost(uint32, optional, tag = "14")]
    pub pr: Option<u32>,
    /// Default of a read's `r`.
    #[prost(uint32, optional, tag = "15")]
    pub r: Option<u32>,
    /// Default of a write's `w`.
    #[prost(uint32, optional, tag = "16")]
    pub w: Option<u32>,
    /// Default of a write's `pw`.
    #[prost(uint32, optional, tag = "17")]
    pub pw: Option<u32>,
    /// Default of a write's `dw`.
    #[prost(uint32, optional, tag = "18")]
    pub dw: Option<u32>,
    /// Default of a delete's `rw`.
    #[prost(uint32, optional, tag = "19")]
    pub rw: Option<u32>,
    /// Default of a read's `basic_quorum`.
    #[prost(bool, optional, tag = "20")]
    pub basic_quorum: Option<bool>,
    /// Default of a read's `notfound_ok`.
    #[prost(bool, optional, tag = "21")]
    pub notfound_ok: Option<bool>,
    /// The storage backend, where a node has several.
    #[prost(bytes = "bytes", optional, tag = "22")]
    pub backend: Option<Bytes>,
    /// Whether writes are indexed by the search of Riak 1.
    #[prost(bool, optional, tag = "23")]
    pub search: Option<bool>,
    /// Replication between clusters.
    #[prost(enumeration = "RpbReplMode", optional, tag = "24")]
    pub repl: Option<i32>,
    /// The search index of Riak 2.
    #[prost(bytes = "bytes", optional, tag = "25")]
    pub search_index: Option<Bytes>,
    /// `counter`, `set`, `map`, `hll` or `gset`.
    #[prost(bytes = "bytes", optional, tag = "26")]
    pub datatype: Option<Bytes>,
    /// Whether writes are strongly consistent.
    #[prost(bool, optional, tag = "27")]
    pub consistent: Option<bool>,
    /// Whether keys are written once and never changed.
    #[prost(bool, optional, tag = "28")]
    pub write_once: Option<bool>,
    /// Bits of a HyperLogLog's register index.
    #[prost(uint32, optional, tag = "29")]
    pub hll_precision: Option<u32>,
}

impl Required for RpbBucketProps {
    fn check(&self) -> Result<(), WireError> {
        self.precommit.iter().try_for_each(Required::check)?;
        self.postcommit.iter().try_for_each(Required::check)?;
        self.chash_keyfun.iter().try_for_each(Required::check)?;
        self.linkfun.iter().try_for_each(Required::check)?;
        Ok(())
    }
}

/// Which kinds of replication between clusters a bucket takes part in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum RpbReplMode {
    /// None.
    False = 0,
    /// As writes happen.
    Realtime = 1,
    /// In periodic comparisons.
    Fullsync = 2,
    /// Both.
    True = 3,
}
