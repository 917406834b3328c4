//! What servers say to each other, and how it is written.
//!
//! ```text
//! telling   = kind:u8 rest                               (numbers of operations are 16 bytes, disks 8, little-endian; others varints)
//! ask       0 number era key ask                       byte strings have their length in front; see the messages of `register`
//! told      1 number era disk told
//! copy      2 era name
//! copied    3 era disk name count (name cell)* (0 | 1 name)
//! forward   4 number key wish                            wish  = 0 | 1 value | 2 version value          value = 0 | 1 bytes
//! forwarded 5 number reply                               reply = 0 outcome | 1 why:u8                   outcome = kind:u8 value
//! ```

use bytes::Bytes;
use ombak_base::{DecodeError, DirectoryId, Reader, Wire, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::super::{Ask, Cell, Era, Outcome, REGISTER_BYTES_MAX, Told, Value, Wish};
use super::{REGISTER_KEY_BYTES_MAX, RegisterAsk, RegisterFailure, RegisterReply};

/// A cell and what is around it.
const CELL_BYTES_MAX: usize = REGISTER_BYTES_MAX + 256;
/// The shortest name and the shortest cell.
const LEAST_COPIED_BYTES: usize = 4;

/// What servers say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterTelling {
    /// An operation asks the acceptor of a seat.
    Ask {
        /// The operation's.
        number: u128,
        /// In which it has begun.
        era: Era,
        /// Of which register.
        key: Bytes,
        /// What.
        ask: Ask,
    },
    /// An acceptor answers.
    Told {
        /// The operation's.
        number: u128,
        /// In which that was said.
        era: Era,
        /// On which disk the acceptor is.
        disk: DirectoryId,
        /// What.
        told: Told,
    },
    /// The sender sits on a new disk, and lacks everything.
    Copy {
        /// Since this, at the latest.
        era: Era,
        /// Registers from this name on are wanted.
        from: Bytes,
    },
    /// What the sender has of that.
    Copied {
        /// In which the sender answers, and in no earlier one any more.
        era: Era,
        /// The sender's.
        disk: DirectoryId,
        /// What was asked for.
        from: Bytes,
        /// Names and cells, in order.
        cells: Vec<(Bytes, Cell)>,
        /// What comes after, if anything.
        next: Option<Bytes>,
    },
    /// The sender has no seat, and a client.
    Forward {
        /// The sender's, for this.
        number: u128,
        /// What the client asks.
        ask: RegisterAsk,
    },
    /// What became of that.
    Forwarded {
        /// The same.
        number: u128,
        /// What the client is to be told.
        reply: RegisterReply,
    },
}

