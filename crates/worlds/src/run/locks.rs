//! Locks, when all is healed.

use ombak_base::{NodeId, ShardId};
use ombak_node::Shard;
use ombak_sim::{Rng, World};

use super::{Failure, LOCKS, Run};
use crate::cluster::Cluster;
use crate::script::Action;
use crate::workload::LOCKER;

/// Somebody who wants to lock, when all is healed, has done so by then: sessions that nobody keeps end meanwhile.
const LOCK_MS: u64 = 20_000;
/// Somebody leads the root group by then, if nothing is wrong.
const LED_MS: u64 = 10_000;
const LOCKABLE: &str = "a new session can lock";

impl Run {
    /// In most runs the storm begins when somebody leads the root group. In the others it is in the storm that the group begins.
    pub(super) fn form_root(&mut self) -> Result<(), Failure> {
        let in_the_storm = Rng::new(!self.seed ^ LOCKS).chance(1, 4);
        if !self.script.root || in_the_storm {
            return Ok(());
        }
        match self.world.run_until_true(LED_MS * 1_000, is_led) {
            true => Ok(()),
            false => Err(self.failure("the root group forms", String::new())),
        }
    }

    /// Whoever takes part in the root group can be asked for locks, one node after the other; and what was heard of locks in all this
    /// time fits together. An older disk may be one that nobody can tell from the newer one, and then the group may have
    /// forgotten something (see `paxos::Member`): of such a run nothing is said but that it goes on.
    pub(super) fn check_locks(&mut self) -> Result<(), Failure> {
        if !self.script.root {
            return Ok(());
        }
        let (partakers, failed) = self.partakers();
        if failed > usize::from(self.has_spoilt) {
            return Err(self.failure(LOCKABLE, format!("{partakers:?} take part alone")));
        }
        for node in partakers {
            if !self.lock_through(node, true) || !self.lock_through(node, false) {
                return Err(self.failure(LOCKABLE, format!("not through {node}")));
            }
        }
        if self.has_older_disk {
            return Ok(());
        }
        let checked = self.workload.locked().check();
        checked.map_err(|broken| self.failure(broken.rule, broken.detail))
    }

    /// Who takes part in the root group, and how many do not, because of what is on their disks.
    fn partakers(&self) -> (Vec<NodeId>, usize) {
        let takes_part = |node: &NodeId| {
            let status = self.world.machine(*node, ShardId(0)).and_then(Shard::root_status);
            status.is_some_and(|status| status.failure.is_none())
        };
        let partakers: Vec<NodeId> = self.world.node_ids().filter(takes_part).collect();
        let failed = self.world.node_ids().count() - partakers.len();
        (partakers, failed)
    }

    /// Somebody new takes every lock, or gives every one back. Whether that came to its end.
    fn lock_through(&mut self, node: NodeId, wants: bool) -> bool {
        let client = LOCKER + node.0 as usize;
        let until = self.world.now().plus_ms(LOCK_MS);
        while self.world.now() < until && !self.workload.has_locks(client, wants) {
            if let Some(asked) = self.workload.next_lock(client, node, wants) {
                self.act(&Action::Ask(asked));
            }
            self.run_until(self.world.now().plus_ms(20));
        }
        self.workload.has_locks(client, wants)
    }
}

fn is_led(world: &World<Cluster>) -> bool {
    let shards = world.node_ids().filter_map(|node| world.machine(node, ShardId(0)));
    shards.filter_map(Shard::root_status).any(|status| status.leader.is_some())
}
