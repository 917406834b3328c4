//! What clients and nodes say to each other: JSON over HTTP.
//!
//! | | | |
//! |---|---|---|
//! | `PUT /ombak/sessions/ID?lease_ms=10000&about=TEXT` | opens a session, or renews it | [`SessionAnswer`] |
//! | `POST /ombak/sessions/ID` | keeps it alive | [`SessionAnswer`] |
//! | `DELETE /ombak/sessions/ID` | ends it | [`SessionAnswer`] |
//! | `PUT /ombak/sessions/ID/requests/N?have=K` | does something once, however often it is sent | [`Ask`], [`Answer`] |
//! | `GET /ombak/sessions/ID/events` | waits until a lock is in somebody's way | [`Event`] |
//! | `GET /ombak/locks` | who holds and who waits | [`Locks`] |
//! | `GET /ombak/registers?from=NAME` | which registers there are, from that name on | [`RegisterPage`] |
//!
//! ID is 32 hexadecimal digits, drawn at random by the client. N counts the session's requests from 1; K is the last of
//! them whose answer, and those of all before it, the client has: with `&but=3,7` all but those, so that what waits for long holds up
//! nothing. A node keeps 64 answers beyond K. `poll_ms` says how long an answer may take; after that a
//! request that still waits is answered with 202 and [`Answer::Waiting`], and is to be sent again as it was. That does not keep the
//! session alive.
//!
//! Statuses: 200 done, 202 it waits, 204 no event yet, 409 refused, 410 the session is over, 400 cannot be meant, 503 not now (send it
//! again, to any node).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ombak_paxos::locks;
use ombak_paxos::locks::{BadPath, Bound, Path, Refused, SessionId, SessionState, Value};
use serde::{Deserialize, Serialize};

pub use ombak_paxos::locks::Mode;

/// Some of the registers that there are, in the order of their names as bytes. Each that anybody was told of before the page was asked
/// for is in it, as it was then or later: what is being changed may be listed as it is going to be, and not come to be so. Pages are read
/// one after the other: together they are no moment in time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RegisterPage {
    /// Can be none, although there are more.
    pub registers: Vec<ListedRegister>,
    /// The next page is asked for with this behind `from=`, as it is; absent: this was the last.
    pub next: Option<String>,
}

/// A register, in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListedRegister {
    /// Its name, with the replacement character for what is no UTF-8.
    pub name: String,
    /// How many changes led to it.
    pub version: u64,
    /// The length of its value; absent: it was removed.
    pub value_bytes: Option<u64>,
}

/// A name as part of a path, or of what is behind its question mark.
pub fn encoded(name: &[u8]) -> String {
    let mut out = String::new();
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What a session asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Ask {
    /// A new lock; it is called by the number of this request.
    Lock {
        /// On what: names under each other, as a rule one.
        path: Vec<String>,
        /// How.
        mode: Mode,
        /// How long it may wait; 0: not at all, absent: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
        /// The session's lock on what the resource lies under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under: Option<u64>,
        /// Whether to tell when it is in somebody's way.
        #[serde(default)]
        notify: bool,
    },
    /// Another mode for a lock.
    Convert {
        /// Which.
        lock: u64,
        /// How.
        mode: Mode,
        /// How long it may wait; 0: not at all, absent: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
        /// To be written to the value block, in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// Gives a lock up.
    Unlock {
        /// Which.
        lock: u64,
        /// To be written to the value block, in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// Takes back what waits.
    Cancel {
        /// Of which lock.
        lock: u64,
    },
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// The lock is held.
    Granted {
        /// How.
        mode: Mode,
        /// The fencing token.
        token: u64,
        /// The value block, in base64.
        value: String,
        /// Whether nobody died who could have written it.
        value_valid: bool,
    },
    /// It waits.
    Waiting,
    /// The lock is given up.
    Unlocked,
    /// What waited waits no more.
    Cancelled,
    /// It is not done.
    Refused {
        /// One word for programs.
        why: String,
        /// A sentence for people.
        message: String,
    },
}

/// What became of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "session", rename_all = "lowercase")]
pub enum SessionAnswer {
    /// It lives for another lease.
    Live,
    /// It is over, as was asked.
    Closed,
    /// Its lease ran out.
    Expired,
    /// It is not there.
    Refused {
        /// One word for programs.
        why: String,
        /// A sentence for people.
        message: String,
    },
}

/// Something that a session is told unasked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A lock is in somebody's way.
    Blocking {
        /// Which.
        lock: u64,
        /// How the first that waits wants the resource.
        wanted: Mode,
    },
    /// The session is over.
    Over,
}

/// Who holds and who waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Locks {
    /// The node that leads the root group, if the one that answers knows it.
    pub leader: Option<String>,
    /// Sessions.
    pub sessions: Vec<SessionReport>,
    /// Resources that anybody holds or waits for.
    pub resources: Vec<ResourceReport>,
    /// Who waits for whom; of a crowd that waits for a crowd not all.
    #[serde(default)]
    pub waits_for: Vec<WaitReport>,
    /// Whether those are not all.
    #[serde(default)]
    pub waits_cut: bool,
}

/// One session waits for another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaitReport {
    /// Who waits.
    pub waiter: String,
    /// For whom.
    pub blocker: String,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionReport {
    /// Its id.
    pub id: String,
    /// Who its client says that it is.
    pub about: String,
    /// It lives so long, if nothing more is heard of it.
    pub left_ms: u64,
}

/// A resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceReport {
    /// Names under each other.
    pub path: Vec<String>,
    /// The value block, in base64.
    pub value: String,
    /// Whether nobody died who could have written it.
    pub value_valid: bool,
    /// Who holds it.
    pub holders: Vec<LockReport>,
    /// Who waits for it, the next one first. Holders that convert are among them.
    pub waiters: Vec<LockReport>,
}

