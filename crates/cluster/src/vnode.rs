//! A vnode: one replica of one partition. What it is, for any service, and the order in which it works.
//!
//! A service says what a command does to what is stored under a key: a pure function. Everything around that is here:
//! loading, storing, one command at a time per key, the dots that name writes, the memory of what was reaped, and the
//! flag that says whether an absence means anything.
//!
//! Most of what replicas are asked can be answered from the *tag* of what is stored, eight bytes that the device has in
//! memory: a replica that is asked whether it has the same as its coordinator, or given what follows what it has, need
//! not read the value. [`Service::at_once`] says when.

mod record;
mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::property::{about, contained};
use ombak_base::{
    DeviceError, Effects, Entry, Machine, Now, Partition, Peek, Stamp, Ticket, always, sometimes,
};
use serde::{Deserialize, Serialize};

pub use record::{Claim, Lineage, META_KEY, PEER_KEY, VnodeRecord, peer_key};
pub use state::{GRAVES_MAX, LEASE, Verdict, Vnode};

/// What is stored under a key after a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Write {
    /// What was there.
    Keep,
    /// This.
    Put(Entry),
    /// Nothing.
    Remove,
}

/// What a command did.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Outcome<R> {
    /// What to store.
    pub write: Write,
    /// What to answer.
    pub reply: R,
}

/// Why a vnode could not run a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum VnodeError {
    /// Too many commands are waiting.
    Overload,
    /// What is stored is damaged, or the device failed.
    Device(DeviceError),
    /// A property broke in the vnode: it does nothing more until the node is started again.
    Stopped,
}

/// What runs on a vnode: a database is one, a counter another.
pub trait Service: Clone + Eq + std::hash::Hash + std::fmt::Debug {
    /// What is asked of a key.
    type Command: Clone + Eq + std::hash::Hash + std::fmt::Debug;
    /// What is answered.
    type Reply: Clone + Eq + std::hash::Hash + std::fmt::Debug;

    /// What `command` does to what is `stored`. Pure but for the vnode's own small state.
    fn handle(
        vnode: &mut Vnode,
        now: Now,
        key: &Bytes,
        command: &Self::Command,
        stored: Option<&Entry>,
    ) -> Outcome<Self::Reply>;

    /// What [`handle`](Service::handle) would do, where the tag of what is stored is enough to know it; `None`: load.
    /// `peek` costs a search of the index: it is asked only where its answer can help. Never asked of a vnode that is
    /// incomplete.
    fn at_once(
        _vnode: &Vnode,
        _now: Now,
        _key: &Bytes,
        _command: &Self::Command,
        _peek: impl FnOnce() -> Peek,
    ) -> Option<Outcome<Self::Reply>> {
        None
    }

    /// The answer when the command could not be run.
    fn failed(command: &Self::Command, error: &VnodeError) -> Self::Reply;
}

/// A finished command.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Done<O, R> {
    /// Who asked.
    pub origin: O,
    /// The answer.
    pub reply: R,
    /// Once this is durable, so is everything that the answer rests on, what earlier commands stored included.
    pub stamp: Stamp,
}

/// At most so many commands wait for loads in one shard, unless it is said otherwise.
pub const WAITING_MAX: usize = 16_384;

/// At most so many keys that cannot be read are remembered in one shard. More are found when these are mended.
const UNREADABLE_MAX: usize = 1024;

/// The commands that wait for one key to be loaded, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Flight<C, O> {
    partition: Partition,
    key: Bytes,
    queue: VecDeque<(O, C)>,
}

/// The vnodes of one shard. `O` is whatever the owner needs to know whom to answer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "S::Command: Serialize, O: Serialize",
    deserialize = "S::Command: Deserialize<'de>, O: Deserialize<'de>"
))]
pub struct VnodeMap<S: Service, O: Clone + Eq + std::hash::Hash + std::fmt::Debug> {
    vnodes: BTreeMap<Partition, Vnode>,
    flights: BTreeMap<Ticket, Flight<S::Command, O>>,
    busy: BTreeMap<(Partition, Bytes), Ticket>,
    next_ticket: u64,
    waiting: usize,
    waiting_max: usize,
    /// Keys whose values were found damaged, and that nothing has been stored under since.
    unreadable: BTreeSet<(Partition, Bytes)>,
    last_stamp: Stamp,
}

