//! One command, from the first change to the last consequence.
//!
//! A command changes what it says and leaves a note of each resource that it touched. Only then are the queues of those
//! resources looked at. So when a tick ends three sessions, none of them is granted in passing what another gave up.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::planted;

use super::resource::{Place, Queued};
use super::session::{Held, Lock, Wanted};
use super::{
    Answer, Due, LockId, LockManager, Notice, Path, Refused, Token, Value, ValueBlock, Wait,
};

/// What is to be done and said before the command is over.
#[derive(Default)]
pub(super) struct Turn {
    /// The request that is being applied: its answer is given at the end, once.
    pub(super) own: Option<LockId>,
    /// Resources where somebody may be next.
    pub(super) touched: BTreeSet<Path>,
    /// Locks that are held in another mode than before.
    changed: BTreeSet<LockId>,
    /// Holders that a request waits for as the first one.
    blocking: Vec<(LockId, Queued)>,
    pub(super) notices: Vec<Notice>,
}

impl LockManager {
    pub(super) fn lock_mut(&mut self, id: LockId) -> Option<&mut Lock> {
        self.sessions.get_mut(&id.session)?.locks.get_mut(&id.number)
    }

    /// **The fence**: larger than all that were given before, on whatever resource.
    fn next_token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Holds a lock in the mode of `queued`. It keeps its token if it takes no more than it had: what it may still do, it
    /// was allowed to do since then without a break.
    pub(super) fn grant(&mut self, turn: &mut Turn, path: &Path, queued: Queued) -> Answer {
        let Queued { lock: id, mode, .. } = queued;
        let before = self.lock(id).and_then(|lock| lock.held);
        let keeps = |before: &Held| {
            mode.at_most(before.mode) || planted!("a grant before its predecessor's fence")
        };
        let same = before.filter(keeps).map(|before| before.token);
        let token = same.unwrap_or_else(|| self.next_token());
        let since = self.now;
        if let Some(lock) = self.lock_mut(id) {
            lock.held = Some(Held { mode, token, since });
        }
        let resource = self.resources.entry(path.clone()).or_default();
        resource.grant(id, mode);
        let value = resource.value.clone();
        turn.changed.insert(id);
        Answer::Granted { mode, token, value }
    }

    /// Lets a lock wait, and notes the holders that have kept nobody waiting before.
    pub(super) fn enqueue(
        &mut self,
        turn: &mut Turn,
        number: u64,
        queued: Queued,
        wait: Wait,
    ) -> Answer {
        self.places += 1;
        let place = Place(self.places);
        let until = match wait {
            Wait::Us(us) => Some(self.now.plus_us(us)),
            Wait::Forever | Wait::No => None,
        };
        self.deadlines.extend(until.map(|until| (until, Due::Request(queued.lock))));
        let wanted = Wanted { mode: queued.mode, number, since: self.now, until, place };
        if let Some(path) = self.set_wanted(queued.lock, wanted) {
            let resource = self.resources.entry(path).or_default();
            resource.enqueue(place, queued);
            turn.blocking.extend(resource.newly_blocking(queued).map(|holder| (holder, queued)));
        }
        Answer::Waiting
    }

    fn set_wanted(&mut self, id: LockId, wanted: Wanted) -> Option<Path> {
        let session = self.sessions.get_mut(&id.session)?;
        let lock = session.locks.get_mut(&id.number)?;
        session.pending.insert(id.number);
        lock.wanted = Some(wanted);
        Some(lock.path.clone())
    }

    fn take_wanted(&mut self, id: LockId) -> Option<Wanted> {
        let session = self.sessions.get_mut(&id.session)?;
        session.pending.remove(&id.number);
        let wanted = session.locks.get_mut(&id.number)?.wanted.take()?;
        if let Some(until) = wanted.until {
            self.deadlines.remove(&(until, Due::Request(id)));
        }
        Some(wanted)
    }

    /// Takes a lock out of the queue. What it holds, it goes on holding; if it holds nothing, it is gone.
    pub(super) fn dequeue(&mut self, turn: &mut Turn, id: LockId) -> Option<Wanted> {
        let wanted = self.take_wanted(id)?;
        let lock = self.lock(id)?;
        let (path, gone) = (lock.path.clone(), lock.held.is_none());
        if let Some(resource) = self.resources.get_mut(&path) {
            resource.dequeue(wanted.place);
        }
        turn.touched.insert(path);
        if gone {
            self.forget_lock(id);
        }
        Some(wanted)
    }

