//! The proposer: what clients of this node ask, and of nodes without a seat.

use std::collections::btree_map::Entry::Occupied;

use bytes::Bytes;
use ombak_base::{ClientId, DirectoryId, Effects, NodeId, Now, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::{Ask, Bid, Era, Operation, Step, Told, Wish};
use super::acceptor::Work;
use super::{
    REGISTER_CLIENTS_MAX, REGISTER_KEY_BYTES_MAX, REGISTER_VALUE_BYTES_MAX, REGISTER_WAIT_MS,
    RegisterAsk, RegisterFailure, RegisterReply, RegisterServer, RegisterTelling, RegisterTimer,
    fail,
};

/// What was not answered is begun again.
const RESEND_MS: u64 = 200;
/// Who was refused begins again after up to twice as long each time, by chance: from this, so often.
const BACK_OFF_MS: u64 = 2;
const BACK_OFF_DOUBLINGS_MAX: u32 = 6;
/// So many registers that were changed last from here can be changed again in one round trip.
const HOLDS_MAX: usize = 4096;

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Asker {
    Client(ClientId),
    /// A node without a seat, and its number for it.
    Node(NodeId, u128),
}

/// An operation that is under way, or waits in its register's queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    operation: Operation,
    key: Bytes,
    asker: Asker,
    /// In which era it has begun.
    era: Era,
    tries: u32,
    /// When it is to be looked at, once it is the first in its queue.
    due: Option<Tick>,
    until: Tick,
}

/// What a node with a seat does for a client of this one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    client: ClientId,
    to: NodeId,
    is_read: bool,
    until: Tick,
}

impl RegisterAsk {
    fn is_bounded(&self) -> bool {
        let value = match &self.wish {
            Wish::Set(Some(bytes)) | Wish::CompareAndSet { bytes: Some(bytes), .. } => bytes.len(),
            _ => 0,
        };
        (1..=REGISTER_KEY_BYTES_MAX).contains(&self.key.len()) && value <= REGISTER_VALUE_BYTES_MAX
    }
}

impl RegisterServer {
    fn number(&mut self) -> u128 {
        self.numbers += 1;
        (u128::from(self.life) << 64) | u128::from(self.numbers)
    }

    /// A client asks.
    pub(super) fn ask<E: Effects<Self>>(
        &mut self,
        now: Now,
        client: ClientId,
        ask: RegisterAsk,
        fx: &mut E,
    ) {
        if !ask.is_bounded() {
            return fail(client, RegisterFailure::Length, fx);
        }
        if self.clients() >= REGISTER_CLIENTS_MAX {
            return fail(client, RegisterFailure::Busy, fx);
        }
        let number = self.number();
        if self.era().is_some() {
            self.clients.insert(client, number);
            return self.take(now, number, Asker::Client(client), ask, fx);
        }
        let (id, up) = (self.setup.id, &self.up);
        let seats: Vec<NodeId> = self.setup.seats.members().intersection(up).copied().collect();
        let others: Vec<NodeId> = seats.into_iter().filter(|seat| *seat != id).collect();
        if others.is_empty() {
            return fail(client, RegisterFailure::NoQuorum, fx);
        }
        let to = others[fx.choose(others.len() as u64) as usize];
        let until = now.tick.plus_ms(REGISTER_WAIT_MS);
        let is_read = ask.wish == Wish::Read;
        self.clients.insert(client, number);
        self.forwarded.insert(number, Forwarded { client, to, is_read, until });
        self.send(to, RegisterTelling::Forward { number, ask }, Stamp::NONE, fx);
    }

