//! A machine that does what it is asked, to see what the world makes of it.

use bytes::Bytes;
use ombak_base::{
    Address, Chunk, DecodeError, Device, DeviceError, Effects, Entry, Event, Load, Machine, NodeId,
    Now, Partition, Peek, Reader, Refused, Scan, ShardId, Stamp, Tick, Ticket, Wire, put_varint,
};

use crate::{
    Booted, LogCommit, LogDevice, LogNotice, LogWriter, Rng, SimDisk, SimFile, System, World,
    open_log,
};

pub const A: NodeId = NodeId(0);
pub const B: NodeId = NodeId(1);
pub const C: NodeId = NodeId(2);
pub const S0: ShardId = ShardId(0);
pub const S1: ShardId = ShardId(1);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Number(pub u64);

impl Wire for Number {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0);
    }

    fn decode(bytes: Bytes) -> Result<Number, DecodeError> {
        let mut reader = Reader::new(bytes);
        let number = reader.varint()?;
        reader.finish().map(|()| Number(number))
    }
}

#[derive(Clone, Hash, Debug)]
pub enum Ask {
    /// Stores, and answers when that is durable.
    Save(u64),
    /// Stores, and sends when that is durable.
    SaveAndTell(Address, u64),
    Read,
    /// Sends 0, 1, …, n-1.
    Count(Address, u64),
    Arm(u8, u64),
    Disarm(u8),
    /// Sends and stores at random for so many milliseconds.
    Chatter(u64),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Said {
    Saved,
    Value(Option<u64>),
    Refused(Refused),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Parrot {
    pub heard: Vec<(Address, u64)>,
    pub links: Vec<(NodeId, bool)>,
    pub fired: Vec<(u8, Tick)>,
    pub durable: Stamp,
    pub failed: bool,
    pub full: bool,
    started: bool,
    chatter_until: Tick,
    readers: Vec<ombak_base::ClientId>,
}

const CHATTER: u8 = 99;

fn key() -> Bytes {
    Bytes::from_static(b"key")
}

impl Parrot {
    pub fn numbers(&self) -> Vec<u64> {
        self.heard.iter().map(|(_, number)| *number).collect()
    }

    fn save<E: Effects<Parrot>>(number: u64, fx: &mut E) -> Stamp {
        let entry = Entry { tag: number, bytes: Bytes::from(vec![number as u8; 600]) };
        fx.store(Partition(0), &key(), Some(entry))
    }

    fn request<E: Effects<Parrot>>(
        &mut self,
        now: Now,
        client: ombak_base::ClientId,
        ask: Ask,
        fx: &mut E,
    ) {
        match ask {
            Ask::Save(number) => {
                let stamp = Parrot::save(number, fx);
                fx.reply(client, Said::Saved, stamp);
            }
            Ask::SaveAndTell(to, number) => {
                let stamp = Parrot::save(number, fx);
                fx.send(to, Number(number), stamp).unwrap();
            }
            Ask::Read => {
                self.readers.push(client);
                fx.load(Ticket(client.0), Partition(0), &key());
            }
            Ask::Count(to, n) => {
                for number in 0..n {
                    if let Err(refused) = fx.send(to, Number(number), Stamp::NONE) {
                        fx.reply(client, Said::Refused(refused), Stamp::NONE);
                    }
                }
            }
            Ask::Arm(timer, ms) => fx.arm(timer, now.tick.plus_ms(ms)),
            Ask::Disarm(timer) => fx.disarm(timer),
            Ask::Chatter(ms) => {
                self.chatter_until = now.tick.plus_ms(ms);
                fx.arm(CHATTER, now.tick);
            }
        }
    }

    fn chatter<E: Effects<Parrot>>(&mut self, now: Now, fx: &mut E) {
        if now.tick >= self.chatter_until {
            return;
        }
        let to = Address { node: NodeId(fx.choose(3) as u32), shard: ShardId(fx.choose(2) as u16) };
        let number = fx.choose(1000);
        let stamp = if number < 300 { Parrot::save(number, fx) } else { Stamp::NONE };
        if fx.send(to, Number(number), stamp).is_err() {
            fx.probe("chatter refused");
        }
        let pause_us = fx.choose(2_000);
        fx.arm(CHATTER, now.tick + pause_us);
    }
}

impl Machine for Parrot {
    type Message = Number;
    type Request = Ask;
    type Reply = Said;
    type Timer = u8;

    fn step<E: Effects<Parrot>>(&mut self, now: Now, event: Event<Parrot>, fx: &mut E) {
        assert!(self.started || matches!(event, Event::Start), "Start comes first");
        match event {
            Event::Start => self.started = true,
            Event::Request { client, request } => self.request(now, client, request, fx),
            Event::Message { from, message } => self.heard.push((from, message.0)),
            Event::PeerUp { node, shards, .. } => {
                assert_eq!(shards, 2);
                self.links.push((node, true));
            }
            Event::PeerDown(node) => self.links.push((node, false)),
            Event::Timer(CHATTER) => self.chatter(now, fx),
            Event::Timer(timer) => self.fired.push((timer, now.tick)),
            Event::Loaded { ticket, entry } => {
                let client = ombak_base::ClientId(ticket.0);
                let found = entry.unwrap().map(|entry| entry.tag);
                fx.reply(client, Said::Value(found), Stamp::NONE);
            }
            Event::Durable(stamp) => {
                assert!(stamp > self.durable && !self.failed);
                self.durable = stamp;
            }
            Event::Damaged(_) => {}
            Event::DeviceFull(full) => self.full = full,
            Event::DeviceFailed => self.failed = true,
            Event::Broken(_) => {}
            Event::More(_) | Event::Gone(_) | Event::Scanned { .. } => {}
        }
    }

    /// Connections come before they go, and go before they come again.
    fn check(&self) {
        for peer in [A, B, C] {
            let mut is_up = false;
            for (_, up) in self.links.iter().filter(|(node, _)| *node == peer) {
                assert!(is_up != *up, "{:?}", self.links);
                is_up = *up;
            }
        }
    }
}

/// A log device whose loads block, on request.
pub struct MaybeSlow {
    device: LogDevice,
    is_slow: bool,
}

impl Device for MaybeSlow {
    type Commit = LogCommit;
    type Notice = LogNotice;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        match self.device.load(partition, key) {
            Load::Ready(entry) if self.is_slow => Load::Blocked(Box::new(|| entry)),
            load => load,
        }
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        self.device.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        self.device.store(partition, key, entry)
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        self.device.scan(scan)
    }

    fn take_commit(&mut self) -> Option<LogCommit> {
        self.device.take_commit()
    }

    fn notice(&mut self, notice: LogNotice) {
        self.device.notice(notice);
    }

    fn durable(&self) -> Stamp {
        self.device.durable()
    }

    fn pending_bytes(&self) -> u64 {
        self.device.pending_bytes()
    }
}

/// Parrots with two shards a node.
#[derive(Default)]
pub struct Aviary {
    pub is_slow: bool,
    /// Of whom nobody wants to hear.
    pub unwelcome: Option<NodeId>,
}

impl System for Aviary {
    type Machine = Parrot;
    type Device = MaybeSlow;
    type Writer = LogWriter<SimFile>;

