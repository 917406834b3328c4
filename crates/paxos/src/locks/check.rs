//! What is always true of a lock manager between two commands.
//!
//! [`LockManager::check`] is for hosts and tests, where a broken invariant is a bug of this code; a snapshot that came from
//! elsewhere is held against the same list, where it is a bad snapshot.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::property;

use super::limits::{
    ANSWERS_MAX, LEASE_US_MAX, LEASE_US_MIN, LOCKS_MAX, SESSION_LOCKS_MAX, SESSIONS_MAX,
    WAITERS_MAX,
};
use super::resource::Resource;
use super::session::{Lock, Session};
use super::{Answer, Due, LockId, LockManager, Path, SessionId, ValueBlock};

type Invariant = (&'static str, fn(&LockManager) -> Result<(), String>);

/// By name. The first is what the others rest on.
pub(super) const INVARIANTS: [Invariant; 7] = [
    ("the indexes say what the locks say", indexes_agree),
    ("no two incompatible locks are held", grants_are_compatible),
    ("nobody waits who could be granted", nobody_is_kept_waiting),
    ("a lock lies under a granted one of its session", children_have_parents),
    ("no token is given twice", tokens_are_distinct),
    ("nobody waits in a circle", nobody_waits_in_a_circle),
    ("who is told to wait does wait", answers_are_true),
];

impl LockManager {
    /// Every invariant of the state; panics, or does what the host has decided, if one is broken. Looks at everything: after
    /// each command in tests, now and then in production.
    pub fn check(&self) {
        for (name, holds) in INVARIANTS {
            if let Err(detail) = holds(self) {
                property::broken("always", name, concat!(file!(), ":", line!()), detail);
            }
        }
    }

    /// A manager from what it has to remember. All else is an index: the queues, the deadlines, the counts.
    pub(super) fn assemble(
        counters: LockManager,
        sessions: BTreeMap<SessionId, Session>,
        values: BTreeMap<Path, ValueBlock>,
    ) -> Result<LockManager, &'static str> {
        let mut whole = LockManager { sessions, ..counters };
        let mut sessions = std::mem::take(&mut whole.sessions);
        let mut places = BTreeSet::new();
        for (id, session) in &mut sessions {
            whole.deadlines.insert((session.until, Due::Session(*id)));
            whole.locks += session.locks.len();
            session.index()?;
            for (number, lock) in &session.locks {
                whole.index(LockId { session: *id, number: *number }, lock)?;
                let place = lock.wanted.map(|wanted| wanted.place);
                if place.is_some_and(|place| place.0 > whole.places || !places.insert(place)) {
                    return Err("place in a queue");
                }
            }
        }
        for (path, value) in values {
            whole.resources.get_mut(&path).ok_or("value of a resource that nobody uses")?.value =
                value;
        }
        whole.sessions = sessions;
        whole.is_within_bounds().then_some(whole).ok_or("number of locks or sessions")
    }

    fn index(&mut self, id: LockId, lock: &Lock) -> Result<(), &'static str> {
        if lock.held.is_none() && lock.wanted.is_none() {
            return Err("lock that neither is held nor waits");
        }
        if lock.held.is_none() && lock.wanted.is_some_and(|wanted| wanted.number != id.number) {
            return Err("number of a request");
        }
        let resource = self.resources.entry(lock.path.clone()).or_default();
        if let Some(held) = lock.held {
            resource.grant(id, held.mode);
        }
        if let Some((place, queued)) = lock.queued(id) {
            resource.enqueue(place, queued);
        }
        if let Some(until) = lock.wanted.and_then(|wanted| wanted.until) {
            self.deadlines.insert((until, Due::Request(id)));
        }
        Ok(())
    }

    fn is_within_bounds(&self) -> bool {
        self.locks <= LOCKS_MAX
            && self.sessions.len() <= SESSIONS_MAX
            && self.sessions.values().all(Session::is_within_bounds)
            && self.resources.values().all(|each| each.queued() <= WAITERS_MAX)
    }

    fn all_locks(&self) -> impl Iterator<Item = (LockId, &Session, &Lock)> {
        self.sessions.iter().flat_map(|(id, session)| {
            let id = |number: &u64| LockId { session: *id, number: *number };
            session.locks.iter().map(move |(number, lock)| (id(number), session, lock))
        })
    }
}

