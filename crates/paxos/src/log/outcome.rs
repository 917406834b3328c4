//! What became of a request.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::Slot;

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It was decided and applied; this is what the state machine said.
    Applied {
        /// Where in the log.
        slot: Slot,
        /// The answer.
        answer: Bytes,
    },
    /// It was read: for [`Ask::Read`](super::Ask::Read), from a state that has everything that anybody was told of before it was asked.
    Read {
        /// The state was that after this slot.
        slot: Slot,
        /// The answer.
        answer: Bytes,
    },
    /// The change of members is over.
    Changed {
        /// They count from the next slot on.
        slot: Slot,
    },
    /// Who was asked for leads.
    Led,
    /// The member has not applied the slot in time that was to be read at, or keeps no state. Another may have.
    Behind,
    /// The leader was lost on the way: it may have been decided, may yet be, or not.
    Unknown,
    /// There is no leader, and nothing was proposed: a majority of the members can't be reached, or is not up yet.
    NoLeader,
    /// Too much is waiting. Nothing was proposed; later.
    Busy,
    /// Larger than [`COMMAND_BYTES_MAX`](super::COMMAND_BYTES_MAX).
    TooLarge,
    /// Another change of members is under way, or these would be none, or witnesses could decide without the others; or who is to
    /// lead does not vote, is a witness, can't be reached, or did not come to lead in time. Nothing was proposed.
    Refused,
}

impl Outcome {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Applied { slot, answer } => {
                out.push(1);
                put_varint(out, slot.0);
                put_bytes(out, answer);
            }
            Outcome::Read { slot, answer } => {
                out.push(2);
                put_varint(out, slot.0);
                put_bytes(out, answer);
            }
            Outcome::Changed { slot } => {
                out.push(3);
                put_varint(out, slot.0);
            }
            Outcome::Unknown => out.push(4),
            Outcome::NoLeader => out.push(5),
            Outcome::Busy => out.push(6),
            Outcome::TooLarge => out.push(7),
            Outcome::Refused => out.push(8),
            Outcome::Led => out.push(9),
            Outcome::Behind => out.push(10),
        }
    }

    /// Reads what [`encode`](Outcome::encode) wrote.
    pub fn decode(reader: &mut Reader) -> Result<Outcome, DecodeError> {
        Ok(match reader.u8()? {
            1 => {
                Outcome::Applied { slot: Slot(reader.varint()?), answer: reader.bytes(usize::MAX)? }
            }
            2 => Outcome::Read { slot: Slot(reader.varint()?), answer: reader.bytes(usize::MAX)? },
            3 => Outcome::Changed { slot: Slot(reader.varint()?) },
            4 => Outcome::Unknown,
            5 => Outcome::NoLeader,
            6 => Outcome::Busy,
            7 => Outcome::TooLarge,
            8 => Outcome::Refused,
            9 => Outcome::Led,
            10 => Outcome::Behind,
            _ => return Err(DecodeError::Invalid("outcome")),
        })
    }
}
