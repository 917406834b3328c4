//! What shards say to each other.
//!
//! The first byte names the message. Replica requests begin with the fixed [`Header`]; objects travel in their stored
//! form and are shared with the receive buffer, never copied. A new field is a new message or a new protocol version
//! (see [`ombak_cluster::Hello`]); the bytes of this one are golden in the tests.

mod names;
mod operation;

use bytes::Bytes;
use ombak_base::limits::{KEY_BYTES_MAX, PEER_FRAME_BYTES_MAX};
use ombak_base::{
    DecodeError, Epoch, Partition, Reader, RequestId, Tick, Wire, put_bytes, put_varint,
};
use ombak_cluster::{Claim, Fence, Fencing, Greeting, Header, Lineage, Verdict};
use ombak_kv::{Answer, Operation};
use ombak_paxos::Telling;
use ombak_paxos::register::server::RegisterTelling;
use serde::{Deserialize, Serialize};

/// Which acknowledgements a coordinator waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Acks {
    /// When taken.
    Taken,
    /// When durable.
    Durable,
    /// Both, one after the other.
    Both,
}

/// What a coordinator asks of a replica.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// The object under a storage key. With the tag of the coordinator's own, [`Told::Same`] will do.
    Get(Bytes, Option<u64>),
    /// Take over an object: storage key, stored form; and the tag of what the coordinator's own replica held before it
    /// made this object from just that.
    Merge(Bytes, Bytes, Acks, Option<u64>),
    /// Forget a key if exactly this tombstone is stored.
    Reap(Bytes, Bytes),
    /// The live keys of a range, without values.
    List {
        /// First storage key, inclusive.
        from: Bytes,
        /// Last, exclusive.
        to: Bytes,
        /// Only the first key of each bucket is wanted.
        buckets: bool,
    },
    /// All entries from a storage key on, with values, for a replica that lacks some.
    Export(Bytes),
}

/// What a replica tells its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Told {
    /// The stored form of the object, and whether the vnode is complete.
    Value(Bytes, bool),
    /// The object that the coordinator has, and whether the vnode is complete.
    Same(bool),
    /// Nothing is there, which means something if the vnode is complete.
    Absent(bool),
    /// A merge was taken.
    Taken,
    /// A merge is durable; the tag of what is there.
    Durable(u64),
    /// Whether a tombstone is gone.
    Reaped(bool),
    /// Storage keys in order, and where to go on; `complete` says whether missing ones mean anything.
    Listed {
        /// The keys.
        keys: Vec<Bytes>,
        /// The next key, if there may be more.
        next: Option<Bytes>,
        /// Whether the vnode is complete.
        complete: bool,
    },
    /// Storage keys with stored forms, and where to go on.
    Exported {
        /// Keys and objects.
        entries: Vec<(Bytes, Bytes)>,
        /// The next key, if there may be more.
        next: Option<Bytes>,
        /// Whether the vnode is complete.
        complete: bool,
    },
    /// The request does not fit this replica.
    Fenced(Fencing),
    /// The bucket's properties differ here: they are given.
    PropsDiffer(Bytes),
    /// Too much is queued.
    Overload,
    /// The device failed.
    Failed,
    /// The disk is full: nothing was stored.
    Full,
}

/// A message from shard to shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Message {
    /// "I am here", with the digest of all bucket properties known.
    Greeting(Greeting, u64),
    /// What the sender's vnodes claim, and the lineage of each.
    Claims(Vec<(Partition, Claim, Lineage)>),
    /// What each of these claims of the receiver is worth to the sender.
    Verdicts(Vec<(Partition, Claim, Verdict)>),
    /// A replica request: the coordinator's number for it, the header, the digest of the bucket's properties.
    Ask(u64, Header, u64, Ask),
    /// The answer to a replica request, under the coordinator's number.
    Told(u64, Told),
    /// Coordinate this for me.
    Forward {
        /// The sender's number for it.
        id: u64,
        /// The client operation.
        request: RequestId,
        /// Whether an earlier attempt, elsewhere, may have been done.
        retried: bool,
        /// Until when.
        fence: Fence,
        /// What.
        operation: Box<Operation>,
    },
    /// What a forwarded operation came to; `None`: this shard cannot coordinate it, try another.
    Forwarded(u64, Option<Box<Answer>>),
    /// Bucket properties; to be acknowledged under the number, if it is not 0.
    Props(u64, Vec<Bytes>),
    /// The properties are taken.
    PropsTaken(u64),
    /// From member to member of the root group.
    Root(Telling),
    /// About the registers.
    Registers(RegisterTelling),
}

