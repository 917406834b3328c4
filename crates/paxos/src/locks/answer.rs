//! What sessions are told.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::limits::{
    ANSWERS_MAX, LEASE_US_MAX, LEASE_US_MIN, LOCKS_MAX, SESSION_LOCKS_MAX, SESSIONS_MAX,
    WAITERS_MAX,
};
use super::{LockId, LogTime, Mode, SessionId, Token, ValueBlock, WaitsFor};

/// What comes out of the machine. Every replica produces the same ones in the same order; the one that has the client
/// sends it. A notice can get lost like any message: nothing rests on its arrival.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// What became of a request. One that was told to wait is answered a second time.
    Answer {
        /// Whose.
        session: SessionId,
        /// Of which request.
        number: u64,
        /// What.
        answer: Answer,
    },
    /// What became of a session.
    Session {
        /// Which.
        session: SessionId,
        /// What.
        state: SessionState,
    },
    /// A lock that asked for it is in somebody's way. Told when that begins, and again when the lock is granted in another
    /// mode that is in somebody's way as well; not for each further one that comes to wait. Who may have missed it looks at
    /// the [`waiters`](super::LockManager::waiters).
    Blocking {
        /// The lock.
        lock: LockId,
        /// Who waits, the first of them.
        waiter: LockId,
        /// How it wants the resource: a conversion to a mode compatible with this one lets it in.
        wanted: Mode,
    },
    /// Sessions waited for each other in a circle, and one of their requests was refused. For whoever watches: the victim
    /// is answered besides.
    Deadlock {
        /// The request of which lock was refused.
        victim: LockId,
        /// The circle, each waiting for the next, the last for the first.
        cycle: Vec<WaitsFor>,
    },
}

/// What became of a session.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SessionState {
    /// It lives at least until then.
    Live {
        /// No tick before this ends it.
        until: LogTime,
    },
    /// It was closed, or is not there.
    Closed,
    /// Its lease ran out. Its locks are others' now, or will be.
    Expired,
    /// It is not opened, or not known.
    Refused(Refused),
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The lock is held.
    Granted {
        /// In this mode.
        mode: Mode,
        /// To be shown to whatever the lock protects.
        token: Token,
        /// The value block as it is now.
        value: ValueBlock,
    },
    /// It waits. Another answer with the same number follows.
    Waiting,
    /// The lock is given up.
    Unlocked,
    /// What waited waits no more. If it was a conversion, the lock is held in the old mode.
    Cancelled,
    /// Nothing has changed; or, of a request that waited, it is refused now: a new lock is gone, a converted one is held in
    /// its old mode.
    Refused(Refused),
}

/// Something of which there is so much already that no more fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Bound {
    /// [`SESSIONS_MAX`].
    Sessions,
    /// [`SESSION_LOCKS_MAX`].
    SessionLocks,
    /// [`LOCKS_MAX`].
    Locks,
    /// [`WAITERS_MAX`].
    Waiters,
}

/// Why a request is not granted. Each variant is one that a caller does something else about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Refused {
    /// The session never was, was closed or has expired. Everything that it held is lost.
    NoSession,
    /// The lease is too short or too long.
    Lease,
    /// The number is not above those whose answers the client said it has.
    Forgotten,
    /// The number is too far above those whose answers the client said it has.
    TooFarAhead,
    /// A bound is reached.
    Full(Bound),
    /// The session has no such lock.
    NoLock,
    /// What the resource lies under is not held by the session as it should be.
    NoParent,
    /// Other locks of the session lie under this one.
    HasChildren,
    /// The lock waits already, for its grant or for a conversion.
    Pending,
    /// Nothing waits that could be cancelled: it was granted or refused before.
    NotPending,
    /// The value block may not be written so.
    Value,
    /// It cannot be granted at once, and was not to wait.
    WouldWait,
    /// It has waited as long as it was to.
    TimedOut,
    /// It was taken back while it waited.
    Cancelled,
    /// It was the last to join a circle of sessions that waited for each other.
    Deadlock,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Sessions => write!(f, "there are {SESSIONS_MAX} sessions: close some"),
            Bound::SessionLocks => {
                write!(f, "the session has {SESSION_LOCKS_MAX} locks: unlock some")
            }
            Bound::Locks => write!(f, "there are {LOCKS_MAX} locks: try again later"),
            Bound::Waiters => {
                write!(f, "{WAITERS_MAX} wait for this resource already: try again later")
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NoSession => {
                write!(f, "the session is over and its locks are lost: open another and lock anew")
            }
            Refused::Lease => write!(
                f,
                "a lease lasts from {} ms to {} s",
                LEASE_US_MIN / 1_000,
                LEASE_US_MAX / 1_000_000
            ),
            Refused::Forgotten => write!(
                f,
                "the answer was said to have arrived, and is forgotten: give new requests new numbers"
            ),
            Refused::TooFarAhead => write!(
                f,
                "more than {ANSWERS_MAX} requests are under way: wait for answers and say which have come"
            ),
            Refused::Full(bound) => write!(f, "{bound}"),
            Refused::NoLock => {
                write!(f, "the session has no such lock: it was refused or given up")
            }
            Refused::NoParent => write!(
                f,
                "the resource lies under another: hold a lock on that and name it; on a topmost one, name none"
            ),
            Refused::HasChildren => write!(f, "locks lie under this one: unlock those first"),
            Refused::Pending => {
                write!(f, "the lock waits already: cancel that, or wait until it is granted")
            }
            Refused::NotPending => {
                write!(f, "nothing of the lock waits: look at it, it may have been granted")
            }
            Refused::Value => write!(
                f,
                "a value is written by a holder of PW or EX that unlocks, or converts to no stronger mode"
            ),
            Refused::WouldWait => write!(f, "somebody is in the way: try again, or wait"),
            Refused::TimedOut => write!(f, "it was not granted in time: try again, or wait longer"),
            Refused::Cancelled => write!(f, "it was cancelled while it waited"),
            Refused::Deadlock => write!(
                f,
                "it closed a circle of sessions that wait for each other: unlock what you hold, then start over"
            ),
        }
    }
}

impl std::error::Error for Refused {}
