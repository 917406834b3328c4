//! The four things that a session can ask for.

use ombak_base::planted;

use super::limits::{LOCKS_MAX, SESSION_LOCKS_MAX, WAITERS_MAX};
use super::resource::Queued;
use super::session::{Held, Lock, Seen};
use super::turn::Turn;
use super::{
    Answer, Bound, Have, LockId, LockManager, Mode, Notice, Path, Refused, Request, SessionId,
    Value, Wait,
};

impl LockManager {
    /// A request of a session: applied if it is new, answered in any case.
    pub(super) fn call(
        &mut self,
        turn: &mut Turn,
        session: SessionId,
        number: u64,
        have: &Have,
        request: &Request,
    ) {
        let answer = match self.seen(session, number, have) {
            Ok(Seen::New) => {
                let answer = self.call_once(turn, LockId { session, number }, request);
                // It may have been what the client named as open.
                self.forget(session, have);
                answer
            }
            Ok(Seen::Before(answer)) => answer,
            Err(refused) => Answer::Refused(refused),
        };
        turn.notices.insert(0, Notice::Answer { session, number, answer });
    }

    fn seen(&mut self, id: SessionId, number: u64, have: &Have) -> Result<Seen, Refused> {
        self.renew(id);
        self.forget(id, have);
        self.sessions.get(&id).ok_or(Refused::NoSession)?.seen(number)
    }

