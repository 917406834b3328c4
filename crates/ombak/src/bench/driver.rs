//! All connections on one thread: wait, read, ask, write.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::BenchError;
use super::connection::Connection;
use super::frames::Frames;
use super::load::Load;

/// How long a lost connection rests before the next address is tried.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);
/// A server that is there accepts sooner.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const EVENTS_MAX: usize = 1024;
/// Of the waker; the others are those of slots.
const WAKE: Token = Token(usize::MAX);

/// A place for a connection.
enum Slot {
    /// In use.
    Up(Connection),
    /// Being made; given up at the time named.
    Connecting(Connection, Instant),
    /// Lost; tried again at the time named.
    Down(Instant),
}

/// The event loop. `turn` does one round of it.
pub(super) struct Driver {
    poll: Poll,
    events: Events,
    slots: Vec<Slot>,
    /// Where each slot connects to, or did last.
    targets: Vec<usize>,
    addresses: Vec<SocketAddr>,
    depth: usize,
    frames: Frames,
    disconnects: u64,
    /// The slot that was last given something that waited.
    last_given: usize,
}

impl Driver {
    /// Opens all connections, spread over the addresses in turn. They are known to answer.
    pub(super) fn connect(
        addresses: Vec<SocketAddr>,
        connections: usize,
        depth: usize,
        frames: Frames,
    ) -> Result<Driver, BenchError> {
        let poll =
            Poll::new().map_err(|error| BenchError::System("cannot make an epoll", error))?;
        let mut driver = Driver {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            slots: Vec::with_capacity(connections),
            targets: (0..connections).map(|i| i % addresses.len()).collect(),
            addresses,
            depth,
            frames,
            disconnects: 0,
            last_given: 0,
        };
        for index in 0..connections {
            let slot = driver.open_waiting(index)?;
            driver.slots.push(slot);
        }
        Ok(driver)
    }

    /// Wakes [`Driver::turn`] for what waits. At most one is made.
    pub(super) fn waker(&self) -> Result<Waker, BenchError> {
        Waker::new(self.poll.registry(), WAKE)
            .map_err(|error| BenchError::System("cannot make a waker", error))
    }

    /// Connections lost so far.
    pub(super) fn disconnects(&self) -> u64 {
        self.disconnects
    }

    /// Connections that are not there at present.
    pub(super) fn not_connected(&self) -> usize {
        self.slots.iter().filter(|slot| !matches!(slot, Slot::Up(_))).count()
    }

    /// Requests under way, and since when the oldest is.
    pub(super) fn under_way(&self) -> (usize, Option<Instant>) {
        let up = || {
            self.slots.iter().filter_map(|slot| match slot {
                Slot::Up(connection) => Some(connection),
                _ => None,
            })
        };
        (up().map(Connection::asked).sum(), up().filter_map(Connection::oldest).min())
    }

    /// Gives every connection something to do, and brings lost ones back. Call it at the beginning of each phase and
    /// every now and then: a connection that nothing happens on is not looked at otherwise.
    pub(super) fn tend(&mut self, load: &mut impl Load) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            match &self.slots[index] {
                Slot::Up(_) => self.serve(index, false, load),
                Slot::Connecting(_, until) if *until <= now => {
                    self.slots[index] = Slot::Down(now);
                }
                Slot::Down(until) if *until <= now => self.reconnect(index, now),
                _ => {}
            }
        }
    }

    /// Waits for at most `timeout` and does what can be done.
    pub(super) fn turn(
        &mut self,
        timeout: Duration,
        load: &mut impl Load,
    ) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(BenchError::System("cannot wait for sockets", error)),
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == WAKE {
                self.give(load);
                continue;
            }
            let index = event.token().0;
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            match self.slots[index] {
                Slot::Up(_) => self.serve(index, readable, load),
                Slot::Connecting(..) => self.connected(index, load),
                Slot::Down(_) => {}
            }
        }
        self.events = events;
        Ok(())
    }

    /// Gives what waits to connections that have room, in turn.
    pub(super) fn give(&mut self, load: &mut impl Load) {
        for _ in 0..self.slots.len() {
            if !load.waits() {
                return;
            }
            self.last_given = (self.last_given + 1) % self.slots.len();
            self.serve(self.last_given, false, load);
        }
    }

    /// Reads if there is something, asks again for each answer, writes once.
    fn serve(&mut self, index: usize, readable: bool, load: &mut impl Load) {
        let Slot::Up(connection) = &mut self.slots[index] else { return };
        let received = if readable { connection.receive(load) } else { Ok(()) };
        let served = received.and_then(|()| {
            connection.fill(Instant::now(), self.depth, load, &mut self.frames);
            connection.flush()
        });
        if let Err(error) = served {
            self.lose(index, &reason(&error), load);
        }
    }

    fn lose(&mut self, index: usize, reason: &str, load: &mut impl Load) {
        let now = Instant::now();
        let slot = std::mem::replace(&mut self.slots[index], Slot::Down(now + RECONNECT_AFTER));
        if let Slot::Up(mut connection) = slot {
            self.disconnects += 1;
            connection.abandon(now, reason, load);
        }
    }

    /// The end of an attempt to connect, if it has come.
    fn connected(&mut self, index: usize, load: &mut impl Load) {
        let now = Instant::now();
        let slot = std::mem::replace(&mut self.slots[index], Slot::Down(now + RECONNECT_AFTER));
        let Slot::Connecting(connection, until) = slot else { return };
        match connection.is_open() {
            Ok(true) => {
                self.slots[index] = Slot::Up(connection);
                self.serve(index, false, load);
            }
            Ok(false) => self.slots[index] = Slot::Connecting(connection, until),
            Err(_) => {}
        }
    }

    /// Tries the next address, as a client with several would.
    fn reconnect(&mut self, index: usize, now: Instant) {
        self.targets[index] = (self.targets[index] + 1) % self.addresses.len();
        let address = self.addresses[self.targets[index]];
        let opened = TcpStream::connect(address).and_then(|stream| self.watch(index, stream));
        self.slots[index] = match opened {
            Ok(connection) => Slot::Connecting(connection, now + CONNECT_PATIENCE),
            Err(_) => Slot::Down(now + RECONNECT_AFTER),
        };
    }

    fn open_waiting(&mut self, index: usize) -> Result<Slot, BenchError> {
        let address = self.addresses[self.targets[index]];
        let opened =
            std::net::TcpStream::connect_timeout(&address, CONNECT_PATIENCE).and_then(|stream| {
                stream.set_nonblocking(true)?;
                self.watch(index, TcpStream::from_std(stream))
            });
        opened.map(Slot::Up).map_err(|error| BenchError::Connect(address.to_string(), error))
    }

    fn watch(&self, index: usize, stream: TcpStream) -> io::Result<Connection> {
        let mut connection = Connection::new(stream);
        connection.stream().set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.stream(), Token(index), interest)?;
        Ok(connection)
    }
}

/// Words that many connections share.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => String::from("the server closed the connection"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            String::from("the connection was reset")
        }
        _ => error.to_string(),
    }
}
