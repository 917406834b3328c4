//! Who waits for whom, and what is done about circles.
//!
//! A request waits for every holder whose mode does not go together with its own, and for the request directly ahead of it
//! in the queue, for it is not looked at before that one is gone (and so for whatever that one waits for). It waits for *all*
//! of these. A session waits for the sessions that its requests wait for. It may have several requests waiting; what
//! is assumed of it is that it gives up nothing before it has got what it asked for. Under that assumption sessions in a
//! circle wait for ever, and sessions in none do not: so a circle is a deadlock, and nothing else is. Threads that wait
//! independently of each other need a session each.
//!
//! # When circles can come up
//!
//! The graph has no circle before a command; does it have one after? What adds an edge is a request that comes to wait
//! (its own edges; and, if it is a conversion, those of all waiters, which now stand behind it) and a conversion that
//! is granted at once past others that wait (whose way it may now be in). In each case one end of every new edge is the
//! session that asked. So each new circle goes through that session, and a search that begins there finds it. Everything
//! else opens no way from one session to another that was not there: a grant from a queue turns "it is ahead of me" into
//! "it holds what I want" or into nothing, and who leaves the middle of a queue leaves those behind it waiting for those
//! ahead of it, as before.
//!
//! # Who has to give way
//!
//! Of the requests in a circle, the one that came to wait last: it has waited least. Nearly always that is the request
//! that closed the circle. It is refused; what its session holds, it keeps. Then the search begins again, for one request
//! can close several circles.

use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::resource::{Place, Queued};
use super::session::Lock;
use super::turn::Turn;
use super::{LockId, LockManager, Mode, Notice, Path, Refused, SessionId};

/// How many times to look for somebody who waits before the search goes the other way. It decides what a search costs, never
/// what it finds.
const LOOKS_MAX: usize = 64;

/// An edge of the graph: a request that waits, and a lock that it waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WaitsFor {
    /// The lock that is not granted, or not converted.
    pub waiter: LockId,
    /// The lock that is in its way.
    pub blocker: LockId,
    /// How it is.
    pub why: Why,
}

/// Why one request waits for another lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Why {
    /// That lock is held in a mode that does not go together with the one wanted.
    Held,
    /// That lock is next before it in the queue.
    Ahead,
}

/// A search through the sessions, the nearest first.
struct Search {
    /// How each session was reached first.
    reached: BTreeMap<SessionId, WaitsFor>,
    next: VecDeque<SessionId>,
    /// Whose holders were looked at already for requests of this mode: a long queue does not look at them once for each
    /// that stands in it.
    looked: BTreeSet<(Path, Mode)>,
}

impl LockManager {
    /// Refuses requests until no circle goes through this session.
    pub(super) fn break_deadlocks(&mut self, turn: &mut Turn, session: SessionId) {
        while let Some(cycle) = self.cycle_through(session) {
            let youngest = |edge: &&WaitsFor| self.queued(edge.waiter).map(|(place, _)| place);
            let Some(victim) = cycle.iter().max_by_key(youngest).map(|edge| edge.waiter) else {
                return;
            };
            turn.notices.push(Notice::Deadlock { victim, cycle });
            self.refuse(turn, victim, Refused::Deadlock);
            self.settle(turn);
        }
    }

    /// A shortest circle through this session.
    fn cycle_through(&self, start: SessionId) -> Option<Vec<WaitsFor>> {
        let waits = self.pending_of(start).next().is_some();
        if !waits || !self.may_be_in_a_circle(start) {
            return None;
        }
        let mut search = Search {
            reached: BTreeMap::new(),
            next: VecDeque::from([start]),
            looked: BTreeSet::new(),
        };
        while let Some(session) = search.next.pop_front() {
            for edge in self.waits_of(session, start, &mut search.looked) {
                let to = edge.blocker.session;
                if to == start {
                    return Some(search.back_to(start, edge));
                }
                if let Entry::Vacant(new) = search.reached.entry(to) {
                    new.insert(edge);
                    search.next.push_back(to);
                }
            }
        }
        None
    }

    /// Whether a circle may go through a session. Looked for from the other end, at who waits for it and at who waits for
    /// those; for that is nearly always nobody, while the queue that it stands in can be long. If they are too many to
    /// know, it may.
    fn may_be_in_a_circle(&self, start: SessionId) -> bool {
        let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
        let mut looks = 0;
        while let Some(session) = next.pop() {
            for (id, lock) in self.locks(session) {
                for waiter in self.waiters_behind(id, lock) {
                    looks += 1;
                    if waiter == Some(start) || looks > LOOKS_MAX {
                        return true;
                    }
                    next.extend(waiter.filter(|waiter| reached.insert(*waiter)));
                }
            }
        }
        false
    }

