//! What a replica keeps on disk, and how it comes back from it.
//!
//! A host keeps four kinds of things for each group; which one replaces which is said at each. What it needs besides is
//! order: a write is durable no earlier than those before it.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_varint};
use serde::{Deserialize, Serialize};

use super::Slot;
use super::entry::Entry;
use crate::ballot::Ballot;
use crate::members::Members;
use crate::synod::Accepted;

const VERSION: u8 = 1;

/// Something to keep.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Write {
    /// Replaces the last one.
    Promise(Ballot),
    /// Replaces the last one of the same slot.
    Entry {
        /// Whose slot.
        slot: Slot,
        /// What was accepted.
        accepted: Accepted<Entry>,
        /// What was known to be chosen then. It saves work after a restart, and nothing else hangs on it.
        committed: Slot,
    },
    /// Replaces the last one. A witness has one without a state.
    Snapshot(Box<Snapshot>),
    /// Entries up to this slot are not needed any more. The snapshot that has them came before.
    Forget(Slot),
}

/// A place in the log, and the members there: all that has to be known to go on from it, but for the state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Place {
    /// After this slot.
    pub through: Slot,
    /// The members from the next slot on.
    pub members: Members,
    /// The slot that made them so.
    pub members_at: Slot,
}

/// The state after a slot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where.
    pub place: Place,
    /// The state machine's. `None`: of a witness.
    pub state: Option<Bytes>,
}

/// What was kept, as it is found at a start. Give it everything, in any order, and make a replica of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Stored {
    pub(super) promised: Ballot,
    pub(super) entries: std::collections::BTreeMap<Slot, Accepted<Entry>>,
    pub(super) committed: Slot,
    pub(super) snapshot: Option<Snapshot>,
}

impl Stored {
    /// Something was found.
    pub fn found(&mut self, write: Write) {
        match write {
            Write::Promise(ballot) => self.promised = self.promised.max(ballot),
            Write::Entry { slot, accepted, committed } => {
                self.promised = self.promised.max(accepted.ballot);
                self.committed = self.committed.max(committed);
                self.entries.insert(slot, accepted);
            }
            Write::Snapshot(snapshot) => self.snapshot = Some(*snapshot),
            Write::Forget(_) => {}
        }
    }
}

impl Place {
    /// Appends the encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.through.0);
        put_varint(out, self.members_at.0);
        self.members.encode(out);
    }

    /// Reads what [`encode`](Place::encode) wrote.
    pub(super) fn decode(reader: &mut Reader) -> Result<Place, DecodeError> {
        let (through, members_at) = (Slot(reader.varint()?), Slot(reader.varint()?));
        if members_at > through {
            return Err(DecodeError::Invalid("slot of the members"));
        }
        Ok(Place { through, members: Members::decode(reader)?, members_at })
    }

    /// Appends what comes before the bytes of a state, in the encoding of both.
    pub(crate) fn encode_with(&self, state: &Bytes, out: &mut Vec<u8>) {
        self.encode(out);
        put_varint(out, state.len() as u64);
    }

    /// Reads the encoding of a place and its state.
    pub(super) fn decode_with_state(reader: &mut Reader) -> Result<Snapshot, DecodeError> {
        let place = Place::decode(reader)?;
        Ok(Snapshot { place, state: Some(reader.bytes(usize::MAX)?) })
    }
}

/// What stands behind a snapshot that is sent: of everything before it, in parts.
pub(crate) fn checksum(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

impl Snapshot {
    /// Reads one that was sent. None is taken that was altered; those that end with the state were sent by who knew no checksums.
    pub(super) fn arrived(bytes: Bytes) -> Option<Snapshot> {
        let mut reader = Reader::new(bytes.clone());
        let snapshot = Place::decode_with_state(&mut reader).ok()?;
        let read = bytes.len() - reader.remaining();
        let (before, behind) = bytes.split_at(read);
        (behind.is_empty() || behind == checksum(&[before])).then_some(snapshot)
    }

    /// After which slot.
    pub fn through(&self) -> Slot {
        self.place.through
    }
}

impl Write {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Write::Promise(ballot) => {
                out.push(1);
                ballot.encode(out);
            }
            Write::Entry { slot, accepted, committed } => {
                out.push(2);
                put_varint(out, slot.0);
                accepted.ballot.encode(out);
                put_varint(out, committed.0);
                accepted.value.encode(out);
            }
            Write::Snapshot(snapshot) => match &snapshot.state {
                Some(state) => {
                    out.push(3);
                    snapshot.place.encode_with(state, out);
                    out.extend_from_slice(state);
                }
                None => {
                    out.push(5);
                    snapshot.place.encode(out);
                }
            },
            Write::Forget(slot) => {
                out.push(4);
                put_varint(out, slot.0);
            }
        }
    }

    /// Reads what [`encode`](Write::encode) wrote.
    pub fn decode(bytes: Bytes) -> Result<Write, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other.into())),
        }
        let write = match reader.u8()? {
            1 => Write::Promise(Ballot::decode(&mut reader)?),
            2 => {
                let slot = Slot(reader.varint()?);
                let ballot = Ballot::decode(&mut reader)?;
                let committed = Slot(reader.varint()?);
                let value = Entry::decode(&mut reader)?;
                Write::Entry { slot, accepted: Accepted { ballot, value }, committed }
            }
            3 => Write::Snapshot(Box::new(Place::decode_with_state(&mut reader)?)),
            4 => Write::Forget(Slot(reader.varint()?)),
            5 => {
                let snapshot = Snapshot { place: Place::decode(&mut reader)?, state: None };
                Write::Snapshot(Box::new(snapshot))
            }
            _ => return Err(DecodeError::Invalid("kind of write")),
        };
        reader.finish()?;
        Ok(write)
    }
}