impl<S: Service, O: Clone + Eq + std::hash::Hash + std::fmt::Debug> VnodeMap<S, O> {
    /// The vnodes given.
    pub fn new(vnodes: impl IntoIterator<Item = Vnode>) -> Self {
        VnodeMap {
            vnodes: vnodes.into_iter().map(|vnode| (vnode.partition(), vnode)).collect(),
            flights: BTreeMap::new(),
            busy: BTreeMap::new(),
            next_ticket: 0,
            waiting: 0,
            waiting_max: WAITING_MAX,
            unreadable: BTreeSet::new(),
            last_stamp: Stamp::NONE,
        }
    }

    /// The same, of which at most so many commands wait for loads.
    pub fn waiting_at_most(self, waiting_max: usize) -> Self {
        VnodeMap { waiting_max, ..self }
    }

    /// One vnode.
    pub fn vnode(&self, partition: Partition) -> Option<&Vnode> {
        self.vnodes.get(&partition)
    }

    /// One vnode, to change its small state.
    pub fn vnode_mut(&mut self, partition: Partition) -> Option<&mut Vnode> {
        self.vnodes.get_mut(&partition)
    }

    /// All vnodes, in the order of partitions.
    pub fn vnodes(&self) -> impl Iterator<Item = &Vnode> {
        self.vnodes.values()
    }

    /// All vnodes, to change their small state.
    pub fn vnodes_mut(&mut self) -> impl Iterator<Item = &mut Vnode> {
        self.vnodes.values_mut()
    }

