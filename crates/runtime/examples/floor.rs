//! What the runtime itself costs: three processes, each one shard of a machine that does nothing but copy a value to
//! both others and answer after the first acknowledgement (a put with N=3, W=2), under one client process.
//!
//! `cargo run --release -p ombak-runtime --example floor [seconds] [connections] [durable]` prints operations a
//! second and the servers' CPU per operation, at depths 1 and 16. With `durable`, each shard's stores are written
//! and synced to a file in the current directory before anything that depends on them leaves.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ombak_base::{
    Address, Chunk, ClientId, DecodeError, Device, DeviceError, Effects, Entry, Event, Load,
    Machine, NodeId, Now, Partition, Peek, Scan, ShardId, Stamp, Wire, Writer,
};
use ombak_runtime::{
    Admitted, Answer, Boot, Close, Config, Face, Handshake, Limits, Requests, start,
};

const REQUEST_BYTES: usize = 140;
const ANSWER_BYTES: usize = 24;

#[derive(Clone, Debug)]
enum Copy {
    Store(u64, Bytes),
    Stored(u64),
}

impl Wire for Copy {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Copy::Store(id, value) => {
                out.push(0);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(value);
            }
            Copy::Stored(id) => {
                out.push(1);
                out.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    fn decode(mut bytes: Bytes) -> Result<Self, DecodeError> {
        let tag = bytes.try_get_u8().map_err(|_| DecodeError::Truncated)?;
        let id = bytes.try_get_u64_le().map_err(|_| DecodeError::Truncated)?;
        Ok(if tag == 0 { Copy::Store(id, bytes) } else { Copy::Stored(id) })
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Copier {
    peers: Vec<NodeId>,
    /// Clients that have yet to be answered.
    waiting: BTreeSet<u64>,
}

impl Machine for Copier {
    type Message = Copy;
    type Request = Bytes;
    type Reply = ();
    type Timer = u64;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Request { client, request } => {
                let key = request.slice(..16);
                fx.store(Partition(0), &key, Some(Entry { tag: 0, bytes: request.clone() }));
                for &node in &self.peers {
                    let to = Address { node, shard: ShardId(0) };
                    let _ = fx.send(to, Copy::Store(client.0, request.clone()), Stamp::NONE);
                }
                fx.arm(client.0, now.tick.plus_ms(10_000));
                self.waiting.insert(client.0);
            }
            Event::Message { from, message: Copy::Store(id, value) } => {
                let key = value.slice(..16);
                let stamp = fx.store(Partition(0), &key, Some(Entry { tag: 0, bytes: value }));
                let _ = fx.send(from, Copy::Stored(id), stamp);
            }
            Event::Message { message: Copy::Stored(id), .. } if self.waiting.remove(&id) => {
                fx.disarm(id);
                fx.reply(ClientId(id), (), Stamp::NONE);
            }
            Event::PeerUp { node, .. } => self.peers.push(node),
            Event::PeerDown(node) => self.peers.retain(|peer| *peer != node),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Memory {
    last: Stamp,
    durable: Stamp,
    pending: Vec<u8>,
    volatile: bool,
}

impl Device for Memory {
    type Commit = (Stamp, Vec<u8>);
    type Notice = Stamp;

    fn load(&mut self, _: Partition, _: &[u8]) -> Load {
        Load::Ready(Ok(None))
    }

    fn peek(&mut self, _: Partition, _: &[u8]) -> Peek {
        Peek::Absent
    }

    fn store(&mut self, _: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        self.last.0 += 1;
        if !self.volatile {
            self.pending.extend_from_slice(key);
            self.pending.extend_from_slice(entry.map_or(&[], |entry| &entry.bytes));
        }
        self.last
    }

    fn scan(&mut self, _: &Scan) -> Result<Chunk, DeviceError> {
        Ok(Chunk::default())
    }

    fn take_commit(&mut self) -> Option<Self::Commit> {
        let empty = self.pending.is_empty();
        (!empty).then(|| (self.last, std::mem::take(&mut self.pending)))
    }

    fn notice(&mut self, notice: Stamp) {
        self.durable = notice;
    }

    fn durable(&self) -> Stamp {
        if self.volatile { self.last } else { self.durable }
    }

    fn pending_bytes(&self) -> u64 {
        0
    }
}

struct Synced(Option<File>);

impl Writer for Synced {
    type Commit = (Stamp, Vec<u8>);
    type Notice = Stamp;

    fn write(
        &mut self,
        commits: Vec<(ShardId, Self::Commit)>,
        notices: &mut Vec<(ShardId, Stamp)>,
    ) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let bytes: Vec<u8> = commits.iter().flat_map(|(_, (_, bytes))| bytes).copied().collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
        notices.extend(commits.into_iter().map(|(shard, (stamp, _))| (shard, stamp)));
        Ok(())
    }

    fn tidy(&mut self, _: &mut Vec<(ShardId, Stamp)>) -> io::Result<bool> {
        Ok(false)
    }
}

#[derive(Clone)]
struct Fixed;

impl Face<Copier> for Fixed {
    type Connection = u64;

    fn open(&self) -> u64 {
        0
    }

    fn receive(
        &self,
        asked: &mut u64,
        input: &mut BytesMut,
        out: &mut Requests<'_, Copier>,
    ) -> Result<(), Close> {
        while input.len() >= REQUEST_BYTES {
            out.request(*asked, input.split_to(REQUEST_BYTES).freeze());
            *asked += 1;
        }
        Ok(())
    }

    fn answer(&self, _: &mut u64, _: u64, (): (), out: &mut Requests<'_, Copier>) -> Answer {
        out.bytes.extend_from_slice(&[7; ANSWER_BYTES]);
        Answer::Last
    }
}

struct Trusting(NodeId);

impl Handshake for Trusting {
    fn hello(&self, shard: ShardId) -> Vec<u8> {
        vec![self.0.0 as u8, shard.0 as u8]
    }

    fn admit(&self, hello: &[u8]) -> Result<Admitted, String> {
        let [node, shard] = hello else { return Err("two bytes, please".into()) };
        let (node, shard) = (NodeId(u32::from(*node)), ShardId(u16::from(*shard)));
        Ok(Admitted { node, shard, shards: 1 })
    }
}

type Failure = Box<dyn std::error::Error>;

fn node(index: usize, base: u16, durable: bool) -> Result<(), Failure> {
    let peer_port = |i: usize| SocketAddr::from(([127, 0, 0, 1], base + i as u16));
    let face_port = SocketAddr::from(([127, 0, 0, 1], base + 10 + index as u16));
    let id = NodeId(index as u32);
    let config = Config {
        node: id,
        peers: (0..3).filter(|i| *i != index).map(|i| (NodeId(i as u32), peer_port(i))).collect(),
        peer_listener: Some(TcpListener::bind(peer_port(index))?),
        face_listeners: vec![(TcpListener::bind(face_port)?, Fixed)],
        handshake: Arc::new(Trusting(id)),
        limits: Limits::default(),
    };
    let file = if durable { Some(File::create(format!("floor-{index}.log"))?) } else { None };
    let device = Memory { volatile: !durable, ..Memory::default() };
    let boot = Boot {
        shards: vec![(Copier::default(), device)],
        writer: Synced(file),
        errands: None,
        recorders: Vec::new(),
    };
    Ok(start(config, boot)?.join()?)
}

struct Load64 {
    streams: Vec<(TcpStream, usize)>,
    poll: Poll,
    answered: u64,
}

impl Load64 {
    fn connect(connections: usize, base: u16) -> Result<Load64, Failure> {
        let poll = Poll::new()?;
        let mut streams = Vec::new();
        for i in 0..connections {
            let to = SocketAddr::from(([127, 0, 0, 1], base + 10 + (i % 3) as u16));
            let stream = std::net::TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(i), Interest::READABLE)?;
            streams.push((stream, 0));
        }
        Ok(Load64 { streams, poll, answered: 0 })
    }

    /// Keeps `depth` requests outstanding per connection until `end`, then lets them run dry.
    fn run(&mut self, depth: usize, end: Instant) -> Result<(), Failure> {
        let requests = vec![7u8; REQUEST_BYTES * depth];
        let mut buffer = vec![0; 64 * 1024];
        let mut outstanding = self.streams.len() * depth;
        for (stream, _) in &mut self.streams {
            stream.write_all(&requests)?;
        }
        let mut events = Events::with_capacity(256);
        while outstanding > 0 {
            self.poll.poll(&mut events, Some(Duration::from_secs(5)))?;
            let over = Instant::now() >= end;
            for event in &events {
                let (stream, partial) = &mut self.streams[event.token().0];
                let n = match stream.read(&mut buffer) {
                    Ok(0) => return Err("a server closed a connection".into()),
                    Ok(n) => n,
                    Err(_) => continue,
                };
                let answers = (*partial + n) / ANSWER_BYTES;
                *partial = (*partial + n) % ANSWER_BYTES;
                self.answered += answers as u64;
                if over {
                    outstanding -= answers;
                } else {
                    stream.write_all(&requests[..answers * REQUEST_BYTES])?;
                }
            }
        }
        Ok(())
    }
}

/// User and system time of a process, in microseconds (fields 14 and 15 of its `stat`, in ticks of 10 ms).
fn cpu_us(pid: u32) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) * 10_000)
}

