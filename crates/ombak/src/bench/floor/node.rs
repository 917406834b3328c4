//! One of the floor's three processes: what a node does for an operation, without storage and protocol.
//!
//! A request goes to the two other nodes. When the first of them has acknowledged it, two have it, and the client is
//! answered. Connections keep their order, so the operations of a node are done in the order of its requests, and two
//! counters are all that it has to know.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use clap::Args;
use mio::{Events, Interest, Poll, Token};

use super::legs::{DONE, GET, Legs, PUT};
use super::pipe::Pipe;
use super::{NODES, PEERS};

const EVENTS_MAX: usize = 1024;
const CLIENTS: Token = Token(usize::MAX);

/// One process of the floor.
#[derive(Args, Clone, Debug)]
pub struct FloorNodeArgs {
    /// As of the benchmark.
    #[arg(long)]
    value_bytes: usize,
}

/// Runs until the benchmark has gone: it closes its connections, or ends.
pub(in super::super) fn run(args: &FloorNodeArgs) -> io::Result<()> {
    let (node, mut said) = (FloorNode::meet(args.value_bytes)?, String::new());
    thread::Builder::new().name("floor-parent".into()).spawn(move || {
        // Nothing more comes, but the end does, however the benchmark ends.
        let _ = io::stdin().lock().read_line(&mut said);
        std::process::exit(0);
    })?;
    node.serve()
}

/// A node that is connected with the others.
struct FloorNode {
    poll: Poll,
    listener: mio::net::TcpListener,
    /// The other nodes first, then clients; `None` when they have gone.
    pipes: Vec<Option<Pipe>>,
    clients: usize,
    /// What each other node has acknowledged.
    acked: [u64; PEERS],
    done: u64,
    /// Clients that wait, the oldest first, and for what.
    waiting: VecDeque<(usize, u8)>,
    /// Those that have something to be sent.
    dirty: Vec<usize>,
    legs: [Legs; 2],
}

impl FloorNode {
    /// Tells the benchmark on which ports it listens, hears from it which nodes to connect to, and waits for the rest.
    fn meet(value_bytes: usize) -> io::Result<FloorNode> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (peers, clients) = (TcpListener::bind(here)?, TcpListener::bind(here)?);
        let mut out = io::stdout().lock();
        writeln!(out, "{} {}", peers.local_addr()?.port(), clients.local_addr()?.port())?;
        out.flush()?;
        let mut said = String::new();
        io::stdin().lock().read_line(&mut said)?;
        let mut links = Vec::new();
        for port in said.split_whitespace() {
            let port = port.parse().map_err(io::Error::other)?;
            links.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
        }
        while links.len() < NODES - 1 {
            links.push(peers.accept()?.0);
        }
        writeln!(out, "ready")?;
        out.flush()?;
        FloorNode::new(links, clients, value_bytes)
    }

    fn new(
        links: Vec<TcpStream>,
        clients: TcpListener,
        value_bytes: usize,
    ) -> io::Result<FloorNode> {
        clients.set_nonblocking(true)?;
        let mut node = FloorNode {
            poll: Poll::new()?,
            listener: mio::net::TcpListener::from_std(clients),
            pipes: Vec::new(),
            clients: 0,
            acked: [0; PEERS],
            done: 0,
            waiting: VecDeque::new(),
            dirty: Vec::new(),
            legs: [PUT, GET].map(|kind| Legs::of(kind, value_bytes)),
        };
        node.poll.registry().register(&mut node.listener, CLIENTS, Interest::READABLE)?;
        for link in links {
            link.set_nonblocking(true)?;
            node.watch(mio::net::TcpStream::from_std(link))?;
        }
        Ok(node)
    }

    fn watch(&mut self, mut stream: mio::net::TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(self.pipes.len()), interest)?;
        self.pipes.push(Some(Pipe::new(stream)));
        Ok(())
    }

    /// Reads all that is there, then writes all that came of it: each connection once a turn.
    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    CLIENTS => self.accept()?,
                    Token(at) => {
                        if event.is_writable() {
                            self.dirty.push(at);
                        }
                        if event.is_readable() && !self.hear(at)? {
                            return Ok(());
                        }
                    }
                }
            }
            self.flush();
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.clients += 1;
                    self.watch(stream)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is still somebody to serve.
    fn hear(&mut self, at: usize) -> io::Result<bool> {
        let Some(mut pipe) = self.pipes[at].take() else { return Ok(true) };
        loop {
            let Ok(more) = pipe.read() else {
                // A node that has gone takes the run with it; a client only itself.
                self.clients = self.clients.saturating_sub(1);
                return Ok(at >= PEERS && self.clients > 0);
            };
            while let Some((kind, body)) = pipe.take() {
                match (at < PEERS, kind) {
                    (true, DONE) => self.acked[at] += 1,
                    (true, kind) => pipe.put(DONE, &[], self.leg(kind).ack),
                    (false, kind) => self.ask(at, kind, body),
                }
            }
            if !more {
                break;
            }
        }
        self.dirty.push(at);
        self.pipes[at] = Some(pipe);
        self.answer();
        Ok(true)
    }

    fn leg(&self, kind: u8) -> Legs {
        self.legs[usize::from(kind == GET)]
    }

    fn ask(&mut self, client: usize, kind: u8, body: &[u8]) {
        let length = self.leg(kind).copy;
        for peer in 0..PEERS {
            self.put(peer, kind, body, length);
        }
        self.waiting.push_back((client, kind));
    }

    /// Answers what one of the others has acknowledged.
    fn answer(&mut self) {
        let acked = self.acked.into_iter().max().unwrap_or(0);
        while self.done < acked {
            self.done += 1;
            let Some((client, kind)) = self.waiting.pop_front() else { return };
            self.put(client, DONE, &[], self.leg(kind).answer);
        }
    }

    fn put(&mut self, at: usize, kind: u8, body: &[u8], length: usize) {
        if let Some(pipe) = &mut self.pipes[at] {
            if pipe.has_sent_all() {
                self.dirty.push(at);
            }
            pipe.put(kind, body, length);
        }
    }

    /// An error is seen again by the next read.
    fn flush(&mut self) {
        while let Some(at) = self.dirty.pop() {
            let _ = self.pipes[at].as_mut().map(Pipe::flush);
        }
    }
}
