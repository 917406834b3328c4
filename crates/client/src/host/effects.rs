//! What a step says, and how it is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Partition, Peek, Refused, Scan, Stamp, Tick, Ticket, always,
};

use super::{Caller, Shared, State, tasks};
use crate::connection::Connection;
use crate::net::{Net, Seen};
use crate::pool::{ConnId, Message, Pool, Reply, Timer};

/// What is left to do after a step.
pub(super) enum Said {
    Wake(Waker),
    Do(Message),
}

/// The same with what it needs, to be done without the lock.
pub(super) enum Effect<N: Net> {
    Wake(Waker),
    Connect(ConnId, u64),
    Check(ConnId, u64, Connection<N::Stream>),
    Close(Option<Connection<N::Stream>>),
}

impl Said {
    pub fn begin<N: Net>(self, state: &mut State<N>) -> Effect<N> {
        match self {
            Said::Wake(waker) => Effect::Wake(waker),
            Said::Do(Message::Connect(conn, within_ms)) => Effect::Connect(conn, within_ms),
            Said::Do(Message::Check(conn, within_ms)) => match state.parked.remove(&conn) {
                Some(connection) => Effect::Check(conn, within_ms, connection),
                None => {
                    always!(false, "what is checked is parked", "{conn:?}");
                    Effect::Close(None)
                }
            },
            Said::Do(Message::Close(conn)) => Effect::Close(state.parked.remove(&conn)),
            Said::Do(_) => Effect::Close(None),
        }
    }
}

impl<N: Net> Effect<N> {
    pub fn finish(self, shared: &Arc<Shared<N>>) {
        match self {
            Effect::Wake(waker) => waker.wake(),
            Effect::Connect(conn, within_ms) => tasks::connect(shared, conn, within_ms),
            Effect::Check(conn, within_ms, connection) => {
                tasks::check(shared, conn, within_ms, connection);
            }
            Effect::Close(_) => {}
        }
    }
}

/// The host's side of one step.
pub(super) struct PoolEffects<'a, N: Net> {
    pub shared: &'a Shared<N>,
    pub now: Tick,
    pub callers: &'a mut BTreeMap<ClientId, Caller>,
    pub timers: &'a mut BTreeMap<Timer, Tick>,
    pub said: Vec<Said>,
}

impl<N: Net> PoolEffects<'_, N> {
    fn saw(&self, seen: Seen<'_>) {
        self.shared.net.saw(&self.shared.addr, self.now, seen);
    }
}

impl<N: Net> Effects<Pool> for PoolEffects<'_, N> {
    fn send(&mut self, _to: Address, message: Message, _after: Stamp) -> Result<(), Refused> {
        self.saw(Seen::Message(message));
        self.said.push(Said::Do(message));
        Ok(())
    }

    fn reply(&mut self, to: ClientId, reply: Reply, _after: Stamp) {
        self.saw(Seen::Reply(to, reply));
        let Some(caller) = self.callers.get_mut(&to) else { return };
        always!(caller.answer.is_none(), "a caller is answered once", "{to}: {reply:?}");
        caller.answer = Some(reply);
        self.said.extend(caller.waker.take().map(Said::Wake));
    }

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.timers.insert(timer, at);
    }

    fn disarm(&mut self, timer: Timer) {
        self.timers.remove(&timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.shared.net.choose(n)
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn probe(&mut self, _name: &'static str) {}

    // A pool stores nothing, and asks for nothing that is stored.
    fn load(&mut self, _ticket: Ticket, _partition: Partition, _key: &Bytes) {}

    fn peek(&mut self, _partition: Partition, _key: &Bytes) -> Peek {
        Peek::Unknown
    }

    fn store(&mut self, _partition: Partition, _key: &Bytes, _entry: Option<Entry>) -> Stamp {
        Stamp::NONE
    }

    fn scan(&mut self, _ticket: Ticket, _scan: Scan) {}
}
