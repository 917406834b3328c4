//! One resource: who holds it, who waits for it, and who is next. Knows nothing of sessions.

use std::collections::BTreeMap;
use std::ops::Bound;

use ombak_base::planted;
use serde::{Deserialize, Serialize};

use super::mode::Modes;
use super::{LockId, Mode, ValueBlock};

/// A place in a queue. One counter gives them out for all resources, so places also say which of two requests is younger.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(super) struct Place(pub(super) u64);

/// A request in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Queued {
    pub(super) lock: LockId,
    /// Wanted.
    pub(super) mode: Mode,
    /// Held meanwhile: a conversion.
    pub(super) held: Option<Mode>,
}

/// First come, first served.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Queue {
    places: BTreeMap<Place, Queued>,
    /// The modes wanted, counted.
    modes: Modes,
}

impl Queue {
    fn first(&self) -> Option<(Place, Queued)> {
        self.places.first_key_value().map(|(place, queued)| (*place, *queued))
    }

    fn last(&self) -> Option<Queued> {
        self.places.last_key_value().map(|(_, queued)| *queued)
    }

    fn before(&self, place: Place) -> Option<Queued> {
        self.places.range(..place).next_back().map(|(_, queued)| *queued)
    }

    fn after(&self, place: Place) -> Option<(Place, Queued)> {
        let after = (Bound::Excluded(place), Bound::Unbounded);
        self.places.range(after).next().map(|(place, queued)| (*place, *queued))
    }

    fn insert(&mut self, place: Place, queued: Queued) {
        self.modes.add(queued.mode);
        self.places.insert(place, queued);
    }

    fn remove(&mut self, place: Place) {
        if let Some(queued) = self.places.remove(&place) {
            self.modes.remove(queued.mode);
        }
    }

    fn iter(&self) -> impl Iterator<Item = Queued> {
        self.places.values().copied()
    }
}

/// The three queues of VMS: granted, which is not one; converting; waiting.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) value: ValueBlock,
    pub(super) granted: BTreeMap<LockId, Mode>,
    /// The modes granted, counted.
    modes: Modes,
    converting: Queue,
    waiting: Queue,
}

impl Resource {
    /// Whether a new lock is granted at once. NL waits for nobody, and nobody waits for it; any other stands behind whoever
    /// is there already, though it may go together with all of them.
    pub(super) fn admits(&self, mode: Mode) -> bool {
        let overtakes = self.queued() > 0 && !planted!("a request that overtakes");
        mode == Mode::NL || !overtakes && self.fits(mode, None)
    }

    /// Whether a conversion is granted at once: if it takes no more than it has, or if it fits and no other conversion is
    /// before it. One that waits for what is `held` here is not before it: to stand behind that one would be to wait for
    /// itself. Waiters are not asked, for the same reason: most wait for what is held here.
    pub(super) fn admits_conversion(&self, held: Mode, mode: Mode) -> bool {
        let before =
            !self.converting.places.is_empty() && self.converting.modes.conflicts(held) == 0;
        mode.at_most(held) || !before && self.fits(mode, Some(held))
    }

    /// Whether a mode goes together with all that are granted, but for the one that is `held` by who asks.
    fn fits(&self, mode: Mode, held: Option<Mode>) -> bool {
        let own = held.is_some_and(|held| !held.compatible(mode));
        self.modes.conflicts(mode) == u32::from(own)
    }

    /// The one that is granted next, if it can be now: the first conversion, or, when none waits, the first waiter. Those
    /// behind it are not looked at.
    pub(super) fn grantable(&self) -> Option<(Place, Queued)> {
        let first = self.converting.first().or_else(|| self.waiting.first());
        first.filter(|(_, queued)| self.fits(queued.mode, queued.held))
    }

    /// Holds it in this mode from now on.
    pub(super) fn grant(&mut self, lock: LockId, mode: Mode) {
        self.release(lock);
        self.modes.add(mode);
        self.granted.insert(lock, mode);
    }