    /// Gives up what a lock holds and what it waits for. Answers what it waited for.
    pub(super) fn release(&mut self, turn: &mut Turn, id: LockId) -> Option<Wanted> {
        let wanted = self.dequeue(turn, id);
        let held = self.lock(id).filter(|lock| lock.held.is_some());
        if let Some(path) = held.map(|lock| lock.path.clone()) {
            if let Some(resource) = self.resources.get_mut(&path) {
                resource.release(id);
            }
            turn.touched.insert(path);
            self.forget_lock(id);
        }
        wanted
    }

    fn forget_lock(&mut self, id: LockId) {
        let Some(session) = self.sessions.get_mut(&id.session) else { return };
        let Some(lock) = session.locks.remove(&id.number) else { return };
        self.locks -= 1;
        if let Some(parent) = lock.under.and_then(|under| session.locks.get_mut(&under)) {
            parent.children -= 1;
        }
    }

    /// Refuses what a lock waits for.
    pub(super) fn refuse(&mut self, turn: &mut Turn, id: LockId, why: Refused) {
        if let Some(wanted) = self.dequeue(turn, id) {
            self.answer_late(turn, id, wanted.number, Answer::Refused(why));
        }
    }

    /// Answers a request that was told to wait. The answer takes the place of "waiting", so that the request, sent again
    /// because this notice was lost, tells what has become of it.
    pub(super) fn answer_late(&mut self, turn: &mut Turn, id: LockId, number: u64, answer: Answer) {
        let session = id.session;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.answered(number, &answer);
        }
        if turn.own != Some(LockId { session, number }) {
            turn.notices.push(Notice::Answer { session, number, answer });
        }
    }

    /// Grants what can be granted now on all that was touched, and forgets resources that nobody uses.
    pub(super) fn settle(&mut self, turn: &mut Turn) {
        for path in std::mem::take(&mut turn.touched) {
            while let Some(next) = self.resources.get(&path).and_then(|each| each.grantable()) {
                self.grant_queued(turn, &path, next);
            }
            if self.resources.get(&path).is_some_and(|resource| resource.is_unused()) {
                self.resources.remove(&path);
            }
        }
    }

    fn grant_queued(&mut self, turn: &mut Turn, path: &Path, (place, queued): (Place, Queued)) {
        if let Some(resource) = self.resources.get_mut(path) {
            resource.dequeue(place);
        }
        if let Some(wanted) = self.take_wanted(queued.lock) {
            let answer = self.grant(turn, path, queued);
            self.answer_late(turn, queued.lock, wanted.number, answer);
        }
    }

    /// Tells the holders that are in somebody's way, now that it is known who still waits: a request that was refused to
    /// break a deadlock disturbs nobody.
    pub(super) fn tell_blocking(&mut self, turn: &mut Turn) {
        let began = std::mem::take(&mut turn.blocking).into_iter();
        let mut blocking: BTreeMap<_, _> =
            began.filter(|(holder, waiter)| self.is_in_the_way(*holder, waiter.lock)).collect();
        for id in std::mem::take(&mut turn.changed) {
            let resource = self.lock(id).and_then(|lock| self.resources.get(&lock.path));
            let first = resource.and_then(|resource| resource.first_blocked_by(id));
            blocking.extend(first.map(|first| (id, first)));
        }
        blocking.retain(|holder, _| self.lock(*holder).is_some_and(|lock| lock.notify));
        turn.notices.extend(blocking.into_iter().map(|(lock, waiter)| {
            let Queued { lock: waiter, mode: wanted, .. } = waiter;
            Notice::Blocking { lock, waiter, wanted }
        }));
    }

    /// Whether what one lock holds keeps another waiting.
    fn is_in_the_way(&self, holder: LockId, waiter: LockId) -> bool {
        let wanted = self.lock(waiter).and_then(|lock| lock.wanted);
        let held = self.lock(holder).and_then(|lock| lock.held);
        wanted.zip(held).is_some_and(|(wanted, held)| !wanted.mode.compatible(held.mode))
    }

    /// Marks the value of what a lock is on, if its holder could have changed what that describes.
    pub(super) fn doubt_value(&mut self, id: LockId) {
        let writing = self.lock(id).filter(|lock| lock.held.is_some_and(|held| held.mode.writes()));
        let path = writing.map(|lock| lock.path.clone());
        if let Some(resource) = path.and_then(|path| self.resources.get_mut(&path))
            && !planted!("a value block that outlives its writer")
        {
            resource.value.valid = false;
        }
    }

    /// Writes a value block.
    pub(super) fn write_value(&mut self, path: &Path, value: Value) {
        if let Some(resource) = self.resources.get_mut(path) {
            resource.value = ValueBlock { value, valid: true };
        }
    }
}
