//! Messages about the server and the connection.

use bytes::Bytes;

use super::{Required, required};
use crate::WireError;

/// The answer to any request that failed. The connection stays usable.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbErrorResp {
    /// What went wrong; clients match on some of these texts.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub errmsg: Option<Bytes>,
    /// Riak 3 sends 0 in every case seen.
    #[prost(uint32, optional, tag = "2")]
    pub errcode: Option<u32>,
}

impl Required for RpbErrorResp {
    fn check(&self) -> Result<(), WireError> {
        required(&self.errmsg, "errmsg")?;
        required(&self.errcode, "errcode")?;
        Ok(())
    }
}

/// The answer to code 3.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetClientIdResp {
    /// The connection's client id, four bytes.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub client_id: Option<Bytes>,
}

impl Required for RpbGetClientIdResp {
    fn check(&self) -> Result<(), WireError> {
        required(&self.client_id, "client_id")?;
        Ok(())
    }
}

/// Names the client of this connection. Kept for old clients; servers mint their own actors.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbSetClientIdReq {
    /// The client id from now on.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub client_id: Option<Bytes>,
}

impl Required for RpbSetClientIdReq {
    fn check(&self) -> Result<(), WireError> {
        required(&self.client_id, "client_id")?;
        Ok(())
    }
}

/// Who answers.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RpbGetServerInfoResp {
    /// The node's name, such as `riak@127.0.0.1`.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub node: Option<Bytes>,
    /// The version that clients choose features by.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub server_version: Option<Bytes>,
}

impl Required for RpbGetServerInfoResp {}