impl Wire for RegisterTelling {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            RegisterTelling::Ask { number, era, key, ask } => {
                put_head(out, 0, *number);
                put_varint(out, era.0);
                put_bytes(out, key);
                ask.encode(out);
            }
            RegisterTelling::Told { number, era, disk, told } => {
                put_head(out, 1, *number);
                put_varint(out, era.0);
                out.extend_from_slice(&disk.0.to_le_bytes());
                told.encode(out);
            }
            RegisterTelling::Copy { era, from } => {
                out.push(2);
                put_varint(out, era.0);
                put_bytes(out, from);
            }
            RegisterTelling::Copied { era, disk, from, cells, next } => {
                out.push(3);
                put_varint(out, era.0);
                out.extend_from_slice(&disk.0.to_le_bytes());
                put_bytes(out, from);
                put_varint(out, cells.len() as u64);
                for (name, cell) in cells {
                    put_bytes(out, name);
                    let mut bytes = Vec::new();
                    cell.encode(&mut bytes);
                    put_bytes(out, &bytes);
                }
                put_option(out, next.as_ref());
            }
            RegisterTelling::Forward { number, ask } => {
                put_head(out, 4, *number);
                put_bytes(out, &ask.key);
                put_wish(out, &ask.wish);
            }
            RegisterTelling::Forwarded { number, reply } => {
                put_head(out, 5, *number);
                put_reply(out, reply);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<RegisterTelling, DecodeError> {
        let mut reader = Reader::new(bytes);
        let telling = match reader.u8()? {
            0 => {
                let (number, era) = (reader.u128()?, Era(reader.varint()?));
                let key = name(&mut reader)?;
                let ask = Ask::decode(reader.rest())?;
                return Ok(RegisterTelling::Ask { number, era, key, ask });
            }
            1 => {
                let (number, era) = (reader.u128()?, Era(reader.varint()?));
                let disk = DirectoryId(reader.u64()?);
                let told = Told::decode(reader.rest())?;
                return Ok(RegisterTelling::Told { number, era, disk, told });
            }
            2 => RegisterTelling::Copy {
                era: Era(reader.varint()?),
                from: reader.bytes(REGISTER_KEY_BYTES_MAX)?,
            },
            3 => RegisterTelling::Copied {
                era: Era(reader.varint()?),
                disk: DirectoryId(reader.u64()?),
                from: reader.bytes(REGISTER_KEY_BYTES_MAX)?,
                cells: read_cells(&mut reader)?,
                next: read_option(&mut reader, REGISTER_KEY_BYTES_MAX)?,
            },
            4 => {
                let number = reader.u128()?;
                let key = reader.bytes(REGISTER_BYTES_MAX)?;
                let wish = read_wish(&mut reader)?;
                RegisterTelling::Forward { number, ask: RegisterAsk { key, wish } }
            }
            5 => RegisterTelling::Forwarded {
                number: reader.u128()?,
                reply: read_reply(&mut reader)?,
            },
            _ => return Err(DecodeError::Invalid("kind of telling about registers")),
        };
        reader.finish()?;
        Ok(telling)
    }
}

fn put_head(out: &mut Vec<u8>, kind: u8, number: u128) {
    out.push(kind);
    out.extend_from_slice(&number.to_le_bytes());
}

fn name(reader: &mut Reader) -> Result<Bytes, DecodeError> {
    let name = reader.bytes(REGISTER_KEY_BYTES_MAX)?;
    if name.is_empty() {
        return Err(DecodeError::Invalid("name of a register"));
    }
    Ok(name)
}

fn read_cells(reader: &mut Reader) -> Result<Vec<(Bytes, Cell)>, DecodeError> {
    let count = reader.count(LEAST_COPIED_BYTES)?;
    let cell = |_| {
        let name = name(reader)?;
        Ok((name, Cell::decode(reader.bytes(CELL_BYTES_MAX)?)?))
    };
    (0..count).map(cell).collect()
}

fn put_option(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

fn read_option(reader: &mut Reader, len_max: usize) -> Result<Option<Bytes>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => reader.bytes(len_max).map(Some),
        _ => Err(DecodeError::Invalid("choice")),
    }
}

fn put_wish(out: &mut Vec<u8>, wish: &Wish) {
    match wish {
        Wish::Read => out.push(0),
        Wish::Set(bytes) => {
            out.push(1);
            put_option(out, bytes.as_ref());
        }
        Wish::CompareAndSet { version, bytes } => {
            out.push(2);
            put_varint(out, *version);
            put_option(out, bytes.as_ref());
        }
    }
}

fn read_wish(reader: &mut Reader) -> Result<Wish, DecodeError> {
    match reader.u8()? {
        0 => Ok(Wish::Read),
        1 => read_option(reader, REGISTER_BYTES_MAX).map(Wish::Set),
        2 => {
            let version = reader.varint()?;
            Ok(Wish::CompareAndSet { version, bytes: read_option(reader, REGISTER_BYTES_MAX)? })
        }
        _ => Err(DecodeError::Invalid("wish of a register")),
    }
}

fn put_reply(out: &mut Vec<u8>, reply: &RegisterReply) {
    let (kind, value) = match reply {
        RegisterReply::Answer(Outcome::Done(value)) => (0, value),
        RegisterReply::Answer(Outcome::Differs(value)) => (1, value),
        RegisterReply::Answer(Outcome::Unknown(value)) => (2, value),
        RegisterReply::Failed(why) => return out.extend_from_slice(&[1, *why as u8]),
    };
    out.extend_from_slice(&[0, kind]);
    value.encode(out);
}

fn read_reply(reader: &mut Reader) -> Result<RegisterReply, DecodeError> {
    let (is_failure, kind) = (reader.u8()?, reader.u8()?);
    let outcome = match (is_failure, kind) {
        (0, 0) => Outcome::Done,
        (0, 1) => Outcome::Differs,
        (0, 2) => Outcome::Unknown,
        (1, why) => {
            let why = RegisterFailure::ALL.get(usize::from(why)).copied();
            let why = why.ok_or(DecodeError::Invalid("reason of a failure"))?;
            return Ok(RegisterReply::Failed(why));
        }
        _ => return Err(DecodeError::Invalid("answer about a register")),
    };
    Ok(RegisterReply::Answer(outcome(Value::decode(reader)?)))
}
