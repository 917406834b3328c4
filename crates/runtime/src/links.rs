//! Connections to peers, outgoing half: what a shard sends to other nodes.
//!
//! Each shard dials each peer once and keeps dialling. A link says when it comes up and when it goes down; in between,
//! sends append to its output, which is written once a turn.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Interest, Token};
use ombak_base::{Device, Event, Machine, NodeId, Refused, ShardId, Wire};

use crate::config::Limits;
use crate::face::Face;
use crate::frames;
use crate::greeting::{self, Handshake, Verdict};
use crate::host::{Host, Own};
use crate::output::Output;
use crate::sockets::{self, Kind, Readiness};

/// Capacity that an idle link's buffer keeps.
const KEEP_BYTES: usize = 256 * 1024;

/// How a message gets where it is to go, as of the moment when the machine sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// To the shard itself.
    Own,
    /// To another shard of this node.
    Local,
    /// Over a link, and over no later connection: what was sent before a link went down is lost with it.
    Link { index: usize, generation: u32 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A timer will dial.
    Down,
    Connecting,
    /// Connected; the hello is on its way, or its answer is.
    Greeting,
    Up {
        shards: u16,
    },
}

struct Link {
    node: NodeId,
    address: SocketAddr,
    state: State,
    stream: Option<TcpStream>,
    /// The acceptor's answer, as far as it has come.
    input: Vec<u8>,
    output: Output,
    writable: bool,
    dirty: bool,
    /// Counts connections, so that what was held for one does not leave on the next.
    generation: u32,
    pause_ms: u64,
    /// Why it failed last, so that each reason is logged once.
    reason: String,
}

/// All links of one shard, sorted by node.
pub(crate) struct Links {
    own: ShardId,
    handshake: Arc<dyn Handshake>,
    output_bytes_max: usize,
    links: Vec<Link>,
    dirty: Vec<usize>,
    up: usize,
}

impl Links {
    pub fn new(
        own: ShardId,
        peers: &[(NodeId, SocketAddr)],
        handshake: Arc<dyn Handshake>,
        limits: &Limits,
    ) -> Links {
        let (output_bytes_max, pause_ms) = (limits.peer_output_bytes_max, limits.redial_ms_min);
        let link = |&(node, address)| Link {
            node,
            address,
            state: State::Down,
            stream: None,
            input: Vec::new(),
            output: Output::new(KEEP_BYTES),
            writable: false,
            dirty: false,
            generation: 0,
            pause_ms,
            reason: String::new(),
        };
        let mut links: Vec<_> = peers.iter().map(link).collect();
        links.sort_by_key(|link| link.node);
        Links { own, handshake, output_bytes_max, links, dirty: Vec::new(), up: 0 }
    }

    pub fn len(&self) -> usize {
        self.links.len()
    }

    pub fn up(&self) -> usize {
        self.up
    }

    pub fn node(&self, index: usize) -> NodeId {
        self.links[index].node
    }

    pub fn route(&self, node: NodeId, shard: ShardId) -> Result<Route, Refused> {
        let index =
            self.links.binary_search_by_key(&node, |link| link.node).map_err(|_| Refused::Down)?;
        let link = &self.links[index];
        match link.state {
            State::Up { shards } if shard.0 < shards => {}
            _ => return Err(Refused::Down),
        }
        if link.output.len() >= self.output_bytes_max {
            return Err(Refused::Full);
        }
        Ok(Route::Link { index, generation: link.generation })
    }

    /// Encodes a message into the link's output.
    pub fn put<T: Wire>(
        &mut self,
        index: usize,
        generation: u32,
        to: ShardId,
        message: &T,
    ) -> Result<(), Refused> {
        let link = &mut self.links[index];
        if link.generation != generation {
            return Err(Refused::Down);
        }
        if !frames::put(link.output.buffer(), self.own, to, message) {
            tracing::error!(node = %link.node, "a message was too long for a frame and was not sent");
            return Err(Refused::Full);
        }
        if !link.dirty {
            link.dirty = true;
            self.dirty.push(index);
        }
        Ok(())
    }

    /// Whether everything that can be written has been.
    pub fn is_flushed(&self) -> bool {
        self.links
            .iter()
            .all(|link| !matches!(link.state, State::Up { .. }) || link.output.is_empty())
    }

    fn mark(&mut self, index: usize) {
        if !self.links[index].dirty {
            self.links[index].dirty = true;
            self.dirty.push(index);
        }
    }
}

impl<M: Machine, D: Device, F: Face<M>> Host<M, D, F> {
    /// The timer of a link: time to dial, or the dialling took too long.
    pub fn link_timer(&mut self, index: usize) {
        match self.links.links[index].state {
            State::Down => self.dial(index),
            State::Connecting => self.link_failed(index, "it did not answer in time".into()),
            State::Greeting => self.link_failed(index, "it did not greet in time".into()),
            State::Up { .. } => {}
        }
    }

