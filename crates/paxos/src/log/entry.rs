//! What a slot decides.

use ombak_base::{DecodeError, Reader, put_varint};
use serde::{Deserialize, Serialize};

use super::Slot;
use super::batch::Batch;
use crate::members::Members;

/// What a slot decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// Nothing: the slot had to be closed.
    Nothing,
    /// Commands, to be applied in order.
    Commands(Batch),
    /// Other members from the next slot on. Apart, so that entries, of which each is moved often, are small.
    Members(Box<Change>),
}

/// A change of members.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The entry that made the members that this one changes. If there has been another since, this one is void.
    pub after: Slot,
    /// From the next slot on.
    pub members: Members,
}

impl Entry {
    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        match self {
            Entry::Commands(batch) => 16 + batch.len(),
            _ => 64,
        }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Nothing => out.push(0),
            Entry::Commands(batch) => {
                out.push(1);
                batch.encode(out);
            }
            Entry::Members(change) => {
                out.push(2);
                put_varint(out, change.after.0);
                change.members.encode(out);
            }
        }
    }

    /// Reads what [`encode`](Entry::encode) wrote.
    pub fn decode(reader: &mut Reader) -> Result<Entry, DecodeError> {
        Ok(match reader.u8()? {
            0 => Entry::Nothing,
            1 => Entry::Commands(Batch::decode(reader)?),
            2 => {
                let after = Slot(reader.varint()?);
                Entry::Members(Box::new(Change { after, members: Members::decode(reader)? }))
            }
            _ => return Err(DecodeError::Invalid("kind of entry")),
        })
    }
}
