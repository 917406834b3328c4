//! Where connections come in: the listeners, and peers that have yet to say who they are. Lives on shard 0, which
//! hands admitted connections to the shard that they belong to.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use ombak_base::{Address, Device, Machine, ShardId};

use crate::config::RuntimeError;
use crate::face::Face;
use crate::greeting::{self, Admitted, Handshake};
use crate::host::Own;
use crate::output::Output;
use crate::shard::{Input, Shard};
use crate::slab::{Key, Slab};
use crate::sockets::{self, Kind, Readiness};

/// Pause after the system refused to accept (out of descriptors, out of memory).
const ACCEPT_PAUSE_MS: u64 = 100;

struct Greeting {
    stream: TcpStream,
    from: SocketAddr,
    input: Vec<u8>,
    output: Output,
    /// Refused: to be closed once it has been told why.
    closing: bool,
}

pub(crate) struct Doors {
    peers: Option<TcpListener>,
    faces: Vec<TcpListener>,
    handshake: Arc<dyn Handshake>,
    greetings: Slab<Greeting>,
    /// Clients go round the shards.
    next_shard: usize,
}

impl Doors {
    pub fn open(
        peers: Option<std::net::TcpListener>,
        faces: Vec<std::net::TcpListener>,
        handshake: Arc<dyn Handshake>,
        registry: &Registry,
    ) -> Result<Doors, RuntimeError> {
        let listen = |listener, kind, index| {
            listen(listener, kind, index, registry).map_err(RuntimeError::io("listening"))
        };
        let peers = peers.map(|listener| listen(listener, Kind::PeerDoor, 0)).transpose()?;
        let faces = faces
            .into_iter()
            .enumerate()
            .map(|(index, listener)| listen(listener, Kind::FaceDoor, index))
            .collect::<Result<_, _>>()?;
        Ok(Doors { peers, faces, handshake, greetings: Slab::default(), next_shard: 0 })
    }
}

fn listen(
    listener: std::net::TcpListener,
    kind: Kind,
    index: usize,
    registry: &Registry,
) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let token = Token(sockets::token(kind, index as u64));
    registry.register(&mut listener, token, Interest::READABLE)?;
    Ok(listener)
}

impl<M: Machine, D: Device, F: Face<M>> Shard<M, D, F> {
    /// Accepting failed a moment ago.
    pub fn accept_again(&mut self) {
        self.accept_peers();
        let faces = self.doors.as_ref().map_or(0, |doors| doors.faces.len());
        (0..faces).for_each(|face| self.accept_clients(face));
    }

    pub fn accept_clients(&mut self, face: usize) {
        while let Some(doors) = &mut self.doors {
            let Some(listener) = doors.faces.get(face) else { return };
            let accepted = listener.accept();
            let Some((stream, _)) = self.accepted(accepted) else { return };
            self.place_client(stream, face);
        }
    }

