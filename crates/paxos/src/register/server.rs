//! Registers on a node: an acceptor that keeps them, and a proposer for the clients of the node.
//!
//! Some nodes have a *seat*: they are the acceptors. Any node takes what clients ask; one without a seat passes it on to one that has
//! one. A register is a key in a partition of the device. What is in memory is what is under way, and what was changed last from here.
//!
//! # Lost disks
//!
//! A seat stays with its node, and belongs to one disk at a time. Which that is, is decided elsewhere, by something that agrees on it: a
//! replicated log, whose members are nodes on disks ([`Seating`]). Each change is an [`Era`]. Nothing else of the log is used, and no
//! request waits for it.
//!
//! - An acceptor answers what is asked in the era that it knows, and nothing else; it has that on its disk before it answers. A
//!   proposer counts answers of the era, from the disks that have the seats in it.
//! - A disk has a seat for one stretch of eras, and never again: who comes back to a seat that another disk has had comes under another
//!   name, as members of a log do ([`Member`](crate::Member)).
//! - Who sits down on another disk than the seat's last has forgotten what that had promised and accepted. It does not answer until it
//!   has *copied* all cells from so many others that each quorum it could be missing in has one of them ([`sources_needed`]).
//!
//! *Why nothing is lost.* Of n seats, q of which are a quorum, one changes its disk in era e, and copies from n - q + 1 others, which
//! have said before that they are in e. Whatever was chosen before e was accepted by q seats. Was the lost one among them, so were q - 1
//! of the n - 1 others, one of which gave its cells: so the new disk has that, or something later. And a proposal of an earlier era
//! that counted on the lost disk is not chosen any more: of any q seats one has gone on to e, for besides the new disk only q - 2 have
//! not. That holds as long as those copied from had not lost their own disks by then without having copied: with more
//! than n - q lost at a time, nobody answers any more.
//!
//! An older copy of a disk is found out by whoever decides who sits where; until then it is as dangerous here as it is there.

mod acceptor;
mod copying;
mod forwarding;
mod listing;
mod proposer;
mod rivals;
mod stored;
mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, DirectoryId, Effects, Event, Machine, NodeId, Now, Once, Partition, ShardId,
    Stamp, Tick, Ticket, always,
};
use serde::{Deserialize, Serialize};

use super::{Era, Hold, Outcome, Told, Wish};
use crate::ballot::Voters;
use crate::members::Disks;
use acceptor::Cells;
use copying::{Copying, Scanning};
use forwarding::Forwarded;
use listing::Listing;
use proposer::Running;
use rivals::Rival;
use stored::State;

pub use listing::{Known, KnownPage, ListedRegister};
pub use telling::RegisterTelling;

/// A register's name.
pub const REGISTER_KEY_BYTES_MAX: usize = 1024;
/// A register's value, as clients of a node may set it.
pub const REGISTER_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Requests of clients of one node, and of nodes without a seat, that are under way. More are [`Busy`](RegisterFailure::Busy).
pub const REGISTER_CLIENTS_MAX: usize = 4096;
/// Whoever asks is told after so long that there is no answer.
pub const REGISTER_WAIT_MS: u64 = 5_000;

/// The ticket of what is read at the start.
const STATE: Ticket = Ticket(0);

/// How a server is set up.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RegisterSetup {
    /// Who it is.
    pub id: NodeId,
    /// The partition of the device in which it keeps its things. It is for nothing else.
    pub home: Partition,
    /// Who has a seat, the same on all nodes for ever.
    pub seats: Voters,
    /// Some of what is there may be lost.
    pub damaged: bool,
}

/// Who sits where.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Seating {
    /// Grows with each change, and is 0 as long as there was none.
    pub era: Era,
    /// The disk that has each seat. A seat can be empty.
    pub disks: Disks,
    /// The disk of this node.
    pub mine: DirectoryId,
}

/// What is asked of a server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterRequest {
    /// Something of a register.
    One(RegisterAsk),
    /// A page of what registers there are.
    List {
        /// In the order of names, from this one on; all, if it is empty.
        from: Bytes,
    },
}