    /// What the client has it will not ask for again.
    fn forget(&mut self, id: SessionId, have: &Have) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.forget(have);
        }
    }

    fn call_once(&mut self, turn: &mut Turn, id: LockId, request: &Request) -> Answer {
        turn.own = Some(id);
        let answer = self.request(turn, id, request).unwrap_or_else(Answer::Refused);
        if let Some(session) = self.sessions.get_mut(&id.session) {
            session.answered(id.number, &answer);
        }
        self.settle(turn);
        // A grant as well as a wait: a conversion that is granted past others that wait may be in their way now.
        if answer == Answer::Waiting || !planted!("a circle that a grant closes") {
            self.break_deadlocks(turn, id.session);
        }
        // Not `answer`: it may have been the victim, or been granted what the victim left.
        let session = self.sessions.get(&id.session);
        session.and_then(|session| session.answers.get(&id.number)).cloned().unwrap_or(answer)
    }

    /// `call` is the number of the request, as if it were a lock; of a new lock it is one.
    fn request(
        &mut self,
        turn: &mut Turn,
        call: LockId,
        request: &Request,
    ) -> Result<Answer, Refused> {
        let of = |number: u64| LockId { number, ..call };
        match request {
            Request::Lock { path, under, mode, wait, notify } => {
                let lock = Lock::new(path.clone(), *under, *notify);
                self.request_lock(turn, call, lock, *mode, *wait)
            }
            Request::Convert { lock, mode, wait, value } => {
                self.request_convert(turn, call.number, of(*lock), *mode, *wait, value.as_ref())
            }
            Request::Unlock { lock, value } => self.request_unlock(turn, of(*lock), value.as_ref()),
            Request::Cancel { lock } => self.request_cancel(turn, of(*lock)),
        }
    }

    fn request_lock(
        &mut self,
        turn: &mut Turn,
        id: LockId,
        lock: Lock,
        mode: Mode,
        wait: Wait,
    ) -> Result<Answer, Refused> {
        self.has_parent(id.session, &lock)?;
        self.has_room(id.session)?;
        let admitted = self.resources.get(&lock.path).is_none_or(|each| each.admits(mode));
        if !admitted {
            self.may_wait(&lock.path, wait)?;
        }
        let path = lock.path.clone();
        self.add_lock(id, lock);
        let queued = Queued { lock: id, mode, held: None };
        Ok(match admitted {
            true => self.grant(turn, &path, queued),
            false => self.enqueue(turn, id.number, queued, wait),
        })
    }

    fn request_convert(
        &mut self,
        turn: &mut Turn,
        number: u64,
        id: LockId,
        mode: Mode,
        wait: Wait,
        value: Option<&Value>,
    ) -> Result<Answer, Refused> {
        let (path, Held { mode: held, .. }) = self.held_alone(id)?;
        if value.is_some() && !(held.writes() && mode.at_most(held)) {
            return Err(Refused::Value);
        }
        let queued = Queued { lock: id, mode, held: Some(held) };
        let resource = self.resources.get(&path);
        if resource.is_none_or(|resource| resource.admits_conversion(held, mode)) {
            value.into_iter().for_each(|value| self.write_value(&path, value.clone()));
            turn.touched.insert(path.clone());
            return Ok(self.grant(turn, &path, queued));
        }
        self.may_wait(&path, wait)?;
        Ok(self.enqueue(turn, number, queued, wait))
    }

    fn request_unlock(
        &mut self,
        turn: &mut Turn,
        id: LockId,
        value: Option<&Value>,
    ) -> Result<Answer, Refused> {
        let lock = self.lock(id).ok_or(Refused::NoLock)?;
        if lock.children > 0 {
            return Err(Refused::HasChildren);
        }
        if let Some(value) = value {
            let writes = lock.held.is_some_and(|held| held.mode.writes());
            let path = writes.then(|| lock.path.clone()).ok_or(Refused::Value)?;
            self.write_value(&path, value.clone());
        }
        if let Some(wanted) = self.release(turn, id) {
            self.answer_late(turn, id, wanted.number, Answer::Refused(Refused::Cancelled));
        }
        Ok(Answer::Unlocked)
    }

    fn request_cancel(&mut self, turn: &mut Turn, id: LockId) -> Result<Answer, Refused> {
        let lock = self.lock(id).ok_or(Refused::NoLock)?;
        if lock.wanted.is_none() {
            return Err(Refused::NotPending);
        }
        self.refuse(turn, id, Refused::Cancelled);
        Ok(Answer::Cancelled)
    }

    /// A lock that is held, and waits for nothing.
    fn held_alone(&self, id: LockId) -> Result<(Path, Held), Refused> {
        let lock = self.lock(id).ok_or(Refused::NoLock)?;
        let held = lock.held.filter(|_| lock.wanted.is_none()).ok_or(Refused::Pending)?;
        Ok((lock.path.clone(), held))
    }

    /// Whether a lock lies under a granted one of its session, or need not.
    fn has_parent(&self, session: SessionId, lock: &Lock) -> Result<(), Refused> {
        let parent = lock.under.map(|number| LockId { session, number });
        let held = match parent {
            None => None,
            Some(parent) => {
                let parent = self.lock(parent).filter(|parent| parent.held.is_some());
                Some(parent.ok_or(Refused::NoParent)?.path.clone())
            }
        };
        (held == lock.path.parent()).then_some(()).ok_or(Refused::NoParent)
    }

    fn has_room(&self, session: SessionId) -> Result<(), Refused> {
        let own = self.sessions.get(&session).map_or(0, |session| session.locks.len());
        if own >= SESSION_LOCKS_MAX {
            return Err(Refused::Full(Bound::SessionLocks));
        }
        if self.locks >= LOCKS_MAX {
            return Err(Refused::Full(Bound::Locks));
        }
        Ok(())
    }

    fn may_wait(&self, path: &Path, wait: Wait) -> Result<(), Refused> {
        if wait == Wait::No {
            return Err(Refused::WouldWait);
        }
        let queued = self.resources.get(path).map_or(0, |resource| resource.queued());
        if queued >= WAITERS_MAX {
            return Err(Refused::Full(Bound::Waiters));
        }
        Ok(())
    }

    fn add_lock(&mut self, id: LockId, lock: Lock) {
        let Some(session) = self.sessions.get_mut(&id.session) else { return };
        if let Some(parent) = lock.under.and_then(|under| session.locks.get_mut(&under)) {
            parent.children += 1;
        }
        session.locks.insert(id.number, lock);
        self.locks += 1;
    }
}
