//! Sessions: a command that is asked for twice is applied once.
//!
//! [`Outcome::Unknown`](super::Outcome::Unknown) leaves a client with a command that was decided, or was not, or will be. It would ask again,
//! of whichever member, if that could not apply the command twice. So it opens a session, which the log gives an [`SessionId`], and
//! numbers its commands. [`Sessions`] stands between the log and a state machine, and keeps the answers:
//!
//! ```text
//!   client                               Sessions, on every replica
//!     │ open ──────────────────────────────▶│ session 7
//!     │ 7: number 1, "add 5" ──────────────▶│ apply, keep "5"
//!     │   ✗ (the leader dies)               │
//!     │ 7: number 1, "add 5", again ───────▶│ keep nothing, apply nothing: "5"
//!     │ 7: number 2, has all up to 1 ──────▶│ forget "5"; apply
//! ```
//!
//! All of this is a part of the state: the same on all replicas, in snapshots, and across leaders.
//!
//! # Bounds
//!
//! Nothing here knows the time. There are at most [`Limits::sessions`]; the one whose last command is the longest ago, by the order of
//! the log, makes room for another, and so it does if the answers of all together are too large. A client hears
//! [`Answer::SessionLost`] then, and must not ask again by another session what it has not heard the end of.

mod client;
mod wire;

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{DecodeError, planted};
use serde::{Deserialize, Serialize};

use super::{Slot, StateMachine};

pub use client::Client;
pub use wire::{Answer, open, unnumbered};

use wire::Command;
#[cfg(test)]
pub(in crate::log) use wire::numbered;

/// A session. The log gives them, from 1, and none twice.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct SessionId(pub u64);

/// How much is kept. A part of the state: as it is at the beginning, and the same on all members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Sessions. At least one.
    pub sessions: u32,
    /// Numbers of one session that are above what its client has answers to: commands that it may have under way.
    pub window: u32,
    /// Bytes of answers that are kept, of all sessions together.
    pub answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { sessions: 4_096, window: 64, answer_bytes: 64 * 1024 * 1024 }
    }
}

/// A state machine whose commands are applied once each. See the [module](self).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sessions<S> {
    state: S,
    limits: Limits,
    /// The last session that was opened.
    opened: SessionId,
    sessions: BTreeMap<SessionId, Session>,
    /// Counts openings and commands of sessions.
    uses: u64,
    answer_bytes: u64,
}

/// What is known of a client.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Session {
    used: u64,
    /// It has the answers up to here.
    through: u64,
    /// What was applied above, by number. A client has few under way.
    answers: Vec<(u64, Bytes)>,
}

impl Session {
    /// The client has these answers. How many bytes that freed.
    fn forget(&mut self, through: u64) -> u64 {
        self.through = self.through.max(through);
        let known = self.answers.partition_point(|(number, _)| *number <= self.through);
        self.answers.drain(..known).map(|(_, answer)| answer.len() as u64).sum()
    }

    /// The answer that was kept, or where it goes.
    fn find(&self, number: u64) -> Result<&Bytes, usize> {
        let place = self.answers.binary_search_by_key(&number, |(number, _)| *number)?;
        Ok(&self.answers[place].1)
    }

    fn bytes(&self) -> u64 {
        self.answers.iter().map(|(_, answer)| answer.len() as u64).sum()
    }
}

impl<S: StateMachine> Sessions<S> {
    /// No sessions yet. The same on all members.
    pub fn new(state: S, limits: Limits) -> Sessions<S> {
        Sessions {
            state,
            limits,
            opened: SessionId(0),
            sessions: BTreeMap::new(),
            uses: 0,
            answer_bytes: 0,
        }
    }

    /// The state machine behind.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn open(&mut self) -> SessionId {
        while self.sessions.len() >= self.limits.sessions.max(1) as usize {
            self.lose_oldest();
        }
        self.opened = SessionId(self.opened.0.saturating_add(1));
        self.uses += 1;
        self.sessions.insert(self.opened, Session { used: self.uses, ..Session::default() });
        self.opened
    }

    /// Looks at all of them: that is rare, and to keep them in order would cost something with every command.
    fn lose_oldest(&mut self) {
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
        let lost = self.sessions.remove(&oldest);
        self.answer_bytes -= lost.map_or(0, |session| session.bytes());
    }

    /// A command of a session, whose client has the answers to what is numbered up to `through`.
    fn numbered(
        &mut self,
        slot: Slot,
        (id, number, through): (SessionId, u64, u64),
        command: &Bytes,
    ) -> Bytes {
        let Some(session) = self.sessions.get_mut(&id) else { return Answer::SessionLost.encode() };
        self.uses += 1;
        session.used = self.uses;
        self.answer_bytes -= session.forget(through);
        let place = match session.find(number) {
            Ok(kept) if !planted!("a session that applies twice") => {
                return Answer::Applied(kept.clone()).encode();
            }
            Ok(_) => 0,
            Err(place) => place,
        };
        if number <= session.through {
            return Answer::Past.encode();
        }
        if number - session.through > self.limits.window.into() {
            return Answer::Full.encode();
        }
        let answer = Answer::Applied(self.state.apply(slot, command)).encode();
        let kept = answer.slice(1..); // In the same memory.
        self.answer_bytes += kept.len() as u64;
        session.answers.insert(place, (number, kept));
        while self.answer_bytes > self.limits.answer_bytes {
            self.lose_oldest();
        }
        answer
    }
}

impl<S: StateMachine> StateMachine for Sessions<S> {
    fn apply(&mut self, slot: Slot, command: &Bytes) -> Bytes {
        match Command::decode(command.clone()) {
            Ok(Command::Open) => Answer::Opened(self.open()).encode(),
            Ok(Command::Numbered { session, number, through, command }) => {
                self.numbered(slot, (session, number, through), &command)
            }
            Ok(Command::Unnumbered(command)) => {
                Answer::Applied(self.state.apply(slot, &command)).encode()
            }
            // The same on all replicas: what can't be read changes nothing anywhere.
            Err(_) => Answer::Unreadable.encode(),
        }
    }

    fn read(&self, query: &Bytes) -> Bytes {
        self.state.read(query)
    }

    fn snapshot(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        Bytes::from(out)
    }

    fn restore(snapshot: Bytes) -> Result<Sessions<S>, DecodeError> {
        Sessions::decode(snapshot)
    }
}
