//! What goes wrong, and what to do then. Every text is one line.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ombak_base::NodeId;
use ombak_runtime::RuntimeError;
use ombak_store::StoreError;

/// Why a member did not start. Nothing of it runs, and what it took (the port, the directory's lock) is free again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The options contradict themselves.
    #[error("options: {0}")]
    Options(String),
    /// The port is taken, or the address is none of this machine's.
    #[error(
        "cannot listen on {addr} for the other members: {source}: free it, or change the address for all members"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("data directory {} is in use by another process: each member needs one of its own", .0.display())]
    Locked(PathBuf),
    /// The directory is another member's, or another group's.
    #[error("data directory {} belongs to member {} of group {found_group:?}, not to member {} of group {group:?}: the directory, the id or the name is wrong", dir.display(), found.0, id.0)]
    OtherMember {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Of which group.
        found_group: String,
        /// Who asked.
        id: NodeId,
        /// Of which group.
        group: String,
    },
    /// It can't be said whose the directory is.
    #[error("data directory {}: {what}", dir.display())]
    Identity {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what helps.
        what: String,
    },
    /// The directory can't be used.
    #[error("data directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log can't be opened.
    #[error("data directory {}: {source}", dir.display())]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// Something of what was promised may be lost. A member that forgot a promise could let two decisions stand in one slot, so
    /// it does not take part.
    #[error("data directory {}: {damage}: give this member an empty directory, and the others take it in again", dir.display())]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// Where.
        damage: String,
    },
    /// The system refused a thread, or an event loop.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Why nothing was done, for now. The same can be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotNow {
    /// There is no leader: a majority of the members can't be reached, or is not up yet.
    #[error("there is no leader: a majority of the members can't be reached from here")]
    NoLeader,
    /// Too much is waiting: later, and with less at a time.
    #[error("too much is waiting")]
    Busy,
    /// The disk of this member is full: make room, or ask another member.
    #[error("the disk of this member is full")]
    DiskFull,
}

/// This member takes no part any more: start it again, or ask another one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this member takes no part any more: {0}")]
pub struct Ended(pub String);

/// A command or a query that is larger than any may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{bytes} bytes, and at most {max} are taken")]
pub struct TooLarge {
    /// Its bytes.
    pub bytes: usize,
    /// What would have been taken.
    pub max: usize,
}

/// What is known of a command that was not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// It may have been decided, may yet be, or not: the leader was lost on the way, or the time was over. Ask the state before a
    /// command that may not be applied twice is proposed again, or give commands numbers that the state knows.
    #[error("it may have been decided or not: ask the state before it is proposed again")]
    Unknown,
    /// It was not proposed; later.
    #[error("nothing was proposed: {0}")]
    NotNow(#[from] NotNow),
    /// It was not proposed, and never will be.
    #[error("nothing was proposed: {0}")]
    TooLarge(#[from] TooLarge),
    /// Whether it was decided is not known here.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why a question was not answered. It changed nothing: it can be asked again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// Later.
    #[error("nothing was read: {0}")]
    NotNow(#[from] NotNow),
    /// Never.
    #[error("nothing was read: {0}")]
    TooLarge(#[from] TooLarge),
    /// Not here.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The time was over.
    #[error("no answer came within {0:?}")]
    Late(Duration),
    /// This member has not come to the slot within a few seconds, or is a witness and keeps no state. Another may have.
    #[error("this member has not come so far, or keeps no state: ask again, or another one")]
    Behind,
}

/// Why the lead was not handed over. Whoever leads goes on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeadError {
    /// The leader was lost on the way, or the time was over.
    #[error("it may lead by now or not: the status will say who does")]
    Unknown,
    /// Later.
    #[error("nothing was asked: {0}")]
    NotNow(#[from] NotNow),
    /// It does not vote, keeps no state, can't be reached, or did not come to lead in time; or the members are changing.
    #[error(
        "{0} can't lead now: it must vote, keep the state, and be reached, and the members must not be changing"
    )]
    Refused(NodeId),
    /// Not here.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why the members did not change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChangeError {
    /// It may have been decided, may yet be, or not: look at [`Group::status`](crate::Group::status).
    #[error("it may have been decided or not: the status will say who belongs to the group")]
    Unknown,
    /// Nothing was proposed; later.
    #[error("nothing was proposed: {0}")]
    NotNow(#[from] NotNow),
    /// Another change is under way, or a group of these would not do. Wait for the other one; or name a voter with the state at least,
    /// and fewer witnesses than voters that decide.
    #[error(
        "another change of members is under way, or a group can't be of these: it needs voters that keep the state, \
         and fewer witnesses than voters that decide"
    )]
    Refused,
    /// This process does not know where that member is: start it with that one among its peers.
    #[error("{0} is not among the peers of this process, so it could not be told anything")]
    NotAPeer(NodeId),
    /// Not here.
    #[error(transparent)]
    Ended(#[from] Ended),
}