impl Session {
    fn is_within_bounds(&self) -> bool {
        let last = self.have.saturating_add(ANSWERS_MAX);
        let missed = self.answers.range(..=self.have);
        self.locks.len() <= SESSION_LOCKS_MAX
            && (LEASE_US_MIN..=LEASE_US_MAX).contains(&self.lease_us)
            && self.answers.keys().all(|number| *number <= last)
            && missed.count() <= SESSION_LOCKS_MAX
    }

    fn index(&mut self) -> Result<(), &'static str> {
        let waiting = self.locks.iter().filter(|(_, lock)| lock.wanted.is_some());
        self.pending = waiting.map(|(number, _)| *number).collect();
        self.locks.values_mut().for_each(|lock| lock.children = 0);
        let under: Vec<_> = self.locks.values().filter_map(|lock| lock.under).collect();
        for parent in under {
            self.locks.get_mut(&parent).ok_or("lock under none")?.children += 1;
        }
        Ok(())
    }
}

fn indexes_agree(manager: &LockManager) -> Result<(), String> {
    let values = manager.resources.iter().map(|(path, each)| (path.clone(), each.value.clone()));
    let counters = manager.counters();
    let again = LockManager::assemble(counters, manager.sessions.clone(), values.collect())?;
    let differ = || format!("{manager:?}, and by its locks {again:?}");
    (again == *manager).then_some(()).ok_or_else(differ)
}

fn grants_are_compatible(manager: &LockManager) -> Result<(), String> {
    for (path, resource) in &manager.resources {
        let mut held = Vec::new();
        for (id, mode) in &resource.granted {
            let other = held.iter().find(|(_, other)| !mode.compatible(*other));
            if let Some(other) = other {
                return Err(format!("{path}: {id} has {mode}, {other:?} too"));
            }
            // One of each mode, and one more that shows whether two of it go together.
            if held.iter().filter(|(_, other)| other == mode).count() < 2 {
                held.push((*id, *mode));
            }
        }
    }
    Ok(())
}

fn nobody_is_kept_waiting(manager: &LockManager) -> Result<(), String> {
    let next = |(path, resource): (_, &Resource)| resource.grantable().map(|next| (path, next));
    match manager.resources.iter().find_map(next) {
        Some((path, (_, queued))) => Err(format!("{path}: {queued:?}")),
        None => Ok(()),
    }
}

fn children_have_parents(manager: &LockManager) -> Result<(), String> {
    for (id, session, lock) in manager.all_locks() {
        let parent = lock.under.and_then(|under| session.locks.get(&under));
        let held = parent.filter(|parent| parent.held.is_some()).map(|parent| parent.path.clone());
        if held != lock.path.parent() || lock.under.is_some() && parent.is_none() {
            return Err(format!("{id} on {} lies under {parent:?}", lock.path));
        }
    }
    Ok(())
}

fn tokens_are_distinct(manager: &LockManager) -> Result<(), String> {
    let mut given = BTreeSet::new();
    let last = manager.tokens;
    for (id, _, lock) in manager.all_locks() {
        let Some(held) = lock.held else { continue };
        if held.token.0 == 0 || held.token.0 > last || !given.insert(held.token) {
            return Err(format!("{id} on {} has {:?}, the last is {last}", lock.path, held.token));
        }
    }
    Ok(())
}

fn nobody_waits_in_a_circle(manager: &LockManager) -> Result<(), String> {
    match manager.waits_in_a_circle() {
        Some(session) => Err(format!("{session} does, or for one")),
        None => Ok(()),
    }
}

fn answers_are_true(manager: &LockManager) -> Result<(), String> {
    for (id, session) in &manager.sessions {
        let waiting = session.answers.iter().filter(|(_, answer)| **answer == Answer::Waiting);
        let told: BTreeSet<_> = waiting.map(|(number, _)| *number).collect();
        let wanted = session.locks.values().filter_map(|lock| lock.wanted);
        let waits: BTreeSet<_> = wanted.map(|wanted| wanted.number).collect();
        // What the client has was forgotten.
        let mut untold = waits.difference(&told).filter(|number| **number > session.have);
        // A lock has the number of a request that is answered, or its number could come again as a new one.
        let mut fresh = session.locks.keys().filter(|number| **number > session.have);
        if !told.is_subset(&waits)
            || untold.next().is_some()
            || fresh.any(|number| !session.answers.contains_key(number))
        {
            return Err(format!("{id}: {session:?}"));
        }
    }
    Ok(())
}
