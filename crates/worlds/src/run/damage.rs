//! Damage to a node's log, or to the pages of its tree, and what its operator does about it.
//!
//! It is drawn apart, and where no other disk is spoilt: all else of a seed is drawn as it was without it. What must come of it:
//!
//! - The `log` backend opens, and says what is lost. The vnodes that it concerns are incomplete until they are repaired; the root group takes
//!   this node for damaged, and goes on without it.
//! - The tree is refused where its log or a page that a start needs is damaged. Then the operator begins the node anew, on an empty disk. Any
//!   other damaged page is told when it is read, its vnodes are incomplete, and it stays damaged: to be rid of it he begins anew as well.
//! - What is damaged at the very end of a log, or was written somewhere else, may not be noticed: the disk shows what it held before.

use ombak_base::{NodeId, ShardId, Tick};
use ombak_node::Shard;
use ombak_sim::Rng;

use super::Run;
use crate::history::History;
use crate::script::{Action, Boot, Part};
use crate::storage::Backend;

/// What is drawn of damage is drawn apart. Of all such numbers, this one leaves alone the seeds in which planted bugs are found.
const DAMAGE: u64 = 0x6461_6d61_6765_0d00;
/// So many bits turn in each file of a log, at most: much of it is not needed any more. Of pages, most are.
const LOG_BITS_MAX: u64 = 8;
/// When the storm has gone on for so long, at the earliest, and at the latest.
const FROM_MS: u64 = 500;
const UNTIL_MS: u64 = 9_000;

impl Run {
    /// What is going to be damaged in a storm that begins now, and when.
    pub(super) fn draw_damage(&self, start: Tick) -> Option<(Tick, Action)> {
        let mut rng = Rng::new(self.seed ^ DAMAGE);
        if self.may_spoil || !rng.chance(1, 2) {
            return None;
        }
        let at = start.plus_ms(rng.between(FROM_MS, UNTIL_MS));
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let node = rng.pick(&nodes).copied()?;
        let has_pages = self.script.backend == Backend::Btree;
        let part = if rng.chance(1, 2) && has_pages { Part::Pages } else { Part::Log };
        let action = match rng.chance(2, 3) {
            true => Action::Rot(node, part, rng.below(1_000)),
            false => Action::Misdirect(node, part, rng.between(1, 10), rng.below(1_000)),
        };
        Some((at, action))
    }

    /// The node dies, bits turn in files below a directory, and it is started again.
    pub(super) fn rot_while_down(&mut self, node: NodeId, part: Part, below: &str, seed: u64) {
        if !self.spoil(node, History::disk_loses) {
            return;
        }
        (self.rotten, self.has_older_disk) = (Some(node), true);
        self.world.crash(node);
        self.paused.retain(|paused| *paused != node);
        let bits_max = if part == Part::Log { LOG_BITS_MAX } else { 1 };
        let (disk, mut rng) = (self.world.disk(node), Rng::new(seed));
        for (path, _) in disk.files().into_iter().filter(|(path, _)| path.starts_with(below)) {
            // Files are made longer than what is in them.
            let used = disk.contents(&path).unwrap_or_default();
            let used = used.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            for _ in 0..rng.between(1, bits_max).min(used) {
                disk.flip_bit(&path, rng.below(used), rng.below(8) as u8);
            }
        }
        self.start(node, Boot::default());
        let incomplete = self.incomplete_vnodes(node);
        if incomplete > 0 {
            self.damage_found.push(format!("{incomplete} vnodes are incomplete"));
        }
    }

    fn incomplete_vnodes(&self, node: NodeId) -> usize {
        let shards = (0..self.world.system().shape().shards).map(ShardId);
        let machines = shards.filter_map(|shard| self.world.machine(node, shard));
        machines.flat_map(Shard::vnodes).filter(|vnode| !vnode.is_complete()).count()
    }

    /// A start was refused. If that is for what its disk has lost, the operator gives the node an empty one.
    pub(super) fn refused(&mut self, node: NodeId, why: String) {
        if self.rotten == Some(node) && names_damage(&why) {
            self.damage_found.push(why);
            self.begin_anew(node);
        }
    }

    /// What was found damaged and could not be repaired stays so. The operator gives the node an empty disk.
    pub(super) fn replace_rotten(&mut self) {
        if let Some(node) = self.rotten.filter(|node| self.incomplete_vnodes(*node) > 0) {
            self.begin_anew(node);
            self.rest();
        }
    }

    fn begin_anew(&mut self, node: NodeId) {
        self.world.wipe(node);
        // The power may be cut while it starts; it is started again when all is healed.
        let _ = self.world.restart(node);
    }
}

/// Whether the reason of a refused start is damage: what it names then.
fn names_damage(why: &str) -> bool {
    ["is damaged at offset", "can't be used", "contradicts itself"]
        .iter()
        .any(|words| why.contains(words))
}

#[cfg(test)]
mod tests;
