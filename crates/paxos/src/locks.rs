//! A lock manager that no node owns: a state machine for a replicated log.
//!
//! The machines of a VMScluster (DEC, 1983) shared their disks, and what kept them from shredding each other's files was the
//! distributed lock manager: not a lock per file, but names with locks on them, which anybody could use for anything. File
//! systems, databases and batch queues did, and every clustered file system since has something of its kind. Its design has
//! aged well, so this is that design (*VMS System Services*, `$ENQ` and `$DEQ`; Snaman and Thiel, *The VAX/VMS Distributed
//! Lock Manager*, 1987) on another foundation. VMS kept the locks in memory, each resource on one node, and rebuilt them when a
//! node left. Here the commands are in a Paxos log: every replica applies them in the same order and has the same state; a
//! leader may die at any moment, and no lock is lost or given twice.
//!
//! # Modes
//!
//! A lock is on a *resource*, which is a name, in one of six *modes*. Two may be held at the same time if it says yes here:
//!
//! | | NL | CR | CW | PR | PW | EX | |
//! |----|-----|-----|-----|-----|-----|-----|----|
//! | NL | yes | yes | yes | yes | yes | yes | null: no access, a place only |
//! | CR | yes | yes | yes | yes | yes | | concurrent read |
//! | CW | yes | yes | yes | | | | concurrent write |
//! | PR | yes | yes | | yes | | | protected read: the "shared" of others |
//! | PW | yes | yes | | | | | protected write: one writer, and readers that know of it |
//! | EX | yes | | | | | | exclusive |
//!
//! Why six: a lock on a whole (a table) that only announces locks on its parts (rows) is CR or CW; it goes together with other
//! such, and not with somebody who wants the whole unchanged (PR) or alone (EX). Resources lie under each other for
//! that: a lock on `accounts/17` is asked for *under* a granted lock of the same session on `accounts`, and that one cannot be
//! given up before it.
//!
//! # Three queues
//!
//! ```text
//!              lock ┌─────────┐ at the head, and       ┌─────────┐ unlock, or the session ends
//!            ──────▶│ waiting │ nobody is converting ─▶│ granted │──────▶
//!                   └─────────┘                        └──┬───▲──┘
//!                                                 convert │   │ at the head
//!                                                   ┌─────▼───┴──┐
//!                                                   │ converting │ (holds the old mode meanwhile)
//!                                                   └────────────┘
//! ```
//!
//! Each queue is first come, first served, and only its head is looked at. To be precise:
//!
//! - A new lock is granted at once if nobody waits or converts and its mode goes together with all that are granted. Otherwise
//!   it waits, *even if it would go together with them*: readers that keep coming do not starve a writer. NL, which is
//!   never in anybody's way, is granted at once always (VMS: `EXPEDITE`).
//! - A conversion to a mode that is no stronger (see [`Mode::at_most`]) is granted at once always. Any other is granted at
//!   once if it goes together with what others hold and nobody converts before it; otherwise it waits for its turn (VMS:
//!   `QUECVT`, here not an option). One that waits for what the newcomer holds is not before it: behind that one, the newcomer
//!   would wait for itself.
//! - Conversions go before waiters. They must: what a waiter waits for is, as a rule, the lock that is to be converted. The
//!   price is VMS's too: holders that convert up and down without end can starve a waiter. Who has read in PR and wants to be
//!   fair unlocks, and locks again.
//! - After a grant from a queue the next in it is looked at, until one has to go on waiting.
//!
//! A request can come with a time-out, or not wait at all; what waits can be cancelled.
//!
//! # Deadlocks
//!
//! No time-out finds them: when a request comes to wait, and when a conversion is granted past those that wait, the graph of
//! who waits for whom is searched, through all resources. If sessions wait for each other in a circle, the request in it that
//! came to wait last is refused; its session keeps what it holds. What is assumed is that a session gives up nothing before
//! it has got what it asked for. Threads that wait independently of each other need a session each. The file `deadlock` has
//! the argument that every circle is found.
//!
//! # Sessions, and exactly once
//!
//! Locks belong to sessions; a session lives as long as the log keeps hearing of it. Its requests are numbered. A client that
//! got no answer sends the same request again, through whichever node, and it is applied once: see [`Command::Call`].
//! A request that waits is answered twice, once with [`Answer::Waiting`] and once with what became of it; sent again in
//! between or after, it is answered with what is true by then. So nothing rests on a notice that can get lost.
//!
//! # Time
//!
//! The machine has no clock. Each command carries a [`LogTime`] that its proposer wrote, and the machine's own time is the
//! largest it has seen. **Nothing runs out by itself**: leases and time-outs end when a [`Command::Tick`] is applied, on every
//! replica at the same place in the log, and never by somebody's looking at a watch. A leader proposes one when
//! [`LockManager::next_deadline`] has come; it should count time on from [`LockManager::now`] by its own monotonic clock, so
//! that clocks that differ neither stop time nor make it jump. Its first command is [`Command::NewLeader`]: while
//! there was no leader nobody could renew anything, so all sessions begin a new lease.
//!
//! # Safety rests on fences, never on leases
//!
//! When a session expires, its locks go to others. Does its client know? It may be stopped in the middle of an instruction
//! (SIGSTOP, a long collection of garbage, a paused virtual machine), with the lock checked and the write not yet sent. When
//! it goes on, an hour later, the write goes out. No lease helps against that: a lease is a promise about two clocks, and the
//! client that would have to look at its own is the one that does not run. Shorter leases make it rarer, nothing makes it
//! impossible, as long as who protects the resource is only the one who asks.
//!
//! So what is locked must protect itself, and for that each grant comes with a *fencing token*: a number larger than all that
//! were given before ([`Token`]). It goes along with every access; the disk, the database, the queue keeps the largest that it
//! was shown, and refuses what comes with a smaller one. The argument takes three lines. If two locks do not go together, the
//! second was granted after the first had ended in this machine, so its token is larger. Its holder shows it before it reads
//! anything that it will rely on. From then on nothing of the first holder passes. Nothing was assumed of any clock. What a
//! lease is for is progress: that a dead client does not keep others waiting for ever.
//!
//! Holders that share have different tokens, and none of them is late. A resource that is shared keeps a number for each mode,
//! not one: [`Fence`] is these few lines, to be used as they are or written again in whatever guards the resource. Of two
//! writers in CW no token says which is right: fences separate holders that exclude each other, not colleagues.
//!
//! A conversion that takes more than it had (from PR to EX, from CW to PR) gets a new token, because in between others may
//! have held what it did not; one that takes no more keeps its token, for it has held that much without a break.
//!
//! # Value blocks
//!
//! A resource carries up to 64 bytes. Who is granted a lock or a conversion reads them; who holds PW or EX may write them when
//! it unlocks or converts to a mode no stronger. When a session ends that holds PW or EX, the block is marked as not valid:
//! it could have changed what the bytes describe, and did not come to say so. A resource that nobody holds or waits
//! for is forgotten, and its block with it; whoever wants to keep it holds NL.
//!
//! # Files
//!
//! `mode` has the matrix, `resource` the three queues of one resource, `session` leases and answers. `requests` and `leases`
//! are what commands do, `turn` what follows from it, `deadlock` the circles. `fence` is for what is locked. `service` puts the manager behind a log, `server` gives that clients and time. `check` and `circles` are what must be true;
//! `snapshot` and `wire` are bytes.