    /// The partition that a load concerns.
    pub fn partition_of(&self, ticket: Ticket) -> Option<Partition> {
        self.flights.get(&ticket).map(|flight| flight.partition)
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a command for `key`. If it is finished at once, or refused, the answer is here; otherwise it comes from a
    /// later [`loaded`](VnodeMap::loaded).
    pub fn submit<M: Machine, E: Effects<M>>(
        &mut self,
        now: Now,
        partition: Partition,
        key: &Bytes,
        command: S::Command,
        origin: O,
        fx: &mut E,
    ) -> Option<Done<O, S::Reply>> {
        if self.waiting >= self.waiting_max {
            sometimes!(fx, "a vnode refused a command for overload");
            let reply = S::failed(&command, &VnodeError::Overload);
            return Some(Done { origin, reply, stamp: Stamp::NONE });
        }
        if let Some(ticket) = self.busy.get(&(partition, key.clone()))
            && let Some(flight) = self.flights.get_mut(ticket)
        {
            // In order: the commands before it may change what is there.
            self.waiting += 1;
            flight.queue.push_back((origin, command));
            return None;
        }
        if let Some(reply) = self.at_once(now, partition, key, &command, fx) {
            return Some(Done { origin, reply, stamp: self.last_stamp });
        }
        self.waiting += 1;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = (self.next_ticket + 1) % (1 << 61);
        let flight =
            Flight { partition, key: key.clone(), queue: VecDeque::from([(origin, command)]) };
        self.flights.insert(ticket, flight);
        self.busy.insert((partition, key.clone()), ticket);
        fx.load(ticket, partition, key);
        None
    }

    /// The answer to a command that need not load anything.
    fn at_once<M: Machine, E: Effects<M>>(
        &mut self,
        now: Now,
        partition: Partition,
        key: &Bytes,
        command: &S::Command,
        fx: &mut E,
    ) -> Option<S::Reply> {
        let vnode = self.vnodes.get_mut(&partition)?;
        if vnode.is_stopped() {
            return Some(S::failed(command, &VnodeError::Stopped));
        }
        // A vnode that is not complete may hold what cannot be read: it looks, so that a repair finds and mends that.
        if !vnode.is_complete() {
            return None;
        }
        let looked = contained(|| {
            about(partition, || S::at_once(vnode, now, key, command, || fx.peek(partition, key)))
        });
        match looked {
            Ok(outcome) => outcome.map(|Outcome { write, reply }| {
                apply(write, partition, key, &mut self.last_stamp, fx);
                reply
            }),
            Err(broken) => {
                vnode.stop();
                fx.broken(&broken);
                Some(S::failed(command, &VnodeError::Stopped))
            }
        }
    }

    /// Stops one vnode, or all of them: something in it is wrong that the code says cannot be. It answers every command
    /// with [`VnodeError::Stopped`] from now on, and stores nothing more.
    pub fn stop(&mut self, partition: Option<Partition>) {
        let concerned = |vnode: &&mut Vnode| partition.is_none_or(|at| at == vnode.partition());
        self.vnodes.values_mut().filter(concerned).for_each(Vnode::stop);
    }

    /// What was stored under a key has come: runs all commands that wait for it, each on what the one before left.
    pub fn loaded<M: Machine, E: Effects<M>>(
        &mut self,
        now: Now,
        ticket: Ticket,
        entry: Result<Option<Entry>, DeviceError>,
        fx: &mut E,
    ) -> Vec<Done<O, S::Reply>> {
        let Some(Flight { partition, key, queue }) = self.flights.remove(&ticket) else {
            return Vec::new();
        };
        self.busy.remove(&(partition, key.clone()));
        self.waiting -= queue.len();
        let Some(vnode) = self.vnodes.get_mut(&partition) else { return Vec::new() };
        let (place, before) = ((partition, key.clone()), self.last_stamp);
        match entry {
            Ok(stored) => {
                self.unreadable.remove(&place);
                run::<S, O, M, E>(vnode, now, &key, stored, queue, &mut self.last_stamp, fx)
            }
            // What was there is lost, which the owner has noted by making the vnode incomplete. Commands run as on an
            // absent key, so that writes and repairs put right what is damaged.
            Err(DeviceError::Damaged(_)) if !vnode.is_complete() => {
                let done =
                    run::<S, O, M, E>(vnode, now, &key, None, queue, &mut self.last_stamp, fx);
                if self.last_stamp > before {
                    self.unreadable.remove(&place);
                } else if self.unreadable.len() < UNREADABLE_MAX {
                    self.unreadable.insert(place);
                }
                done
            }
            Err(error) => {
                let error = VnodeError::Device(error);
                let failed = |(origin, command)| Done {
                    origin,
                    reply: S::failed(&command, &error),
                    stamp: Stamp::NONE,
                };
                queue.into_iter().map(failed).collect()
            }
        }
    }

    /// Every other owner of `partition` has given all that it has: what cannot be read here, and was not among that,
    /// nobody has any more. It is removed, or each read of it would find the same damage again.
    pub fn give_up_unreadable<M: Machine, E: Effects<M>>(
        &mut self,
        partition: Partition,
        fx: &mut E,
    ) {
        let of = |place: &&(Partition, Bytes)| place.0 == partition;
        let keys: Vec<(Partition, Bytes)> = self.unreadable.iter().filter(of).cloned().collect();
        for place in keys {
            self.last_stamp = fx.store(partition, &place.1, None);
            self.unreadable.remove(&place);
        }
    }

    /// The invariants of the map.
    pub fn check(&self) {
        always!(self.busy.len() == self.flights.len(), "one flight per key");
        let queued: usize = self.flights.values().map(|flight| flight.queue.len()).sum();
        always!(
            queued == self.waiting,
            "every waiting command is in a flight",
            "{queued} {}",
            self.waiting
        );
        for vnode in self.vnodes.values().filter(|vnode| !vnode.is_sound()) {
            about(vnode.partition(), || vnode.check());
        }
    }
}

fn run<S: Service, O, M: Machine, E: Effects<M>>(
    vnode: &mut Vnode,
    now: Now,
    key: &Bytes,
    mut stored: Option<Entry>,
    queue: VecDeque<(O, S::Command)>,
    last_stamp: &mut Stamp,
    fx: &mut E,
) -> Vec<Done<O, S::Reply>> {
    let mut done = Vec::with_capacity(queue.len());
    for (origin, command) in queue {
        let Outcome { write, reply } = handle::<S, M, E>(vnode, now, key, &command, &stored, fx);
        match &write {
            Write::Keep => {}
            Write::Put(entry) => stored = Some(entry.clone()),
            Write::Remove => stored = None,
        }
        apply(write, vnode.partition(), key, last_stamp, fx);
        done.push(Done { origin, reply, stamp: *last_stamp });
    }
    done
}

/// What a command does on a vnode. One that breaks a property has done nothing, and the vnode stops.
fn handle<S: Service, M: Machine, E: Effects<M>>(
    vnode: &mut Vnode,
    now: Now,
    key: &Bytes,
    command: &S::Command,
    stored: &Option<Entry>,
    fx: &mut E,
) -> Outcome<S::Reply> {
    let partition = vnode.partition();
    if !vnode.is_stopped() {
        let handled =
            contained(|| about(partition, || S::handle(vnode, now, key, command, stored.as_ref())));
        match handled {
            Ok(outcome) => return outcome,
            Err(broken) => {
                vnode.stop();
                fx.broken(&broken);
            }
        }
    }
    Outcome { write: Write::Keep, reply: S::failed(command, &VnodeError::Stopped) }
}

fn apply<M: Machine, E: Effects<M>>(
    write: Write,
    partition: Partition,
    key: &Bytes,
    last_stamp: &mut Stamp,
    fx: &mut E,
) {
    let entry = match write {
        Write::Keep => return,
        Write::Put(entry) => Some(entry),
        Write::Remove => None,
    };
    *last_stamp = fx.store(partition, key, entry);
}

#[cfg(test)]
mod tests;
