//! The first words on a peer connection: who, of which cluster, on which disk, under which topology.
//!
//! Encoding: varints after a version range, so that a later version can add fields at the end.

use ombak_base::limits::SHARDS_MAX;
use ombak_base::{ClusterId, DecodeError, DirectoryId, Epoch, NodeId, Reader, ShardId, put_varint};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Topology;

/// The peer protocol that this code speaks. 2: objects come in version 2 of their stored form.
/// 3: a claim comes with its lineage, and a verdict says on which claim.
pub const VERSION: u64 = 3;

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest and newest protocol version spoken.
    pub versions: (u64, u64),
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Who it is.
    pub node: NodeId,
    /// The data directory it runs on.
    pub directory: DirectoryId,
    /// The topology it knows.
    pub epoch: Epoch,
    /// The shard that opened the connection.
    pub shard: ShardId,
    /// How many shards it runs.
    pub shards: u16,
}

/// Why a peer is not let in. The text goes to the peer and to both logs.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HandshakeError {
    /// Not a handshake at all.
    #[error("not a handshake of an Ombak node: {0}")]
    Garbage(DecodeError),
    /// No protocol version in common.
    #[error(
        "peer speaks protocol versions {0} to {1}, this node speaks {VERSION}: upgrade the older one"
    )]
    Version(u64, u64),
    /// Another cluster, or the same names with another member list or ring size.
    #[error(
        "peer belongs to {0}, this node to {1}: are --members and --ring-size the same on all nodes?"
    )]
    Cluster(ClusterId, ClusterId),
    /// Not in the member list.
    #[error("peer says that it is member {0}, which this node does not have")]
    Member(NodeId),
    /// It says that it is us.
    #[error("peer says that it is this node: is --name given twice?")]
    Self_,
}

impl Hello {
    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        put_varint(&mut out, self.versions.0);
        put_varint(&mut out, self.versions.1);
        out.extend_from_slice(&self.cluster.0.to_le_bytes());
        put_varint(&mut out, u64::from(self.node.0));
        out.extend_from_slice(&self.directory.0.to_le_bytes());
        put_varint(&mut out, self.epoch.0);
        put_varint(&mut out, u64::from(self.shard.0));
        put_varint(&mut out, u64::from(self.shards));
        out
    }

    /// Reads a hello. Fields behind the known ones belong to a later version and are passed over.
    pub fn decode(bytes: &[u8]) -> Result<Hello, HandshakeError> {
        let mut reader = Reader::new(bytes::Bytes::copy_from_slice(bytes));
        let versions =
            (|| Ok((reader.varint()?, reader.varint()?)))().map_err(HandshakeError::Garbage)?;
        if versions.0 > VERSION || versions.1 < VERSION {
            return Err(HandshakeError::Version(versions.0, versions.1));
        }
        Hello::decode_fields(versions, &mut reader).map_err(HandshakeError::Garbage)
    }

    fn decode_fields(versions: (u64, u64), reader: &mut Reader) -> Result<Hello, DecodeError> {
        let hello = Hello {
            versions,
            cluster: ClusterId(reader.u64()?),
            node: NodeId(narrow(reader.varint()?, "node")?),
            directory: DirectoryId(reader.u64()?),
            epoch: Epoch(reader.varint()?),
            shard: ShardId(narrow(reader.varint()?, "shard")?),
            shards: narrow(reader.varint()?, "shards")?,
        };
        let sound = hello.shards >= 1 && hello.shards <= SHARDS_MAX && hello.shard.0 < hello.shards;
        if sound { Ok(hello) } else { Err(DecodeError::Invalid("shards")) }
    }

    /// Whether the node that said this may be a peer of `me`.
    pub fn admit(bytes: &[u8], topology: &Topology, me: NodeId) -> Result<Hello, HandshakeError> {
        let hello = Hello::decode(bytes)?;
        if hello.cluster != topology.cluster {
            return Err(HandshakeError::Cluster(hello.cluster, topology.cluster));
        }
        if hello.node.0 as usize >= topology.members.len() {
            return Err(HandshakeError::Member(hello.node));
        }
        if hello.node == me { Err(HandshakeError::Self_) } else { Ok(hello) }
    }
}

fn narrow<T: TryFrom<u64>>(value: u64, what: &'static str) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::Invalid(what))
}

#[cfg(test)]
mod tests;
