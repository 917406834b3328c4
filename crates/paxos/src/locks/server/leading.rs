//! What whoever leads does for all: it lets time pass.

use bytes::Bytes;
use ombak_base::{ClientId, Effects, Event, Now};

use super::{LOCKS, LockServer, LockTimer};
use crate::locks::{Command, LockService};
use crate::log::Ask;

/// A tick that came to nothing is proposed again after so long.
const AGAIN_MS: u64 = 100;

/// Those who ask for the server's own commands. No host counts its clients so far.
const TICKER: ClientId = ClientId(u64::MAX);
const HERALD: ClientId = ClientId(u64::MAX - 1);

impl LockServer {
    /// Begins to lead, or goes on: with a tick if something is overdue, else with a timer for when it will be.
    pub(super) fn lead<E: Effects<LockServer>>(&mut self, now: Now, fx: &mut E) {
        let leads = self.replica().is_some_and(|replica| replica.leads());
        let began = leads && !self.leading;
        self.leading = leads;
        if began {
            // Before any tick: while nobody led, nobody could renew a lease.
            self.propose(now, HERALD, &Command::NewLeader, fx);
            (self.ticking, self.due) = (false, None);
        }
        if leads && !self.ticking {
            self.wait_for_deadline(now, fx);
        }
    }

    fn wait_for_deadline<E: Effects<LockServer>>(&mut self, now: Now, fx: &mut E) {
        let Some(deadline) = self.manager().and_then(|manager| manager.next_deadline()) else {
            if self.due.take().is_some() {
                fx.disarm(LockTimer::Due);
            }
            return;
        };
        if self.due == Some(deadline) {
            return;
        }
        let left_us = deadline.since_us(self.clock.read(now.tick));
        if left_us > 0 {
            self.due = Some(deadline);
            return fx.arm(LockTimer::Due, now.tick + left_us);
        }
        self.ticking = true;
        self.propose(now, TICKER, &Command::Tick, fx);
    }

    /// What became of one of the server's own commands. `false`: it was a client's.
    pub(super) fn own_command_ended<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        client: ClientId,
        applied: bool,
        fx: &mut E,
    ) -> bool {
        if client == TICKER {
            self.ticking = false;
            self.due = None;
            if !applied {
                self.due = self.manager().and_then(|manager| manager.next_deadline());
                fx.arm(LockTimer::Due, now.tick.plus_ms(AGAIN_MS));
            }
        }
        client == TICKER || client == HERALD
    }

    /// Into the log with it, at the time that it is here.
    pub(super) fn propose<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        client: ClientId,
        command: &Command,
        fx: &mut E,
    ) {
        let at = self.clock.read(now.tick);
        let request = Ask::Propose(LockService::command(at, command));
        self.tell(now, Event::Request { client, request: (LOCKS, request) }, fx);
    }

    /// All of it, when it is known to be the newest.
    pub(super) fn read_all<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        client: ClientId,
        fx: &mut E,
    ) {
        self.tell(now, Event::Request { client, request: (LOCKS, Ask::Read(Bytes::new())) }, fx);
    }
}