/// Something of a register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RegisterAsk {
    /// Which register.
    pub key: Bytes,
    /// What.
    pub wish: Wish,
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterReply {
    /// What became of it.
    Answer(Outcome),
    /// Which there are.
    Listed(RegisterPage),
    /// Nothing is known to have become of it.
    Failed(RegisterFailure),
}

/// Which registers there are, one after the other. Each that anybody was told of before the page was asked for is listed as it was then
/// or later; that may be under way still. Pages are read one after the other: together they are no moment in time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RegisterPage {
    /// In the order of names. Can be empty, and not the last.
    pub registers: Vec<ListedRegister>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<Bytes>,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterFailure {
    /// It may have been done, or not, or may yet be.
    Unknown,
    /// Not enough of the seats can be reached. Nothing was done.
    NoQuorum,
    /// Too much is under way. Nothing was done.
    Busy,
    /// The disk is full. Nothing was done.
    Full,
    /// The name or the value is too long, or the name is empty.
    Length,
    /// Whoever was asked keeps no registers.
    Elsewhere,
}

impl RegisterFailure {
    const ALL: [RegisterFailure; 6] = [
        RegisterFailure::Unknown,
        RegisterFailure::NoQuorum,
        RegisterFailure::Busy,
        RegisterFailure::Full,
        RegisterFailure::Length,
        RegisterFailure::Elsewhere,
    ];
}

impl fmt::Display for RegisterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegisterFailure::Unknown => {
                "it may have been done, or not, or may yet be: read the register to find out"
            }
            RegisterFailure::NoQuorum => {
                "a majority of the nodes that keep the registers cannot be reached: try again later"
            }
            RegisterFailure::Busy => "too many requests are under way: try again later",
            RegisterFailure::Full => "the disk is full",
            RegisterFailure::Length => {
                "a register's name has 1 to 1024 bytes, and its value at most 65536"
            }
            RegisterFailure::Elsewhere => "whoever was asked keeps no registers",
        })
    }
}

impl std::error::Error for RegisterFailure {}

/// A server's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterTimer {
    /// A request is to be tried again, or given up.
    Due,
    /// Somebody has not answered who was asked for its cells.
    Copy,
}

/// How far a server has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Phase {
    /// What is stored is being read.
    Reading,
    Running,
    /// What it has stored can't be read, or part of it is lost, or nothing can be stored any more.
    Failed,
}

/// The registers of one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RegisterServer {
    setup: RegisterSetup,
    phase: Phase,
    /// Who sits where, once this node is known to be who it says.
    seating: Option<Seating>,
    /// What is stored besides registers.
    state: State,
    /// The last thing that was stored. What is said of the disk waits for it.
    written: Stamp,
    durable: Stamp,
    full: bool,
    up: BTreeSet<NodeId>,
    cells: Cells,
    /// What the own acceptor says once it is durable.
    own: VecDeque<(Stamp, u128, Told)>,
    running: BTreeMap<u128, Running>,
    /// Of each register, what is asked of it here, in order. The first is under way.
    queues: BTreeMap<Bytes, VecDeque<u128>>,
    /// When each that is under way is to be looked at.
    due: BTreeSet<(Tick, u128)>,
    /// For when the timer is armed.
    armed: Option<Tick>,
    holds: BTreeMap<Bytes, Hold>,
    /// Of registers that others change as well, to whom what is asked here is passed on.
    rivals: BTreeMap<Bytes, Rival>,
    /// What others have passed on: each is done once.
    once: Once,
    /// What was passed on.
    forwarded: BTreeMap<u128, Forwarded>,
    clients: BTreeMap<ClientId, u128>,
    copying: Option<Copying>,
    /// Pages that are put together here.
    listings: BTreeMap<u128, Listing>,
    /// Cells that are read for somebody who copies or lists them.
    scans: BTreeMap<Ticket, Scanning>,
    /// Tells the numbers of this start from those of earlier ones.
    life: u64,
    numbers: u64,
    tickets: u64,
}

