//! What clients were told of locks, under the same rules as in a simulated run ([`Locked`]).
//!
//! What is judged are the locks of sessions that began in the recordings: of others nobody knows when they asked for the first time. And
//! of a lock, as long as all is known that was asked of it: a client may ask for another mode, hear nothing, and ask for a third.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{Address, ClientId, Event, Tick};
use ombak_node::{Reply, Request};
use ombak_paxos::locks::{
    Answer, Command, LockAsk, LockReply, Mode, Path, Request as Wanted, SessionId, ValueBlock,
};

use super::{Effect, Nonconformity, Step};
use crate::history::Broken;
use crate::locked::{Locked, Owner, Told, is_about_others};

/// A request of a session.
type Call = (SessionId, u64);

/// Who asked for locks, and what all of them were told.
pub(super) struct Locks {
    /// What was asked before is not judged: its beginning may be in no window.
    begins_us: u64,
    skew_us: u64,
    /// Sessions that have begun since.
    sessions: BTreeSet<SessionId>,
    /// Their requests, which may come again, and those among them that have no answer yet.
    calls: BTreeSet<Call>,
    asked: BTreeMap<Call, Asked>,
    waiting: BTreeMap<(Address, ClientId), Call>,
    /// Of each lock that is known to be held, its last grant.
    held: BTreeMap<Owner, usize>,
    /// Locks that were asked for something while it was not known how they are held.
    unsure: BTreeSet<Owner>,
    paths: BTreeMap<Path, usize>,
    locked: Locked,
}

struct Asked {
    /// For the first time.
    at: Tick,
    owner: Owner,
    wants: Wants,
}

enum Wants {
    Lock {
        printer: usize,
        mode: Mode,
    },
    /// For the grant that was the last.
    Convert {
        before: usize,
        mode: Mode,
    },
    Unlock {
        before: usize,
    },
}

impl Locks {
    pub fn new(begins_us: u64, skew_us: u64) -> Locks {
        Locks {
            begins_us,
            skew_us,
            sessions: BTreeSet::new(),
            calls: BTreeSet::new(),
            asked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            unsure: BTreeSet::new(),
            paths: BTreeMap::new(),
            locked: Locked::new(0),
        }
    }

    /// So many grants are looked at.
    pub fn grants(&self) -> u64 {
        self.locked.grants() as u64
    }

    pub fn note(&mut self, step: &Step) {
        if let Event::Request { client, request: Request::Locks(LockAsk::Command(command)) } =
            &step.event
            && step.now.wall_us >= self.begins_us
        {
            self.ask((step.at, *client), Tick(step.now.wall_us), command);
        }
        for effect in &step.effects {
            if let Effect::Reply(client, Reply::Locks(reply), _) = effect
                && let Some(call) = self.waiting.remove(&(step.at, *client))
                && let LockReply::Answer(answer) = reply
                && *answer != Answer::Waiting
            {
                self.answered(call, Tick(step.now.wall_us + self.skew_us), answer);
            }
        }
    }

    /// Whether what all were told goes together.
    pub fn check(&self) -> Result<(), Nonconformity> {
        let checked = self.locked.check();
        checked.map_err(|Broken { rule, detail }| Nonconformity::Clients { rule, detail })
    }

    fn ask(&mut self, who: (Address, ClientId), at: Tick, command: &Command) {
        match command {
            Command::Open { session, .. } => drop(self.sessions.insert(*session)),
            Command::Call { session, number, request, .. } if self.sessions.contains(session) => {
                let call = (*session, *number);
                self.waiting.insert(who, call);
                if self.calls.insert(call)
                    && let Some((owner, wants)) = self.wants(call, request)
                {
                    self.asked.insert(call, Asked { at, owner, wants });
                }
            }
            _ => {}
        }
    }

    /// What is asked of which lock, if what becomes of it can be judged.
    fn wants(&mut self, (session, number): Call, request: &Wanted) -> Option<(Owner, Wants)> {
        match request {
            Wanted::Lock { path, mode, .. } => {
                let next = self.paths.len();
                let printer = *self.paths.entry(path.clone()).or_insert(next);
                let owner = Owner { session, lock: number };
                Some((owner, Wants::Lock { printer, mode: *mode }))
            }
            Wanted::Convert { lock, mode, .. } => {
                let owner = Owner { session, lock: *lock };
                let before = self.held(owner)?;
                Some((owner, Wants::Convert { before, mode: *mode }))
            }
            Wanted::Unlock { lock, .. } => {
                let owner = Owner { session, lock: *lock };
                Some((owner, Wants::Unlock { before: self.held(owner)? }))
            }
            Wanted::Cancel { lock } => {
                self.unsure.insert(Owner { session, lock: *lock });
                None
            }
        }
    }

    /// The last grant of a lock. How it is held from now on is known when there is an answer.
    fn held(&mut self, owner: Owner) -> Option<usize> {
        let held = self.held.remove(&owner);
        if held.is_none() {
            self.unsure.insert(owner);
        }
        held
    }

    fn answered(&mut self, call: Call, heard: Tick, answer: &Answer) {
        let Some(Asked { at: asked, owner, wants }) = self.asked.remove(&call) else { return };
        if self.unsure.contains(&owner) {
            return;
        }
        let told = |printer, mode| Told { printer, owner, mode, asked, heard };
        match (wants, answer) {
            (Wants::Lock { printer, mode }, Answer::Granted { token, .. }) => {
                let told = told(printer, mode);
                let grant = self.locked.granted(told, *token, &ValueBlock::default(), None);
                self.held.insert(owner, grant);
            }
            (Wants::Convert { before, mode }, Answer::Granted { token, .. }) => {
                let told = told(self.locked.printer(before), mode);
                let grant = self.locked.granted(told, *token, &ValueBlock::default(), Some(before));
                self.held.insert(owner, grant);
            }
            (Wants::Convert { before, .. }, Answer::Refused(why)) if is_about_others(*why) => {
                self.locked.held_until(before, asked);
                self.held.insert(owner, before);
            }
            (Wants::Unlock { before }, Answer::Unlocked) => self.locked.held_until(before, asked),
            _ => {}
        }
    }
}