    pub fn dial(&mut self, index: usize) {
        let link = &mut self.links.links[index];
        let token = Token(sockets::token(Kind::Link, index as u64));
        let dialled = TcpStream::connect(link.address).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.registry.register(&mut stream, token, interest)?;
            Ok(stream)
        });
        match dialled {
            Ok(stream) => {
                link.stream = Some(stream);
                link.state = State::Connecting;
                let due = self.now.tick.plus_ms(self.limits.greeting_ms);
                self.own_timers.arm(Own::Link(index), due);
            }
            Err(error) => self.link_failed(index, error.to_string()),
        }
    }

    /// The socket of a link has something to say.
    pub fn link_ready(&mut self, index: usize, readiness: Readiness) {
        if self.links.links[index].state == State::Connecting
            && let Err(reason) = self.greet(index)
        {
            return self.link_failed(index, reason);
        }
        if readiness.readable
            && let Err(reason) = self.hear(index)
        {
            return self.link_failed(index, reason);
        }
        let link = &mut self.links.links[index];
        if readiness.writable && !link.writable && link.stream.is_some() {
            link.writable = true;
            self.links.mark(index);
        }
    }

    /// The connection stands, or not yet, or not at all: says hello if it does.
    fn greet(&mut self, index: usize) -> Result<(), String> {
        let hello = self.links.handshake.hello(self.links.own);
        let link = &mut self.links.links[index];
        let Some(stream) = &link.stream else { return Ok(()) };
        if let Some(error) = stream.take_error().map_err(|e| e.to_string())? {
            return Err(error.to_string());
        }
        match stream.peer_addr() {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(()),
            Err(e) => return Err(e.to_string()),
        }
        sockets::tune_peer(stream, self.limits.peer_silence_ms);
        link.state = State::Greeting;
        link.writable = true;
        greeting::put_hello(link.output.buffer(), &hello);
        self.links.mark(index);
        Ok(())
    }

    /// Reads what the acceptor says: its answer, then nothing until the end.
    fn hear(&mut self, index: usize) -> Result<(), String> {
        let link = &mut self.links.links[index];
        let mut buffer = [0; 1024];
        loop {
            let Some(stream) = &mut link.stream else { return Ok(()) };
            self.counted.reads += 1;
            match stream.read(&mut buffer) {
                Ok(0) => return Err("it closed the connection".into()),
                Ok(_) if matches!(link.state, State::Up { .. }) => {
                    return Err("it spoke out of turn".into());
                }
                Ok(n) => link.input.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.to_string()),
            }
            if link.input.len() > 2 * greeting::HELLO_BYTES_MAX {
                break;
            }
        }
        if link.state == State::Greeting { self.judge(index) } else { Ok(()) }
    }

    fn judge(&mut self, index: usize) -> Result<(), String> {
        let link = &mut self.links.links[index];
        let hello = match greeting::parse_verdict(&link.input) {
            Err(_) => return Err("it does not speak Ombak's peer protocol".into()),
            Ok(None) => return Ok(()),
            Ok(Some(Verdict::Rejected(reason))) => return Err(format!("it refuses us: {reason}")),
            Ok(Some(Verdict::Accepted(hello))) => hello,
        };
        let admitted = self
            .links
            .handshake
            .admit(&hello)
            .map_err(|reason| format!("we refuse it: {reason}"))?;
        if admitted.node != link.node {
            return Err(format!("{} lives there", admitted.node));
        }
        self.link_up(index, admitted.shards, hello.into());
        Ok(())
    }

    fn link_up(&mut self, index: usize, shards: u16, hello: Bytes) {
        let link = &mut self.links.links[index];
        tracing::info!(node = %link.node, address = %link.address, shard = %self.own.shard, "peer is up");
        link.state = State::Up { shards };
        link.input = Vec::new();
        link.pause_ms = self.limits.redial_ms_min;
        link.reason.clear();
        self.links.up += 1;
        let node = self.peer(index);
        self.own_timers.disarm(Own::Link(index));
        self.soon.push_back(Event::PeerUp { node, shards, hello });
    }

    /// Gives the connection up, tells the machine if it knew of it, and sets when to dial again.
    pub fn link_failed(&mut self, index: usize, reason: String) {
        let link = &mut self.links.links[index];
        if reason != link.reason {
            tracing::warn!(node = %link.node, address = %link.address, shard = %self.own.shard, reason, "peer is down");
            link.reason = reason;
        }
        if matches!(link.state, State::Up { .. }) {
            self.links.up -= 1;
            self.soon.push_back(Event::PeerDown(link.node));
        }
        link.state = State::Down;
        link.stream = None;
        link.input.clear();
        link.output.clear();
        link.writable = false;
        link.generation = link.generation.wrapping_add(1);
        // Half of the pause is drawn, so that the shards of a cluster do not dial a returning node all at once.
        let pause_ms = link.pause_ms / 2 + self.chance.below(link.pause_ms / 2 + 1).max(1);
        link.pause_ms = (link.pause_ms * 2).min(self.limits.redial_ms_max);
        self.own_timers.arm(Own::Link(index), self.now.tick.plus_ms(pause_ms));
    }

    /// Writes what the turn has put into the links.
    pub fn flush_links(&mut self) {
        while let Some(index) = self.links.dirty.pop() {
            let link = &mut self.links.links[index];
            link.dirty = false;
            let Some(stream) = &mut link.stream else { continue };
            if !link.writable || link.output.is_empty() {
                continue;
            }
            self.counted.writes += 1;
            match link.output.write_to(stream) {
                Ok(drained) => link.writable = drained,
                Err(error) => self.link_failed(index, error.to_string()),
            }
        }
    }
}