    /// A node without a seat asks for its client.
    pub(super) fn hear_forward<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        number: u128,
        ask: RegisterAsk,
        fx: &mut E,
    ) {
        let why = match () {
            () if !ask.is_bounded() => RegisterFailure::Length,
            () if self.era().is_none() => RegisterFailure::NoQuorum,
            () if self.clients() >= REGISTER_CLIENTS_MAX => RegisterFailure::Busy,
            () => {
                let mine = self.number();
                return self.take(now, mine, Asker::Node(from, number), ask, fx);
            }
        };
        let reply = RegisterReply::Failed(why);
        self.send(from, RegisterTelling::Forwarded { number, reply }, Stamp::NONE, fx);
    }

    pub(super) fn hear_forwarded<E: Effects<Self>>(
        &mut self,
        from: NodeId,
        number: u128,
        reply: RegisterReply,
        fx: &mut E,
    ) {
        let Some(of) = self.forwarded.get(&number).copied().filter(|of| of.to == from) else {
            return; // It was given up.
        };
        self.forwarded.remove(&number);
        self.clients.remove(&of.client);
        fx.reply(of.client, reply, Stamp::NONE);
    }

    fn take<E: Effects<Self>>(
        &mut self,
        now: Now,
        number: u128,
        asker: Asker,
        ask: RegisterAsk,
        fx: &mut E,
    ) {
        let RegisterAsk { key, wish } = ask;
        let is_write = wish != Wish::Read;
        let operation = Operation::new(self.setup.id, number, wish, self.setup.seats.clone());
        let until = now.tick.plus_ms(REGISTER_WAIT_MS);
        let (era, tries, due) = (Era(0), 0, None);
        let of_key = key.clone();
        let running = Running { operation, key, asker, era, tries, due, until };
        if self.full && is_write {
            return self.tell(asker, RegisterReply::Failed(RegisterFailure::Full), fx);
        }
        self.running.insert(number, running);
        let queue = self.queues.entry(of_key).or_default();
        queue.push_back(number);
        if queue.len() == 1 {
            self.launch(now, number, fx);
        }
    }

    /// Begins: with a look, from what the last change left, or anew.
    fn launch<E: Effects<Self>>(&mut self, now: Now, number: u128, fx: &mut E) {
        self.look_at(number, now.tick.plus_ms(RESEND_MS));
        let Some(era) = self.era() else { return };
        let Some(running) = self.running.get_mut(&number) else { return };
        let key = running.key.clone();
        running.era = era;
        if running.operation.is_read() && running.tries == 0 {
            let ask = running.operation.look();
            return self.ask_all(now, &key, (number, era), ask, fx);
        }
        let hold = self.holds.remove(&key).filter(|hold| hold.era() == era);
        let held = hold.and_then(|hold| running.operation.begin_from(hold));
        match held {
            Some(Step::Send(ask)) => self.ask_all(now, &key, (number, era), ask, fx),
            _ => self.work_on(now, key, Work::Begin(number), fx),
        }
    }

    /// The own cell is known: the operation begins with a bid above all that it has promised.
    pub(super) fn begin(&mut self, number: u128, promised: Bid) -> Option<(Era, Ask)> {
        let era = self.era()?;
        let running = self.running.get_mut(&number)?;
        running.era = era;
        Some((era, running.operation.begin(era, promised)))
    }

    fn ask_all<E: Effects<Self>>(
        &mut self,
        now: Now,
        key: &Bytes,
        (number, era): (u128, Era),
        ask: Ask,
        fx: &mut E,
    ) {
        self.ask_others(key, (number, era), &ask, Stamp::NONE, fx);
        let work = Work::Answer { from: self.setup.id, number, era, ask };
        self.work_on(now, key.clone(), work, fx);
    }

    pub(super) fn ask_others<E: Effects<Self>>(
        &mut self,
        key: &Bytes,
        (number, era): (u128, Era),
        ask: &Ask,
        after: Stamp,
        fx: &mut E,
    ) {
        for seat in self.setup.seats.members().iter().filter(|seat| **seat != self.setup.id) {
            let (key, ask) = (key.clone(), ask.clone());
            self.send(*seat, RegisterTelling::Ask { number, era, key, ask }, after, fx);
        }
    }

    /// An acceptor has answered. It counts if it has the seat.
    pub(super) fn hear_told<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        (number, era, disk): (u128, Era, DirectoryId),
        told: Told,
        fx: &mut E,
    ) {
        let seating = self.seating.as_ref().filter(|seating| seating.era == era);
        let is_seated = seating.is_some_and(|seating| seating.disks.get(&from) == Some(&disk));
        let is_of = self.running.get(&number).is_some_and(|running| running.era == era);
        if is_seated && is_of {
            self.hear(now, from, number, told, fx);
        }
    }

    pub(super) fn hear<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        number: u128,
        told: Told,
        fx: &mut E,
    ) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let (key, era) = (running.key.clone(), running.era);
        match running.operation.hear(from, told) {
            Some(Step::Send(ask)) => self.ask_all(now, &key, (number, era), ask, fx),
            Some(Step::Again) => {
                running.tries += 1;
                let doublings = running.tries.min(BACK_OFF_DOUBLINGS_MAX);
                let us = 1 + fx.choose((BACK_OFF_MS * 1_000) << doublings);
                self.look_at(number, now.tick + us);
                fx.probe("paxos: a register's operation begins again");
            }
            Some(Step::Done(outcome)) => {
                self.finish(now, number, RegisterReply::Answer(outcome), fx)
            }
            None => {}
        }
    }

    fn finish<E: Effects<Self>>(
        &mut self,
        now: Now,
        number: u128,
        reply: RegisterReply,
        fx: &mut E,
    ) {
        let Some(running) = self.running.remove(&number) else { return };
        if let Some(due) = running.due {
            self.due.remove(&(due, number));
        }
        if let Some(hold) = running.operation.hold() {
            if self.holds.len() >= HOLDS_MAX {
                self.holds.pop_first(); // Any of them: it is a round trip more, once.
            }
            self.holds.insert(running.key.clone(), hold);
        }
        self.tell(running.asker, reply, fx);
        let Occupied(mut queue) = self.queues.entry(running.key) else { return };
        queue.get_mut().retain(|waiting| *waiting != number);
        match queue.get().front().copied() {
            Some(next) => self.launch(now, next, fx),
            None => drop(queue.remove()),
        }
    }

    fn tell<E: Effects<Self>>(&mut self, asker: Asker, reply: RegisterReply, fx: &mut E) {
        match asker {
            Asker::Client(client) => {
                if self.clients.remove(&client).is_some() {
                    fx.reply(client, reply, Stamp::NONE);
                }
            }
            Asker::Node(node, number) => {
                self.send(node, RegisterTelling::Forwarded { number, reply }, Stamp::NONE, fx);
            }
        }
    }

    /// The client does not wait any more. What it asked for goes on.
    pub(super) fn gone(&mut self, client: ClientId) {
        if let Some(number) = self.clients.remove(&client) {
            self.forwarded.remove(&number);
        }
    }

    pub(super) fn lose<E: Effects<Self>>(&mut self, node: NodeId, fx: &mut E) {
        self.up.remove(&node);
        let lost = self.forwarded.iter().filter(|(_, of)| of.to == node);
        for number in lost.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.give_up_forwarded(number, fx);
        }
    }

    fn give_up_forwarded<E: Effects<Self>>(&mut self, number: u128, fx: &mut E) {
        let Some(of) = self.forwarded.remove(&number) else { return };
        self.clients.remove(&of.client);
        let read = RegisterFailure::NoQuorum;
        fail(of.client, if of.is_read { read } else { RegisterFailure::Unknown }, fx);
    }

    fn look_at(&mut self, number: u128, at: Tick) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let at = at.min(running.until);
        if let Some(before) = running.due.replace(at) {
            self.due.remove(&(before, number));
        }
        self.due.insert((at, number));
    }

    /// What is due is begun again, or given up.
    pub(super) fn look_after<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        while let Some((at, number)) = self.due.first().copied() {
            if at > now.tick {
                break;
            }
            let Some(running) = self.running.get_mut(&number) else { return };
            if running.until <= now.tick {
                let why = match running.operation.is_proposed() {
                    true => RegisterFailure::Unknown,
                    false => RegisterFailure::NoQuorum,
                };
                self.finish(now, number, RegisterReply::Failed(why), fx);
                continue;
            }
            running.tries += 1;
            self.launch(now, number, fx);
        }
        while let Some((number, of)) = self.forwarded.first_key_value() {
            if of.until > now.tick {
                break; // They are in the order of their time.
            }
            self.give_up_forwarded(*number, fx);
        }
    }

    /// For what is due first.
    pub(super) fn arm<E: Effects<Self>>(&mut self, fx: &mut E) {
        let own = self.due.first().map(|(at, _)| *at);
        let forwarded = self.forwarded.first_key_value().map(|(_, of)| of.until);
        let first = own.into_iter().chain(forwarded).min();
        if first == self.armed {
            return;
        }
        self.armed = first;
        match first {
            Some(at) => fx.arm(RegisterTimer::Due, at),
            None => fx.disarm(RegisterTimer::Due),
        }
    }
}
