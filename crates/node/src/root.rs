//! This node's part in the root group: the replicated log that belongs to the whole cluster.
//!
//! Its members are chosen when a cluster begins ([`founders`]): up to seven nodes vote, the others learn. It carries the lock
//! manager. It runs on shard 0, in a partition of the device that is its own, and shares the node's log and its syncs.

use std::collections::BTreeSet;

use ombak_base::property::about;
use ombak_base::{ClientId, Effects, Event, Machine, NodeId, Now, Partition, ShardId, Stamp};
use ombak_cluster::Topology;
use ombak_paxos::locks::{LOCKS, LockAsk, LockFailure, LockReply, LockServer, LockTimer};
use ombak_paxos::{Members, Setup, Telling, Voters};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::part::{Part, Within};
use crate::shard::{Config, Reply, Shard, Timer};

/// Where the root group keeps its things. It lies on shard 0.
pub const ROOT_PARTITION: Partition = Partition(u32::MAX - 1);
/// Nodes that vote. More would make each decision slower, and survive no accident that seven do not.
pub const ROOT_VOTERS_MAX: usize = 7;
/// A snapshot is taken after so many bytes of log.
const SNAPSHOT_EVERY: usize = 4 * 1024 * 1024;

/// Who founds the root group of a cluster: its first nodes vote, the others learn. An odd number, for an even one survives the loss
/// of no more.
pub fn founders(topology: &Topology) -> Members {
    let nodes: Vec<_> = topology.nodes().collect();
    let most = nodes.len().min(ROOT_VOTERS_MAX);
    let voters = if most > 2 { most - (most + 1) % 2 } else { most };
    let (voters, learners) = nodes.split_at(voters);
    let mut members = Members::new(Voters::majority(voters.iter().copied()));
    members.learners = learners.iter().copied().collect();
    members
}

/// How the root group is, seen from this node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RootStatus {
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Who votes, and goes on to when the change that is under way is over.
    pub voters: Vec<NodeId>,
    /// What is decided, as far as this node knows.
    pub decided: u64,
    /// Clients of this node that wait for an answer.
    pub clients: usize,
    /// Whether this node keeps registers, and answers for them.
    pub keeps_registers: bool,
    /// Operations on registers that this node has under way.
    pub register_clients: usize,
    /// Why this node takes no part, if so.
    pub failure: Option<String>,
}

impl Shard {
    /// This shard's part in the root group, if it has one. `damaged`: it may have forgotten what it promised.
    pub(crate) fn new_root(config: &Config, damaged: bool) -> Option<Box<LockServer>> {
        let members = config.root.clone().filter(|_| config.me.shard == ShardId(0))?;
        let setup = Setup {
            id: config.me.node,
            cluster: config.topology.cluster,
            disk: config.directory,
            damaged,
            home: ROOT_PARTITION,
            groups: vec![(LOCKS, members)],
            snapshot_every: SNAPSHOT_EVERY,
            lease: None,
            beats: true,
            watch: true,
        };
        Some(Box::new(LockServer::new(setup)))
    }

    /// A client asks something about locks.
    pub(crate) fn ask_locks<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        request: LockAsk,
        fx: &mut E,
    ) {
        if self.root.is_none() {
            let elsewhere = LockReply::Failed(LockFailure::Elsewhere);
            return fx.reply(client, Reply::Locks(elsewhere), Stamp::NONE);
        }
        self.tell_root(now, Event::Request { client, request }, fx);
    }

    /// Tells the root group of something.
    pub(crate) fn tell_root<E: Effects<Shard>>(
        &mut self,
        now: Now,
        event: Event<LockServer>,
        fx: &mut E,
    ) {
        if let Some(root) = &mut self.root {
            let mut within = Within { fx, stored: &mut self.stored };
            about(ROOT_PARTITION, || root.step(now, event, &mut within));
            self.seat_registers(now, fx);
        }
    }

    /// This node's part in the root group, if it is here, for whoever looks at a shard from outside.
    pub fn root(&self) -> Option<&LockServer> {
        self.root.as_deref()
    }

    /// How the root group is, seen from here; nothing, if it is not here.
    pub fn root_status(&self) -> Option<RootStatus> {
        let server = self.root.as_ref()?;
        let status = server.replica().map(|replica| replica.status());
        Some(RootStatus {
            leader: status.as_ref().and_then(|status| status.leader),
            voters: status.iter().flat_map(|status| lasting_voters(&status.members)).collect(),
            decided: status.map_or(0, |status| status.committed.0),
            clients: server.clients(),
            keeps_registers: self.keeps_registers(),
            register_clients: self.registers.as_ref().map_or(0, |each| each.clients()),
            failure: server.member().failure().map(|failure| failure.to_string()),
        })
    }
}

/// Not who is about to vote: whoever takes the next disk away when it says so here would take one too many.
fn lasting_voters(members: &Members) -> BTreeSet<NodeId> {
    let mut voters = members.voters();
    voters.retain(|node| members.is_lasting_voter(*node));
    voters
}

impl Part for LockServer {
    const TICKETS: u64 = 1 << 62;

    fn message(message: Telling) -> Message {
        Message::Root(message)
    }

    fn reply(reply: LockReply) -> Reply {
        Reply::Locks(reply)
    }

    fn timer(timer: LockTimer) -> Timer {
        Timer::Root(timer)
    }
}

#[cfg(test)]
mod tests;