    fn place_client(&mut self, stream: TcpStream, face: usize) {
        let shared = &self.host.shared;
        let max = self.host.limits.client_connections_max;
        if shared.clients.fetch_add(1, Ordering::Relaxed) >= max {
            shared.clients.fetch_sub(1, Ordering::Relaxed);
            if let Some(more) = self.quiet_doors.speak(self.host.now.tick) {
                tracing::warn!(max, more, "a client was turned away: too many connections");
            }
            return;
        }
        let Some(doors) = &mut self.doors else { return };
        let shard = doors.next_shard;
        doors.next_shard = (shard + 1) % self.neighbours.len();
        if shard == usize::from(self.host.own.shard.0) {
            self.host.adopt_client(stream, face);
        } else if self.neighbours[shard].try_send(Input::Client { stream, face }).is_err() {
            self.host.shared.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn accept_peers(&mut self) {
        while let Some(doors) = &mut self.doors {
            let Some(listener) = &doors.peers else { return };
            let accepted = listener.accept();
            let Some((stream, from)) = self.accepted(accepted) else { return };
            self.await_hello(stream, from);
        }
    }

    /// What was accepted; `None` when there is no more for now.
    fn accepted(
        &mut self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
    ) -> Option<(TcpStream, SocketAddr)> {
        let error = match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => error,
        };
        // Also for a connection that died in the queue: those behind it are taken a little later.
        if let Some(more) = self.quiet_doors.speak(self.host.now.tick) {
            tracing::warn!(%error, more, "a connection could not be accepted");
        }
        let due = self.host.now.tick.plus_ms(ACCEPT_PAUSE_MS);
        self.host.own_timers.arm(Own::Accept, due);
        None
    }

    fn await_hello(&mut self, stream: TcpStream, from: SocketAddr) {
        let Some(doors) = &mut self.doors else { return };
        if doors.greetings.len() >= self.host.limits.greetings_max {
            return;
        }
        sockets::tune_peer(&stream, self.host.limits.peer_silence_ms);
        let output = Output::new(0);
        let greeting = Greeting { stream, from, input: Vec::new(), output, closing: false };
        let key = doors.greetings.insert(greeting);
        let token = Token(sockets::token(Kind::Greeting, key.bits()));
        let Some(greeting) = doors.greetings.get_mut(key) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.host.registry.register(&mut greeting.stream, token, interest).is_err() {
            doors.greetings.remove(key);
            return;
        }
        let due = self.host.now.tick.plus_ms(self.host.limits.greeting_ms);
        self.host.own_timers.arm(Own::Greeting(key.bits()), due);
    }

    pub fn greeting_ready(&mut self, name: u64, readiness: Readiness) {
        let Some(doors) = &mut self.doors else { return };
        let Some(key) = sockets::find(&doors.greetings, name) else { return };
        let Some(greeting) = doors.greetings.get_mut(key) else { return };
        if greeting.closing {
            if readiness.closed
                || !matches!(greeting.output.write_to(&mut greeting.stream), Ok(false))
            {
                self.forget_greeting(key);
            }
            return;
        }
        if !readiness.readable {
            return;
        }
        match hear(greeting) {
            Ok(None) => {}
            Ok(Some(hello)) => match doors.handshake.admit(&hello) {
                Ok(admitted) => self.welcome(key, admitted),
                Err(reason) => self.refuse(key, &reason),
            },
            Err(reason) => self.refuse(key, &reason),
        }
    }

    pub fn forget_greeting(&mut self, key: Key) {
        self.host.own_timers.disarm(Own::Greeting(key.bits()));
        if let Some(doors) = &mut self.doors {
            doors.greetings.remove(key);
        }
    }

    /// Says why, then closes.
    fn refuse(&mut self, key: Key, reason: &str) {
        let speak = self.quiet_doors.speak(self.host.now.tick);
        let Some(greeting) = self.doors.as_mut().and_then(|doors| doors.greetings.get_mut(key))
        else {
            return;
        };
        if let Some(more) = speak {
            tracing::warn!(from = %greeting.from, reason, more, "a peer connection was refused");
        }
        self.host.counted.peers_refused += 1;
        greeting.closing = true;
        greeting::put_rejected(greeting.output.buffer(), reason);
        if !matches!(greeting.output.write_to(&mut greeting.stream), Ok(false)) {
            self.forget_greeting(key);
        }
    }

    /// Says who we are, and hands the connection to the shard that will read it.
    fn welcome(&mut self, key: Key, admitted: Admitted) {
        self.host.own_timers.disarm(Own::Greeting(key.bits()));
        let shard = usize::from(admitted.shard.0) % self.neighbours.len();
        let origin = Address { node: admitted.node, shard: admitted.shard };
        let Some(doors) = &mut self.doors else { return };
        let Some(mut greeting) = doors.greetings.remove(key) else { return };
        let hello = doors.handshake.hello(ShardId(shard as u16));
        greeting::put_accepted(greeting.output.buffer(), &hello);
        // The first bytes on a fresh connection always fit; where they do not, the peer dials again.
        let written = greeting.output.write_to(&mut greeting.stream);
        let freed = self.host.registry.deregister(&mut greeting.stream);
        if !matches!(written, Ok(true)) || freed.is_err() {
            return;
        }
        let stream = greeting.stream;
        if shard == usize::from(self.host.own.shard.0) {
            self.adopt_peer(stream, origin);
        } else {
            // A full inbox closes the connection, and the peer dials again.
            let _ = self.neighbours[shard].try_send(Input::Peer { stream, origin });
        }
    }
}

/// Reads what is there of a hello.
fn hear(greeting: &mut Greeting) -> Result<Option<Vec<u8>>, String> {
    let mut buffer = [0; 1024];
    loop {
        match greeting.stream.read(&mut buffer) {
            Ok(0) => return Err("it closed the connection before its hello".into()),
            Ok(n) => greeting.input.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.to_string()),
        }
        match greeting::parse_hello(&greeting.input) {
            Ok(Some(hello)) => return Ok(Some(hello)),
            Ok(None) => {}
            Err(_) => {
                return Err("this is the peer port, and that is not Ombak's peer protocol".into());
            }
        }
    }
}