/// Names the root group's messages, which name themselves.
const ROOT: u8 = 12;
/// And those about the registers.
const REGISTERS: u8 = 13;

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Greeting(greeting, props) => {
                out.push(1);
                put_u64s(out, &[greeting.boot, greeting.tick.0, greeting.link, *props]);
            }
            Message::Claims(claims) => {
                // 2 was the same without lineages, and is still read.
                out.push(10);
                put_varint(out, claims.len() as u64);
                for (partition, claim, lineage) in claims {
                    put_varint(out, u64::from(partition.0));
                    claim.encode(out);
                    lineage.encode(out);
                }
            }
            Message::Verdicts(verdicts) => {
                // 3 was a verdict that did not say on which claim.
                out.push(11);
                put_varint(out, verdicts.len() as u64);
                for (partition, claim, verdict) in verdicts {
                    put_varint(out, u64::from(partition.0));
                    claim.encode(out);
                    put_varint(
                        out,
                        match verdict {
                            Verdict::Fits => 0,
                            Verdict::Older(generation) => generation + 1,
                        },
                    );
                }
            }
            Message::Ask(id, header, props, ask) => {
                out.push(4);
                put_u64s(out, &[*id, *props]);
                header.encode(out);
                encode_ask(ask, out);
            }
            Message::Told(id, told) => {
                out.push(5);
                put_u64s(out, &[*id]);
                encode_told(told, out);
            }
            Message::Forward { id, request, retried, fence, operation } => {
                out.push(6);
                put_u64s(out, &[*id, fence.boot, fence.deadline.0]);
                out.extend_from_slice(&request.0.to_le_bytes());
                out.push(u8::from(*retried));
                operation::encode_operation(operation, out);
            }
            Message::Forwarded(id, answer) => {
                out.push(7);
                put_u64s(out, &[*id]);
                out.push(u8::from(answer.is_some()));
                if let Some(answer) = answer {
                    operation::encode_answer(answer, out);
                }
            }
            Message::Props(id, exports) => {
                out.push(8);
                put_u64s(out, &[*id]);
                put_varint(out, exports.len() as u64);
                exports.iter().for_each(|export| put_bytes(out, export));
            }
            Message::PropsTaken(id) => {
                out.push(9);
                put_u64s(out, &[*id]);
            }
            Message::Root(telling) => {
                out.push(ROOT);
                telling.encode(out);
            }
            Message::Registers(telling) => {
                out.push(REGISTERS);
                telling.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        match kind {
            ROOT => return Telling::decode(reader.rest()).map(Message::Root),
            REGISTERS => {
                return RegisterTelling::decode(reader.rest()).map(Message::Registers);
            }
            _ => {}
        }
        let message = decode_message(kind, &mut reader)?;
        reader.finish()?;
        Ok(message)
    }
}

