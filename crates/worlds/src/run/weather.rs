//! What goes wrong in a run, beside the weather of the network: crashes, partitions, pauses, lost and failing disks.

use std::io::ErrorKind;

use ombak_base::{Epoch, NodeId, Tick};
use ombak_sim::{Rng, SyncFault, World};

use super::disasters::Kind;
use super::{Run, SKEW_US};
use crate::cluster::Cluster;
use crate::history::History;
use crate::keys::{keys, place};
use crate::script::{Action, Boot, Part};
use crate::storage::SMALL_STORE;

/// A link is slow by up to this: nearly the silence after which a node is suspected.
const SLOW_US_MAX: u64 = 800_000;
/// The power goes within so many writes and syncs: a boot has some dozen.
const POWER_OPERATIONS_MAX: u64 = 40;
/// In some runs clocks are too fast or too slow by up to this: a hundred times what a bad crystal does.
const RATE_PPM: u64 = 10_000;

/// What is drawn.
impl Run {
    pub(super) fn draw_disaster(&mut self) -> Option<Action> {
        let kind = self.disasters.draw(&mut self.rng)?;
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let node = self.rng.pick(&nodes).copied()?;
        let other = self.rng.pick(&nodes).copied()?;
        Some(match kind {
            Kind::Crash => Action::Crash(node),
            Kind::CrashAll => Action::CrashAll,
            Kind::CutPower => Action::CutPower(node, self.rng.between(1, POWER_OPERATIONS_MAX)),
            Kind::Start => {
                let useless =
                    |node: &NodeId| !self.world.is_up(*node) || self.world.is_failed(*node);
                let down: Vec<NodeId> = nodes.into_iter().filter(useless).collect();
                let node = self.rng.pick(&down).copied()?;
                Action::Start(node, self.draw_boot())
            }
            Kind::Pause if self.world.is_up(node) && !self.paused.contains(&node) => {
                Action::Pause(node)
            }
            Kind::Resume => Action::Resume,
            Kind::Cut => self.draw_cut(nodes),
            Kind::OneWay if node != other => Action::OneWay(node, other),
            Kind::Slow if node != other => {
                Action::Slow(node, other, self.rng.between(1_000, SLOW_US_MAX))
            }
            Kind::Heal => Action::Heal,
            Kind::Reset if node != other => Action::Reset(node, other),
            Kind::Spoil if self.may_spoil => {
                self.may_spoil = false;
                self.draw_spoilt(node)
            }
            Kind::FailSync => {
                let fault = self.rng.pick(&[SyncFault::Keeps, SyncFault::Drops]).copied()?;
                Action::FailSync(node, self.rng.between(1, 20), fault)
            }
            // Down into the reserve, or to the end.
            Kind::Fill => {
                let reserve = SMALL_STORE.reserve_bytes;
                Action::Fill(node, self.rng.pick(&[0, reserve / 2, 2 * reserve]).copied()?)
            }
            Kind::Room => Action::Room,
            Kind::Clock if self.wrong_clocks => Action::Clock(node, self.draw_skew()),
            _ => return None,
        })
    }

    /// What befalls the one disk that may be spoilt.
    fn draw_spoilt(&mut self, node: NodeId) -> Action {
        match self.rng.below(4) {
            0 => Action::Wipe(node, self.draw_boot()),
            1 => Action::Older(node, self.draw_boot()),
            2 => Action::Rot(node, Part::Vnodes, self.rng.below(1_000)),
            _ => {
                let n = self.rng.between(1, 10);
                Action::Misdirect(node, Part::Vnodes, n, self.rng.below(1_000))
            }
        }
    }

    /// Two sides; sometimes one node is on neither, and reaches both.
    fn draw_cut(&mut self, mut nodes: Vec<NodeId>) -> Action {
        self.rng.shuffle(&mut nodes);
        if nodes.len() > 2 && self.rng.chance(1, 3) {
            nodes.pop();
        }
        let at = self.rng.between(1, nodes.len() as u64 - 1) as usize;
        let (left, right) = nodes.split_at(at);
        Action::Cut(left.to_vec(), right.to_vec())
    }

    /// In some runs the topology has moved on meanwhile, in some the clock has.
    pub(super) fn draw_boot(&mut self) -> Boot {
        let skew_us = self.wrong_clocks.then(|| self.draw_skew());
        let rate_ppm =
            self.wrong_clocks.then(|| self.rng.between(0, 2 * RATE_PPM) as i64 - RATE_PPM as i64);
        Boot { new_epoch: self.new_epoch, skew_us, rate_ppm }
    }

    /// Half a second of it is for what clocks that go wrong come to in a run.
    fn draw_skew(&mut self) -> i64 {
        let most = SKEW_US - 500_000;
        self.rng.between(0, 2 * most) as i64 - most as i64
    }
}

