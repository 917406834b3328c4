//! Reads from the state of whoever is asked, once that has come far enough: a client that knows where its last command stands
//! reads what it wrote, at any member, and asks nothing of the leader.
//!
//! This is not a linearizable read: what others were told of meanwhile may be missing. Of a slot that nobody was told of,
//! [`Slot(0)`](Slot), it is a read of whatever there is.

use bytes::Bytes;
use ombak_base::{ClientId, Tick, planted};

use super::clients::Waiting;
use super::message::Ask;
use super::replica::Replica;
use super::{Host, Outcome, RESEND_MS, Slot, StateMachine, Timer, WAITING_MAX, WAITING_MS};

impl<S: StateMachine> Replica<S> {
    pub(super) fn read_at(
        &mut self,
        now: Tick,
        client: ClientId,
        (slot, query): (Slot, Bytes),
        host: &mut impl Host,
    ) {
        if self.is_witness {
            return host.answer(client, Outcome::Behind);
        }
        if slot <= self.committed || planted!("a member reads before it has come so far") {
            return host.answer(client, self.read_here(&query));
        }
        if self.readers.len() >= WAITING_MAX {
            return host.answer(client, Outcome::Busy);
        }
        if !self.has_clients() {
            host.arm(Timer::Clients, now.plus_ms(RESEND_MS));
        }
        self.tickets += 1;
        let (ask, until) = (Ask::ReadAt(slot, query), now.plus_ms(WAITING_MS));
        self.readers.insert((slot, self.tickets), Waiting { client, ask, until });
        if self.leader_ballot().is_none() && !self.can_lead() {
            self.await_leader(now, host); // The others do so anyway.
        }
    }

    /// What the state says now.
    pub(super) fn read_here(&self, query: &Bytes) -> Outcome {
        Outcome::Read { slot: self.committed, answer: self.state.read(query) }
    }

    /// More was applied: some may have waited for that.
    pub(super) fn answer_readers(&mut self, host: &mut impl Host) {
        if self.readers.is_empty() {
            return; // As a rule, and each command comes by here.
        }
        while let Some(entry) = self.readers.first_entry() {
            if entry.key().0 > self.committed {
                return;
            }
            let Waiting { client, ask, .. } = entry.remove();
            match ask {
                // It has become one while they waited.
                _ if self.is_witness => host.answer(client, Outcome::Behind),
                Ask::ReadAt(_, query) => host.answer(client, self.read_here(&query)),
                _ => {}
            }
        }
    }

    /// Nobody waits for ever.
    pub(super) fn give_up_readers(&mut self, now: Tick, host: &mut impl Host) {
        for (_, late) in self.readers.extract_if(.., |_, waiting| waiting.until <= now) {
            host.answer(late.client, Outcome::Behind);
        }
    }
}
