//! The floor's client: as many requests under way on as many connections as the benchmark has, and nothing else.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::pipe::Pipe;

const EVENTS_MAX: usize = 1024;
/// Answers come sooner, or never.
const PATIENCE: Duration = Duration::from_secs(10);

/// All connections to the floor's nodes.
pub(super) struct FloorClient {
    poll: Poll,
    pipes: Vec<Pipe>,
    depth: usize,
    /// Asked for in turn.
    requests: Vec<Vec<u8>>,
    next: usize,
    /// Answers so far.
    pub answered: u64,
}

impl FloorClient {
    /// Connects to the nodes in turn.
    pub(super) fn connect(
        ports: &[u16],
        connections: usize,
        depth: usize,
        requests: Vec<Vec<u8>>,
    ) -> io::Result<FloorClient> {
        let poll = Poll::new()?;
        let mut pipes = Vec::with_capacity(connections);
        for (at, port) in ports.iter().cycle().take(connections).enumerate() {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), interest)?;
            pipes.push(Pipe::new(stream));
        }
        Ok(FloorClient { poll, pipes, depth, requests, next: 0, answered: 0 })
    }

    /// Keeps `depth` requests under way on each connection for so long, then waits for the answers.
    pub(super) fn run(&mut self, length: Duration) -> io::Result<()> {
        let end = Instant::now() + length;
        let mut under_way = 0;
        for at in 0..self.pipes.len() {
            under_way += self.ask(at, self.depth)?;
        }
        let mut events = Events::with_capacity(EVENTS_MAX);
        while under_way > 0 {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            if events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let over = Instant::now() >= end;
            for event in &events {
                let at = event.token().0;
                let answers = if event.is_readable() { self.hear(at)? } else { 0 };
                under_way -= answers;
                under_way += self.ask(at, if over { 0 } else { answers })?;
            }
        }
        Ok(())
    }

    /// Answers on one connection.
    fn hear(&mut self, at: usize) -> io::Result<usize> {
        let (pipe, mut answers) = (&mut self.pipes[at], 0);
        loop {
            let more = pipe.read()?;
            while pipe.take().is_some() {
                answers += 1;
            }
            if !more {
                self.answered += answers as u64;
                return Ok(answers);
            }
        }
    }

    /// Sends so many requests, in one write, and what could not be sent before.
    fn ask(&mut self, at: usize, count: usize) -> io::Result<usize> {
        for _ in 0..count {
            self.pipes[at].put_frames(&self.requests[self.next]);
            self.next = (self.next + 1) % self.requests.len();
        }
        self.pipes[at].flush()?;
        Ok(count)
    }
}
