//! What a machine asks of its host, as data.

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Entry, FNV_START, Machine, Partition, Peek, Refused, RequestId, Scan, Stamp,
    Tick, Ticket, fnv1a,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A machine that can be written down, with all that it is given and all that it gives.
pub trait Recordable:
    Machine<
        Message: Serialize + DeserializeOwned,
        Request: Serialize + DeserializeOwned,
        Reply: Serialize,
        Timer: Serialize + DeserializeOwned,
    > + Serialize
    + DeserializeOwned
{
}

impl<M> Recordable for M where
    M: Machine<
            Message: Serialize + DeserializeOwned,
            Request: Serialize + DeserializeOwned,
            Reply: Serialize,
            Timer: Serialize + DeserializeOwned,
        > + Serialize
        + DeserializeOwned
{
}

/// One call of an effect: what was asked for, and last what the host returned, where it returns something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(bound(serialize = "M::Message: Serialize, M::Reply: Serialize, M::Timer: Serialize"))]
#[expect(missing_docs, reason = "each is the call of its name in ombak_base::Effects")]
pub enum Effect<M: Machine> {
    Send(Address, M::Message, Stamp, Result<(), Refused>),
    Reply(ClientId, M::Reply, Stamp),
    Arm(M::Timer, Tick),
    Disarm(M::Timer),
    Choose(u64, u64),
    Load(Ticket, Partition, Bytes),
    Peek(Partition, Bytes, Peek),
    Store(Partition, Bytes, Option<Entry>, Stamp),
    Scan(Ticket, Scan),
    AwaitDurable(Stamp),
    Probe(&'static str),
    Named(ClientId, RequestId),
    Broken(&'static str),
}

/// What a host returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Whether a message was taken.
    Taken(Result<(), Refused>),
    /// A choice.
    Chosen(u64),
    /// What a peek saw.
    Seen(Peek),
    /// The stamp of a store.
    Stored(Stamp),
}

impl<M: Machine> Effect<M> {
    /// What the host returned, if it returns something to this.
    pub fn answer(&self) -> Option<Answer> {
        match self {
            Effect::Send(.., taken) => Some(Answer::Taken(*taken)),
            Effect::Choose(_, chosen) => Some(Answer::Chosen(*chosen)),
            Effect::Peek(.., seen) => Some(Answer::Seen(*seen)),
            Effect::Store(.., stamp) => Some(Answer::Stored(*stamp)),
            _ => None,
        }
    }
}

/// The fingerprint of anything: of its encoding.
pub(crate) fn fingerprint(of: &impl Serialize, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    encode_onto(of, scratch);
    fnv1a(FNV_START, scratch)
}

/// Appends the encoding.
pub(crate) fn encode_onto(what: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and no type here refuses to be written.
    if let Ok(written) = postcard::to_extend(what, std::mem::take(out)) {
        *out = written;
    }
}
