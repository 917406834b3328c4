//! Between a host and its machine.

use bytes::Bytes;
use ombak_base::property::Broken;
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, Now, Partition, Passing, Peek, Place,
    Refused, RequestId, Scan, Stamp, Tick, Ticket,
};

use crate::effect::Effect;

/// What is told what passes. A host need know no more of it than this.
pub trait Recorder<M: Machine>: Send {
    /// A step begins. If the one before has not ended, a property broke in it.
    fn begin(&mut self, machine: &M, now: Now, event: &Event<M>);
    /// The machine asks for something, and has got an answer.
    fn effect(&mut self, effect: Effect<M>);
    /// The step ends.
    fn end(&mut self);
}

/// One step of a machine that is recorded.
pub fn step<M: Machine, E: Effects<M>>(
    machine: &mut M,
    now: Now,
    event: Event<M>,
    fx: &mut E,
    recorder: &mut dyn Recorder<M>,
) {
    recorder.begin(machine, now, &event);
    machine.step(now, event, &mut Tap { fx, recorder });
    recorder.end();
}

/// Passes every effect on to the host, and tells of it with what came back. What hosts only count is not told.
pub struct Tap<'a, M: Machine, E> {
    fx: &'a mut E,
    recorder: &'a mut dyn Recorder<M>,
}

impl<M: Machine, E: Effects<M>> Effects<M> for Tap<'_, M, E> {
    fn send(&mut self, to: Address, message: M::Message, after: Stamp) -> Result<(), Refused> {
        let taken = self.fx.send(to, message.clone(), after);
        self.recorder.effect(Effect::Send(to, message, after, taken));
        taken
    }

    fn reply(&mut self, to: ClientId, reply: M::Reply, after: Stamp) {
        self.recorder.effect(Effect::Reply(to, reply.clone(), after));
        self.fx.reply(to, reply, after);
    }

    fn arm(&mut self, timer: M::Timer, at: Tick) {
        self.recorder.effect(Effect::Arm(timer, at));
        self.fx.arm(timer, at);
    }

    fn disarm(&mut self, timer: M::Timer) {
        self.recorder.effect(Effect::Disarm(timer));
        self.fx.disarm(timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        let chosen = self.fx.choose(n);
        self.recorder.effect(Effect::Choose(n, chosen));
        chosen
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.recorder.effect(Effect::Load(ticket, partition, key.clone()));
        self.fx.load(ticket, partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        let seen = self.fx.peek(partition, key);
        self.recorder.effect(Effect::Peek(partition, key.clone(), seen));
        seen
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let stamp = self.fx.store(partition, key, entry.clone());
        self.recorder.effect(Effect::Store(partition, key.clone(), entry, stamp));
        stamp
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.recorder.effect(Effect::AwaitDurable(stamp));
        self.fx.await_durable(stamp);
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.recorder.effect(Effect::Scan(ticket, scan.clone()));
        self.fx.scan(ticket, scan);
    }

    fn probe(&mut self, name: &'static str) {
        self.recorder.effect(Effect::Probe(name));
        self.fx.probe(name);
    }

    fn named(&mut self, client: ClientId, request: RequestId) {
        self.recorder.effect(Effect::Named(client, request));
        self.fx.named(client, request);
    }

    fn pass(&mut self, passing: Passing) {
        self.fx.pass(passing);
    }

    fn broken(&mut self, broken: &Broken) {
        self.recorder.effect(Effect::Broken(broken.name));
        self.fx.broken(broken);
    }

    fn count(&mut self, place: Place) {
        self.fx.count(place);
    }
}
