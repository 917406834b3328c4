//! One shard's thread: the event loop that hosts a machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::Events;
use mio::net::TcpStream;
use ombak_base::property::{contain, contained};
use ombak_base::{
    Address, ClientId, Device, DeviceError, Entry, Event, Machine, Now, ShardId, Tick, Ticket,
    Upkeep, Wire,
};
use ombak_tape::Recorder;

use crate::clients::Received;
use crate::config::RuntimeError;
use crate::doors::Doors;
use crate::face::Face;
use crate::frames::Frame;
use crate::handle::Ask;
use crate::host::{Host, Own};
use crate::locals::Batch;
use crate::peers::{Arrived, Peers};
use crate::queue::{Bell, Receiver, Rejected, Sender};
use crate::reader::{Job, Work};
use crate::requests::{Origin, Whom};
use crate::slab::Key;
use crate::sockets::{self, Kind, Readiness};

/// Events that one step may bring about before others have their turn.
const SOON_MAX: usize = 1024;
/// Inputs and timers taken from their queues in one turn.
const INPUTS_MAX: usize = 1024;
/// How often the device is asked what it holds.
const USAGE_MS: u64 = 1_000;
/// One read takes so much at most: enough to empty a socket of small frames, and a fair share of a turn.
pub(crate) const SCRATCH_BYTES: usize = 128 * 1024;

/// What other threads of the node say to a shard.
pub(crate) enum Input<M: Machine, N> {
    Batch(Batch<M::Message>),
    Notice(N),
    Loaded { ticket: Ticket, entry: Result<Option<Entry>, DeviceError>, since: Tick },
    DeviceFull(bool),
    DeviceFailed,
    Client { stream: TcpStream, face: usize },
    Peer { stream: TcpStream, origin: Address },
}

/// Keeps a noisy neighbour from filling the log: one line a second of its kind.
#[derive(Default)]
pub(crate) struct Quiet {
    next: Tick,
    kept_back: u64,
}

impl Quiet {
    /// How many lines were kept back before this one; `None`: keep this one back too.
    pub fn speak(&mut self, now: Tick) -> Option<u64> {
        if now < self.next {
            self.kept_back += 1;
            return None;
        }
        self.next = now.plus_ms(1_000);
        Some(std::mem::take(&mut self.kept_back))
    }
}

pub(crate) struct Shard<M: Machine, D: Device, F: Face<M>> {
    pub machine: M,
    /// What is told all that passes between the two.
    pub recorder: Option<Box<dyn Recorder<M>>>,
    pub host: Host<M, D, F>,
    pub peers: Peers,
    /// Only on shard 0, until the node stops.
    pub doors: Option<Doors>,
    pub poll: mio::Poll,
    pub events: Events,
    pub bell: Arc<Bell>,
    pub inbox: Receiver<Input<M, D::Notice>>,
    pub asks: Receiver<Ask<M>>,
    /// The inboxes of all shards of the node, in order.
    pub neighbours: Vec<Sender<Input<M, D::Notice>>>,
    pub log: Sender<(ShardId, D::Commit)>,
    /// Commits that the log thread had no room for.
    pub commits: VecDeque<D::Commit>,
    /// When the device is next asked what it holds.
    pub usage_due: Tick,
    pub start: Instant,
    pub scratch: Box<[u8]>,
    pub quiet_doors: Quiet,
    pub quiet_peers: Quiet,
}

