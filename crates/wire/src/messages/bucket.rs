//! Requests on buckets and bucket types: listings and properties.

use bytes::Bytes;

use super::{Required, RpbBucketProps, required};
use crate::WireError;

/// Lists the buckets of a type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbListBucketsReq {
    /// Milliseconds.
    #[prost(uint32, optional, tag = "1")]
    pub timeout: Option<u32>,
    /// Many answers, the last of them with `done`; otherwise one answer.
    #[prost(bool, optional, tag = "2")]
    pub stream: Option<bool>,
    /// The type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbListBucketsReq {}

/// Some or all bucket names.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbListBucketsResp {
    /// Names, in no order.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub buckets: Vec<Bytes>,
    /// Whether a stream ends here.
    #[prost(bool, optional, tag = "2")]
    pub done: Option<bool>,
}

impl Required for RpbListBucketsResp {}

/// Lists the keys of a bucket, always as a stream.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbListKeysReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// Milliseconds.
    #[prost(uint32, optional, tag = "2")]
    pub timeout: Option<u32>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbListKeysReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        Ok(())
    }
}

/// Some keys.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbListKeysResp {
    /// Keys, in no order.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub keys: Vec<Bytes>,
    /// Whether the stream ends here.
    #[prost(bool, optional, tag = "2")]
    pub done: Option<bool>,
}

impl Required for RpbListKeysResp {}

/// Asks for a bucket's properties.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetBucketReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbGetBucketReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        Ok(())
    }
}

/// The properties of a bucket, or of a bucket type (code 31).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetBucketResp {
    /// All of them.
    #[prost(message, optional, boxed, tag = "1")]
    pub props: Option<Box<RpbBucketProps>>,
}

impl Required for RpbGetBucketResp {
    fn check(&self) -> Result<(), WireError> {
        required(&self.props, "props")?;
        self.props.iter().try_for_each(|props| props.check())?;
        Ok(())
    }
}

/// Changes some of a bucket's properties.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbSetBucketReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// Those to change; absent ones keep their values.
    #[prost(message, optional, boxed, tag = "2")]
    pub props: Option<Box<RpbBucketProps>>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbSetBucketReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        required(&self.props, "props")?;
        self.props.iter().try_for_each(|props| props.check())?;
        Ok(())
    }
}

/// Returns a bucket's properties to its type's.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbResetBucketReq {
    /// The bucket.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket: Option<Bytes>,
    /// The bucket's type; absent is `default`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbResetBucketReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket, "bucket")?;
        Ok(())
    }
}

/// Asks for the properties of a bucket type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetBucketTypeReq {
    /// The type.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket_type: Option<Bytes>,
}

impl Required for RpbGetBucketTypeReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket_type, "type")?;
        Ok(())
    }
}

/// Changes some properties of a bucket type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbSetBucketTypeReq {
    /// The type.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub bucket_type: Option<Bytes>,
    /// Those to change; absent ones keep their values.
    #[prost(message, optional, boxed, tag = "2")]
    pub props: Option<Box<RpbBucketProps>>,
}

impl Required for RpbSetBucketTypeReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.bucket_type, "type")?;
        required(&self.props, "props")?;
        self.props.iter().try_for_each(|props| props.check())?;
        Ok(())
    }
}