    /// The sessions that wait for a lock directly, and `None` for each look in vain.
    fn waiters_behind(&self, id: LockId, lock: &Lock) -> impl Iterator<Item = Option<SessionId>> {
        let resource = self.resources.get(&lock.path);
        let behind = lock.queued(id).and_then(|(place, queued)| resource?.behind(place, queued));
        let queue = lock.held.and_then(|held| Some((held, resource?))).into_iter();
        let kept = queue.flat_map(move |(held, resource)| {
            resource.queue().map(move |each| {
                let waits = each.lock != id && !each.mode.compatible(held.mode);
                waits.then_some(each.lock.session)
            })
        });
        // `None` at least once for each lock: who has very many is not looked through to the end.
        std::iter::once(behind.map(|behind| behind.lock.session)).chain(kept)
    }

    /// What the requests of a session wait for, as far as that was not looked at before.
    fn waits_of(
        &self,
        id: SessionId,
        start: SessionId,
        looked: &mut BTreeSet<(Path, Mode)>,
    ) -> Vec<WaitsFor> {
        let mut edges = Vec::new();
        for waiter in self.pending_of(id) {
            let Some((path, place, queued)) = self.pending(waiter) else { continue };
            // A conversion does not look at its own lock, which others of the same mode may wait for. That leads to its
            // session, which has been reached; only at the start does reaching it matter.
            let new = id == start || looked.insert((path.clone(), queued.mode));
            edges.extend(
                self.edges(path, place, queued).filter(|edge| new || edge.why == Why::Ahead),
            );
        }
        edges
    }

    /// The locks of a session that wait.
    pub(super) fn pending_of(&self, session: SessionId) -> impl Iterator<Item = LockId> {
        let pending = self.sessions.get(&session).into_iter().flat_map(|each| &each.pending);
        pending.map(move |number| LockId { session, number: *number })
    }

    fn queued(&self, id: LockId) -> Option<(Place, Queued)> {
        self.lock(id)?.queued(id)
    }

    pub(super) fn pending(&self, id: LockId) -> Option<(&Path, Place, Queued)> {
        let lock = self.lock(id)?;
        lock.queued(id).map(|(place, queued)| (&lock.path, place, queued))
    }

    /// All that one request waits for.
    fn edges(&self, path: &Path, place: Place, queued: Queued) -> impl Iterator<Item = WaitsFor> {
        let resource = self.resources.get(path);
        let ahead = resource.and_then(|resource| resource.ahead_of(place, queued));
        let held = resource.into_iter().flat_map(move |resource| resource.in_the_way(queued));
        let edge = move |blocker, why| WaitsFor { waiter: queued.lock, blocker, why };
        let ahead = ahead.into_iter().map(move |ahead| edge(ahead.lock, Why::Ahead));
        ahead.chain(held.map(move |(lock, _)| edge(lock, Why::Held)))
    }

    /// What one lock waits for directly. None: it is granted, or not there.
    pub fn waits_for(&self, lock: LockId) -> Vec<WaitsFor> {
        let pending = self.pending(lock).into_iter();
        pending.flat_map(|(path, place, queued)| self.edges(path, place, queued)).collect()
    }

    /// Everything that has to happen before a lock is granted: what it waits for, what the sessions that hold that wait
    /// for, and so on; the nearest first. A path in this ends at a session that is at work.
    pub fn explain(&self, lock: LockId) -> Vec<WaitsFor> {
        let mut edges = self.waits_for(lock);
        let mut reached = BTreeSet::from([lock.session]);
        let mut next = 0;
        while let Some(WaitsFor { blocker, .. }) = edges.get(next) {
            let session = blocker.session;
            if reached.insert(session) {
                edges.extend(self.pending_of(session).flat_map(|lock| self.waits_for(lock)));
            }
            next += 1;
        }
        edges
    }

    /// The whole graph, by session and number of the waiter. A crowd that waits for a crowd has as many edges as one times
    /// the other.
    pub fn wait_graph(&self) -> impl Iterator<Item = WaitsFor> {
        let pending = self.sessions.keys().flat_map(|session| self.pending_of(*session));
        pending.flat_map(|lock| self.waits_for(lock))
    }
}

impl Search {
    /// The way from the start to `last`, which leads back to it.
    fn back_to(&self, start: SessionId, last: WaitsFor) -> Vec<WaitsFor> {
        let mut cycle = vec![last];
        let mut session = last.waiter.session;
        while session != start
            && let Some(edge) = self.reached.get(&session)
        {
            cycle.push(*edge);
            session = edge.waiter.session;
        }
        cycle.reverse();
        cycle
    }
}
