//! A face for clients of the same process: requests and answers change hands in memory, and eight bytes on the socket
//! say which one it is. So the runtime has everything to do that it has to do for a real protocol.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, BytesMut};
use ombak_base::Machine;
use ombak_runtime::{Answer, Close, Face, Hosted, Requests};

use crate::both_hosts::recorded::DEADLINE;

/// Both sides of it. Clones are the same window.
pub struct Window<M: Machine> {
    counter: Arc<Mutex<Counter<M>>>,
    is_last: fn(&M::Reply) -> bool,
}

struct Counter<M: Machine> {
    last: u64,
    requests: BTreeMap<u64, M::Request>,
    replies: BTreeMap<u64, VecDeque<M::Reply>>,
}

impl<M: Machine> Window<M> {
    /// `is_last` tells the last part of an answer.
    pub fn new(is_last: fn(&M::Reply) -> bool) -> Window<M> {
        let counter = Counter { last: 0, requests: BTreeMap::new(), replies: BTreeMap::new() };
        Window { counter: Arc::new(Mutex::new(counter)), is_last }
    }

    fn counter(&self) -> MutexGuard<'_, Counter<M>> {
        self.counter.lock().unwrap()
    }
}

impl<M: Machine> Clone for Window<M> {
    fn clone(&self) -> Window<M> {
        Window { counter: self.counter.clone(), is_last: self.is_last }
    }
}

impl<M: Hosted> Face<M> for Window<M> {
    type Connection = ();

    fn open(&self) {}

    fn receive(
        &self,
        (): &mut (),
        input: &mut BytesMut,
        out: &mut Requests<'_, M>,
    ) -> Result<(), Close> {
        while input.len() >= 8 {
            let number = input.get_u64();
            let request = self.counter().requests.remove(&number).ok_or(Close)?;
            out.request(number, request);
        }
        Ok(())
    }

    fn answer(
        &self,
        (): &mut (),
        number: u64,
        reply: M::Reply,
        out: &mut Requests<'_, M>,
    ) -> Answer {
        let is_last = (self.is_last)(&reply);
        self.counter().replies.entry(number).or_default().push_back(reply);
        out.bytes.extend_from_slice(&number.to_be_bytes());
        if is_last { Answer::Last } else { Answer::More }
    }
}

/// A client at the window, with a connection of its own.
pub struct Client<M: Machine> {
    stream: TcpStream,
    window: Window<M>,
}

impl<M: Machine> Client<M> {
    pub fn connect(to: SocketAddr, window: &Window<M>) -> Client<M> {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, window: window.clone() }
    }

    /// Sends a request and returns its number.
    pub fn send(&mut self, request: M::Request) -> u64 {
        let mut counter = self.window.counter();
        counter.last += 1;
        let number = counter.last;
        counter.requests.insert(number, request);
        drop(counter);
        self.stream.write_all(&number.to_be_bytes()).unwrap();
        number
    }

    /// The next part of any answer: to which request, the part, and whether it is the last one.
    pub fn hear(&mut self) -> (u64, M::Reply, bool) {
        let mut number = [0; 8];
        self.stream.read_exact(&mut number).unwrap();
        let number = u64::from_be_bytes(number);
        let mut counter = self.window.counter();
        let reply = counter.replies.get_mut(&number).and_then(VecDeque::pop_front).unwrap();
        let is_last = (self.window.is_last)(&reply);
        (number, reply, is_last)
    }

    /// Asks for what is answered in one part.
    pub fn ask(&mut self, request: M::Request) -> M::Reply {
        self.send(request);
        self.hear().1
    }
}