/// What is done.
impl Run {
    /// Does something, whoever has drawn or written it. What cannot be done does nothing.
    pub(super) fn act(&mut self, action: &Action) {
        let is_disaster = !matches!(action, Action::Ask(_) | Action::Turn(..));
        if is_disaster {
            self.workload.not_calm(self.world.now());
        }
        let nodes = self.world.node_ids();
        match action {
            Action::Crash(node) => self.world.crash(*node),
            Action::CrashAll => nodes.for_each(|node| self.world.crash(node)),
            Action::CutPower(node, n) => self.world.disk(*node).cut_power(*n),
            Action::Start(node, boot) => self.start(*node, *boot),
            Action::Wipe(node, boot) => {
                self.replace_disk(*node, *boot, World::wipe, History::disk_lost);
            }
            Action::Older(node, boot) => {
                self.has_older_disk = true;
                self.replace_disk(*node, *boot, World::put_older_disk, History::disk_is_older);
            }
            Action::Rot(node, part, seed) => {
                let below = self.script.backend.files(*part);
                below.into_iter().for_each(|below| match part {
                    Part::Vnodes => self.rot(*node, below, *seed),
                    Part::Log | Part::Pages => self.rot_while_down(*node, *part, below, *seed),
                });
            }
            Action::Misdirect(node, part, n, seed) => self.misdirect(*node, *part, *n, *seed),
            Action::Pause(node) => {
                self.world.pause(*node);
                self.paused.push(*node);
            }
            Action::Resume => self.resume_all(),
            Action::Cut(left, right) => self.world.partition(left, right),
            Action::OneWay(from, to) => self.world.one_way(*from, *to),
            Action::Slow(from, to, us) => self.world.slow(*from, *to, *us),
            Action::Clock(node, us) => self.world.set_skew(*node, *us),
            Action::Heal => self.world.heal(),
            Action::Reset(a, b) => self.world.reset(*a, *b),
            Action::FailSync(node, n, fault) => {
                self.world.disk(*node).fail_sync(*n, ErrorKind::Other, *fault);
            }
            Action::Fill(node, left) => self.world.disk(*node).fill_after(*left),
            Action::Room => nodes.for_each(|node| self.world.disk(node).set_capacity(None)),
            Action::Ask(asked) => self.workload.ask(&mut self.world, asked),
            Action::Turn(bucket, node, shard) => {
                self.workload.turn(&mut self.world, *bucket, *node, *shard);
            }
        }
    }

    /// Another disk comes in place of a node's, with less on it. It comes back at once, so that the cluster lives with
    /// an incomplete replica for as long as possible.
    fn replace_disk(
        &mut self,
        node: NodeId,
        boot: Boot,
        replace: impl Fn(&mut World<Cluster>, NodeId),
        note: fn(&mut History, Vec<usize>, Tick),
    ) {
        if self.spoil(node, note) {
            self.paused.retain(|paused| *paused != node);
            replace(&mut self.world, node);
            self.start(node, boot);
        }
    }

    fn rot(&mut self, node: NodeId, below: &str, seed: u64) {
        if self.spoil(node, History::disk_lost) {
            self.rotten = Some(node);
            self.world.disk(node).rot(below, &mut Rng::new(seed));
        }
    }

    fn misdirect(&mut self, node: NodeId, part: Part, n: u64, seed: u64) {
        if let Some(below) = self.script.backend.files(part)
            && self.spoil(node, History::disk_loses)
        {
            (self.rotten, self.has_older_disk) = (Some(node), true);
            self.world.disk(node).misdirect_write(below, n, seed);
        }
    }

    /// A disk does not hold what it should any more. At most one is in a run (`false`: that was it): with two,
    /// acknowledged data may really be gone.
    pub(super) fn spoil(&mut self, node: NodeId, note: fn(&mut History, Vec<usize>, Tick)) -> bool {
        if std::mem::replace(&mut self.has_spoilt, true) {
            return false;
        }
        let (cluster, at) = (self.world.system(), self.world.now());
        let lies_there = |key: &usize| {
            let (partition, _) = place(*key, cluster.shape().ring_size);
            cluster.primaries(partition).contains(&node)
        };
        note(self.workload.history_mut(), keys().filter(lies_there).collect(), at);
        true
    }

    pub(super) fn start(&mut self, node: NodeId, boot: Boot) {
        if boot.new_epoch {
            self.world.system_mut().set_epoch(node, Epoch(2));
        }
        boot.skew_us.iter().for_each(|us| self.world.set_skew(node, *us));
        boot.rate_ppm.iter().for_each(|ppm| self.world.set_rate(node, *ppm));
        // A boot can fail when the power is cut during it; the next attempt finds the disk as it is.
        if let Err(why) = self.world.restart(node) {
            self.refused(node, why);
        }
    }

    pub(super) fn resume_all(&mut self) {
        self.last_resume = self.world.now();
        for node in std::mem::take(&mut self.paused) {
            self.world.resume(node);
        }
    }
}
