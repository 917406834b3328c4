//! A run as data: what is done to a cluster, what its clients ask, and what is decided by chance. It can be written
//! down, read, changed by hand, made smaller, and run again.

pub(crate) mod parse;
mod show;

use ombak_base::{NodeId, ShardId, Tick};
use ombak_kv::{Quorum, Quorums};
use ombak_node::{Bounds, DeleteMode};
use ombak_paxos::locks::Mode;
use ombak_sim::{Decisions, SyncFault};

use crate::cluster::Shape;
use crate::storage::Backend;

pub use parse::ScriptError;
pub(crate) use parse::text_of;
pub(crate) use show::{Decision, HEAD};

/// A run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Where names, values and choices come from.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// What becomes of tombstones.
    pub delete_mode: DeleteMode,
    /// What shards have room for, until everything is healed.
    pub bounds: Bounds,
    /// Where nodes keep their data.
    pub backend: Backend,
    /// Whether there is a root group, which has the locks.
    pub root: bool,
    /// Whether messages that meet a partition are lost; else they wait for its end.
    pub partitions_lose: bool,
    /// Whether wall clocks may be wrong.
    pub wrong_clocks: bool,
    /// Whether the topology moves on, so that all are under a new epoch in the end.
    pub new_epoch: bool,
    /// When everything is healed, and the checks begin.
    pub until: Tick,
    /// What happens, in order.
    pub actions: Vec<(Tick, Action)>,
    /// What is decided by chance, where that is not what happens when nothing goes wrong.
    pub decisions: Decisions,
}

/// Something that is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// A node dies.
    Crash(NodeId),
    /// All die.
    CrashAll,
    /// The power goes at the n-th write or sync of a node's disk from now: in the middle of it, so that what it writes may be torn.
    CutPower(NodeId, u64),
    /// A node is started, again if it runs.
    Start(NodeId, Boot),
    /// A node's disk is replaced by an empty one, and it is started.
    Wipe(NodeId, Boot),
    /// A node's disk is replaced by a copy that was made before the node was last started, and it is started.
    Older(NodeId, Boot),
    /// A bit turns in each of some files of a node; the number says which. Not in the vnodes' files, but in others, it does so
    /// while the node is down: it dies, and is started again.
    Rot(NodeId, Part, u64),
    /// The n-th write to those files from now goes elsewhere among them; the last number says where.
    Misdirect(NodeId, Part, u64, u64),
    /// A node stops where it is.
    Pause(NodeId),
    /// All that stopped go on.
    Resume,
    /// Nothing passes between the two sides.
    Cut(Vec<NodeId>, Vec<NodeId>),
    /// Nothing passes from one to the other.
    OneWay(NodeId, NodeId),
    /// Everything from one to the other takes so much longer, in µs.
    Slow(NodeId, NodeId, u64),
    /// Everything passes again, as fast as before.
    Heal,
    /// A connection breaks.
    Reset(NodeId, NodeId),
    /// A node's wall clock jumps: it is wrong by so much from now on, in µs.
    Clock(NodeId, i64),
    /// The n-th sync of a disk from now fails.
    FailSync(NodeId, u64, SyncFault),
    /// Others fill a disk until so many bytes are left.
    Fill(NodeId, u64),
    /// All disks have room again.
    Room,
    /// A client asks.
    Ask(Asked),
    /// A bucket is turned into one that keeps siblings, through a node.
    Turn(usize, NodeId, ShardId),
}

/// Some of a node's files. A backend may have none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Those in which vnodes keep their data.
    Vnodes,
    /// Those of the log that all else stands on.
    Log,
    /// Those of the pages of a tree.
    Pages,
}

/// What is different from the boot before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Boot {
    /// Under the second epoch.
    pub new_epoch: bool,
    /// With a wall clock that is wrong by so much, in µs.
    pub skew_us: Option<i64>,
    /// With clocks that go too fast by so many millionths.
    pub rate_ppm: Option<i64>,
}

/// A request of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Which client.
    pub client: usize,
    /// Which node it asks.
    pub node: NodeId,
    /// And which shard of that.
    pub shard: ShardId,
    /// What.
    pub ask: Ask,
}

