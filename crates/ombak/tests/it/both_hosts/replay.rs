//! A third host: it feeds a shard what another one was fed, and returns what was returned then.

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Machine, Partition, Peek, Refused, Scan, Stamp, Tick, Ticket,
};
use ombak_node::{Message, Reply, Timer};

use crate::both_hosts::recorded::{Effect, Log, Record, Recorded, Step, retype};

/// Feeds the inputs of `log` to a fresh shard, which must do the same and become the same.
pub fn assert_replays(what: &str, log: &Log) {
    log.assert_same(&replay(log).log(), what);
}

fn replay(log: &Log) -> Record {
    let mut machine = Recorded::new(log.first.clone());
    let record = machine.record();
    for step in &log.steps {
        machine.step(step.now, retype(step.event.clone()), &mut Replaying::of(step));
        machine.check();
    }
    record
}

/// One step as it was. Acts on nothing; what is asked of it is in the record of the machine that asks.
struct Replaying<'a> {
    effects: std::slice::Iter<'a, Effect>,
}

impl Replaying<'_> {
    fn of(step: &Step) -> Replaying<'_> {
        Replaying { effects: step.effects.iter() }
    }
}

/// When the machine asks for something else than it did then, there is nothing right to return: anything will do, since
/// the comparison finds that effect.
impl Effects<Recorded> for Replaying<'_> {
    fn send(&mut self, _: Address, _: Message, _: Stamp) -> Result<(), Refused> {
        match self.effects.next() {
            Some(Effect::Send(.., taken)) => *taken,
            _ => Err(Refused::Down),
        }
    }

    fn reply(&mut self, _: ClientId, _: Reply, _: Stamp) {
        self.effects.next();
    }

    fn arm(&mut self, _: Timer, _: Tick) {
        self.effects.next();
    }

    fn disarm(&mut self, _: Timer) {
        self.effects.next();
    }

    fn choose(&mut self, _: u64) -> u64 {
        match self.effects.next() {
            Some(Effect::Choose(_, chosen)) => *chosen,
            _ => 0,
        }
    }

    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {
        self.effects.next();
    }

    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        match self.effects.next() {
            Some(Effect::Peek(.., seen)) => *seen,
            _ => Peek::Unknown,
        }
    }

    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        match self.effects.next() {
            Some(Effect::Store(.., stamp)) => *stamp,
            _ => Stamp::NONE,
        }
    }

    fn scan(&mut self, _: Ticket, _: Scan) {
        self.effects.next();
    }

    fn await_durable(&mut self, _: Stamp) {
        self.effects.next();
    }

    fn probe(&mut self, _: &'static str) {
        self.effects.next();
    }
}