/// How many other seats a new disk has to copy from: see the [module](self).
pub fn sources_needed(seats: &Voters) -> usize {
    seats.members.len() - seats.accept.min(seats.prepare) + 1
}

impl RegisterServer {
    /// One that has read nothing yet.
    pub fn new(setup: RegisterSetup) -> RegisterServer {
        RegisterServer {
            setup,
            phase: Phase::Reading,
            seating: None,
            state: State::default(),
            written: Stamp::NONE,
            durable: Stamp::NONE,
            full: false,
            up: BTreeSet::new(),
            cells: Cells::default(),
            own: VecDeque::new(),
            running: BTreeMap::new(),
            queues: BTreeMap::new(),
            due: BTreeSet::new(),
            armed: None,
            holds: BTreeMap::new(),
            rivals: BTreeMap::new(),
            once: Once::default(),
            forwarded: BTreeMap::new(),
            clients: BTreeMap::new(),
            copying: None,
            listings: BTreeMap::new(),
            scans: BTreeMap::new(),
            life: 0,
            numbers: 0,
            tickets: STATE.0,
        }
    }

    /// Requests that are under way.
    pub fn clients(&self) -> usize {
        self.running.len() + self.forwarded.len() + self.listings.len()
    }

    /// Whether it keeps registers, and answers for them.
    pub fn is_seated(&self) -> bool {
        self.era().is_some()
    }

    /// Who sits where has changed, or is known for the first time. `None`: this node is not known to be who it says, or takes no part.
    pub fn seat<E: Effects<RegisterServer>>(
        &mut self,
        now: Now,
        seating: Option<Seating>,
        fx: &mut E,
    ) {
        if self.seating == seating {
            return;
        }
        self.seating = seating;
        self.settle(now, fx);
        self.hear_own(now, fx);
        self.arm(fx);
    }

    /// Keeps the era, if it is a new one, and begins to copy, if this node sits down on a new disk.
    fn settle<E: Effects<RegisterServer>>(&mut self, now: Now, fx: &mut E) {
        let (Phase::Running, Some(seating)) = (self.phase, &self.seating) else { return };
        let before = self.state.clone();
        let sits = self.sits(seating);
        self.state.era = self.state.era.max(seating.era);
        if sits && seating.era == Era(0) {
            self.state.complete = Some(seating.mine); // Nobody has ever sat here on another disk.
        }
        let lacks = sits && self.state.complete != Some(seating.mine);
        if self.state != before {
            self.store_state(fx);
        }
        if lacks {
            self.copy(now, fx);
        } else {
            self.copying = None;
        }
    }

    /// In which era this node answers for its seat.
    fn era(&self) -> Option<Era> {
        let seating = self.seating.as_ref().filter(|_| self.phase == Phase::Running)?;
        let is_complete = self.state.complete == Some(seating.mine) && self.copying.is_none();
        // It has been told of a later one before it was started: that is on its way again.
        let is_behind = seating.era < self.state.era;
        (self.sits(seating) && is_complete && !is_behind).then_some(seating.era)
    }

    /// Whether this node has a seat, and this disk is the one that belongs to it.
    fn sits(&self, seating: &Seating) -> bool {
        let id = self.setup.id;
        self.setup.seats.members().contains(&id) && seating.disks.get(&id) == Some(&seating.mine)
    }