    /// Holds it no more.
    pub(super) fn release(&mut self, lock: LockId) {
        if let Some(held) = self.granted.remove(&lock) {
            self.modes.remove(held);
        }
    }

    /// Waits at the end of its queue.
    pub(super) fn enqueue(&mut self, place: Place, queued: Queued) {
        match queued.held {
            Some(_) => self.converting.insert(place, queued),
            None => self.waiting.insert(place, queued),
        }
    }

    /// Waits no more.
    pub(super) fn dequeue(&mut self, place: Place) {
        self.converting.remove(place);
        self.waiting.remove(place);
    }

    /// How many wait.
    pub(super) fn queued(&self) -> usize {
        self.converting.places.len() + self.waiting.places.len()
    }

    /// Those that wait, the first one first.
    pub(super) fn queue(&self) -> impl Iterator<Item = Queued> {
        self.converting.iter().chain(self.waiting.iter())
    }

    /// Whether neither holders nor waiters are left.
    pub(super) fn is_unused(&self) -> bool {
        self.granted.is_empty() && self.queued() == 0
    }

    /// The one directly before that place.
    pub(super) fn ahead_of(&self, place: Place, queued: Queued) -> Option<Queued> {
        match queued.held {
            Some(_) => self.converting.before(place),
            None => self.waiting.before(place).or_else(|| self.converting.last()),
        }
    }

    /// The one directly after that place.
    pub(super) fn behind(&self, place: Place, queued: Queued) -> Option<Queued> {
        match queued.held {
            Some(_) => self.converting.after(place).or_else(|| self.waiting.first()),
            None => self.waiting.after(place),
        }
        .map(|(_, behind)| behind)
    }

    /// The holders that keep a request from being granted, by the mode that they hold.
    pub(super) fn in_the_way(&self, queued: Queued) -> impl Iterator<Item = (LockId, Mode)> {
        let any = self.modes.conflicts(queued.mode) > 0;
        let granted = self.granted.iter().filter(move |_| any);
        granted
            .filter(move |(lock, held)| **lock != queued.lock && !held.compatible(queued.mode))
            .map(|(lock, held)| (*lock, *held))
    }

    /// The first that waits because of a holder, which does not convert itself.
    pub(super) fn first_blocked_by(&self, lock: LockId) -> Option<Queued> {
        let held = *self.granted.get(&lock)?;
        let any = self.conflicts_queued(held) > 0;
        any.then(|| self.queue().find(|queued| !held.compatible(queued.mode)))?
    }

    /// The holders that kept nobody waiting before this request came: for each of them a block begins.
    pub(super) fn newly_blocking(&self, queued: Queued) -> impl Iterator<Item = LockId> {
        let others = Mode::ALL.map(|held| self.blocked_besides(queued, held));
        let holders = self.in_the_way(queued);
        let new = holders.filter(move |(lock, held)| match others[*held as usize] {
            Besides::Nobody => true,
            // Its own conversion is not kept waiting by what it converts.
            Besides::One(other) => other == *lock,
            Besides::More => false,
        });
        new.map(|(lock, _)| lock)
    }

    /// Which requests besides this one wait because of holders in a mode.
    fn blocked_besides(&self, queued: Queued, held: Mode) -> Besides {
        let besides = |each: &Queued| each.lock != queued.lock && !each.mode.compatible(held);
        match self.conflicts_queued(held).saturating_sub(1) {
            0 => Besides::Nobody,
            1 => self.queue().find(besides).map_or(Besides::Nobody, |one| Besides::One(one.lock)),
            _ => Besides::More,
        }
    }

    /// How many that wait want a mode that does not go together with this one.
    fn conflicts_queued(&self, held: Mode) -> u32 {
        self.converting.modes.conflicts(held) + self.waiting.modes.conflicts(held)
    }
}

#[derive(Clone, Copy)]
enum Besides {
    Nobody,
    One(LockId),
    More,
}
