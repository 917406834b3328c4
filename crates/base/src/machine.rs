//! The border between what decides and what acts.

use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::property::Broken;
use crate::{
    Address, Chunk, ClientId, DeviceError, Entry, NodeId, Now, Partition, Passing, Peek, Place,
    RequestId, Scan, Stamp, Tick, Ticket, Wire,
};

/// A deterministic state machine: same state, same time, same event, same choices give the same next state and the
/// same effects. It owns no clock, socket, file, thread or randomness.
///
/// # Who calls what, when
///
/// The host calls [`step`](Machine::step) for one event at a time and never from two threads at once. The first
/// event is [`Event::Start`]. Within a step the machine writes to [`Effects`]; nothing leaves the host before `step`
/// returns. The host calls [`check`](Machine::check) after every step in the simulator and the explorer, and
/// sampled in production.
pub trait Machine: Clone + Eq + Hash + Debug {
    /// What it says to the same machine on other nodes and shards.
    type Message: Wire + Clone + Debug;
    /// What clients ask of it.
    type Request: Clone + Debug;
    /// What it answers to clients. One request may be answered in several parts.
    type Reply: Clone + Debug;
    /// Names its timers. A timer that is armed again moves.
    type Timer: Copy + Ord + Hash + Debug;

    /// Takes one event.
    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E);

    /// Panics, by [`always!`](crate::always), if an invariant of the state is broken.
    fn check(&self) {}

    /// Panics, by [`eventually!`](crate::eventually), if something has not come about that had to by now. Called by the
    /// simulator when nothing goes wrong, nobody asks, and there has been time enough for all that was under way.
    fn check_at_rest(&self) {}
}

/// Something that happened to a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "M::Message: Serialize, M::Request: Serialize, M::Timer: Serialize",
    deserialize = "M::Message: Deserialize<'de>, M::Request: Deserialize<'de>, M::Timer: Deserialize<'de>"
))]
pub enum Event<M: Machine> {
    /// The host is ready. Comes first and once.
    Start,
    /// A client asks. The answer goes to [`Effects::reply`] with the same id.
    Request {
        /// Where the answer goes.
        client: ClientId,
        /// What is asked.
        request: M::Request,
    },
    /// The client is ready for the next part of a streamed answer.
    More(ClientId),
    /// The client went away; its answer has nowhere to go.
    Gone(ClientId),
    /// A message from another shard, of this node or of another.
    Message {
        /// Who sent it.
        from: Address,
        /// What it says.
        message: M::Message,
    },
    /// A connection to `node` is ready to carry messages; `hello` is what it said of itself.
    PeerUp {
        /// The peer.
        node: NodeId,
        /// How many shards it runs.
        shards: u16,
        /// Its handshake, admitted by the host.
        hello: Bytes,
    },
    /// The connection to `node` is gone. What was sent and not answered may or may not have arrived.
    PeerDown(NodeId),
    /// A timer has come due. It is disarmed.
    Timer(M::Timer),
    /// The answer to [`Effects::load`].
    Loaded {
        /// Which load.
        ticket: Ticket,
        /// `None`: the device holds nothing under that key.
        entry: Result<Option<Entry>, DeviceError>,
    },
    /// The answer to [`Effects::scan`].
    Scanned {
        /// Which scan.
        ticket: Ticket,
        /// What lies there.
        chunk: Result<Chunk, DeviceError>,
    },
    /// Something that was stored in this partition cannot be read any more, found while nobody asked for it.
    Damaged(Partition),
    /// Everything stamped up to here has been synced. Comes at most once a loop turn.
    Durable(Stamp),
    /// Whether storage has room for new data, at each change. While it has none, stores are still taken and become
    /// durable if they can; a machine should store nothing that it can refuse.
    DeviceFull(bool),
    /// A write or a sync failed. Nothing more will become durable until the node is started again.
    DeviceFailed,
    /// A property broke in the last step, or in [`check`](Machine::check), and the host has contained it: what the step
    /// had half done is left as it was. About this partition, or nobody knows. Comes at once, in production alone, and
    /// if a property breaks in this step too, the node ends.
    Broken(Option<Partition>),
}

/// Why a message was not taken for sending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Refused {
    /// There is no connection to that node.
    Down,
    /// The queue to that node is full.
    Full,
}

/// What a machine may ask of its host. The host implements it; a machine that hosts children hands them an adaptor.
///
/// `after` names a stamp: the host holds the message or reply back until that stamp is durable.
pub trait Effects<M: Machine> {
    /// Sends to another shard. Delivery is not promised; refusal is known at once.
    fn send(&mut self, to: Address, message: M::Message, after: Stamp) -> Result<(), Refused>;
    /// Answers a client.
    fn reply(&mut self, to: ClientId, reply: M::Reply, after: Stamp);
    /// Asks for [`Event::Timer`] at `at`. Replaces an earlier `arm` of the same timer.
    fn arm(&mut self, timer: M::Timer, at: Tick);
    /// Forgets a timer.
    fn disarm(&mut self, timer: M::Timer);
    /// A free choice from `0..n` (`n` ≥ 1): random in production, every value in turn in the explorer.
    fn choose(&mut self, n: u64) -> u64;
    /// Asks for the entry under `key`; [`Event::Loaded`] brings it.
    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes);
    /// What is known of `key` without reading its value, at once. Every earlier store is visible.
    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek;
    /// Puts `entry` under `key`, or removes what is there when `None`. Visible to every later load.
    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp;
    /// Says that the machine waits for [`Event::Durable`] up to `stamp`. What nobody waits for, neither so nor by a held
    /// effect, a host may gather for some milliseconds before it is synced.
    fn await_durable(&mut self, stamp: Stamp);
    /// Asks for a bounded piece of a partition in key order; [`Event::Scanned`] brings it.
    fn scan(&mut self, ticket: Ticket, scan: Scan);
    /// Says that an interesting place in the code was reached.
    fn probe(&mut self, name: &'static str);
    /// Says that the request of `client` is this operation, here and wherever it goes. Hosts may ignore it.
    fn named(&mut self, client: ClientId, request: RequestId) {
        let _ = (client, request);
    }
    /// Says that an operation passes a place: hosts may count it, and log it for who follows that operation.
    fn pass(&mut self, passing: Passing) {
        let _ = passing;
    }
    /// Says that a property broke in a part of the machine that could contain it.
    fn broken(&mut self, broken: &Broken) {
        let _ = broken;
    }
    /// Says that something was done at a place, for hosts that count.
    fn count(&mut self, place: Place) {
        let _ = place;
    }
}