mod answer;
mod check;
mod circles;
mod command;
mod deadlock;
mod fence;
mod ids;
mod leases;
pub mod limits;
mod mode;
mod path;
mod requests;
mod resource;
mod server;
mod service;
mod session;
mod snapshot;
mod turn;
mod wire;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use answer::{Answer, Bound, Notice, Refused, SessionState};
pub use command::{Command, Have, Request, Wait};
pub use deadlock::{WaitsFor, Why};
pub use fence::{Fence, Late};
pub use ids::{LockId, LogTime, SessionId, Token};
pub use mode::Mode;
pub use path::{BadPath, Path, TooLarge, Value, ValueBlock};
pub use server::{CLIENTS_MAX, LOCKS, LockAsk, LockFailure, LockReply, LockServer, LockTimer};
pub use service::LockService;
pub use session::{Held, Lock, Wanted};

use resource::Resource;
use session::Session;
use turn::Turn;

/// The state machine.
///
/// Call order: [`apply`](LockManager::apply) with each command of the log, in its order, once. Everything else only looks. A
/// snapshot is its [`Wire`](ombak_base::Wire) encoding.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LockManager {
    now: LogTime,
    /// The last fencing token given. One counter for all resources, so that it outlives each of them.
    tokens: u64,
    /// The last place given in any queue.
    places: u64,
    sessions: BTreeMap<SessionId, Session>,
    // What follows from the sessions, and is kept to be found quickly. Value blocks alone are found nowhere else.
    resources: BTreeMap<Path, Resource>,
    deadlines: BTreeSet<(LogTime, Due)>,
    /// How many there are.
    locks: usize,
}