    fn send<E: Effects<RegisterServer>>(
        &self,
        to: NodeId,
        telling: RegisterTelling,
        after: Stamp,
        fx: &mut E,
    ) {
        // What can't be sent is asked for again.
        let _ = fx.send(Address { node: to, shard: ShardId(0) }, telling, after);
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn message<E: Effects<RegisterServer>>(
        &mut self,
        now: Now,
        from: NodeId,
        telling: RegisterTelling,
        fx: &mut E,
    ) {
        match telling {
            RegisterTelling::Ask { number, era, key, ask } => {
                self.hear_ask(now, from, (number, era), key, ask, fx);
            }
            RegisterTelling::Told { number, era, disk, told } => {
                self.hear_told(now, from, (number, era, disk), told, fx);
            }
            RegisterTelling::Copy { era, from: key } => self.hear_copy(from, era, key, fx),
            RegisterTelling::Copied { era, disk, from: key, cells, next } => {
                self.hear_copied(now, (from, era, disk), key, cells, next, fx);
            }
            RegisterTelling::Forward { number, request } => {
                self.hear_forward(now, from, number, request, fx);
            }
            RegisterTelling::Forwarded { number, reply } => {
                self.hear_forwarded(now, from, number, reply, fx);
            }
            RegisterTelling::List { number, era, from: name } => {
                self.hear_list(from, (number, era), &name, fx);
            }
            RegisterTelling::Listed { number, era, disk, page } => {
                self.hear_listed(from, (number, era, disk), page, fx);
            }
        }
    }

    /// What the own acceptor has said, and may say.
    fn hear_own<E: Effects<RegisterServer>>(&mut self, now: Now, fx: &mut E) {
        let durable = self.durable;
        while let Some((_, number, told)) = self.own.pop_front_if(|(at, ..)| *at <= durable) {
            self.hear(now, self.setup.id, number, told, fx);
        }
    }

    /// Nothing that was half done is to be answered from.
    fn stop<E: Effects<RegisterServer>>(&mut self, fx: &mut E) {
        self.phase = Phase::Failed;
        for client in std::mem::take(&mut self.clients).into_keys() {
            fx.reply(client, RegisterReply::Failed(RegisterFailure::Unknown), Stamp::NONE);
        }
        (self.running, self.queues, self.forwarded) = Default::default();
        self.listings.clear();
        self.due.clear();
        self.own.clear();
        self.cells = Cells::default();
        self.scans.clear();
        self.copying = None;
    }
}

impl Machine for RegisterServer {
    type Message = RegisterTelling;
    type Request = RegisterRequest;
    type Reply = RegisterReply;
    type Timer = RegisterTimer;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Start if self.setup.damaged => self.phase = Phase::Failed,
            Event::Start => {
                self.life = fx.choose(u64::MAX);
                fx.load(STATE, self.setup.home, &stored::STATE);
            }
            Event::Loaded { ticket: STATE, entry } => self.read_state(now, entry, fx),
            Event::Loaded { ticket, entry } => self.loaded(now, ticket, entry, fx),
            Event::Scanned { ticket, chunk } => self.scanned(ticket, chunk, fx),
            Event::Request { client, request } => self.ask(now, client, request, fx),
            Event::Gone(client) => self.gone(client),
            Event::Message { from, message } => self.message(now, from.node, message, fx),
            Event::Timer(RegisterTimer::Due) => {
                self.armed = None;
                self.look_after(now, fx);
                self.look_after_forwarded(now, fx);
                self.look_after_listings(now, fx);
            }
            Event::Timer(RegisterTimer::Copy) => self.copy(now, fx),
            Event::PeerUp { node, .. } => drop(self.up.insert(node)),
            Event::PeerDown(node) => self.lose(node, fx),
            Event::Durable(stamp) => self.durable = self.durable.max(stamp),
            Event::DeviceFull(full) => self.full = full,
            Event::DeviceFailed | Event::Damaged(_) | Event::Broken(_) => self.stop(fx),
            Event::More(_) => {}
        }
        self.hear_own(now, fx);
        self.arm(fx);
    }

    fn check(&self) {
        let queued: BTreeSet<u128> = self.queues.values().flatten().copied().collect();
        always!(
            queued.len() == self.running.len()
                && queued.iter().all(|number| self.running.contains_key(number)),
            "what is asked of a register waits in its queue"
        );
        always!(
            self.due.len() == self.queues.len(),
            "what is under way is looked after",
            "{} of {}",
            self.due.len(),
            self.queues.len()
        );
        self.cells.check();
    }
}

#[cfg(test)]
mod tests;
