//! A counter that is no database: a service of a few lines on the same vnodes, in the same simulator.
//!
//! Every owner of a partition counts for itself; an increment goes to the first owner that is alive, a total is the sum
//! over the row. There is nothing here about liveness, order per key, loading or storing: the cluster layer has that.

use bytes::Bytes;
use ombak_base::*;
use ombak_cluster::{
    Done, Greeting, HEARTBEAT_MS, Outcome, Peers, Service, Topology, Vnode, VnodeError, VnodeMap,
    Write,
};

/// The service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Counter;

/// Adds, and answers with the count.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Add(pub u64);

impl Service for Counter {
    type Command = Add;
    type Reply = Option<u64>;

    fn handle(
        _: &mut Vnode,
        _: Now,
        _: &Bytes,
        add: &Add,
        stored: Option<&Entry>,
    ) -> Outcome<Option<u64>> {
        let count = stored.map_or(0, |entry| entry.tag) + add.0;
        let entry = Entry { tag: count, bytes: Bytes::new() };
        let write = if add.0 == 0 { Write::Keep } else { Write::Put(entry) };
        Outcome { write, reply: Some(count) }
    }

    /// The count is the tag: whoever only reads it need not load.
    fn at_once(
        _: &Vnode,
        _: Now,
        _: &Bytes,
        add: &Add,
        peek: impl FnOnce() -> Peek,
    ) -> Option<Outcome<Option<u64>>> {
        if add.0 > 0 {
            return None;
        }
        match peek() {
            Peek::Tag(count) => Some(Outcome { write: Write::Keep, reply: Some(count) }),
            Peek::Absent => Some(Outcome { write: Write::Keep, reply: Some(0) }),
            Peek::Unknown => None,
        }
    }

    fn failed(_: &Add, _: &VnodeError) -> Option<u64> {
        None
    }
}

/// What counters say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    Greeting(Greeting),
    Add(ClientId, u64),
    Count(ClientId, u64),
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, a, b) = match self {
            Message::Greeting(greeting) => (0, greeting.boot, greeting.tick.0),
            Message::Add(client, amount) => (1, client.0, *amount),
            Message::Count(client, count) => (2, client.0, *count),
        };
        out.push(tag);
        put_varint(out, a);
        put_varint(out, b);
    }

    fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (tag, a, b) = (reader.u8()?, reader.varint()?, reader.varint()?);
        reader.finish()?;
        match tag {
            0 => Ok(Message::Greeting(Greeting { boot: a, tick: Tick(b), link: 0 })),
            1 => Ok(Message::Add(ClientId(a), b)),
            2 => Ok(Message::Count(ClientId(a), b)),
            _ => Err(DecodeError::Invalid("message")),
        }
    }
}

const P: Partition = Partition(0);
const KEY: Bytes = Bytes::from_static(b"\x01count");

/// One node of the counting cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CounterNode {
    me: NodeId,
    topology: Topology,
    peers: Peers,
    vnodes: VnodeMap<Counter, (NodeId, ClientId)>,
}

impl CounterNode {
    /// A node that is about to start.
    pub fn new(me: NodeId, topology: Topology, boot: u64) -> CounterNode {
        let address = Address { node: me, shard: ShardId(0) };
        let peers = Peers::new(address, 1, boot, topology.nodes());
        CounterNode {
            me,
            peers,
            vnodes: VnodeMap::new([Vnode::format(P, ActorId(boot))]),
            topology,
        }
    }

    /// The first owner that is alive counts.
    fn route<E: Effects<Self>>(&mut self, now: Now, client: ClientId, amount: u64, fx: &mut E) {
        let row = self.topology.ring.row(P).to_vec();
        match row.into_iter().find(|owner| self.peers.is_up(*owner)) {
            Some(owner) if owner == self.me => self.count(now, self.me, client, amount, fx),
            Some(owner) => {
                let _ = fx.send(
                    self.peers.address(owner, P),
                    Message::Add(client, amount),
                    Stamp::NONE,
                );
            }
            None => {}
        }
    }

    fn count<E: Effects<Self>>(
        &mut self,
        now: Now,
        asker: NodeId,
        client: ClientId,
        amount: u64,
        fx: &mut E,
    ) {
        if let Some(done) = self.vnodes.submit(now, P, &KEY, Add(amount), (asker, client), fx) {
            self.counted(done, fx);
        }
    }

    fn counted<E: Effects<Self>>(
        &mut self,
        done: Done<(NodeId, ClientId), Option<u64>>,
        fx: &mut E,
    ) {
        let (Some(count), (asker, client)) = (done.reply, done.origin) else { return };
        if asker == self.me {
            fx.reply(client, count, done.stamp);
        } else {
            let _ =
                fx.send(self.peers.address(asker, P), Message::Count(client, count), done.stamp);
        }
    }
}

impl Machine for CounterNode {
    type Message = Message;
    type Request = u64;
    type Reply = u64;
    type Timer = ();

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Start => fx.arm((), now.tick.plus_ms(HEARTBEAT_MS)),
            Event::Request { client, request } => self.route(now, client, request, fx),
            Event::Message { from, message: Message::Greeting(greeting) } => {
                self.peers.heard(from, greeting, true, now.tick);
            }
            Event::Message { from, message: Message::Add(client, amount) } => {
                self.count(now, from.node, client, amount, fx);
            }
            Event::Message { message: Message::Count(client, count), .. } => {
                fx.reply(client, count, Stamp::NONE)
            }
            Event::PeerUp { node, shards, .. } => self.peers.connected(node, shards, now.tick),
            Event::PeerDown(node) => drop(self.peers.disconnected(node)),
            Event::Timer(()) => {
                for address in self
                    .topology
                    .nodes()
                    .flat_map(|node| self.peers.shards_of(node))
                    .collect::<Vec<_>>()
                {
                    let greeting = self.peers.greeting(address.node, now.tick);
                    let _ = fx.send(address, Message::Greeting(greeting), Stamp::NONE);
                }
                self.peers.suspect(now.tick);
                fx.arm((), now.tick.plus_ms(HEARTBEAT_MS));
            }
            Event::Loaded { ticket, entry } => {
                for done in self.vnodes.loaded(now, ticket, entry, fx) {
                    self.counted(done, fx);
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        self.vnodes.check();
        self.topology.ring.check();
    }
}