fn decode_message(kind: u8, reader: &mut Reader) -> Result<Message, DecodeError> {
    Ok(match kind {
        1 => {
            let (boot, tick) = (reader.u64()?, Tick(reader.u64()?));
            Message::Greeting(Greeting { boot, tick, link: reader.u64()? }, reader.u64()?)
        }
        2 => {
            let claim = |reader: &mut Reader| {
                Ok((partition(reader)?, Claim::decode(reader)?, Lineage::default()))
            };
            Message::Claims(list(reader, 11, claim)?)
        }
        4 => {
            let (id, props) = (reader.u64()?, reader.u64()?);
            Message::Ask(id, Header::decode(reader)?, props, decode_ask(reader)?)
        }
        5 => Message::Told(reader.u64()?, decode_told(reader)?),
        6 => {
            let id = reader.u64()?;
            let fence = Fence { boot: reader.u64()?, deadline: Tick(reader.u64()?) };
            let (request, retried) = (RequestId(reader.u128()?), flag(reader)?);
            let operation = Box::new(operation::decode_operation(reader)?);
            Message::Forward { id, request, retried, fence, operation }
        }
        7 => {
            let id = reader.u64()?;
            let answer = match reader.u8()? {
                0 => None,
                1 => Some(Box::new(operation::decode_answer(reader)?)),
                _ => return Err(DecodeError::Invalid("answer")),
            };
            Message::Forwarded(id, answer)
        }
        8 => Message::Props(
            reader.u64()?,
            list(reader, 1, |reader| reader.bytes(PEER_FRAME_BYTES_MAX))?,
        ),
        9 => Message::PropsTaken(reader.u64()?),
        10 => {
            let claim = |reader: &mut Reader| {
                Ok((partition(reader)?, Claim::decode(reader)?, Lineage::decode(reader)?))
            };
            Message::Claims(list(reader, 12, claim)?)
        }
        11 => {
            let verdict = |reader: &mut Reader| {
                let (partition, claim) = (partition(reader)?, Claim::decode(reader)?);
                let verdict = match reader.varint()? {
                    0 => Verdict::Fits,
                    generation => Verdict::Older(generation - 1),
                };
                Ok((partition, claim, verdict))
            };
            Message::Verdicts(list(reader, 12, verdict)?)
        }
        _ => return Err(DecodeError::Invalid("message")),
    })
}

fn encode_ask(ask: &Ask, out: &mut Vec<u8>) {
    match ask {
        Ask::Get(key, have) => {
            out.push(1);
            put_bytes(out, key);
            put_tag(out, *have);
        }
        Ask::Merge(key, object, acks, base) => {
            out.push(match acks {
                Acks::Taken => 2,
                Acks::Durable => 3,
                Acks::Both => 4,
            });
            put_bytes(out, key);
            put_tag(out, *base);
            put_bytes(out, object);
        }
        Ask::Reap(key, tombstone) => {
            out.push(5);
            put_bytes(out, key);
            put_bytes(out, tombstone);
        }
        Ask::List { from, to, buckets } => {
            out.push(if *buckets { 7 } else { 6 });
            put_bytes(out, from);
            put_bytes(out, to);
        }
        Ask::Export(from) => {
            out.push(8);
            put_bytes(out, from);
        }
    }
}

fn decode_ask(reader: &mut Reader) -> Result<Ask, DecodeError> {
    let kind = reader.u8()?;
    let key = storage_key(reader)?;
    match kind {
        1 => Ok(Ask::Get(key, tag(reader)?)),
        2..=4 => {
            let acks = [Acks::Taken, Acks::Durable, Acks::Both][usize::from(kind - 2)];
            let base = tag(reader)?;
            Ok(Ask::Merge(key, reader.bytes(PEER_FRAME_BYTES_MAX)?, acks, base))
        }
        5 => Ok(Ask::Reap(key, reader.bytes(PEER_FRAME_BYTES_MAX)?)),
        6 | 7 => Ok(Ask::List { from: key, to: storage_key(reader)?, buckets: kind == 7 }),
        8 => Ok(Ask::Export(key)),
        _ => Err(DecodeError::Invalid("replica request")),
    }
}

