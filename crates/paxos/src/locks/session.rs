//! One session: its lease, its locks, and the answers that it may not have heard.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::planted;
use serde::{Deserialize, Serialize};

use super::limits::{ANSWERS_MAX, SESSION_LOCKS_MAX};
use super::resource::{Place, Queued};
use super::{Answer, Have, LockId, LogTime, Mode, Path, Refused, Token, Value};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) lease_us: u64,
    /// Who the client is, for people.
    pub(super) about: Value,
    /// The first tick from here on ends it.
    pub(super) until: LogTime,
    /// Up to this number the client has the answers, but for those that are kept.
    pub(super) have: u64,
    /// All that were given to larger numbers, and those to smaller ones that the client may have missed.
    pub(super) answers: BTreeMap<u64, Answer>,
    pub(super) locks: BTreeMap<u64, Lock>,
    /// Those that wait.
    pub(super) pending: BTreeSet<u64>,
}

/// What is known of a request's number.
pub(super) enum Seen {
    /// It has not come before.
    New,
    /// It came, and this was answered.
    Before(Answer),
}

impl Session {
    pub(super) fn new(lease_us: u64, about: Value, until: LogTime) -> Session {
        Session {
            lease_us,
            about,
            until,
            have: 0,
            answers: BTreeMap::new(),
            locks: BTreeMap::new(),
            pending: BTreeSet::new(),
        }
    }

    /// Forgets the answers that the client has.
    pub(super) fn forget(&mut self, have: &Have) {
        self.have = self.have.max(self.settled(have));
        let to = self.have.min(have.all_to);
        self.answers.retain(|number, _| *number > to || have.but.contains(number));
    }

    /// Up to where each request has come, or never will. One that the client still waits for and that has not come is new when
    /// it does, so it stays above; as do those that would make too many answers to keep.
    fn settled(&self, have: &Have) -> u64 {
        let is_under_way = |number: u64| number > self.have && !self.answers.contains_key(&number);
        let mut but = have.but.iter().copied().enumerate();
        let first = but.find(|(at, number)| *at == SESSION_LOCKS_MAX || is_under_way(*number));
        first.map_or(have.all_to, |(_, number)| have.all_to.min(number.saturating_sub(1)))
    }

    /// **What makes a request happen once**, however often it is in the log: a number above `have` is new as long as it has no
    /// answer, and an answer is kept until the client says that it will never ask again. What lies outside that window is
    /// refused, not guessed.
    pub(super) fn seen(&self, number: u64) -> Result<Seen, Refused> {
        let before =
            self.answers.get(&number).filter(|_| !planted!("a session that applies twice"));
        match before {
            Some(answer) => Ok(Seen::Before(answer.clone())),
            None if number <= self.have => Err(Refused::Forgotten),
            None if number - self.have > ANSWERS_MAX => Err(Refused::TooFarAhead),
            None => Ok(Seen::New),
        }
    }

    /// Keeps an answer for as long as the client may ask again.
    pub(super) fn answered(&mut self, number: u64, answer: &Answer) {
        if number > self.have || self.answers.contains_key(&number) {
            self.answers.insert(number, answer.clone());
        }
    }
}

/// A lock of a session: held, or waiting, or both, which is a conversion.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Lock {
    /// On what.
    pub path: Path,
    /// The lock of the same session that it lies under.
    pub under: Option<u64>,
    /// Locks that lie under this one.
    pub children: usize,
    /// Its holder wants to know when it is in somebody's way.
    pub notify: bool,
    /// What is held.
    pub held: Option<Held>,
    /// What it waits for.
    pub wanted: Option<Wanted>,
}

/// A mode that is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Held {
    /// How.
    pub mode: Mode,
    /// Of the grant, or of the last conversion that took more than it had.
    pub token: Token,
    /// Since when in this mode.
    pub since: LogTime,
}

/// A mode that is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// How.
    pub mode: Mode,
    /// The number of the request that is to be answered.
    pub number: u64,
    /// Since when.
    pub since: LogTime,
    /// The first tick from here on refuses it.
    pub until: Option<LogTime>,
    pub(super) place: Place,
}

impl Lock {
    /// Neither held nor waiting yet.
    pub(super) fn new(path: Path, under: Option<u64>, notify: bool) -> Lock {
        Lock { path, under, children: 0, notify, held: None, wanted: None }
    }

    /// What stands in the resource's queue for it.
    pub(super) fn queued(&self, lock: LockId) -> Option<(Place, Queued)> {
        let wanted = self.wanted.as_ref()?;
        let held = self.held.map(|held| held.mode);
        Some((wanted.place, Queued { lock, mode: wanted.mode, held }))
    }
}
