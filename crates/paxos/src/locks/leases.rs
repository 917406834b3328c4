//! How sessions begin, live and end, and what becomes of time.

use super::limits::{LEASE_US_MAX, LEASE_US_MIN, SESSIONS_MAX};
use super::session::Session;
use super::turn::Turn;
use super::{Bound, Due, LockId, LockManager, Notice, Refused, SessionId, SessionState, Value};

impl LockManager {
    pub(super) fn open(&mut self, turn: &mut Turn, id: SessionId, lease_us: u64, about: &Value) {
        let state = match self.may_open(id, lease_us) {
            Ok(()) => {
                let new = Session::new(lease_us, about.clone(), self.now);
                self.sessions.entry(id).or_insert(new).lease_us = lease_us;
                self.renewed(id)
            }
            Err(refused) => SessionState::Refused(refused),
        };
        turn.notices.push(Notice::Session { session: id, state });
    }

    fn may_open(&self, id: SessionId, lease_us: u64) -> Result<(), Refused> {
        if !(LEASE_US_MIN..=LEASE_US_MAX).contains(&lease_us) {
            return Err(Refused::Lease);
        }
        if self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&id) {
            return Err(Refused::Full(Bound::Sessions));
        }
        Ok(())
    }

    pub(super) fn keep_alive(&mut self, turn: &mut Turn, id: SessionId) {
        let state = self.renewed(id);
        turn.notices.push(Notice::Session { session: id, state });
    }

    fn renewed(&mut self, id: SessionId) -> SessionState {
        self.renew(id);
        match self.sessions.get(&id) {
            Some(session) => SessionState::Live { until: session.until },
            None => SessionState::Refused(Refused::NoSession),
        }
    }

    /// One lease from now; not less than was promised before, if the lease is shorter now. A lease that no tick has ended has
    /// not ended, however late it is.
    pub(super) fn renew(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.deadlines.remove(&(session.until, Due::Session(id)));
        session.until = session.until.max(self.now.plus_us(session.lease_us));
        self.deadlines.insert((session.until, Due::Session(id)));
    }

    /// A session that is not there is closed, which is all that was asked.
    pub(super) fn close(&mut self, turn: &mut Turn, id: SessionId) {
        self.end(turn, id);
        turn.notices.push(Notice::Session { session: id, state: SessionState::Closed });
    }

    /// Everything that is overdue ends. All of it goes before anything is granted: see [`Turn`].
    pub(super) fn tick(&mut self, turn: &mut Turn) {
        while let Some((at, due)) = self.deadlines.first().copied()
            && at <= self.now
        {
            self.deadlines.remove(&(at, due));
            match due {
                Due::Request(lock) => self.refuse(turn, lock, Refused::TimedOut),
                Due::Session(session) => {
                    self.end(turn, session);
                    let state = SessionState::Expired;
                    turn.notices.push(Notice::Session { session, state });
                }
            }
        }
    }

    pub(super) fn new_leader(&mut self) {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.renew(session));
    }

    /// A session ends, and with it all that it holds and waits for, values that it alone could write being in doubt.
    fn end(&mut self, turn: &mut Turn, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        self.deadlines.remove(&(session.until, Due::Session(id)));
        let locks: Vec<_> = session.locks.keys().map(|number| (*number, id)).collect();
        for (number, session) in locks {
            let lock = LockId { session, number };
            self.doubt_value(lock);
            self.release(turn, lock);
        }
        self.sessions.remove(&id);
    }
}