impl<M: Machine, D: Device, F: Face<M>> Shard<M, D, F> {
    /// Runs until the node stops.
    pub fn run(mut self) -> Result<(), RuntimeError> {
        contain(true);
        self.host.now = self.clock();
        self.take(Event::Start);
        (0..self.host.links.len()).for_each(|index| self.host.dial(index));
        let mut deadline = None;
        self.finish_turn();
        while !self.host.shared.aborting.load(Ordering::Relaxed) {
            self.turn(deadline)?;
            if self.stopping() {
                self.doors = None;
                let stop_ms = self.host.limits.stop_ms;
                let due = *deadline.get_or_insert(self.host.now.tick.plus_ms(stop_ms));
                if self.is_flushed() || self.host.now.tick >= due {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Wait, then everything that has happened, then everything that came of it.
    fn turn(&mut self, deadline: Option<Tick>) -> Result<(), RuntimeError> {
        self.wait(deadline)?;
        self.host.now = self.clock();
        self.host.counted.turns += 1;
        self.note_sockets();
        self.drain_inbox();
        self.drain_asks();
        self.read_peers();
        self.read_clients();
        self.fire_timers();
        self.take_later();
        self.finish_turn();
        Ok(())
    }

    /// Hands over what was stored, lets go of what has become durable (by a notice, or because the device needs no
    /// writer), and writes to every socket once.
    fn finish_turn(&mut self) {
        self.commit();
        self.host.release();
        if let Some(stamp) = self.host.news_of_durable() {
            self.take(Event::Durable(stamp));
            self.commit();
        }
        self.upkeep();
        // Before the answers leave: who has one finds it counted. What is counted in writing shows a turn later.
        self.count();
        self.flush();
    }

    fn clock(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { tick: self.tick(), wall_us: wall.as_micros() as u64 }
    }

    fn tick(&self) -> Tick {
        Tick(self.start.elapsed().as_micros() as u64)
    }

    /// Something has come, and its moment is not one from before that: leases hang on it. The wall clock is read once a turn.
    fn look_at_clock(&mut self) {
        self.host.now.tick = self.tick();
    }

    fn wait(&mut self, deadline: Option<Tick>) -> Result<(), RuntimeError> {
        let mut timeout = self.timeout(deadline);
        if timeout != Some(Duration::ZERO) {
            self.bell.lie_down();
            if self.has_input(deadline) {
                timeout = Some(Duration::ZERO);
            }
        }
        let polled = self.poll.poll(&mut self.events, timeout);
        self.bell.rise();
        match polled {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(RuntimeError::Io { what: "waiting for events", source: error })
            }
            _ => Ok(()),
        }
    }

    /// Whether another thread has said something, as far as it may be heard now.
    fn has_input(&mut self, deadline: Option<Tick>) -> bool {
        deadline.is_none() && self.stopping()
            || self.host.shared.aborting.load(Ordering::Relaxed)
            || !self.inbox.is_empty()
            || self.may_read_clients() && !self.asks.is_empty()
    }

    /// How long there is nothing to do; `None`: until something happens.
    fn timeout(&mut self, deadline: Option<Tick>) -> Option<Duration> {
        let busy = !self.host.soon.is_empty()
            || !self.host.later.is_empty()
            || self.host.may_release()
            || self.host.clients.ready() > 0 && self.may_read_clients()
            || self.peers.ready() > 0 && self.may_read_peers();
        if busy {
            return Some(Duration::ZERO);
        }
        let gathered = self.host.gathering.due(self.host.limits.gather_us);
        let timers = [self.host.timers.next(), self.host.own_timers.next(), gathered, deadline];
        let next = timers.into_iter().flatten().min()?;
        let now = self.start.elapsed().as_micros() as u64;
        Some(Duration::from_micros(next.0.saturating_sub(now)))
    }

    fn stopping(&self) -> bool {
        self.host.shared.stopping.load(Ordering::Relaxed)
    }

    fn may_read_clients(&self) -> bool {
        self.commits.is_empty()
            && self.may_pend(self.host.limits.pending_bytes_clients)
            && !self.stopping()
    }

    fn may_read_peers(&self) -> bool {
        self.may_pend(self.host.limits.pending_bytes_peers)
            && self.host.locals.has_room()
            && !self.stopping()
    }

    /// Whether more may come that is not durable at once. While there is no room, what waits for some does not get less,
    /// and machines refuse to add to it: reads are not to wait for that.
    fn may_pend(&self, bytes_max: u64) -> bool {
        let bytes_max = if self.host.is_full { bytes_max.saturating_mul(2) } else { bytes_max };
        self.host.device.pending_bytes() < bytes_max
    }

    fn note_sockets(&mut self) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Some((kind, name)) = sockets::parse_token(event.token().0) else { continue };
            let readiness = Readiness::of(event);
            match kind {
                Kind::Bell => {}
                Kind::Client => self.host.clients.note(name, readiness),
                Kind::Peer => self.peers.note(name, readiness),
                Kind::Link => self.host.link_ready(name as usize, readiness),
                Kind::Greeting => self.greeting_ready(name, readiness),
                Kind::FaceDoor => self.accept_clients(name as usize),
                Kind::PeerDoor => self.accept_peers(),
            }
        }
        self.events = events;
        self.take_soon();
    }

    /// One step of the machine, and of everything that it brings about at once.
    pub fn take(&mut self, event: Event<M>) {
        self.step(event);
        self.take_soon();
    }

    /// A property that breaks does not end the node, unless the machine cannot even be told of it.
    fn step(&mut self, event: Event<M>) {
        let mut stepped = contained(|| self.step_machine(event));
        self.host.counted.steps += 1;
        let check_every_steps = self.host.limits.check_every_steps;
        if stepped.is_ok() && self.host.counted.steps.is_multiple_of(check_every_steps) {
            stepped = contained(|| self.machine.check());
        }
        if let Err(broken) = stepped {
            self.host.note_broken(&broken);
            self.step_machine(Event::Broken(broken.partition));
        }
    }

    fn step_machine(&mut self, event: Event<M>) {
        let now = self.host.now;
        match &mut self.recorder {
            None => self.machine.step(now, event, &mut self.host),
            Some(recorder) => {
                ombak_tape::step(&mut self.machine, now, event, &mut self.host, &mut **recorder);
            }
        }
    }

    /// Bounded: a machine that keeps itself busy must not starve the sockets.
    fn take_soon(&mut self) {
        for _ in 0..SOON_MAX {
            let Some(event) = self.host.soon.pop_front() else { return };
            self.step(event);
        }
    }

    fn take_later(&mut self) {
        for _ in 0..self.host.later.len() {
            if let Some(event) = self.host.later.pop_front() {
                self.take(event);
            }
        }
        self.take_soon();
    }

    fn drain_inbox(&mut self) {
        for _ in 0..INPUTS_MAX {
            let Some(input) = self.inbox.pop() else { break };
            self.look_at_clock();
            self.take_input(input);
        }
        if self.inbox.take_starved() {
            self.host.shared.ring_shards();
        }
        // What waited goes out before what these notices allow to be read.
        self.host.release();
    }

    fn take_input(&mut self, input: Input<M, D::Notice>) {
        match input {
            Input::Notice(notice) => {
                self.host.device.notice(notice);
                self.host.gathering.begin(self.host.now.tick);
            }
            Input::Loaded { ticket, entry, since } => {
                self.host.board.meters.loads.record(self.host.now.tick.since(since), 1);
                self.take(Event::Loaded { ticket, entry });
            }
            Input::Client { stream, face } => self.host.adopt_client(stream, face),
            Input::Peer { stream, origin } => self.adopt_peer(stream, origin),
            Input::Batch(batch) => {
                for (from, message) in batch {
                    self.take(Event::Message { from, message });
                }
            }
            Input::DeviceFull(full) => {
                self.host.is_full = full;
                self.take(Event::DeviceFull(full));
            }
            Input::DeviceFailed => {
                self.host.fail();
                self.commits.clear();
                self.take(Event::DeviceFailed);
            }
        }
    }

    /// Requests of local clients, under the same back-pressure as those from sockets: they wait in their queue, which
    /// is bounded, and whose senders are told when it is full.
    fn drain_asks(&mut self) {
        for _ in 0..INPUTS_MAX {
            if !self.may_read_clients() {
                return;
            }
            let Some(ask) = self.asks.pop() else { return };
            self.look_at_clock();
            self.take_ask(ask);
        }
    }

    fn take_ask(&mut self, ask: Ask<M>) {
        match ask {
            Ask::Request { id, request, sink } => {
                let origin = Origin::new(Whom::Local { id, sink }, F::operation(&request));
                let key = self.host.begin(origin);
                self.host.local_requests.insert(id, key);
                self.take(Event::Request { client: ClientId(key.bits()), request });
            }
            Ask::More(id) => {
                if let Some(key) = self.host.local_requests.get(&id) {
                    let client = ClientId(key.bits());
                    self.take(Event::More(client));
                }
            }
            Ask::Gone(id) => {
                if let Some(&key) = self.host.local_requests.get(&id) {
                    self.host.forget_local(key);
                    self.take(Event::Gone(ClientId(key.bits())));
                }
            }
        }
    }

    fn read_clients(&mut self) {
        for _ in 0..self.host.clients.ready() {
            if !self.may_read_clients() {
                return;
            }
            let Some(key) = self.host.clients.next_ready() else { return };
            match self.host.read_client(key, &mut self.scratch) {
                Received::Nothing => {}
                Received::Input => {
                    self.look_at_clock();
                    self.ask_all(key);
                }
                Received::End => {
                    self.host.close_client(key);
                    self.take_soon();
                }
            }
        }
    }

    fn ask_all(&mut self, connection: Key) {
        let mut asked = self.host.receive(connection);
        for (slot, request) in asked.drain(..) {
            let client = self.host.admit(connection, slot, &request);
            self.take(Event::Request { client, request });
        }
        self.host.reuse_asked(asked);
    }

    pub fn adopt_peer(&mut self, stream: TcpStream, origin: Address) {
        if let Err(error) = self.peers.adopt(stream, origin, &self.host.registry) {
            tracing::warn!(%error, node = %origin.node, "a peer's connection cannot be watched");
        }
    }

    fn read_peers(&mut self) {
        for _ in 0..self.peers.ready() {
            if !self.may_read_peers() {
                return;
            }
            let Some(key) = self.peers.next_ready() else { return };
            self.host.counted.reads += 1;
            match self.peers.read(key, &mut self.scratch) {
                Arrived::Nothing => {}
                Arrived::Bytes(n) => {
                    self.look_at_clock();
                    self.take_frames(key, n);
                }
                Arrived::End(reason) => self.lose_peer(key, &reason),
            }
        }
    }

    /// Cuts what was read into frames and takes each. The scratch buffer is lent to the cutting meanwhile.
    fn take_frames(&mut self, key: Key, len: usize) {
        let Some((origin, mut assembler)) = self.peers.take_assembler(key) else { return };
        self.host.counted.peer_bytes_in += len as u64;
        let scratch = std::mem::take(&mut self.scratch);
        let mut data = &scratch[..len];
        let failed = loop {
            match assembler.next(&mut data) {
                Ok(None) => break None,
                Ok(Some(frame)) => {
                    if let Err(reason) = self.take_frame(origin, frame) {
                        break Some(reason);
                    }
                }
                Err(bad) => break Some(bad.to_string()),
            }
        };
        self.scratch = scratch;
        match failed {
            None => self.peers.put_assembler(key, assembler),
            Some(reason) => {
                self.host.counted.peers_broken += 1;
                self.lose_peer(key, &reason);
            }
        }
    }

    fn take_frame(&mut self, origin: Address, frame: Frame) -> Result<(), String> {
        self.host.counted.frames_in += 1;
        if frame.from != origin.shard || usize::from(frame.to.0) >= self.neighbours.len() {
            return Err(format!("a frame from {} to {}", frame.from, frame.to));
        }
        let message = M::Message::decode(frame.message)
            .map_err(|error| format!("a message that cannot be read: {error}"))?;
        if frame.to == self.host.own.shard {
            self.take(Event::Message { from: origin, message });
        } else {
            self.host.locals.push(frame.to, origin, message);
        }
        Ok(())
    }

    fn lose_peer(&mut self, key: Key, reason: &str) {
        let Some(origin) = self.peers.close(key) else { return };
        if let Some(more) = self.quiet_peers.speak(self.host.now.tick) {
            let (node, shard) = (origin.node, origin.shard);
            tracing::info!(%node, %shard, reason, more, "a peer's connection to us has ended");
        }
    }

    fn fire_timers(&mut self) {
        let now = self.host.now.tick;
        for _ in 0..INPUTS_MAX {
            let Some(timer) = self.host.timers.pop(now) else { break };
            self.take(Event::Timer(timer));
        }
        while let Some(timer) = self.host.own_timers.pop(now) {
            match timer {
                Own::Link(index) => self.host.link_timer(index),
                Own::Greeting(bits) => self.forget_greeting(Key::from_bits(bits)),
                Own::Accept => self.accept_again(),
                Own::Unfinished => self.host.refuse_slow_clients(),
            }
        }
    }

    /// Hands what was stored to the log thread, if that is due.
    fn commit(&mut self) {
        if self.is_commit_due() {
            self.host.gathering.handed();
            self.commits.extend(self.host.device.take_commit());
        }
        if self.host.failed {
            self.commits.clear();
        }
        while let Some(commit) = self.commits.pop_front() {
            match self.log.try_send_or_starve((self.host.own.shard, commit)) {
                Ok(()) => {}
                Err(Rejected::Closed) => return,
                Err(Rejected::Full((_, commit))) => return self.commits.push_front(commit),
            }
        }
    }

    fn is_commit_due(&self) -> bool {
        let (limits, now) = (&self.host.limits, self.host.now.tick);
        let gathering = &self.host.gathering;
        self.stopping() || gathering.is_due(now, limits.gather_us, limits.gather_bytes)
    }

    /// Gives the device's jobs to the thread that may block. While that is busy, or nothing becomes durable any more,
    /// upkeep waits.
    fn upkeep(&mut self) {
        while !self.host.failed
            && !self.stopping()
            && let Some(upkeep) = self.host.device.take_upkeep()
        {
            self.host.gathering.begin(self.host.now.tick);
            match upkeep {
                Upkeep::Damaged(partition) => self.take(Event::Damaged(partition)),
                Upkeep::Run(job) => {
                    let work = Work { shard: self.host.own.shard, job: Job::Upkeep(job) };
                    if let Err(Rejected::Full(work)) = self.host.work.try_send(work) {
                        self.take_input(work.job.run());
                    }
                }
            }
            self.commit();
        }
    }

    fn flush(&mut self) {
        let neighbours = &self.neighbours;
        self.host.locals.flush(|to, batch| {
            match neighbours[usize::from(to.0)].try_send_or_starve(Input::Batch(batch)) {
                Err(Rejected::Full(Input::Batch(batch))) => Some(batch),
                _ => None,
            }
        });
        self.host.flush_links();
        self.host.flush_clients();
    }

    fn is_flushed(&self) -> bool {
        let durable = self.commits.is_empty() && self.host.held.len() == 0;
        (durable || self.host.failed)
            && self.host.locals.is_empty()
            && self.host.links.is_flushed()
            && self.host.clients.is_flushed()
    }

    fn count(&mut self) {
        let host = &mut self.host;
        host.counted.clients = host.clients.len() as u64;
        host.counted.peers_in = self.peers.len() as u64;
        host.counted.peers_up = host.links.up() as u64;
        host.counted.outstanding = host.requests.len() as u64;
        host.counted.held = host.held.len() as u64;
        host.counted.timers = host.timers.len() as u64;
        host.counted.commits_waiting = self.commits.len() as u64;
        host.counted.pending_bytes = host.device.pending_bytes();
        if host.now.tick >= self.usage_due {
            self.usage_due = host.now.tick.plus_ms(USAGE_MS);
            host.count_usage();
        }
        host.board.cells.publish(&host.counted);
    }
}