/// What is asked. Keys and buckets are numbers of the workload's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A read.
    Get {
        /// Which key.
        key: usize,
        /// How many must answer.
        quorums: Quorums,
        /// As Riak's parameter of this name.
        basic_quorum: Option<bool>,
        /// As Riak's parameter of this name.
        notfound_ok: Option<bool>,
    },
    /// A put of the next value.
    Put {
        /// Which key.
        key: usize,
        /// How many must take it.
        quorums: Quorums,
        /// Whether it rests on what its client read last.
        after_read: bool,
        /// Whether it depends on what is there.
        condition: Condition,
        /// Whether the value goes to a file of its own.
        is_large: bool,
    },
    /// A deletion.
    Delete {
        /// Which key.
        key: usize,
        /// How many must take it.
        quorums: Quorums,
        /// Whether it rests on what its client read last.
        after_read: bool,
    },
    /// A listing of the keys of a bucket; `None`: of the buckets.
    List(Option<usize>),
    /// Something about locks.
    Lock(Locking),
}

impl Ask {
    /// The same with less said: each word that can be left out alone, and all of them.
    pub(crate) fn plainer(&self) -> Vec<Ask> {
        let mut all = self.clone();
        let mut plainer = Vec::new();
        let mut without = |change: &dyn Fn(&mut Ask)| {
            let mut one = self.clone();
            change(&mut one);
            change(&mut all);
            plainer.push(one);
        };
        for quorum in [
            (|quorums| &mut quorums.r) as fn(&mut Quorums) -> &mut Quorum,
            |quorums| &mut quorums.pr,
            |quorums| &mut quorums.w,
            |quorums| &mut quorums.dw,
            |quorums| &mut quorums.pw,
            |quorums| &mut quorums.rw,
        ] {
            without(&|ask| {
                if let Some(quorums) = ask.quorums_mut() {
                    *quorum(quorums) = Quorum::Default;
                }
            });
        }
        without(&|ask| {
            if let Some(quorums) = ask.quorums_mut() {
                quorums.node_confirms = None;
            }
        });
        without(&|ask| {
            if let Ask::Get { basic_quorum, .. } = ask {
                *basic_quorum = None;
            }
        });
        without(&|ask| {
            if let Ask::Get { notfound_ok, .. } = ask {
                *notfound_ok = None;
            }
        });
        without(&|ask| {
            if let Ask::Put { is_large, .. } = ask {
                *is_large = false;
            }
        });
        without(&|ask| {
            if let Ask::Put { condition, .. } = ask {
                *condition = Condition::None;
            }
        });
        plainer.insert(0, all);
        plainer.retain(|ask| ask != self);
        plainer
    }

    fn quorums_mut(&mut self) -> Option<&mut Quorums> {
        match self {
            Ask::Get { quorums, .. } | Ask::Put { quorums, .. } | Ask::Delete { quorums, .. } => {
                Some(quorums)
            }
            Ask::List(_) | Ask::Lock(_) => None,
        }
    }
}

/// What a client that locks does. What makes no sense for it at that time does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Locking {
    /// Begins a session, or keeps the one that it has alive.
    Session {
        /// Of a new one.
        lease_ms: u32,
    },
    /// Asks for a lock, or for another mode of the one that it has.
    Lock {
        /// On what.
        printer: usize,
        /// How.
        mode: Mode,
        /// How long it waits for that; `None`: not at all.
        wait_ms: Option<u32>,
        /// Whether it writes the value block, if it may.
        writes: bool,
    },
    /// Gives a lock up.
    Unlock {
        /// On what.
        printer: usize,
        /// Whether it writes the value block, if it may.
        writes: bool,
    },
    /// Uses what it has locked, as far as it knows. It asks no node.
    Use(usize),
    /// Asks once more what has not been answered.
    Again,
}

/// Whether a put depends on what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It does not.
    None,
    /// Only where nothing is.
    NoneMatch,
    /// Only where nothing has happened since the read behind the context.
    NotModified,
}

#[cfg(test)]
mod tests;
