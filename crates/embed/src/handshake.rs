//! Who may be a peer: the first words on a connection between members.
//!
//! ```text
//! hello = first-version last-version group:length-and-bytes node:varint directory:u64      (versions are varints)
//! ```
//!
//! Fields behind the known ones belong to a later version and are passed over. Who comes with another directory than before is let in:
//! that its votes are not those of the disk that is lost, and how it becomes a member again, is `paxos::Member`'s business.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ombak_base::{DecodeError, DirectoryId, NodeId, Reader, ShardId, put_bytes, put_varint};
use ombak_runtime::{Admitted, Handshake};

use crate::options::NAME_BYTES_MAX;

/// What members speak.
const VERSION: u64 = 1;

/// What this member says of itself, and whom it lets in.
pub(crate) struct Greeter {
    pub group: String,
    pub id: NodeId,
    pub directory: DirectoryId,
    pub peers: Vec<NodeId>,
    pub turned: Turned,
}

/// Why somebody was refused last.
#[derive(Clone, Default)]
pub(crate) struct Turned(Arc<Mutex<Option<String>>>);

impl Turned {
    /// Why, if anybody was.
    pub fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, refusal: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.into());
    }
}

impl Greeter {
    fn judge(&self, hello: &[u8]) -> Result<NodeId, String> {
        let garbage = |error: DecodeError| format!("not the greeting of a member: {error}");
        let mut reader = Reader::new(Bytes::copy_from_slice(hello));
        let first = reader.varint().map_err(garbage)?;
        let last = reader.varint().map_err(garbage)?;
        if !(first..=last).contains(&VERSION) {
            return Err(format!(
                "peer speaks versions {first} to {last}, member {} of group {:?} speaks {VERSION}: upgrade the older one",
                self.id.0, self.group
            ));
        }
        let group = reader.bytes(NAME_BYTES_MAX).map_err(garbage)?;
        let node = reader.varint().map_err(garbage)?;
        // Any: whether it is the disk on which that one is a member, the members see for themselves.
        reader.u64().map_err(garbage)?;
        let group = String::from_utf8_lossy(&group);
        if group != self.group {
            return Err(format!(
                "peer is member {node} of group {group:?}, and this is member {} of group {:?}: are the addresses right?",
                self.id.0, self.group
            ));
        }
        if node == u64::from(self.id.0) {
            return Err(format!(
                "peer says that it is member {node}, and so is this one: two processes have one id"
            ));
        }
        let known = self.peers.iter().find(|peer| u64::from(peer.0) == node);
        let Some(&node) = known else {
            return Err(format!(
                "peer says that it is member {node}, which is not among the peers of member {}",
                self.id.0
            ));
        };
        Ok(node)
    }
}

impl Handshake for Greeter {
    fn hello(&self, _: ShardId) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_varint(&mut out, VERSION);
        put_varint(&mut out, VERSION);
        put_bytes(&mut out, self.group.as_bytes());
        put_varint(&mut out, u64::from(self.id.0));
        out.extend_from_slice(&self.directory.0.to_le_bytes());
        out
    }

    fn admit(&self, hello: &[u8]) -> Result<Admitted, String> {
        let node = self.judge(hello).inspect_err(|refusal| self.turned.note(refusal))?;
        Ok(Admitted { node, shard: ShardId(0), shards: 1 })
    }
}

pub(crate) mod fuzz {
    //! The first words of another member, from any bytes.

    use super::*;

    /// Who is let in is a peer, and says no more than that. Who is not is told in one line.
    pub fn hello(input: &[u8]) {
        let of = |id: u32, directory| Greeter {
            group: "g".into(),
            id: NodeId(id),
            directory,
            peers: vec![NodeId(1), NodeId(2), NodeId(300)],
            turned: Turned::default(),
        };
        let one = of(7, DirectoryId(1));
        match one.admit(input) {
            Ok(Admitted { node, .. }) => {
                assert!(one.peers.contains(&node) && one.turned.last().is_none());
                let again = one.admit(&of(node.0, DirectoryId(2)).hello(ShardId(0)));
                assert!(again.is_ok_and(|again| again.node == node));
            }
            Err(why) => {
                assert!(!why.contains('\n'), "{why}");
                assert_eq!(one.turned.last(), Some(why));
            }
        }
    }
}

#[cfg(test)]
mod tests;