fn encode_told(told: &Told, out: &mut Vec<u8>) {
    match told {
        Told::Value(object, complete) => {
            out.push(if *complete { 1 } else { 15 });
            put_bytes(out, object);
        }
        Told::Absent(complete) => out.extend_from_slice(&[2, u8::from(*complete)]),
        Told::Taken => out.push(3),
        Told::Durable(tag) => {
            out.push(4);
            put_u64s(out, &[*tag]);
        }
        Told::Reaped(gone) => out.extend_from_slice(&[5, u8::from(*gone)]),
        Told::Listed { keys, next, complete } => {
            out.extend_from_slice(&[6, u8::from(*complete)]);
            put_option(out, next);
            put_varint(out, keys.len() as u64);
            keys.iter().for_each(|key| put_bytes(out, key));
        }
        Told::Exported { entries, next, complete } => {
            out.extend_from_slice(&[7, u8::from(*complete)]);
            put_option(out, next);
            put_varint(out, entries.len() as u64);
            for (key, object) in entries {
                put_bytes(out, key);
                put_bytes(out, object);
            }
        }
        Told::Fenced(Fencing::WrongPartition) => out.push(8),
        Told::Fenced(Fencing::StaleEpoch(epoch)) => {
            out.push(9);
            put_u64s(out, &[epoch.0]);
        }
        Told::Fenced(Fencing::Expired) => out.push(10),
        Told::PropsDiffer(export) => {
            out.push(11);
            put_bytes(out, export);
        }
        Told::Overload => out.push(12),
        Told::Failed => out.push(13),
        Told::Full => out.push(17),
        Told::Same(complete) => out.push(if *complete { 14 } else { 16 }),
    }
}

fn decode_told(reader: &mut Reader) -> Result<Told, DecodeError> {
    let kind = reader.u8()?;
    Ok(match kind {
        1 | 15 => Told::Value(reader.bytes(PEER_FRAME_BYTES_MAX)?, kind == 1),
        2 => Told::Absent(flag(reader)?),
        3 => Told::Taken,
        4 => Told::Durable(reader.u64()?),
        5 => Told::Reaped(flag(reader)?),
        6 => {
            let (complete, next) = (flag(reader)?, option(reader)?);
            Told::Listed { keys: list(reader, 1, storage_key)?, next, complete }
        }
        7 => {
            let (complete, next) = (flag(reader)?, option(reader)?);
            let entry = |reader: &mut Reader| {
                Ok((storage_key(reader)?, reader.bytes(PEER_FRAME_BYTES_MAX)?))
            };
            Told::Exported { entries: list(reader, 2, entry)?, next, complete }
        }
        8 => Told::Fenced(Fencing::WrongPartition),
        9 => Told::Fenced(Fencing::StaleEpoch(Epoch(reader.u64()?))),
        10 => Told::Fenced(Fencing::Expired),
        11 => Told::PropsDiffer(reader.bytes(PEER_FRAME_BYTES_MAX)?),
        12 => Told::Overload,
        13 => Told::Failed,
        17 => Told::Full,
        14 | 16 => Told::Same(kind == 14),
        _ => return Err(DecodeError::Invalid("replica answer")),
    })
}

fn put_u64s(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn put_tag(out: &mut Vec<u8>, tag: Option<u64>) {
    out.push(u8::from(tag.is_some()));
    if let Some(tag) = tag {
        put_u64s(out, &[tag]);
    }
}

fn tag(reader: &mut Reader) -> Result<Option<u64>, DecodeError> {
    Ok(if flag(reader)? { Some(reader.u64()?) } else { None })
}

fn put_option(out: &mut Vec<u8>, bytes: &Option<Bytes>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

fn option(reader: &mut Reader) -> Result<Option<Bytes>, DecodeError> {
    Ok(if flag(reader)? { Some(reader.bytes(PEER_FRAME_BYTES_MAX)?) } else { None })
}

fn flag(reader: &mut Reader) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid("flag")),
    }
}

fn partition(reader: &mut Reader) -> Result<Partition, DecodeError> {
    u32::try_from(reader.varint()?).map(Partition).map_err(|_| DecodeError::Invalid("partition"))
}

fn storage_key(reader: &mut Reader) -> Result<Bytes, DecodeError> {
    reader.bytes(3 * KEY_BYTES_MAX)
}

fn list<T>(
    reader: &mut Reader,
    least_bytes: usize,
    mut item: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count(least_bytes)?;
    let mut items = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        items.push(item(reader)?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
