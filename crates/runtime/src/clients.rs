//! Client connections: reading, answering, flushing, and when to do none of that.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use mio::net::TcpStream;
use mio::{Interest, Token};
use ombak_base::limits::FRAME_BYTES_MAX;
use ombak_base::{ClientId, Device, Event, Machine, Tick};

use crate::config::Limits;
use crate::face::{Answer, Face, Refusal, Requests};
use crate::host::{Host, Own};
use crate::output::Output;
use crate::requests::{Origin, Whom};
use crate::slab::{Key, Slab};
use crate::sockets::{self, Kind, Readiness};

/// Capacity that an idle connection's buffers keep.
const KEEP_BYTES: usize = 8 * 1024;

/// Unfinished input of so much is nobody's fault.
const SMALL_BYTES: usize = 64 * 1024;

/// Requests that a face has asked for and that have no [`ClientId`] yet, by slot.
pub(crate) type AskedBySlot<M> = Vec<(u64, <M as Machine>::Request)>;

struct Client<C> {
    stream: TcpStream,
    face: usize,
    state: C,
    input: BytesMut,
    /// When a byte of `input` came last.
    fed: Tick,
    output: Output,
    /// The socket may have something to read.
    readable: bool,
    /// The other side has closed: read to the end.
    closed: bool,
    writable: bool,
    /// In the list of those to be read.
    queued: bool,
    /// In the list of those to be flushed.
    dirty: bool,
    /// Not read until its answers have been given or taken.
    paused: bool,
    /// To be closed once the output is out.
    closing: bool,
    /// Requests that are not over.
    outstanding: u32,
    /// Requests whose next part is to be asked for.
    wanting: Vec<ClientId>,
}

pub(crate) struct Clients<M: Machine, F: Face<M>> {
    faces: Vec<F>,
    slab: Slab<Client<F::Connection>>,
    /// Connections to be read, in turn.
    ready: VecDeque<Key>,
    dirty: Vec<Key>,
    asked: AskedBySlot<M>,
    /// Of all connections together.
    input_bytes: usize,
    /// Whether a timer looks for unfinished input.
    watching: bool,
}

/// What a read brought.
pub(crate) enum Received {
    /// Nothing to do for now.
    Nothing,
    /// Bytes, or room for what was left over: the face is to see them.
    Input,
    /// The end.
    End,
}

impl<M: Machine, F: Face<M>> Clients<M, F> {
    pub fn new(faces: Vec<F>) -> Clients<M, F> {
        Clients {
            faces,
            slab: Slab::default(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            asked: Vec::new(),
            input_bytes: 0,
            watching: false,
        }
    }

    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many are to be read. Those that become so meanwhile have their turn in the next one.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    pub fn next_ready(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        if let Some(client) = self.slab.get_mut(key) {
            client.queued = false;
        }
        Some(key)
    }

    /// Notes what a poll said.
    pub fn note(&mut self, name: u64, readiness: Readiness) {
        let Some(key) = sockets::find(&self.slab, name) else { return };
        let Some(client) = self.slab.get_mut(key) else { return };
        client.closed |= readiness.closed;
        if readiness.readable {
            client.readable = true;
            if !client.paused {
                queue(&mut self.ready, client, key);
            }
        }
        // One that has gone away will take no answers; that it is paused must not keep it.
        if client.closed && client.paused {
            client.paused = false;
            queue(&mut self.ready, client, key);
        }
        if readiness.writable && !client.writable {
            client.writable = true;
            mark(&mut self.dirty, client, key);
        }
    }

    pub fn is_flushed(&self) -> bool {
        self.slab.iter().all(|(_, client)| client.output.is_empty())
    }
}

fn queue<C>(ready: &mut VecDeque<Key>, client: &mut Client<C>, key: Key) {
    if !client.queued {
        client.queued = true;
        ready.push_back(key);
    }
}

fn mark<C>(dirty: &mut Vec<Key>, client: &mut Client<C>, key: Key) {
    if !client.dirty {
        client.dirty = true;
        dirty.push(key);
    }
}

fn may_read<M: Machine, F: Face<M>>(
    face: &F,
    client: &Client<F::Connection>,
    limits: &Limits,
) -> bool {
    !client.closing
        && client.output.len() < limits.client_output_bytes_max
        && face.may_read(&client.state)
}

impl<M: Machine, D: Device, F: Face<M>> Host<M, D, F> {
    /// Takes an accepted connection.
    pub fn adopt_client(&mut self, stream: TcpStream, face: usize) {
        sockets::tune(&stream);
        self.counted.clients_accepted += 1;
        let state = self.clients.faces[face].open();
        let key = self.clients.slab.insert(Client {
            stream,
            face,
            state,
            input: BytesMut::new(),
            fed: self.now.tick,
            output: Output::new(KEEP_BYTES),
            readable: true,
            closed: false,
            writable: true,
            queued: true,
            dirty: false,
            paused: false,
            closing: false,
            outstanding: 0,
            wanting: Vec::new(),
        });
        self.clients.ready.push_back(key);
        let token = Token(sockets::token(Kind::Client, key.bits()));
        let Some(client) = self.clients.slab.get_mut(key) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(&mut client.stream, token, interest) {
            tracing::warn!(%error, "a client's connection cannot be watched");
            self.close_client(key);
        }
    }

