//! The lock manager as a machine that clients of any member can talk to.
//!
//! [`LockService`] is the same everywhere, and knows neither clients nor clocks. What it lacks is here: a [`LockServer`] on
//! each member proposes what its own clients ask, and lets them wait. That a lock was granted comes out of whatever command
//! freed it, which was somebody else's, on another node, as a rule; but each member applies each command, so the one that has
//! the client hears of it. The server that leads also lets time pass.
//!
//! ```text
//!   client      server, node 1        the log           server, node 2      client
//!     │ lock(EX) ──▶│ propose ──────▶ 17: lock ───────────▶│                  │
//!     │             │◀── waiting                           │                  │
//!     │             │                 18: unlock ◀─ propose │◀──────── unlock │
//!     │◀── granted ─│ applies 18                 applies 18 │ unlocked ──────▶│
//! ```
//!
//! A client that loses its connection asks the same again, of whichever member: see [`Command::Call`]. So no server remembers
//! anything that matters, and none needs to be told when another dies.

mod clients;
mod clock;
mod leading;
mod through;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ombak_base::{ClientId, Effects, Event, Machine, Now, Stamp, always};
use serde::{Deserialize, Serialize};

use super::{Answer, Command, LockId, LockManager, LockService, LogTime, Mode};
use super::{SessionId, SessionState};
use crate::log::{Outcome, Replica};
use crate::member::{self, Group, Member, Setup, Telling};
use clock::Clock;
use through::Through;

/// The group whose log has the locks.
pub const LOCKS: Group = Group(0);
/// Clients of one node that wait for an answer. More are [`Busy`](LockFailure::Busy).
pub const CLIENTS_MAX: usize = 16 * 1024;

/// What is asked of a server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LockAsk {
    /// Something of a session. A request that has to wait is answered when it waits no more. Sent again while it waits it costs
    /// nothing but this node's time, and does not renew the session's lease.
    Command(Command),
    /// What this node knows of a request: that it waits, if nothing better.
    Look {
        /// Whose.
        session: SessionId,
        /// Which.
        number: u64,
    },
    /// To be told when a lock of the session that asked for it ([`Request::Lock`](super::Request::Lock)) is in somebody's
    /// way, or when the session ends. Once: who wants to go on asks again.
    Watch(SessionId),
    /// Everything, as it is after all that anybody was told of.
    All,
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LockReply {
    /// What became of the request.
    Answer(Answer),
    /// How the session is.
    Session(SessionState),
    /// A lock is in somebody's way.
    Blocking {
        /// Which.
        lock: LockId,
        /// Who waits, the first of them.
        waiter: LockId,
        /// How it wants the resource.
        wanted: Mode,
    },
    /// Everything.
    All {
        /// As it is after the last command.
        manager: Box<LockManager>,
        /// The time by now: since that command, some has passed.
        now: LogTime,
    },
    /// It was not answered.
    Failed(LockFailure),
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LockFailure {
    /// The leader was lost on the way: it may have been done, or not.
    Unknown,
    /// There is no leader, and nothing was done.
    NoLeader,
    /// Too much is waiting, and nothing was done.
    Busy,
    /// The same request came again, and is answered there.
    Replaced,
    /// That is no command for clients, or none that this version knows.
    NotForClients,
    /// Whoever was asked manages no locks.
    Elsewhere,
}

impl fmt::Display for LockFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockFailure::Unknown => {
                "the leader was lost on the way: send the same request again, with its number"
            }
            LockFailure::NoLeader => {
                "a majority of the nodes that keep the locks cannot be reached: try again later"
            }
            LockFailure::Busy => "too many requests are waiting: try again later",
            LockFailure::Replaced => "the same request came again and is answered there",
            LockFailure::NotForClients => "that is no command for clients",
            LockFailure::Elsewhere => "whoever was asked manages no locks",
        })
    }
}

impl std::error::Error for LockFailure {}

/// A server's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum LockTimer {
    /// A session or a request is overdue, if this one leads.
    Due,
    /// The member's.
    Member(member::Timer),
}

/// One member of a group that manages locks, and the clients of its node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LockServer {
    member: Member<LockService>,
    clock: Clock,
    /// What clients of this node have asked, and have not been told.
    asked: BTreeMap<ClientId, Asked>,
    /// Which of them is to be told of a request.
    calls: BTreeMap<(SessionId, u64), ClientId>,
    /// Which of them is to be told of a session.
    watching: BTreeMap<SessionId, ClientId>,
    /// What the member has answered, to be heard before the step ends. Empty between steps.
    told: Vec<(ClientId, Outcome)>,
    /// Whether it led when it was looked at last.
    leading: bool,
    /// Whether a tick is under way.
    ticking: bool,
    /// For when the timer is armed.
    due: Option<LogTime>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Asked {
    Command(Command),
    Watch(SessionId),
    All,
}

