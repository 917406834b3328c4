//! What servers say to each other, and how it is written.
//!
//! ```text
//! telling   = kind:u8 rest                               (numbers of operations are 16 bytes, disks 8, little-endian; others varints)
//! ask       0 number era key ask                       byte strings have their length in front; see the messages of `register`
//! told      1 number era disk told
//! copy      2 era name
//! copied    3 era disk name count (name cell)* (0 | 1 name)
//! forward   4 number key wish                            wish  = 0 | 1 value | 2 version value | 3      value = 0 | 1 bytes
//! forwarded 5 number reply                               reply = 0 outcome | 1 why:u8 | 2 page          outcome = kind:u8 value
//! list      6 number era name
//! listed    7 number era disk count known* (0 | 1 name)  known = bid register                           register = name version (0 | 1 length)
//! page      = count register* (0 | 1 name)
//! ```
//!
//! Wish 3 is a list, from the key on.

use bytes::Bytes;
use ombak_base::{DecodeError, DirectoryId, Reader, Wire, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::super::{Ask, Bid, Cell, Era, Outcome, REGISTER_BYTES_MAX, Told, Value, Wish};
use super::{
    Known, KnownPage, ListedRegister, REGISTER_KEY_BYTES_MAX, RegisterAsk, RegisterFailure,
    RegisterPage, RegisterReply, RegisterRequest,
};

/// A cell and what is around it.
const CELL_BYTES_MAX: usize = REGISTER_BYTES_MAX + 256;
/// The shortest name and the shortest cell.
const LEAST_COPIED_BYTES: usize = 4;
/// A name of one byte, a version, and that there is no value.
const LEAST_LISTED_BYTES: usize = 4;
/// The same, and three numbers.
const LEAST_KNOWN_BYTES: usize = LEAST_LISTED_BYTES + 3;

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
    /// The sender has a client, and no seat, or is in the receiver's way.
    Forward {
        /// The sender's, for this.
        number: u128,
        /// What the client asks.
        request: RegisterRequest,
    },
    /// What became of that.
    Forwarded {
        /// The same.
        number: u128,
        /// What the client is to be told.
        reply: RegisterReply,
    },
    /// The sender's client wants to know which registers there are.
    List {
        /// The sender's, for this.
        number: u128,
        /// In which it asks.
        era: Era,
        /// From this name on.
        from: Bytes,
    },
    /// What a seat knows of that.
    Listed {
        /// The same.
        number: u128,
        /// In which that was said.
        era: Era,
        /// On which disk the seat is.
        disk: DirectoryId,
        /// What.
        page: KnownPage,
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
            RegisterTelling::Forward { number, request } => {
                put_head(out, 4, *number);
                put_request(out, request);
            }
            RegisterTelling::Forwarded { number, reply } => {
                put_head(out, 5, *number);
                put_reply(out, reply);
            }
            RegisterTelling::List { number, era, from } => {
                put_head(out, 6, *number);
                put_varint(out, era.0);
                put_bytes(out, from);
            }
            RegisterTelling::Listed { number, era, disk, page } => {
                put_head(out, 7, *number);
                put_varint(out, era.0);
                out.extend_from_slice(&disk.0.to_le_bytes());
                put_page(out, page);
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
            4 => RegisterTelling::Forward {
                number: reader.u128()?,
                request: read_request(&mut reader)?,
            },
            5 => RegisterTelling::Forwarded {
                number: reader.u128()?,
                reply: read_reply(&mut reader)?,
            },
            6 => RegisterTelling::List {
                number: reader.u128()?,
                era: Era(reader.varint()?),
                from: reader.bytes(REGISTER_KEY_BYTES_MAX)?,
            },
            7 => RegisterTelling::Listed {
                number: reader.u128()?,
                era: Era(reader.varint()?),
                disk: DirectoryId(reader.u64()?),
                page: read_page(&mut reader)?,
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

/// What a wish of a register is not.
const LIST: u8 = 3;

fn put_request(out: &mut Vec<u8>, request: &RegisterRequest) {
    match request {
        RegisterRequest::One(RegisterAsk { key, wish }) => {
            put_bytes(out, key);
            put_wish(out, wish);
        }
        RegisterRequest::List { from } => {
            put_bytes(out, from);
            out.push(LIST);
        }
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

fn read_request(reader: &mut Reader) -> Result<RegisterRequest, DecodeError> {
    let key = reader.bytes(REGISTER_BYTES_MAX)?;
    let wish = match reader.u8()? {
        0 => Wish::Read,
        1 => Wish::Set(read_option(reader, REGISTER_BYTES_MAX)?),
        2 => {
            let version = reader.varint()?;
            Wish::CompareAndSet { version, bytes: read_option(reader, REGISTER_BYTES_MAX)? }
        }
        LIST => return Ok(RegisterRequest::List { from: key }),
        _ => return Err(DecodeError::Invalid("wish of a register")),
    };
    Ok(RegisterRequest::One(RegisterAsk { key, wish }))
}

fn put_reply(out: &mut Vec<u8>, reply: &RegisterReply) {
    let (kind, value) = match reply {
        RegisterReply::Answer(Outcome::Done(value)) => (0, value),
        RegisterReply::Answer(Outcome::Differs(value)) => (1, value),
        RegisterReply::Answer(Outcome::Unknown(value)) => (2, value),
        RegisterReply::Failed(why) => return out.extend_from_slice(&[1, *why as u8]),
        RegisterReply::Listed(RegisterPage { registers, next }) => {
            out.push(2);
            put_varint(out, registers.len() as u64);
            registers.iter().for_each(|register| put_listed(out, register));
            return put_option(out, next.as_ref());
        }
    };
    out.extend_from_slice(&[0, kind]);
    value.encode(out);
}

fn read_reply(reader: &mut Reader) -> Result<RegisterReply, DecodeError> {
    match reader.u8()? {
        0 => read_outcome(reader).map(RegisterReply::Answer),
        1 => {
            let why = RegisterFailure::ALL.get(usize::from(reader.u8()?)).copied();
            why.map(RegisterReply::Failed).ok_or(DecodeError::Invalid("reason of a failure"))
        }
        2 => {
            let count = reader.count(LEAST_LISTED_BYTES)?;
            let registers = (0..count).map(|_| read_listed(reader)).collect::<Result<_, _>>()?;
            let next = read_option(reader, REGISTER_KEY_BYTES_MAX)?;
            Ok(RegisterReply::Listed(RegisterPage { registers, next }))
        }
        _ => Err(DecodeError::Invalid("answer about a register")),
    }
}

fn read_outcome(reader: &mut Reader) -> Result<Outcome, DecodeError> {
    let outcome = match reader.u8()? {
        0 => Outcome::Done,
        1 => Outcome::Differs,
        2 => Outcome::Unknown,
        _ => return Err(DecodeError::Invalid("answer about a register")),
    };
    Value::decode(reader).map(outcome)
}

fn put_page(out: &mut Vec<u8>, page: &KnownPage) {
    put_varint(out, page.known.len() as u64);
    for Known { register, bid } in &page.known {
        bid.encode(out);
        put_listed(out, register);
    }
    put_option(out, page.next.as_ref());
}

fn read_page(reader: &mut Reader) -> Result<KnownPage, DecodeError> {
    let count = reader.count(LEAST_KNOWN_BYTES)?;
    let known = |_| Ok(Known { bid: Bid::decode(reader)?, register: read_listed(reader)? });
    let known = (0..count).map(known).collect::<Result<_, _>>()?;
    Ok(KnownPage { known, next: read_option(reader, REGISTER_KEY_BYTES_MAX)? })
}

fn put_listed(out: &mut Vec<u8>, register: &ListedRegister) {
    put_bytes(out, &register.name);
    put_varint(out, register.version);
    out.push(u8::from(register.value_bytes.is_some()));
    if let Some(bytes) = register.value_bytes {
        put_varint(out, bytes);
    }
}

fn read_listed(reader: &mut Reader) -> Result<ListedRegister, DecodeError> {
    let (name, version) = (name(reader)?, reader.varint()?);
    let value_bytes = match reader.u8()? {
        0 => None,
        1 => Some(reader.varint()?),
        _ => return Err(DecodeError::Invalid("choice")),
    };
    if version == 0 {
        return Err(DecodeError::Invalid("version of a register that is listed"));
    }
    Ok(ListedRegister { name, version, value_bytes })
}
