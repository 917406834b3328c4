//! What the member asks of its host goes on to the server's host. What it answers stays here.

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Partition, Peek, Refused, Scan, Stamp, Tick, Ticket,
};

use super::{LockServer, LockTimer};
use crate::locks::LockService;
use crate::log::Outcome;
use crate::member::{Member, Telling, Timer};

pub(super) struct Through<'a, E> {
    pub(super) fx: &'a mut E,
    pub(super) told: &'a mut Vec<(ClientId, Outcome)>,
}

impl<E: Effects<LockServer>> Effects<Member<LockService>> for Through<'_, E> {
    fn send(&mut self, to: Address, message: Telling, after: Stamp) -> Result<(), Refused> {
        self.fx.send(to, message, after)
    }

    /// What was decided waits for no disk of this node.
    fn reply(&mut self, to: ClientId, reply: Outcome, _: Stamp) {
        self.told.push((to, reply));
    }

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.fx.arm(LockTimer::Member(timer), at);
    }

    fn disarm(&mut self, timer: Timer) {
        self.fx.disarm(LockTimer::Member(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.fx.choose(n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.fx.load(ticket, partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.fx.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.fx.store(partition, key, entry)
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.fx.await_durable(stamp);
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.fx.scan(ticket, scan);
    }

    fn probe(&mut self, name: &'static str) {
        self.fx.probe(name);
    }
}
