//! Ombak's own messages: who owns which partition. No Riak has them.

use bytes::Bytes;
use ombak_base::limits::{MEMBERS_MAX, RING_SIZE_MAX};

use super::{Required, required};
use crate::WireError;

/// The table partition → owners, as the node that answers knows it. Sent for code 240, which has no body.
///
/// A client that has it can send a key's request to the key's first owner. It is a hint and never more: any node
/// serves any key, and a table may be out of date when it arrives.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OmbakRowsResp {
    /// The version of the topology.
    #[prost(uint64, optional, tag = "1")]
    pub epoch: Option<u64>,
    /// How many partitions there are: as many as there are rows.
    #[prost(uint32, optional, tag = "2")]
    pub ring_size: Option<u32>,
    /// The names of all members. The numbers below are places in this list.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub members: Vec<Bytes>,
    /// Which of the members answers.
    #[prost(uint32, optional, tag = "4")]
    pub node: Option<u32>,
    /// The rows of all partitions, in order.
    #[prost(message, repeated, tag = "5")]
    pub rows: Vec<OmbakRow>,
}

/// The owners of one partition, the first choice first.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OmbakRow {
    /// Places in the list of members.
    #[prost(uint32, repeated, tag = "1")]
    pub owners: Vec<u32>,
}

impl Required for OmbakRowsResp {
    /// Whoever has decoded one may use its numbers as places without looking again.
    fn check(&self) -> Result<(), WireError> {
        required(&self.epoch, "epoch")?;
        let (ring_size, node) = (self.ring_size.unwrap_or_default(), self.node);
        required(&node, "node")?;
        if !ring_size.is_power_of_two() || ring_size > RING_SIZE_MAX {
            return Err(WireError::Invalid("ring_size"));
        }
        if self.rows.len() != ring_size as usize {
            return Err(WireError::Invalid("rows"));
        }
        let members = self.members.len();
        let is_place = |place: &u32| (*place as usize) < members;
        if members > MEMBERS_MAX || !node.iter().all(is_place) {
            return Err(WireError::Invalid("node"));
        }
        let is_row =
            |row: &OmbakRow| row.owners.len() <= members && row.owners.iter().all(is_place);
        if self.rows.iter().all(is_row) { Ok(()) } else { Err(WireError::Invalid("owners")) }
    }
}