fn measure(nodes: &[Child], load: &mut Load64, depth: usize, seconds: u64) -> Result<(), Failure> {
    let cpu = || nodes.iter().map(|child| cpu_us(child.id())).sum::<Result<u64, _>>();
    load.run(depth, Instant::now() + Duration::from_millis(500))?;
    let (before, answered, start) = (cpu()?, load.answered, Instant::now());
    load.run(depth, start + Duration::from_secs(seconds))?;
    let (count, used) = (load.answered - answered, cpu()? - before);
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let each = used as f64 / count as f64;
    println!("depth {depth:2}: {rate:8.0} puts/s, {each:5.1} us of server CPU each");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |i: usize, default: u64| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    if args.first().is_some_and(|first| first == "node") {
        return node(number(1, 0) as usize, number(2, 0) as u16, number(3, 0) == 1);
    }
    let durable = args.last().is_some_and(|last| last == "durable");
    let base = 20_000 + (std::process::id() % 1_000) as u16 * 20;
    let spawn = |i: usize| {
        let numbers = [i.to_string(), base.to_string(), u8::from(durable).to_string()];
        Command::new(std::env::current_exe()?).arg("node").args(numbers).spawn()
    };
    let mut nodes = (0..3).map(spawn).collect::<io::Result<Vec<_>>>()?;
    std::thread::sleep(Duration::from_secs(2));
    let measured = Load64::connect(number(1, 64) as usize, base).and_then(|mut load| {
        [1, 16].into_iter().try_for_each(|depth| measure(&nodes, &mut load, depth, number(0, 5)))
    });
    nodes.iter_mut().for_each(|child| drop(child.kill()));
    (0..3).for_each(|i| drop(fs::remove_file(format!("floor-{i}.log"))));
    measured
}
