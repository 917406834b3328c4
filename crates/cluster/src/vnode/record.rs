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

/// What is written. Version 1, which has no lineage, is still read.
const VERSION: u8 = 2;
/// So many starts are remembered. A peer that was away for longer than that takes a replica's word.
pub(crate) const STARTS_MAX: usize = 16;

/// A replica's identity in the minting of dots, which its peers remember for it.
///
/// Every start has an actor of its own. The lease grows with every start and every [`LEASE`](super::LEASE) writes, the
/// generation whenever the replica was found to have lost its disk, or to have got back an older one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Counts the directories that this replica is known to have lost.
    pub generation: u64,
    /// The name of the present start.
    pub actor: ActorId,
    /// It mints nothing above this.
    pub lease: u64,
}

impl Claim {
    /// Whether a replica that claims this may be the one that claimed `earlier`: it says that it has lost what it had
    /// then, or it lies in a directory that knows of that start.
    pub fn follows(&self, lineage: &Lineage, earlier: &Claim) -> bool {
        let knows = match self.actor == earlier.actor {
            true => self.lease >= earlier.lease,
            false => lineage.knows(earlier),
        };
        self.generation > earlier.generation || (self.generation == earlier.generation && knows)
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

/// The starts that a data directory has seen before the present one, oldest first: the actor of each, and how far its
/// lease came. A copy of a directory knows nothing of the starts that came after it was made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Lineage(Vec<(ActorId, u64)>);

impl Lineage {
    /// One start more has been.
    pub fn push(&mut self, actor: ActorId, lease: u64) {
        self.0.push((actor, lease));
        if self.0.len() > STARTS_MAX {
            self.0.remove(0);
        }
    }

    /// Whether the start that claimed this is one of them, or so long ago that nobody remembers.
    fn knows(&self, earlier: &Claim) -> bool {
        let is_it =
            |(actor, lease): &(ActorId, u64)| *actor == earlier.actor && *lease >= earlier.lease;
        let forgotten = self.0.len() >= STARTS_MAX
            && self.0.first().is_some_and(|(_, oldest)| earlier.lease < *oldest);
        forgotten || self.0.iter().any(is_it)
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for (actor, lease) in &self.0 {
            out.extend_from_slice(&actor.0.to_le_bytes());
            put_varint(out, *lease);
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(reader: &mut Reader) -> Result<Lineage, DecodeError> {
        let count = reader.count(9)?;
        if count > STARTS_MAX {
            return Err(DecodeError::Invalid("lineage"));
        }
        let start = |_| Ok((ActorId(reader.u64()?), reader.varint()?));
        (0..count).map(start).collect::<Result<_, _>>().map(Lineage)
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
    /// The starts before.
    pub lineage: Lineage,
}

impl VnodeRecord {
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
        self.lineage.encode(&mut out);
        Bytes::from(out)
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &Bytes) -> Result<VnodeRecord, DecodeError> {
        let mut reader = Reader::new(bytes.clone());
        let version = reader.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(DecodeError::Version(u64::from(version)));
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
        let lineage = match version {
            1 => Lineage::default(),
            _ => Lineage::decode(&mut reader)?,
        };
        reader.finish()?;
        let (complete, fresh) = (flags & 1 != 0, flags & 2 != 0);
        Ok(VnodeRecord { claim, complete, fresh, mended, gaps, lineage })
    }
}
