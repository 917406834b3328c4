//! What a slot decides.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::Slot;
use crate::members::Members;

/// What a slot decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// Nothing: the slot had to be closed.
    Nothing,
    /// Commands, to be applied in order.
    Commands(Batch),
    /// Other members from the next slot on.
    Members(Change),
}

/// Commands that are decided together, in one piece of memory.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    count: u32,
    /// Each with its length in front.
    bytes: Bytes,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} commands of {} bytes", self.count, self.bytes.len())
    }
}

/// A change of members.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The entry that made the members that this one changes. If there has been another since, this one is void.
    pub after: Slot,
    /// From the next slot on.
    pub members: Members,
}

/// Gathers commands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Gathering {
    count: u32,
    bytes: Vec<u8>,
}

impl Gathering {
    /// Adds one; answers its place.
    pub fn push(&mut self, command: &[u8]) -> u32 {
        put_bytes(&mut self.bytes, command);
        self.count += 1;
        self.count - 1
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What was gathered.
    pub fn take(&mut self) -> Batch {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        Batch { count: std::mem::take(&mut self.count), bytes }
    }
}

impl Batch {
    /// The commands, in order.
    pub fn commands(&self) -> impl Iterator<Item = Bytes> {
        let mut reader = Reader::new(self.bytes.clone());
        (0..self.count).map_while(move |_| reader.bytes(usize::MAX).ok())
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn decode(reader: &mut Reader) -> Result<Batch, DecodeError> {
        let count = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("count"))?;
        let bytes = reader.bytes(usize::MAX)?;
        let batch = Batch { count, bytes };
        let whole: usize = batch.commands().map(|command| framed(command.len())).sum();
        let all = batch.commands().count() == count as usize && whole == batch.bytes.len();
        all.then_some(batch).ok_or(DecodeError::Invalid("batch of commands"))
    }
}

fn framed(len: usize) -> usize {
    let bits = usize::BITS - (len | 1).leading_zeros();
    len + bits.div_ceil(7) as usize
}

impl Entry {
    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        match self {
            Entry::Commands(batch) => 16 + batch.bytes.len(),
            _ => 64,
        }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Nothing => out.push(0),
            Entry::Commands(batch) => {
                out.push(1);
                put_varint(out, batch.count.into());
                put_bytes(out, &batch.bytes);
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
                Entry::Members(Change { after, members: Members::decode(reader)? })
            }
            _ => return Err(DecodeError::Invalid("kind of entry")),
        })
    }
}
