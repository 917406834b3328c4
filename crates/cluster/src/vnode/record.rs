//! What a vnode keeps on disk about itself and about its peers, beside the service's data.
//!
//! Keys that begin with a zero byte are the vnode's own; a service's keys never do.

use bytes::Bytes;
use ombak_base::{ActorId, DecodeError, NodeId, Reader, put_varint};
use serde::{Deserialize, Serialize};

/// Where a vnode's own record lies.
pub const META_KEY: &[u8] = b"\0vnode";
/// What the keys of [`Claim`]s begin with.
pub const PEER_KEY: &[u8] = b"\0peer";

const VERSION: u8 = 1;
/// More gaps than this are joined into one: saying too much is a gap is safe.
const GAPS_MAX: usize = 16;

/// A replica's identity in the minting of dots, which its peers remember for it.
///
/// It grows: the lease with every boot and every [`LEASE`](super::LEASE) writes, the generation with every new actor.
/// A replica that comes with less than a peer remembers has lost its disk, or got back an older one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Counts the actors that this replica has been.
    pub generation: u64,
    /// The present one.
    pub actor: ActorId,
    /// It mints nothing above this.
    pub lease: u64,
}

impl Claim {
    /// Whether a replica that claims this may be the one that claimed `earlier`.
    pub fn follows(&self, earlier: &Claim) -> bool {
        self.generation > earlier.generation
            || (self.generation == earlier.generation
                && self.actor == earlier.actor
                && self.lease >= earlier.lease)
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.generation);
        out.extend_from_slice(&self.actor.0.to_le_bytes());
        put_varint(out, self.lease);
    }

    /// Reads what `encode` wrote.
    pub fn decode(reader: &mut Reader) -> Result<Claim, DecodeError> {
        Ok(Claim {
            generation: reader.varint()?,
            actor: ActorId(reader.u64()?),
            lease: reader.varint()?,
        })
    }
}

/// The key under which a vnode remembers what `node` claimed for its replica of the same partition.
pub fn peer_key(node: NodeId) -> Bytes {
    let mut key = PEER_KEY.to_vec();
    key.extend_from_slice(&node.0.to_be_bytes());
    Bytes::from(key)
}

/// A vnode's own record.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VnodeRecord {
    /// Who mints its dots, and up to where.
    pub claim: Claim,
    /// Whether its not having a key means anything.
    pub complete: bool,
    /// Formatted, and not yet confirmed by its peers to be the first of its place.
    pub fresh: bool,
    /// The damage, by its fingerprint, that has been repaired: storage goes on reporting it until it is overwritten.
    pub mended: u64,
    /// Ranges of the actor's numbers that may never have been minted: first and last, ascending.
    pub gaps: Vec<(u64, u64)>,
}

impl VnodeRecord {
    /// Records that a boot skipped `first..=last`.
    pub fn add_gap(&mut self, first: u64, last: u64) {
        match self.gaps.last_mut() {
            Some(gap) if gap.1 + 1 >= first => gap.1 = last,
            _ => self.gaps.push((first, last)),
        }
        if self.gaps.len() > GAPS_MAX {
            let (_, end) = self.gaps.remove(1);
            self.gaps[0].1 = end;
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        self.claim.encode(&mut out);
        out.push(u8::from(self.complete) | u8::from(self.fresh) << 1);
        out.extend_from_slice(&self.mended.to_le_bytes());
        put_varint(&mut out, self.gaps.len() as u64);
        for (first, last) in &self.gaps {
            put_varint(&mut out, *first);
            put_varint(&mut out, *last);
        }
        Bytes::from(out)
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &Bytes) -> Result<VnodeRecord, DecodeError> {
        let mut reader = Reader::new(bytes.clone());
        match reader.u8()? {
            VERSION => {}
            version => return Err(DecodeError::Version(u64::from(version))),
        }
        let claim = Claim::decode(&mut reader)?;
        let flags = reader.u8()?;
        if flags > 3 {
            return Err(DecodeError::Invalid("vnode flags"));
        }
        let mended = reader.u64()?;
        let mut gaps = Vec::new();
        for _ in 0..reader.count(2)? {
            gaps.push((reader.varint()?, reader.varint()?));
        }
        reader.finish()?;
        Ok(VnodeRecord { claim, complete: flags & 1 != 0, fresh: flags & 2 != 0, mended, gaps })
    }
}