impl LockServer {
    /// One that has read nothing yet. Of the setup's groups, [`LOCKS`] is the one that it manages.
    pub fn new(setup: Setup) -> LockServer {
        LockServer {
            member: Member::new(Setup { watch: true, ..setup }, LockService::default()),
            clock: Clock::default(),
            asked: BTreeMap::new(),
            calls: BTreeMap::new(),
            watching: BTreeMap::new(),
            told: Vec::new(),
            leading: false,
            ticking: false,
            due: None,
        }
    }

    /// Its part in the group.
    pub fn member(&self) -> &Member<LockService> {
        &self.member
    }

    /// Its replica, once what is stored was read.
    pub fn replica(&self) -> Option<&Replica<LockService>> {
        self.member.replica(LOCKS)
    }

    /// Whether this member is who it says, and may vote: those who know of its life are enough.
    pub fn is_ready(&self) -> bool {
        self.member.is_ready(LOCKS)
    }

    /// The locks as this member knows them: not everything that was decided may have come here.
    pub fn manager(&self) -> Option<&LockManager> {
        self.replica().map(|replica| replica.state().manager())
    }

    /// Clients of this node that wait for an answer.
    pub fn clients(&self) -> usize {
        self.asked.len()
    }

    fn tell<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        event: Event<Member<LockService>>,
        fx: &mut E,
    ) {
        self.member.step(now, event, &mut Through { fx, told: &mut self.told });
    }

    /// Hears what the member has to say, and what follows from that, until there is nothing.
    fn settle<E: Effects<LockServer>>(&mut self, now: Now, fx: &mut E) {
        loop {
            for (_, applied) in self.member.take_applied() {
                self.applied(now, applied, fx);
            }
            self.lead(now, fx);
            let told = std::mem::take(&mut self.told);
            if told.is_empty() {
                return;
            }
            told.into_iter().for_each(|(client, outcome)| self.hear(now, client, outcome, fx));
        }
    }

    fn fail<E: Effects<LockServer>>(&mut self, client: ClientId, why: LockFailure, fx: &mut E) {
        fx.reply(client, LockReply::Failed(why), Stamp::NONE);
    }
}

impl Machine for LockServer {
    type Message = Telling;
    type Request = LockAsk;
    type Reply = LockReply;
    type Timer = LockTimer;

    fn step<E: Effects<LockServer>>(&mut self, now: Now, event: Event<LockServer>, fx: &mut E) {
        match event {
            Event::Request { client, request } => self.ask(now, client, request, fx),
            Event::Gone(client) => {
                self.forget(client);
                self.tell(now, Event::Gone(client), fx);
            }
            Event::Timer(LockTimer::Due) => self.due = None,
            Event::Timer(LockTimer::Member(timer)) => self.tell(now, Event::Timer(timer), fx),
            Event::Message { from, message } => {
                self.tell(now, Event::Message { from, message }, fx)
            }
            Event::Start => self.tell(now, Event::Start, fx),
            Event::PeerUp { node, shards, hello } => {
                self.tell(now, Event::PeerUp { node, shards, hello }, fx);
            }
            Event::PeerDown(node) => self.tell(now, Event::PeerDown(node), fx),
            Event::Scanned { ticket, chunk } => {
                self.tell(now, Event::Scanned { ticket, chunk }, fx);
            }
            Event::Durable(stamp) => self.tell(now, Event::Durable(stamp), fx),
            Event::DeviceFull(full) => self.tell(now, Event::DeviceFull(full), fx),
            Event::DeviceFailed => self.tell(now, Event::DeviceFailed, fx),
            Event::Broken(of) => {
                self.give_up_clients(fx);
                self.tell(now, Event::Broken(of), fx);
            }
            Event::Damaged(of) => {
                self.give_up_clients(fx);
                self.tell(now, Event::Damaged(of), fx);
            }
            Event::More(_) | Event::Loaded { .. } => {}
        }
        self.settle(now, fx);
    }

    fn check(&self) {
        self.member.check();
        always!(self.told.is_empty(), "what the member says is heard within the step");
        let waiting: BTreeSet<ClientId> =
            self.calls.values().chain(self.watching.values()).copied().collect();
        always!(
            waiting.iter().all(|client| self.asked.contains_key(client)),
            "who is to be told has asked",
            "{waiting:?}"
        );
    }
}

#[cfg(test)]
mod tests;
