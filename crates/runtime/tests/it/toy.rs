//! A machine, a device, a writer and a face, each as small as can be, that reach every corner of the runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use ombak_base::property::about;
use ombak_base::{
    Address, Chunk, ClientId, DecodeError, Device, DeviceError, Effects, Entry, Event, Load,
    Machine, NodeId, Now, Partition, Peek, Reader, Scan, ShardId, Stamp, Ticket, Wire, Writer,
    always, put_bytes, put_varint,
};
use ombak_runtime::{Admitted, Answer, Close, Face, Handshake, Requests};

/// Something to wait for across threads.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        let guard = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(guard, |open| !*open).unwrap());
    }
}

#[derive(Clone, Debug)]
pub enum Ask {
    /// Answers at once with the same text.
    Echo(String),
    /// Answers with so many bytes.
    Big(usize),
    /// Stores, has all peers store, answers once this node and so many peers have.
    Put {
        key: String,
        value: String,
        peers: usize,
    },
    Get(String),
    /// Sends a question to another shard and answers with its answer.
    Far {
        to: Address,
        text: String,
    },
    /// Sends messages until so many are taken or one is refused; answers with how it went.
    Flood {
        to: Address,
        count: u64,
        bytes: usize,
    },
    /// Answers once so many messages of floods have come, with whether they came in order.
    Flooded(u64),
    /// Answers in so many parts, one per `More`.
    Stream(u32),
    /// Every event of peers, device and clients, as it happens.
    Watch,
    /// Answers with the moment at which it was asked, in microseconds.
    When,
    /// Answers after so many milliseconds.
    After(u64),
    /// Keeps the shard's thread until the gate opens.
    Block(mpsc::Sender<()>, Gate),
    Scan,
    Panic,
    /// Breaks a property about a partition, or about nobody knows what.
    Break(Option<Partition>),
    /// Breaks one as soon as the machine is checked.
    BreakCheck,
    /// Breaks one, and again when the machine is told.
    BreakTwice,
    /// Never answered.
    Never,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    Text(String),
    Part(u32, bool),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Say {
    Question(u64, Bytes),
    Answer(u64, Bytes),
    Store(u64, Bytes),
    Stored(u64),
    Flood(u64, Bytes),
}

impl Wire for Say {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, number, bytes) = match self {
            Say::Question(n, b) => (0, n, &b[..]),
            Say::Answer(n, b) => (1, n, &b[..]),
            Say::Store(n, b) => (2, n, &b[..]),
            Say::Stored(n) => (3, n, &[][..]),
            Say::Flood(n, b) => (4, n, &b[..]),
        };
        out.push(tag);
        put_varint(out, *number);
        put_bytes(out, bytes);
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (tag, number) = (reader.u8()?, reader.varint()?);
        let bytes = reader.bytes(usize::MAX)?;
        reader.finish()?;
        match tag {
            0 => Ok(Say::Question(number, bytes)),
            1 => Ok(Say::Answer(number, bytes)),
            2 => Ok(Say::Store(number, bytes)),
            3 => Ok(Say::Stored(number)),
            4 => Ok(Say::Flood(number, bytes)),
            _ => Err(DecodeError::Invalid("tag")),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Toy {
    peers: BTreeSet<NodeId>,
    /// Puts by number: who asked, how many acknowledgements are missing.
    waiting: BTreeMap<u64, (ClientId, usize)>,
    streams: BTreeMap<ClientId, (u32, u32)>,
    watchers: Vec<ClientId>,
    flooded: (u64, bool),
    flood_waiter: Option<(ClientId, u64)>,
    is_broken: bool,
    breaks_twice: bool,
}

impl Toy {
    fn tell<E: Effects<Self>>(&self, fx: &mut E, text: String) {
        for watcher in &self.watchers {
            fx.reply(*watcher, Told::Text(text.clone()), Stamp::NONE);
        }
    }

    fn request<E: Effects<Self>>(&mut self, now: Now, client: ClientId, request: Ask, fx: &mut E) {
        let mut say = |text: String| fx.reply(client, Told::Text(text), Stamp::NONE);
        match request {
            Ask::Echo(text) => say(text),
            Ask::Big(bytes) => say("x".repeat(bytes)),
            Ask::Put { key, value, peers } => self.put(client, &key, value, peers, fx),
            Ask::Get(key) => fx.load(Ticket(client.0), Partition(0), &Bytes::from(key)),
            Ask::Far { to, text } => {
                let question = Say::Question(client.0, text.into());
                if let Err(refused) = fx.send(to, question, Stamp::NONE) {
                    fx.reply(client, Told::Text(format!("{refused:?}")), Stamp::NONE);
                }
            }
            Ask::Flood { to, count, bytes } => {
                let body = Bytes::from(vec![7; bytes]);
                let sent = (0..count)
                    .map(|i| fx.send(to, Say::Flood(i, body.clone()), Stamp::NONE))
                    .find_map(Result::err);
                fx.reply(client, Told::Text(format!("{sent:?}")), Stamp::NONE);
            }
            Ask::Flooded(count) => {
                self.flood_waiter = Some((client, count));
                self.answer_flooded(fx);
            }
            Ask::Stream(parts) => {
                self.streams.insert(client, (0, parts));
                self.stream(client, fx);
            }
            Ask::Watch => {
                self.watchers.push(client);
                say(format!("watching {:?}", self.peers));
            }
            Ask::When => say(now.tick.0.to_string()),
            Ask::After(ms) => fx.arm(client, now.tick.plus_ms(ms)),
            Ask::Block(blocked, gate) => {
                blocked.send(()).unwrap();
                gate.pass();
                fx.reply(client, Told::Text("unblocked".into()), Stamp::NONE);
            }
            Ask::Scan => fx.scan(
                Ticket(client.0),
                Scan {
                    partition: Partition(0),
                    from: Bytes::new(),
                    to: Bytes::new(),
                    entries_max: 100,
                    bytes_max: 1000,
                    values: false,
                },
            ),
            Ask::Panic => panic!("as it was asked to"),
            Ask::Break(Some(partition)) => {
                about(partition, || always!(false, "toys are whole", "{partition}"));
            }
            Ask::Break(None) => always!(false, "toys are whole"),
            Ask::BreakCheck => self.is_broken = true,
            Ask::BreakTwice => {
                self.breaks_twice = true;
                always!(false, "toys are whole");
            }
            Ask::Never => {}
        }
    }

    fn put<E: Effects<Self>>(
        &mut self,
        client: ClientId,
        key: &str,
        value: String,
        peers: usize,
        fx: &mut E,
    ) {
        let entry = Entry { tag: 0, bytes: value.into() };
        let stamp = fx.store(Partition(0), &Bytes::from(key.to_string()), Some(entry));
        for peer in &self.peers {
            let to = Address { node: *peer, shard: ShardId(0) };
            let _ = fx.send(to, Say::Store(client.0, key.to_string().into()), stamp);
        }
        if peers == 0 {
            fx.reply(client, Told::Text("stored".into()), stamp);
        } else {
            self.waiting.insert(client.0, (client, peers));
        }
    }

    fn stream<E: Effects<Self>>(&mut self, client: ClientId, fx: &mut E) {
        let Some((next, parts)) = self.streams.get_mut(&client) else { return };
        *next += 1;
        let last = next == parts;
        fx.reply(client, Told::Part(*next, last), Stamp::NONE);
        if last {
            self.streams.remove(&client);
        }
    }

    fn answer_flooded<E: Effects<Self>>(&mut self, fx: &mut E) {
        if let Some((client, count)) = self.flood_waiter
            && self.flooded.0 >= count
        {
            self.flood_waiter = None;
            let text = if self.flooded.1 { "out of order" } else { "in order" };
            fx.reply(client, Told::Text(text.into()), Stamp::NONE);
        }
    }

    fn message<E: Effects<Self>>(&mut self, from: Address, message: Say, fx: &mut E) {
        match message {
            Say::Question(n, text) => {
                let answer = format!("{} from {}/{}", lossy(&text), from.node, from.shard);
                let _ = fx.send(from, Say::Answer(n, answer.into()), Stamp::NONE);
            }
            Say::Answer(n, text) => fx.reply(ClientId(n), Told::Text(lossy(&text)), Stamp::NONE),
            Say::Store(n, key) => {
                let stamp =
                    fx.store(Partition(0), &key, Some(Entry { tag: 1, bytes: key.clone() }));
                let _ = fx.send(from, Say::Stored(n), stamp);
            }
            Say::Stored(n) => {
                let Some((client, missing)) = self.waiting.get_mut(&n) else { return };
                *missing -= 1;
                if *missing == 0 {
                    fx.reply(*client, Told::Text("replicated".into()), Stamp::NONE);
                    self.waiting.remove(&n);
                }
            }
            Say::Flood(n, _) => {
                self.flooded.1 |= n != self.flooded.0;
                self.flooded.0 += 1;
                self.answer_flooded(fx);
            }
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Machine for Toy {
    type Message = Say;
    type Request = Ask;
    type Reply = Told;
    type Timer = ClientId;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Start => {}
            Event::Request { client, request } => self.request(now, client, request, fx),
            Event::More(client) => self.stream(client, fx),
            Event::Gone(client) => {
                self.streams.remove(&client);
                self.tell(fx, "gone".into());
            }
            Event::Message { from, message } => self.message(from, message, fx),
            Event::PeerUp { node, shards, hello } => {
                self.peers.insert(node);
                assert_eq!(hello.len(), 9);
                self.tell(fx, format!("{node} up with {shards}"));
            }
            Event::PeerDown(node) => {
                self.peers.remove(&node);
                self.tell(fx, format!("{node} down"));
            }
            Event::Timer(client) => fx.reply(client, Told::Text("time".into()), Stamp::NONE),
            Event::Loaded { ticket, entry } => {
                let text = match entry.unwrap() {
                    Some(entry) => lossy(&entry.bytes),
                    None => "nothing".into(),
                };
                fx.reply(ClientId(ticket.0), Told::Text(text), Stamp::NONE);
            }
            Event::Scanned { ticket, chunk } => {
                let text = format!("{} entries", chunk.unwrap().entries.len());
                fx.reply(ClientId(ticket.0), Told::Text(text), Stamp::NONE);
            }
            Event::Durable(stamp) => self.tell(fx, format!("durable {}", stamp.0)),
            Event::Damaged(partition) => self.tell(fx, format!("{partition} is damaged")),
            Event::DeviceFull(true) => self.tell(fx, "device full".into()),
            Event::DeviceFull(false) => self.tell(fx, "device has room".into()),
            Event::DeviceFailed => self.tell(fx, "device failed".into()),
            Event::Broken(partition) => {
                always!(!self.breaks_twice, "toys break once");
                self.is_broken = false;
                self.tell(fx, format!("{partition:?} is broken"));
            }
        }
    }

    fn check(&self) {
        always!(!self.is_broken, "no toy is broken");
    }
}

/// Keeps everything in memory; keys that begin with "cold" are read elsewhere.
#[derive(Default)]
pub struct ToyDevice {
    entries: BTreeMap<Vec<u8>, Entry>,
    last: Stamp,
    committed: Stamp,
    durable: Stamp,
    /// Needs no writer: durable at once.
    immediate: bool,
}

impl ToyDevice {
    pub fn new(immediate: bool) -> ToyDevice {
        ToyDevice { immediate, ..ToyDevice::default() }
    }
}

impl Device for ToyDevice {
    type Commit = Stamp;
    type Notice = Stamp;

    fn load(&mut self, _: Partition, key: &[u8]) -> Load {
        let entry = Ok(self.entries.get(key).cloned());
        if key.starts_with(b"cold") {
            Load::Blocked(Box::new(|| entry))
        } else {
            Load::Ready(entry)
        }
    }

    fn peek(&mut self, _: Partition, _: &[u8]) -> Peek {
        Peek::Unknown
    }

    fn store(&mut self, _: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        self.last.0 += 1;
        entry.map(|entry| self.entries.insert(key.to_vec(), entry.clone()));
        self.last
    }

    fn scan(&mut self, _: &Scan) -> Result<Chunk, DeviceError> {
        let entry =
            |key: &Vec<u8>| ombak_base::ScanEntry { key: key.clone().into(), tag: 0, bytes: None };
        Ok(Chunk { entries: self.entries.keys().map(entry).collect(), next: None })
    }

    fn take_commit(&mut self) -> Option<Stamp> {
        if self.immediate || self.committed == self.last {
            return None;
        }
        self.committed = self.last;
        Some(self.last)
    }

    fn notice(&mut self, notice: Stamp) {
        self.durable = notice;
    }

    fn durable(&self) -> Stamp {
        if self.immediate { self.last } else { self.durable }
    }

    fn pending_bytes(&self) -> u64 {
        self.last.0 - self.durable().0
    }
}

/// Writes when told to.
#[derive(Clone, Default)]
pub struct ToyWriter {
    pub gate: Gate,
    pub fails: bool,
    /// Whether there is no room: then what comes waits.
    pub full: Arc<AtomicBool>,
    pub waiting: Vec<(ShardId, Stamp)>,
}

impl Writer for ToyWriter {
    type Commit = Stamp;
    type Notice = Stamp;

    fn write(
        &mut self,
        commits: Vec<(ShardId, Stamp)>,
        notices: &mut Vec<(ShardId, Stamp)>,
    ) -> io::Result<()> {
        self.gate.pass();
        if self.fails {
            return Err(io::Error::other("the disk is gone"));
        }
        self.waiting.extend(commits);
        if !self.is_full() {
            notices.append(&mut self.waiting);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    fn tidy(&mut self, _: &mut Vec<(ShardId, Stamp)>) -> io::Result<bool> {
        Ok(false)
    }
}

/// A line per request and per part of an answer; answers in the order of the requests; at most 8 outstanding.
#[derive(Clone, Default)]
pub struct Lines {
    /// The most output that any connection had waiting.
    pub output_max: Arc<AtomicUsize>,
}

pub const OUTSTANDING_MAX: u64 = 8;

#[derive(Default)]
pub struct LineConnection {
    asked: u64,
    answered: u64,
    /// The slot whose answer is next on the wire.
    next: u64,
    /// Answers that must wait, and whether they are complete.
    early: BTreeMap<u64, (Vec<u8>, bool)>,
}

impl Face<Toy> for Lines {
    type Connection = LineConnection;

    fn open(&self) -> LineConnection {
        LineConnection::default()
    }

    fn receive(
        &self,
        connection: &mut LineConnection,
        input: &mut BytesMut,
        out: &mut Requests<'_, Toy>,
    ) -> Result<(), Close> {
        while self.may_read(connection) {
            let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
                return if input.len() > 100_000 { Err(Close) } else { Ok(()) };
            };
            let line = lossy(&input[..end]);
            input.advance(end + 1);
            let Some(request) = parse(&line) else {
                out.bytes.extend_from_slice(b"what?\n");
                return Err(Close);
            };
            out.request(connection.asked, request);
            connection.asked += 1;
        }
        Ok(())
    }

    fn answer(
        &self,
        connection: &mut LineConnection,
        slot: u64,
        reply: Told,
        out: &mut Requests<'_, Toy>,
    ) -> Answer {
        let (line, last) = match reply {
            Told::Text(text) => (format!("{text}\n"), true),
            Told::Part(part, last) => (format!("part {part}\n"), last),
        };
        let (lines, done) = connection.early.entry(slot).or_default();
        lines.extend_from_slice(line.as_bytes());
        *done = last;
        while let Some((lines, done)) = connection.early.get_mut(&connection.next) {
            out.bytes.append(lines);
            if !*done {
                break;
            }
            connection.early.remove(&connection.next);
            connection.next += 1;
        }
        self.output_max.fetch_max(out.bytes.len(), Ordering::Relaxed);
        if !last {
            return Answer::More;
        }
        connection.answered += 1;
        Answer::Last
    }

    fn may_read(&self, connection: &LineConnection) -> bool {
        connection.asked - connection.answered < OUTSTANDING_MAX
    }
}

fn parse(line: &str) -> Option<Ask> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "echo" => Some(Ask::Echo(rest.into())),
        "big" => Some(Ask::Big(rest.trim_start_matches('0').parse().ok()?)),
        "stream" => Some(Ask::Stream(rest.parse().ok()?)),
        "after" => Some(Ask::After(rest.parse().ok()?)),
        "never" => Some(Ask::Never),
        _ => None,
    }
}

/// A hello is cluster, node, shard, shards.
#[derive(Clone, Copy)]
pub struct Hello {
    pub cluster: u8,
    pub node: NodeId,
    pub shards: u16,
}

impl Hello {
    pub fn bytes(self, shard: ShardId) -> Vec<u8> {
        let mut out = vec![self.cluster];
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&shard.0.to_le_bytes());
        out.extend_from_slice(&self.shards.to_le_bytes());
        out
    }
}

impl Handshake for Hello {
    fn hello(&self, shard: ShardId) -> Vec<u8> {
        self.bytes(shard)
    }

    fn admit(&self, hello: &[u8]) -> Result<Admitted, String> {
        let mut reader = hello;
        if reader.len() != 9 {
            return Err("that is no hello".into());
        }
        let cluster = reader.get_u8();
        if cluster != self.cluster {
            return Err(format!("cluster {cluster} is not cluster {}", self.cluster));
        }
        let node = NodeId(reader.get_u32_le());
        let shard = ShardId(reader.get_u16_le());
        Ok(Admitted { node, shard, shards: reader.get_u16_le() })
    }
}
