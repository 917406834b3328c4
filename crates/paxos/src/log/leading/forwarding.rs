//! Requests that come by other members, each taken once.

use std::collections::BTreeMap;

use ombak_base::{Stamp, Tick, planted};
use serde::{Deserialize, Serialize};

use super::super::clients::Asker;
use super::super::message::{Ask, Body, Message};
use super::super::replica::{Replica, Role};
use super::super::{Host, Outcome, StateMachine, WAITING_MAX, WAITING_MS};
use crate::ballot::Ballot;

/// Lives of members that a leader remembers the tickets of.
pub(super) const LIVES_MAX: usize = 4096;

/// What a member forwarded since it was started, and was not answered, as far as it has said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Forwarded {
    /// Everything below was answered.
    pub(super) floor: u64,
    /// Each with its answer, once there is one.
    pub(super) tickets: BTreeMap<u64, Option<Outcome>>,
}

/// What to do with a request that was forwarded.
pub(super) enum Heard {
    First,
    /// It is under way, or was answered long ago.
    Again,
    /// The answer was lost.
    Answered(Outcome),
}

impl Forwarded {
    pub(super) fn hear(&mut self, ticket: u64, floor: u64) -> Heard {
        if floor > self.floor {
            self.floor = floor;
            self.tickets = self.tickets.split_off(&floor);
        }
        match self.tickets.get(&ticket) {
            _ if planted!("a forwarded command is taken twice") => Heard::First,
            Some(Some(outcome)) => Heard::Answered(outcome.clone()),
            Some(None) => Heard::Again,
            None if ticket < self.floor || self.tickets.len() >= WAITING_MAX => Heard::Again,
            None => {
                self.tickets.insert(ticket, None);
                Heard::First
            }
        }
    }
}

impl<S: StateMachine> Replica<S> {
    /// A member asks on behalf of a client of its own. The ballot says that no other leader takes it: it is enough
    /// that this one remembers what it has taken, and messages may come twice.
    pub(in crate::log) fn hear_forward(
        &mut self,
        now: Tick,
        asker: Asker,
        floor: u64,
        ballot: Ballot,
        ask: Ask,
        host: &mut impl Host,
    ) {
        let Asker::Node { node, life, ticket } = asker else { return };
        let leading = match &mut self.role {
            Role::Leading(leading) if leading.ballot == ballot => leading,
            // It may have been taken while that ballot was led.
            _ => {
                let resign = Body::Resign { successor: false };
                host.send(node, Message::new(ballot, resign), Stamp::NONE);
                if !ask.is_repeatable() {
                    self.tell(asker, Outcome::Unknown, host);
                }
                return;
            }
        };
        let key = (node, life);
        if !leading.forwarded.contains_key(&key) && leading.forwarded.len() >= LIVES_MAX {
            return self.tell(asker, Outcome::Busy, host);
        }
        match leading.forwarded.entry(key).or_default().hear(ticket, floor) {
            Heard::First if leading.holds_back() => self.tell(asker, Outcome::NoLeader, host),
            Heard::First => {
                self.take(now, (asker, now.plus_ms(WAITING_MS)), ask, host);
                self.go_on(now, host);
            }
            Heard::Again => {}
            Heard::Answered(outcome) => self.tell(asker, outcome, host),
        }
    }

    /// What is answered is kept until whoever asked says that he has heard it.
    pub(in crate::log) fn note_answer(&mut self, asker: Asker, outcome: &Outcome) {
        let Asker::Node { node, life, ticket } = asker else { return };
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(forwarded) = leading.forwarded.get_mut(&(node, life)) else { return };
        if let Some(answer) = forwarded.tickets.get_mut(&ticket) {
            *answer = Some(outcome.clone());
        }
    }
}
