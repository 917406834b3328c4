//! What members say to each other, and how it is written.
//!
//! ```text
//! telling  = kind:u8 rest                                        (numbers are varints, disks and names 8 bytes, little-endian)
//! beat     0 cluster life asks:u8 is-known:u8 life?              life = disk boot name
//! log      1 group disk members-at message                       see the messages of `log`
//! begin    2 group disk to has-begun:u8 (members-at disks)?      disks = count (node disk)*
//! refused  3 group members-at why:u8
//! return   4 group disk
//! ```

use bytes::Bytes;
use ombak_base::{ClusterId, DecodeError, DirectoryId, Reader, Wire, put_varint};
use serde::{Deserialize, Serialize};

use super::Group;
use super::who::Life;
use crate::log::{Message, Slot};
use crate::members::{Disks, decode_disks, encode_disks};

/// What members say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Telling {
    /// I live. Of the node, and not of each group.
    Beat(Greeting),
    /// About the log of a group.
    Log {
        /// Which.
        group: Group,
        /// The sender's.
        disk: DirectoryId,
        /// As the sender knows them, the members are so since this slot.
        members_at: Slot,
        /// What.
        message: Message,
    },
    /// Between those who found a group.
    Begin {
        /// Which.
        group: Group,
        /// The sender's.
        disk: DirectoryId,
        /// The receiver's, as the sender knows it.
        to: DirectoryId,
        /// It has begun: since which slot the members are as they are, and on which disks. None: I have not begun, and begin with
        /// you as soon as I have heard the same of all.
        begun: Option<(Slot, Disks)>,
    },
    /// I did nothing with what you said of a group.
    Refused {
        /// Which.
        group: Group,
        /// As the sender knows them, the members are so since this slot.
        members_at: Slot,
        /// Why not.
        why: Refusal,
    },
    /// I have lost my disk. Take me in again, with this one.
    Return {
        /// Into which.
        group: Group,
        /// The new one.
        disk: DirectoryId,
    },
}

/// Who somebody is, and for whom it takes the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// Nodes of two clusters never mix.
    pub cluster: ClusterId,
    /// The sender's.
    pub life: Life,
    /// The sender has not heard that the receiver knows of its life, and wants to.
    pub asks: bool,
    /// The last life of the receiver's disk that the sender has heard of, and has on its own disk.
    pub yours: Option<Life>,
}

/// Why a message was refused. Nothing has changed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// You are of another cluster.
    OtherCluster,
    /// I take no part in this group.
    NoGroup,
    /// The member of this name has another disk: yours has not promised what that one has.
    OtherDisk,
    /// You don't vote any more.
    Removed,
    /// I have not heard who you are, or a later life of yours has been heard of.
    NotGreeted,
}

impl Refusal {
    const ALL: [Refusal; 5] = [
        Refusal::OtherCluster,
        Refusal::NoGroup,
        Refusal::OtherDisk,
        Refusal::Removed,
        Refusal::NotGreeted,
    ];

    /// As hosts count it.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::OtherCluster => "paxos: refused, of another cluster",
            Refusal::NoGroup => "paxos: refused, of a group that is not here",
            Refusal::OtherDisk => "paxos: refused, on another disk",
            Refusal::Removed => "paxos: refused, removed",
            Refusal::NotGreeted => "paxos: refused, not greeted",
        }
    }
}

impl Wire for Telling {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Telling::Beat(greeting) => {
                out.push(0);
                greeting.encode(out);
            }
            Telling::Log { group, disk, members_at, message } => {
                put_head(out, 1, *group, *disk);
                put_varint(out, members_at.0);
                message.encode(out);
            }
            Telling::Begin { group, disk, to, begun } => {
                put_head(out, 2, *group, *disk);
                put_u64(out, to.0);
                out.push(u8::from(begun.is_some()));
                if let Some((at, disks)) = begun {
                    put_varint(out, at.0);
                    encode_disks(disks, out);
                }
            }
            Telling::Refused { group, members_at, why } => {
                out.push(3);
                put_varint(out, group.0.into());
                put_varint(out, members_at.0);
                out.push(*why as u8);
            }
            Telling::Return { group, disk } => put_head(out, 4, *group, *disk),
        }
    }

    fn decode(bytes: Bytes) -> Result<Telling, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let telling = match reader.u8()? {
            0 => Telling::Beat(Greeting::decode(reader)?),
            1 => {
                let (group, disk) = read_head(reader)?;
                let members_at = Slot(reader.varint()?);
                let rest = std::mem::replace(reader, Reader::new(Bytes::new())).rest();
                let message = Message::decode(rest)?;
                Telling::Log { group, disk, members_at, message }
            }
            2 => {
                let (group, disk) = read_head(reader)?;
                let to = DirectoryId(reader.u64()?);
                Telling::Begin { group, disk, to, begun: read_begun(reader)? }
            }
            3 => {
                let (group, members_at) = (read_group(reader)?, Slot(reader.varint()?));
                let why = Refusal::ALL.get(usize::from(reader.u8()?));
                let why = *why.ok_or(DecodeError::Invalid("reason of a refusal"))?;
                Telling::Refused { group, members_at, why }
            }
            4 => {
                let (group, disk) = read_head(reader)?;
                Telling::Return { group, disk }
            }
            _ => return Err(DecodeError::Invalid("kind of telling")),
        };
        std::mem::replace(reader, Reader::new(Bytes::new())).finish()?;
        Ok(telling)
    }
}

impl Greeting {
    fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.cluster.0);
        self.life.encode(out);
        out.push(u8::from(self.asks));
        out.push(u8::from(self.yours.is_some()));
        if let Some(yours) = &self.yours {
            yours.encode(out);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Greeting, DecodeError> {
        let cluster = ClusterId(reader.u64()?);
        let life = Life::decode(reader)?;
        let asks = match reader.u8()? {
            asks @ 0..=1 => asks == 1,
            _ => return Err(DecodeError::Invalid("question")),
        };
        let yours = match reader.u8()? {
            0 => None,
            1 => Some(Life::decode(reader)?),
            _ => return Err(DecodeError::Invalid("greeting")),
        };
        Ok(Greeting { cluster, life, asks, yours })
    }
}

fn read_begun(reader: &mut Reader) -> Result<Option<(Slot, Disks)>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some((Slot(reader.varint()?), decode_disks(reader)?))),
        _ => Err(DecodeError::Invalid("beginning of a group")),
    }
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_head(out: &mut Vec<u8>, kind: u8, group: Group, disk: DirectoryId) {
    out.push(kind);
    put_varint(out, group.0.into());
    put_u64(out, disk.0);
}

fn read_head(reader: &mut Reader) -> Result<(Group, DirectoryId), DecodeError> {
    Ok((read_group(reader)?, DirectoryId(reader.u64()?)))
}

fn read_group(reader: &mut Reader) -> Result<Group, DecodeError> {
    let number = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("group"))?;
    Ok(Group(number))
}
