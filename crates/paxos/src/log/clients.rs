//! What clients of this node ask: to the leader with it, and with the answer to them. Nobody waits for ever.

use ombak_base::{ClientId, NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::message::{Ask, Body, Message};
use super::replica::{Replica, Role};
use super::{
    COMMAND_BYTES_MAX, Host, Outcome, RESEND_MS, StateMachine, Timer, WAITING_MAX, WAITING_MS,
};
use crate::ballot::Ballot;

/// A request that waits for a leader.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) client: ClientId,
    pub(super) ask: Ask,
    pub(super) until: Tick,
}

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Asker {
    Client(ClientId),
    Node { node: NodeId, life: u64, ticket: u64 },
}

impl<S: StateMachine> Replica<S> {
    /// A client of this node asks. The answer comes by [`Host::answer`], once.
    pub fn request(&mut self, now: Tick, client: ClientId, ask: Ask, host: &mut impl Host) {
        self.request_all(now, [(client, ask)], host);
    }

    /// Several clients of this node ask, at the same moment: what is to be decided is decided together, and not the first by itself.
    pub fn request_all(
        &mut self,
        now: Tick,
        asked: impl IntoIterator<Item = (ClientId, Ask)>,
        host: &mut impl Host,
    ) {
        for (client, ask) in asked {
            self.hear_request(now, client, ask, host);
        }
        self.go_on(now, host);
    }

    fn hear_request(&mut self, now: Tick, client: ClientId, ask: Ask, host: &mut impl Host) {
        if ask.bytes() > COMMAND_BYTES_MAX {
            return host.answer(client, Outcome::TooLarge);
        }
        if let Ask::ReadAt(slot, query) = ask {
            return self.read_at(now, client, (slot, query), host);
        }
        let waiting = Waiting { client, ask, until: now.plus_ms(WAITING_MS) };
        self.enter(now, waiting, host);
    }

    /// The client does not wait any more.
    pub fn gone(&mut self, client: ClientId) {
        self.waiting.retain(|waiting| waiting.client != client);
        self.readers.retain(|_, waiting| waiting.client != client);
    }

    /// To the leader with it, if there is one. If that is this one, it is to [`go_on`](Replica::go_on) after that.
    fn enter(&mut self, now: Tick, waiting: Waiting, host: &mut impl Host) {
        let Waiting { client, .. } = waiting;
        let holds_back = match &self.role {
            Role::Leading(leading) if leading.holds_back() => true,
            Role::Leading(_) => {
                let asker = (Asker::Client(client), waiting.until);
                return self.take(now, asker, waiting.ask, host);
            }
            _ => false,
        };
        if self.waiting.len() + self.forwarded.len() >= WAITING_MAX {
            return host.answer(client, Outcome::Busy);
        }
        if !self.has_clients() {
            host.arm(Timer::Clients, now.plus_ms(RESEND_MS));
        }
        match self.leader_ballot() {
            _ if holds_back => self.waiting.push_back(waiting),
            Some(ballot) => {
                self.tickets += 1;
                self.forwarded.insert(self.tickets, waiting);
                self.forward(ballot, self.tickets, host);
            }
            None => {
                self.waiting.push_back(waiting);
                if !self.can_lead() {
                    self.await_leader(now, host); // Others are waiting for one already.
                }
            }
        }
    }

    fn forward(&self, to: Ballot, ticket: u64, host: &mut impl Host) {
        let Some(Waiting { ask, .. }) = self.forwarded.get(&ticket) else { return };
        let floor = self.forwarded.first_key_value().map_or(0, |(ticket, _)| *ticket);
        let body = Body::Forward { life: self.life, ticket, floor, ask: ask.clone() };
        host.send(to.proposer, Message::new(to, body), Stamp::NONE);
    }

    /// There is a leader, maybe this one: to it with what waited.
    pub(super) fn settle_waiting(&mut self, now: Tick, host: &mut impl Host) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.enter(now, waiting, host);
        }
        self.go_on(now, host);
    }

    /// Nobody waits for ever: what was not answered is asked again, and given up at its time.
    pub(super) fn look_after_clients(&mut self, now: Tick, host: &mut impl Host) {
        while let Some(oldest) = self.waiting.pop_front_if(|oldest| oldest.until <= now) {
            host.answer(oldest.client, Outcome::NoLeader);
        }
        self.give_up_readers(now, host);
        let late = self.forwarded.iter().filter(|(_, waiting)| waiting.until <= now);
        for ticket in late.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            if let Some(waiting) = self.forwarded.remove(&ticket) {
                host.answer(waiting.client, Outcome::Unknown);
            }
        }
        if let Some(ballot) = self.leader_ballot() {
            self.forwarded.keys().for_each(|ticket| self.forward(ballot, *ticket, host));
            self.settle_waiting(now, host); // It was not taken, and may be now.
        }
        if self.has_clients() {
            host.arm(Timer::Clients, now.plus_ms(RESEND_MS));
        }
    }

    /// The leader that had them is gone. What may be asked twice waits for the next.
    pub(super) fn lose_forwarded(&mut self, host: &mut impl Host) {
        for waiting in std::mem::take(&mut self.forwarded).into_values() {
            match waiting.ask.is_repeatable() {
                true => self.waiting.push_back(waiting),
                false => host.answer(waiting.client, Outcome::Unknown),
            }
        }
    }

    /// The leader has answered. That there is none says that it did not take it, and that another may soon.
    pub(super) fn hear_answer(&mut self, ticket: u64, outcome: Outcome, host: &mut impl Host) {
        let Some(waiting) = self.forwarded.remove(&ticket) else { return };
        match outcome {
            Outcome::NoLeader => self.waiting.push_back(waiting),
            outcome => host.answer(waiting.client, outcome),
        }
    }

    pub(super) fn has_clients(&self) -> bool {
        !(self.waiting.is_empty() && self.forwarded.is_empty() && self.readers.is_empty())
    }
}
