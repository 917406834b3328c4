//! Nodes on ports of their own in one process, and ways to wait for what they do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ombak_base::{Address, NodeId, ShardId};
use ombak_runtime::{Boot, Config, Counters, Flow, Handle, Limits, Running, start};

use crate::toy::{Ask, Hello, Lines, Told, Toy, ToyDevice, ToyWriter};

pub const DEADLINE: Duration = Duration::from_secs(20);
pub const CLUSTER: u8 = 7;

/// How a node is to be.
#[derive(Clone)]
pub struct Plan {
    pub node: u32,
    pub shards: u16,
    pub peers: Vec<(u32, SocketAddr)>,
    pub limits: Limits,
    pub writer: ToyWriter,
    pub immediate: bool,
    pub cluster: u8,
    pub face: Lines,
}

impl Plan {
    /// A node whose writer writes at once.
    pub fn new(node: u32) -> Plan {
        let writer = ToyWriter::default();
        writer.gate.open();
        Plan {
            node,
            shards: 1,
            peers: Vec::new(),
            limits: Limits { check_every_steps: 1, ..Limits::default() },
            writer,
            immediate: false,
            cluster: CLUSTER,
            face: Lines::default(),
        }
    }

    pub fn start(self, peer_listener: TcpListener) -> Node {
        let face_listener = listener();
        let face = face_listener.local_addr().unwrap();
        let device = || ToyDevice::new(self.immediate);
        let node = NodeId(self.node);
        let config = Config {
            node,
            peers: self.peers.iter().map(|(node, address)| (NodeId(*node), *address)).collect(),
            peer_listener: Some(peer_listener),
            face_listeners: vec![(face_listener, self.face)],
            handshake: Arc::new(Hello { cluster: self.cluster, node, shards: self.shards }),
            limits: self.limits,
        };
        let shards = (0..self.shards).map(|_| (Toy::default(), device())).collect();
        let running = start(
            config,
            Boot { shards, writer: self.writer, errands: None, recorders: Vec::new() },
        )
        .unwrap();
        Node { handle: running.handle(), running, face }
    }

    pub fn alone(self) -> Node {
        self.start(listener())
    }
}

pub struct Node {
    pub running: Running<Toy>,
    pub handle: Handle<Toy>,
    pub face: SocketAddr,
}

pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Nodes 0, 1, … with so many shards each, every one the peer of every other, all connected.
pub fn cluster(shards: &[u16], adjust: impl Fn(&mut Plan)) -> Vec<Node> {
    let listeners: Vec<_> = shards.iter().map(|_| listener()).collect();
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let plan = |node: usize| {
        let mut plan = Plan::new(node as u32);
        plan.shards = shards[node];
        plan.peers = peers(&addresses, node);
        adjust(&mut plan);
        plan
    };
    let nodes: Vec<_> =
        listeners.into_iter().enumerate().map(|(i, listener)| plan(i).start(listener)).collect();
    for node in &nodes {
        node.wait_for("peers", |counters| {
            counters.shards.iter().all(|shard| shard.peers_up == shards.len() as u64 - 1)
        });
    }
    nodes
}

pub fn peers(addresses: &[SocketAddr], of: usize) -> Vec<(u32, SocketAddr)> {
    let all = addresses.iter().enumerate().map(|(i, address)| (i as u32, *address));
    all.filter(|(i, _)| *i != of as u32).collect()
}

pub fn address(node: u32, shard: u16) -> Address {
    Address { node: NodeId(node), shard: ShardId(shard) }
}

pub fn text(text: &str) -> Told {
    Told::Text(text.into())
}

impl Node {
    pub fn call(&self, request: Ask) -> Told {
        self.call_shard(0, request)
    }

    pub fn call_shard(&self, shard: u16, request: Ask) -> Told {
        self.handle.call(ShardId(shard), request, DEADLINE).unwrap()
    }

    /// Asks without waiting; each answer arrives with `name`.
    pub fn ask_into(
        &self,
        request: Ask,
        name: &'static str,
        into: &mpsc::Sender<(&'static str, Told)>,
    ) {
        let into = into.clone();
        let sink = move |told, _| {
            let _ = into.send((name, told));
            Flow::Wait
        };
        self.handle.send(ShardId(0), request, Box::new(sink)).unwrap();
    }

    /// Everything that happens on shard 0 from now on.
    pub fn watch(&self) -> Watch {
        let (sender, receiver) = mpsc::channel();
        self.ask_into(Ask::Watch, "watch", &sender);
        let watch = Watch(receiver);
        watch.until("watching");
        watch
    }

    /// Waits until the counters say so.
    pub fn wait_for(&self, what: &str, done: impl Fn(&Counters) -> bool) {
        let start = Instant::now();
        while !done(&self.running.counters()) {
            assert!(start.elapsed() < DEADLINE, "waited too long for {what}");
            std::thread::yield_now();
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.face)
    }
}

pub struct Watch(Receiver<(&'static str, Told)>);

impl Watch {
    /// Waits for news that begins so.
    pub fn until(&self, news: &str) -> String {
        loop {
            match self.0.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no news of {news}")) {
                (_, Told::Text(text)) if text.starts_with(news) => return text,
                _ => {}
            }
        }
    }
}

/// Speaks lines.
pub struct Client {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(to: SocketAddr) -> Client {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Client { stream, reader }
    }

    pub fn say(&mut self, lines: &str) {
        self.stream.write_all(lines.as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }
}

/// Speaks the peer protocol by hand.
pub struct RawPeer(pub TcpStream);

pub const MAGIC: &[u8] = b"OMBAKP1\n";

impl RawPeer {
    pub fn connect(to: SocketAddr) -> RawPeer {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        RawPeer(stream)
    }

    pub fn greet(&mut self, hello: &[u8]) {
        let len = (hello.len() as u32).to_le_bytes();
        self.0.write_all(&[MAGIC, &len, hello].concat()).unwrap();
    }

    /// The verdict and its text.
    pub fn verdict(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 13];
        self.0.read_exact(&mut head).unwrap();
        assert_eq!(&head[..8], MAGIC);
        let mut body = vec![0; u32::from_le_bytes(head[9..].try_into().unwrap()) as usize];
        self.0.read_exact(&mut body).unwrap();
        (head[8], body)
    }

    /// Connected as `node`, from `shard`.
    pub fn admitted(to: SocketAddr, node: u32, shard: u16) -> RawPeer {
        let mut peer = RawPeer::connect(to);
        let hello = Hello { cluster: CLUSTER, node: NodeId(node), shards: 1 };
        peer.greet(&hello.bytes(ShardId(shard)));
        assert_eq!(peer.verdict().0, 1);
        peer
    }

    pub fn frame(&mut self, from: u16, to: u16, body: &[u8]) {
        let len = (body.len() as u32 + 4).to_le_bytes();
        let frame = [&len[..], &from.to_le_bytes(), &to.to_le_bytes(), body].concat();
        self.0.write_all(&frame).unwrap();
    }

    /// Waits for the other side to close, by whichever way.
    pub fn closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b""),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}