    /// One read from one connection, through `scratch`: idle connections own no buffer, and a read needs no guess of
    /// how much there is.
    pub fn read_client(&mut self, key: Key, scratch: &mut [u8]) -> Received {
        let Some(client) = self.clients.slab.get_mut(key) else { return Received::Nothing };
        if client.closing {
            return if client.closed { Received::End } else { Received::Nothing };
        }
        if !may_read(&self.clients.faces[client.face], client, &self.limits) && !client.closed {
            client.paused = true;
            return Received::Nothing;
        }
        if !client.readable {
            return if client.input.is_empty() { Received::Nothing } else { Received::Input };
        }
        self.counted.reads += 1;
        match client.stream.read(scratch) {
            Ok(0) => Received::End,
            Ok(n) => {
                self.counted.client_bytes_in += n as u64;
                client.input.extend_from_slice(&scratch[..n]);
                client.fed = self.now.tick;
                self.clients.input_bytes += n;
                if n == scratch.len() || client.closed {
                    queue(&mut self.clients.ready, client, key);
                } else {
                    // A short read emptied the socket; what comes later is a new edge.
                    client.readable = false;
                }
                Received::Input
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {
                queue(&mut self.clients.ready, client, key);
                Received::Nothing
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                client.readable = false;
                if client.input.is_empty() { Received::Nothing } else { Received::Input }
            }
            Err(_) => Received::End,
        }
    }

    /// Shows the face what has arrived and returns what it asks for; give the vector back with `reuse_asked`.
    pub fn receive(&mut self, key: Key) -> AskedBySlot<M> {
        let mut asked = std::mem::take(&mut self.clients.asked);
        let Some(client) = self.clients.slab.get_mut(key) else { return asked };
        let before = client.output.len();
        let mut out = Requests::new(client.output.buffer(), &mut asked);
        let face = &self.clients.faces[client.face];
        let offered = client.input.len();
        let received = face.receive(&mut client.state, &mut client.input, &mut out);
        self.clients.input_bytes -= offered - client.input.len();
        // A face that neither consumes nor refuses would make us buffer without end.
        client.closing |= received.is_err() || client.input.len() > 2 * FRAME_BYTES_MAX;
        if client.input.is_empty() && client.input.capacity() > KEEP_BYTES {
            client.input = BytesMut::new();
        }
        self.counted.client_bytes_out += (client.output.len() - before) as u64;
        if client.closing || !client.output.is_empty() {
            mark(&mut self.clients.dirty, client, key);
        }
        // Also when it has to wait: it may have left something in the input, and the answers will bring it back.
        if !client.closing && !may_read(face, client, &self.limits) {
            client.paused = true;
        }
        let is_unfinished = !client.input.is_empty() && !client.closing;
        if is_unfinished {
            self.watch_unfinished(key);
        }
        asked
    }

    /// Bounds what connections may keep by not finishing a request.
    fn watch_unfinished(&mut self, key: Key) {
        let too_much = self.clients.input_bytes > self.limits.clients_input_bytes_max;
        let client = self.clients.slab.get_mut(key);
        if too_much && client.is_some_and(|client| client.input.len() > SMALL_BYTES) {
            self.refuse_client(key, Refusal::TooMuch);
        } else if !std::mem::replace(&mut self.clients.watching, true) {
            let due = self.now.tick.plus_ms(self.limits.unfinished_ms);
            self.own_timers.arm(Own::Unfinished, due);
        }
    }

    /// Refuses clients that have sent a part of a request and then nothing for too long, unless it was this node that
    /// did not read on.
    pub fn refuse_slow_clients(&mut self) {
        let since = self.limits.unfinished_ms * 1_000;
        let now = self.now.tick;
        let unfinished =
            |client: &Client<F::Connection>| !client.input.is_empty() && !client.paused;
        let all = self.clients.slab.iter().filter(|(_, client)| unfinished(client));
        let (slow, rest): (Vec<_>, Vec<_>) = all
            .map(|(key, client)| (key, client.fed))
            .partition(|(_, fed)| now.since(*fed) >= since);
        slow.iter().for_each(|(key, _)| self.refuse_client(*key, Refusal::TooSlow));
        let paused = self.clients.slab.iter().any(|(_, client)| !client.input.is_empty());
        let oldest = rest.iter().map(|(_, fed)| fed.plus_ms(self.limits.unfinished_ms)).min();
        let next = oldest.or(paused.then(|| now.plus_ms(self.limits.unfinished_ms)));
        self.clients.watching = next.is_some();
        if let Some(next) = next {
            self.own_timers.arm(Own::Unfinished, next);
        }
    }

    fn refuse_client(&mut self, key: Key, why: Refusal) {
        let Some(client) = self.clients.slab.get_mut(key) else { return };
        self.clients.input_bytes -= client.input.len();
        client.input = BytesMut::new();
        let mut out = Requests::new(client.output.buffer(), &mut self.clients.asked);
        let face = &self.clients.faces[client.face];
        client.closing |= face.refuse(&mut client.state, why, &mut out).is_err();
        client.paused = true;
        mark(&mut self.clients.dirty, client, key);
    }

    pub fn reuse_asked(&mut self, asked: AskedBySlot<M>) {
        self.clients.asked = asked;
    }

    /// Gives a request its id.
    pub fn admit(&mut self, connection: Key, slot: u64, request: &M::Request) -> ClientId {
        if let Some(client) = self.clients.slab.get_mut(connection) {
            client.outstanding += 1;
        }
        let origin = Origin::new(Whom::Client { connection, slot }, F::operation(request));
        ClientId(self.begin(origin).bits())
    }

    /// Gives the face a part of an answer. `true`: it was the last.
    pub fn answer_client(
        &mut self,
        request: Key,
        connection: Key,
        slot: u64,
        reply: M::Reply,
    ) -> bool {
        let Some(client) = self.clients.slab.get_mut(connection) else { return false };
        let face = &self.clients.faces[client.face];
        let before = client.output.len();
        let mut out = Requests::new(client.output.buffer(), &mut self.clients.asked);
        let answer = face.answer(&mut client.state, slot, reply, &mut out);
        self.counted.client_bytes_out += (client.output.len() - before) as u64;
        mark(&mut self.clients.dirty, client, connection);
        let id = ClientId(request.bits());
        match answer {
            Answer::More => client.wanting.push(id),
            Answer::Last | Answer::Stop | Answer::Close => {
                client.outstanding -= 1;
                client.closing |= answer == Answer::Close;
            }
        }
        if answer == Answer::Stop {
            self.soon.push_back(Event::Gone(id));
        }
        if client.paused && may_read(face, client, &self.limits) {
            client.paused = false;
            queue(&mut self.clients.ready, client, connection);
        }
        if !self.clients.asked.is_empty() {
            self.admit_released(connection);
        }
        answer != Answer::More
    }

    fn admit_released(&mut self, connection: Key) {
        let mut asked = std::mem::take(&mut self.clients.asked);
        for (slot, request) in asked.drain(..) {
            let client = self.admit(connection, slot, &request);
            self.soon.push_back(Event::Request { client, request });
        }
        self.clients.asked = asked;
    }

    /// Writes what the turn has put into the connections.
    pub fn flush_clients(&mut self) {
        let mut dirty = std::mem::take(&mut self.clients.dirty);
        for key in dirty.drain(..) {
            if !self.flush_client(key) {
                self.close_client(key);
            }
        }
        self.clients.dirty = dirty;
    }

    /// `false`: it is to be closed.
    fn flush_client(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.slab.get_mut(key) else { return true };
        client.dirty = false;
        if client.writable && !client.output.is_empty() {
            self.counted.writes += 1;
            match client.output.write_to(&mut client.stream) {
                Ok(drained) => client.writable = drained,
                Err(_) => return false,
            }
        }
        if client.closing && client.output.is_empty() {
            return false;
        }
        if client.output.len() < self.limits.more_below_bytes {
            for id in client.wanting.drain(..) {
                if self.requests.get(Key::from_bits(id.0)).is_some() {
                    self.soon.push_back(Event::More(id));
                }
            }
        }
        if client.paused && may_read(&self.clients.faces[client.face], client, &self.limits) {
            client.paused = false;
            queue(&mut self.clients.ready, client, key);
        }
        true
    }

    /// Forgets a connection and tells the machine of each request that nobody waits for any more.
    pub fn close_client(&mut self, key: Key) {
        let Some(mut client) = self.clients.slab.remove(key) else { return };
        self.shared.clients.fetch_sub(1, Ordering::Relaxed);
        self.clients.input_bytes -= client.input.len();
        if client.closing {
            // Unread input would turn the close into a reset, and a reset can overtake our last words.
            let _ = client.stream.shutdown(Shutdown::Write);
            let _ = client.stream.read(&mut [0; 4096]);
        }
        if client.outstanding > 0 {
            self.forget_requests(key);
        }
    }

    fn forget_requests(&mut self, of: Key) {
        let gone: Vec<Key> = self
            .requests
            .iter()
            .filter(|(_, origin)| {
                matches!(origin.whom, Whom::Client { connection, .. } if connection == of)
            })
            .map(|(request, _)| request)
            .collect();
        for request in gone {
            self.abandon(request);
            self.soon.push_back(Event::Gone(ClientId(request.bits())));
        }
    }
}
