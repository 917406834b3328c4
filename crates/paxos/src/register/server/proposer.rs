//! The proposer: what clients of this node ask, and of nodes without a seat.

use std::collections::btree_map::Entry::Occupied;

use bytes::Bytes;
use ombak_base::{ClientId, DirectoryId, Effects, NodeId, Now, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::{Ask, Bid, Era, Operation, Step, Told, Wish};
use super::acceptor::Work;
use super::listing::Listing;
use super::{
    REGISTER_CLIENTS_MAX, REGISTER_KEY_BYTES_MAX, REGISTER_VALUE_BYTES_MAX, REGISTER_WAIT_MS,
    RegisterAsk, RegisterFailure, RegisterReply, RegisterRequest, RegisterServer, RegisterTelling,
    RegisterTimer,
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
pub(super) enum Asker {
    Client(ClientId),
    /// Another node, and its number for it.
    Node(NodeId, u128),
}

/// An operation that is under way, or waits in its register's queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub operation: Operation,
    pub key: Bytes,
    pub asker: Asker,
    /// In which era it has begun.
    era: Era,
    pub tries: u32,
    /// It was passed on under its number before, which whoever it goes to takes once.
    pub stays: bool,
    /// When it is to be looked at, once it is the first in its queue.
    due: Option<Tick>,
    pub until: Tick,
}

impl RegisterRequest {
    fn is_bounded(&self) -> bool {
        match self {
            RegisterRequest::One(ask) => ask.is_bounded(),
            RegisterRequest::List { from } => from.len() <= REGISTER_KEY_BYTES_MAX,
        }
    }
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
    pub(super) fn number(&mut self) -> u128 {
        self.numbers += 1;
        (u128::from(self.life) << 64) | u128::from(self.numbers)
    }

    /// A client asks.
    pub(super) fn ask<E: Effects<Self>>(
        &mut self,
        now: Now,
        client: ClientId,
        request: RegisterRequest,
        fx: &mut E,
    ) {
        if let Some(why) = self.refusal(&request) {
            return fx.reply(client, RegisterReply::Failed(why), Stamp::NONE);
        }
        let number = self.number();
        self.clients.insert(client, number);
        let until = now.tick.plus_ms(REGISTER_WAIT_MS);
        match self.era() {
            Some(_) => self.take(now, number, Asker::Client(client), request, until, fx),
            None => self.pass_to_a_seat(now, number, Asker::Client(client), request, fx),
        }
    }

    /// Why it is not done, whoever asks.
    pub(super) fn refusal(&self, request: &RegisterRequest) -> Option<RegisterFailure> {
        if !request.is_bounded() {
            return Some(RegisterFailure::Length);
        }
        (self.clients() >= REGISTER_CLIENTS_MAX).then_some(RegisterFailure::Busy)
    }

    pub(super) fn take<E: Effects<Self>>(
        &mut self,
        now: Now,
        number: u128,
        asker: Asker,
        request: RegisterRequest,
        until: Tick,
        fx: &mut E,
    ) {
        match request {
            RegisterRequest::One(ask) => self.take_one(now, (number, asker), ask, until, fx),
            RegisterRequest::List { from } => {
                self.take_list(now, (number, asker), from, until, fx);
            }
        }
    }

    fn take_one<E: Effects<Self>>(
        &mut self,
        now: Now,
        (number, asker): (u128, Asker),
        ask: RegisterAsk,
        until: Tick,
        fx: &mut E,
    ) {
        let RegisterAsk { key, wish } = ask;
        let is_write = wish != Wish::Read;
        let operation = Operation::new(self.setup.id, number, wish, self.setup.seats.clone());
        let (era, tries, stays, due) = (Era(0), 0, false, None);
        let of_key = key.clone();
        let running = Running { operation, key, asker, era, tries, stays, due, until };
        if self.full && is_write {
            return self.tell(asker, RegisterReply::Failed(RegisterFailure::Full), fx);
        }
        self.running.insert(number, running);
        let queue = self.queues.entry(of_key.clone()).or_default();
        queue.push_back(number);
        if queue.len() == 1 {
            self.go_on(now, &of_key, fx);
        }
    }

    /// The next that is asked of a register is under way, here or elsewhere.
    fn go_on<E: Effects<Self>>(&mut self, now: Now, key: &Bytes, fx: &mut E) {
        while let Some(next) = self.queues.get(key).and_then(|queue| queue.front().copied()) {
            if !self.gives_way(next, fx) {
                return self.launch(now, next, fx);
            }
        }
    }

    /// Out of its queue.
    pub(super) fn remove(&mut self, number: u128) -> Option<Running> {
        let running = self.running.remove(&number)?;
        if let Some(due) = running.due {
            self.due.remove(&(due, number));
        }
        if let Occupied(mut queue) = self.queues.entry(running.key.clone()) {
            queue.get_mut().retain(|waiting| *waiting != number);
            if queue.get().is_empty() {
                queue.remove();
            }
        }
        Some(running)
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
                let (tries, rival) = (running.tries, running.operation.rival());
                self.note_rival(&key, rival);
                if self.gives_way(number, fx) {
                    return self.go_on(now, &key, fx);
                }
                let doublings = tries.min(BACK_OFF_DOUBLINGS_MAX);
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
        let Some(running) = self.remove(number) else { return };
        if let Some(hold) = running.operation.hold() {
            if self.holds.len() >= HOLDS_MAX {
                self.holds.pop_first(); // Any of them: it is a round trip more, once.
            }
            self.holds.insert(running.key.clone(), hold);
        }
        self.tell(running.asker, reply, fx);
        self.go_on(now, &running.key, fx);
    }

    pub(super) fn tell<E: Effects<Self>>(
        &mut self,
        asker: Asker,
        reply: RegisterReply,
        fx: &mut E,
    ) {
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
            self.listings.remove(&number);
        }
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
    }

    /// For what is due first.
    pub(super) fn arm<E: Effects<Self>>(&mut self, fx: &mut E) {
        let own = self.due.first().map(|(at, _)| *at);
        let forwarded = self.forwarded.first_key_value().map(|(_, of)| of.until());
        let listed = self.listings.values().map(Listing::due);
        let first = own.into_iter().chain(forwarded).chain(listed).min();
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
