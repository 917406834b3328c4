//! What is written into the log for the lock manager.

use std::collections::BTreeSet;
use std::fmt;

use super::{Mode, Path, SessionId, Value};
use serde::{Deserialize, Serialize};

/// One entry of the log. Each says at which [`LogTime`](super::LogTime) it was proposed, beside the command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Begins a session, or renews the one of that name with a new lease. No harm in sending it twice; but a copy that
    /// comes when the session is over begins one that nobody uses, and that ends with its lease.
    Open {
        /// Chosen by the client, at random.
        session: SessionId,
        /// How long it lives after each of its commands, from [`LEASE_US_MIN`](super::limits::LEASE_US_MIN) to
        /// [`LEASE_US_MAX`](super::limits::LEASE_US_MAX).
        lease_us: u64,
        /// Who that is, for people who ask who holds a lock.
        about: Value,
    },
    /// Renews a session's lease. Every other command of it does so too.
    KeepAlive {
        /// Whose.
        session: SessionId,
    },
    /// Ends a session. Its locks are given up as if it had died, value blocks that it could have written included:
    /// who goes in peace unlocks first.
    Close {
        /// Whose.
        session: SessionId,
    },
    /// A session asks for something, exactly once.
    Call {
        /// Whose.
        session: SessionId,
        /// From 1, each new request the next. A request that comes again has the number that it had.
        number: u64,
        /// The answers that the client has.
        have: Have,
        /// What.
        request: Request,
    },
    /// Time has passed: sessions and requests that are overdue end now. The leader proposes it when
    /// [`next_deadline`](super::LockManager::next_deadline) has come.
    Tick,
    /// A leader has begun: every session gets one whole lease from here, for it may have had nobody to talk to.
    NewLeader,
}

/// The answers that a client has, to requests that it never sends again. It may count a request that waits among them: it will
/// be told, and can [look](super::LockManager::lock).
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Have {
    /// All up to this number,
    pub(super) all_to: u64,
    /// but not these: one that waits for long is not in the way of those that come after it.
    pub(super) but: BTreeSet<u64>,
}

impl Have {
    /// All up to a number, but for those that may still be sent.
    pub fn all_but(all_to: u64, but: impl IntoIterator<Item = u64>) -> Have {
        Have { all_to, but: but.into_iter().collect() }
    }
}

impl From<u64> for Have {
    fn from(all_to: u64) -> Have {
        Have::all_but(all_to, [])
    }
}

impl fmt::Debug for Have {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.but.is_empty() {
            true => write!(f, "{}", self.all_to),
            false => write!(f, "{} but {:?}", self.all_to, self.but),
        }
    }
}

/// What a session asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Request {
    /// A new lock; it is called by the number of this request.
    Lock {
        /// On what.
        path: Path,
        /// A granted lock of this session on what the resource lies under. Needed exactly if it lies under anything.
        under: Option<u64>,
        /// How.
        mode: Mode,
        /// If it cannot be granted at once.
        wait: Wait,
        /// Tell me when this lock, once granted, is in somebody's way.
        notify: bool,
    },
    /// Another mode for a granted lock. Until it is granted, the old one is held.
    Convert {
        /// Which.
        lock: u64,
        /// How, from now on.
        mode: Mode,
        /// If it cannot be granted at once.
        wait: Wait,
        /// Written to the value block, by a holder of PW or EX that converts to a mode no stronger than its own.
        value: Option<Value>,
    },
    /// Gives a lock up, granted or not. Its children must be gone.
    Unlock {
        /// Which.
        lock: u64,
        /// Written to the value block, by a holder of PW or EX.
        value: Option<Value>,
    },
    /// Takes back what waits: a new lock, which is then gone, or a conversion, after which the old mode is still held.
    Cancel {
        /// Of which lock.
        lock: u64,
    },
}

/// What becomes of a request that cannot be granted at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Wait {
    /// It is refused (`NOQUEUE`).
    No,
    /// It waits at most so many microseconds, and is refused with the first [`Command::Tick`] after that.
    Us(u64),
    /// It waits until it is granted, cancelled, or part of a deadlock.
    Forever,
}