/// What ends at a deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
enum Due {
    Session(SessionId),
    /// What this lock waits for.
    Request(LockId),
}

impl LockManager {
    /// Applies one command, proposed at that time, and gives out what is to be said of it: first the answer to who sent it,
    /// then what follows for others.
    pub fn apply(&mut self, at: LogTime, command: &Command, out: &mut impl FnMut(Notice)) {
        self.now = self.now.max(at);
        let mut turn = Turn::default();
        match command {
            Command::Open { session, lease_us, about } => {
                self.open(&mut turn, *session, *lease_us, about);
            }
            Command::KeepAlive { session } => self.keep_alive(&mut turn, *session),
            Command::Close { session } => self.close(&mut turn, *session),
            Command::Call { session, number, have, request } => {
                self.call(&mut turn, *session, *number, have, request);
            }
            Command::Tick => self.tick(&mut turn),
            Command::NewLeader => self.new_leader(),
        }
        self.settle(&mut turn);
        self.tell_blocking(&mut turn);
        turn.notices.into_iter().for_each(out);
    }

    /// The time of the last command, or of an earlier one that was ahead of it.
    pub fn now(&self) -> LogTime {
        self.now
    }

    /// When the next session or request is overdue, if nothing happens before. A [`Command::Tick`] of then ends it.
    pub fn next_deadline(&self) -> Option<LogTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The last fencing token that was given out.
    pub fn last_token(&self) -> Token {
        Token(self.tokens)
    }

    /// One lock. What a client looks at that lost an answer which it cannot ask for any more.
    pub fn lock(&self, id: LockId) -> Option<&Lock> {
        self.sessions.get(&id.session)?.locks.get(&id.number)
    }

    /// What was answered to a request, if it has come and the client may ask again.
    pub fn answer(&self, session: SessionId, number: u64) -> Option<&Answer> {
        self.sessions.get(&session)?.answers.get(&number)
    }

    /// All locks of a session.
    pub fn locks(&self, session: SessionId) -> impl Iterator<Item = (LockId, &Lock)> {
        let locks = self.sessions.get(&session).into_iter().flat_map(|session| &session.locks);
        locks.map(move |(number, lock)| (LockId { session, number: *number }, lock))
    }

    /// All sessions, and until when each lives.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, LogTime)> {
        self.sessions.iter().map(|(id, session)| (*id, session.until))
    }

    /// Who a session's client said that it is.
    pub fn about(&self, session: SessionId) -> Option<&Value> {
        self.sessions.get(&session).map(|session| &session.about)
    }

    /// All resources that anybody holds or waits for, and their value blocks.
    pub fn resources(&self) -> impl Iterator<Item = (&Path, &ValueBlock)> {
        self.resources.iter().map(|(path, resource)| (path, &resource.value))
    }

    /// Who holds a resource: those that convert are among them.
    pub fn holders(&self, path: &Path) -> impl Iterator<Item = (LockId, &Lock)> {
        let resource = self.resources.get(path);
        let holders = resource.into_iter().flat_map(|resource| resource.granted.keys());
        holders.filter_map(|id| Some((*id, self.lock(*id)?)))
    }

    /// Who waits for a resource, the next one first: those that convert, then those that hold nothing.
    pub fn waiters(&self, path: &Path) -> impl Iterator<Item = (LockId, &Lock)> {
        let waiters = self.resources.get(path).into_iter().flat_map(|each| each.queue());
        waiters.filter_map(|queued| Some((queued.lock, self.lock(queued.lock)?)))
    }

    /// Who waits for a lock, the first of them, and how it wants the resource.
    pub fn first_blocked_by(&self, id: LockId) -> Option<(LockId, Mode)> {
        let queued = self.resources.get(&self.lock(id)?.path)?.first_blocked_by(id)?;
        Some((queued.lock, queued.mode))
    }

    /// What has to be remembered and is counted.
    fn counters(&self) -> LockManager {
        let LockManager { now, tokens, places, .. } = *self;
        LockManager { now, tokens, places, ..LockManager::default() }
    }
}

#[cfg(test)]
mod tests;