    fn boot(
        &mut self,
        _: NodeId,
        disk: &SimDisk,
        _: u64,
        _: &mut Rng,
    ) -> Result<Booted<Aviary>, String> {
        let (devices, writer) = open_log(disk, 2).map_err(|error| error.to_string())?;
        let is_slow = self.is_slow;
        let devices = devices.into_iter().map(|device| MaybeSlow { device, is_slow });
        Ok(Booted { shards: devices.map(|device| (Parrot::default(), device)).collect(), writer })
    }

    fn hello(&self, node: NodeId, _to: NodeId, _: &Parrot) -> Bytes {
        Bytes::from(node.0.to_string())
    }

    fn admit(&self, _node: NodeId, peer: NodeId, hello: &Bytes) -> bool {
        assert_eq!(*hello, peer.0.to_string());
        self.unwelcome != Some(peer)
    }
}

pub type Flock = World<Aviary>;

pub fn at(node: NodeId) -> Address {
    Address { node, shard: S0 }
}

/// Three nodes that have just connected.
pub fn flock(seed: u64) -> Flock {
    let mut w = World::new(Aviary::default(), 3, seed).unwrap();
    w.keep_lines(200);
    w.run_for(10_000);
    w
}

/// What shard 0 of the node is.
pub fn parrot(w: &Flock, node: NodeId) -> &Parrot {
    w.machine(node, S0).unwrap()
}