/// A lock, held or waited for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LockReport {
    /// Whose.
    pub session: String,
    /// Its number there.
    pub number: u64,
    /// How.
    pub mode: Mode,
    /// The fencing token, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// For how long.
    pub for_ms: u64,
}

/// Why a request cannot be meant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAsk {
    /// No resource can be called so.
    #[error("the path is none: {0}")]
    Path(BadPath),
    /// Too long, or no base64.
    #[error("the value is none: {0}")]
    Value(String),
}

impl Ask {
    /// What the lock manager is asked.
    pub fn request(&self) -> Result<locks::Request, BadAsk> {
        Ok(match self {
            Ask::Lock { path, mode, wait_ms, under, notify } => locks::Request::Lock {
                path: Path::new(path.iter()).map_err(BadAsk::Path)?,
                under: *under,
                mode: *mode,
                wait: wait(*wait_ms),
                notify: *notify,
            },
            Ask::Convert { lock, mode, wait_ms, value } => locks::Request::Convert {
                lock: *lock,
                mode: *mode,
                wait: wait(*wait_ms),
                value: value.as_deref().map(decode).transpose()?,
            },
            Ask::Unlock { lock, value } => locks::Request::Unlock {
                lock: *lock,
                value: value.as_deref().map(decode).transpose()?,
            },
            Ask::Cancel { lock } => locks::Request::Cancel { lock: *lock },
        })
    }
}

fn wait(ms: Option<u64>) -> locks::Wait {
    match ms {
        None => locks::Wait::Forever,
        Some(0) => locks::Wait::No,
        Some(ms) => locks::Wait::Us(ms.saturating_mul(1_000)),
    }
}

fn decode(text: &str) -> Result<Value, BadAsk> {
    let bytes = STANDARD.decode(text).map_err(|error| BadAsk::Value(error.to_string()))?;
    Value::new(&bytes).map_err(|error| BadAsk::Value(error.to_string()))
}

/// As value blocks are written in JSON.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// As value blocks are read from JSON. `None`: that is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

impl From<locks::Answer> for Answer {
    fn from(answer: locks::Answer) -> Answer {
        match answer {
            locks::Answer::Granted { mode, token, value } => Answer::Granted {
                mode,
                token: token.0,
                value: base64(value.value.as_bytes()),
                value_valid: value.valid,
            },
            locks::Answer::Waiting => Answer::Waiting,
            locks::Answer::Unlocked => Answer::Unlocked,
            locks::Answer::Cancelled => Answer::Cancelled,
            locks::Answer::Refused(why) => {
                Answer::Refused { why: word(why).into(), message: why.to_string() }
            }
        }
    }
}

impl From<SessionState> for SessionAnswer {
    fn from(state: SessionState) -> SessionAnswer {
        match state {
            SessionState::Live { .. } => SessionAnswer::Live,
            SessionState::Closed => SessionAnswer::Closed,
            SessionState::Expired => SessionAnswer::Expired,
            SessionState::Refused(why) => {
                SessionAnswer::Refused { why: word(why).into(), message: why.to_string() }
            }
        }
    }
}

/// One word for why something was refused.
pub fn word(why: Refused) -> &'static str {
    match why {
        Refused::NoSession => "no-session",
        Refused::Lease => "lease",
        Refused::Forgotten => "forgotten",
        Refused::TooFarAhead => "too-far-ahead",
        Refused::Full(Bound::Sessions) => "full-sessions",
        Refused::Full(Bound::SessionLocks) => "full-session-locks",
        Refused::Full(Bound::Locks) => "full-locks",
        Refused::Full(Bound::Waiters) => "full-waiters",
        Refused::NoLock => "no-lock",
        Refused::NoParent => "no-parent",
        Refused::HasChildren => "has-children",
        Refused::Pending => "pending",
        Refused::NotPending => "not-pending",
        Refused::Value => "value",
        Refused::WouldWait => "would-wait",
        Refused::TimedOut => "timed-out",
        Refused::Cancelled => "cancelled",
        Refused::Deadlock => "deadlock",
    }
}

/// A session as it stands in a path.
pub fn session_text(session: SessionId) -> String {
    format!("{:032x}", session.0)
}

/// What [`session_text`] wrote.
pub fn read_session(text: &str) -> Option<SessionId> {
    let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(text, 16).ok().map(SessionId))?
}

#[cfg(test)]
mod tests;
