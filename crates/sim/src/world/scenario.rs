//! What a scenario does to nodes and network: it reads like `w.crash(A); w.partition(&[A], &[B, C]); …`.

use ombak_base::{Event, NodeId, Partition, ShardId};

use super::node::{Due, MILLION, Process};
use super::{Booted, System, World};
use crate::chances::What;
use crate::{Faults, Rng, SimDisk};

/// What a scenario does to nodes.
impl<S: System> World<S> {
    /// The node dies, and its disk forgets what is not synced. Nothing, if it is down.
    pub fn crash(&mut self, node: NodeId) {
        let Some(process) = self.nodes[node.0 as usize].process.take() else { return };
        self.trace_text(node, None, "crash", &());
        let place = &mut self.nodes[node.0 as usize];
        place.life += 1;
        place.is_paused = false;
        place.deferred.clear();
        crash_disk(&place.disk, self.chances.number(What::Survive(node)));
        process.clients.into_iter().for_each(|client| self.hang_up(client));
        self.network.end_all(node);
        self.reconcile();
    }

    /// Crashes the node if it is up, and boots it from what its disk holds.
    pub fn restart(&mut self, node: NodeId) -> Result<(), String> {
        self.crash(node);
        let place = &mut self.nodes[node.0 as usize];
        place.life += 1;
        place.boots += 1;
        place.image = Some(place.disk.snapshot());
        let (disk, boot) = (place.disk.mount(), place.boots);
        let booted = self.system.boot(
            node,
            &disk,
            boot,
            &mut Rng::new(self.chances.number(What::Boot(node))),
        );
        self.trace_text(node, None, "boot", &(boot, booted.is_ok()));
        let Booted { shards, writer } = match booted {
            Ok(booted) => booted,
            Err(reason) => {
                let disk = &self.nodes[node.0 as usize].disk;
                crash_disk(disk, self.chances.number(What::Survive(node)));
                return Err(reason);
            }
        };
        let rate_ppm = self.nodes[node.0 as usize].rate_ppm;
        let process = Process::new(shards, writer, self.now, rate_ppm);
        self.nodes[node.0 as usize].process = Some(process);
        self.turn_all(node, &Event::Start);
        self.look_for_room(node);
        self.crash_if_powerless(node);
        self.reconcile();
        Ok(())
    }

    /// The node stops where it is, as on SIGSTOP: peers see nothing but silence. Nothing, if it is down.
    pub fn pause(&mut self, node: NodeId) {
        self.trace_text(node, None, "pause", &());
        let place = &mut self.nodes[node.0 as usize];
        place.is_paused = place.process.is_some();
    }

    /// The node goes on with everything that came due meanwhile.
    pub fn resume(&mut self, node: NodeId) {
        self.trace_text(node, None, "resume", &());
        let place = &mut self.nodes[node.0 as usize];
        place.is_paused = false;
        for (key, due) in std::mem::take(&mut place.deferred) {
            self.dispatch(key, due);
        }
        self.reconcile();
    }

    /// The node dies if it is up, and its disk is replaced by an empty one.
    pub fn wipe(&mut self, node: NodeId) {
        self.crash(node);
        self.trace_text(node, None, "wipe", &());
        self.disk(node).wipe();
    }

    /// The node dies if it is up, and its disk is replaced by a copy that was made before it was last started.
    pub fn put_older_disk(&mut self, node: NodeId) {
        self.crash(node);
        self.trace_text(node, None, "older", &());
        let place = &self.nodes[node.0 as usize];
        place.image.iter().for_each(|image| place.disk.restore(image));
    }

    /// Sets the node's wall clock wrong by so much. If the node is up, its clock jumps.
    pub fn set_skew(&mut self, node: NodeId, us: i64) {
        self.trace_text(node, None, "clock", &us);
        self.nodes[node.0 as usize].skew_us = us;
    }

    /// Lets the node's clocks, the one of its ticks too, go too fast by so many millionths, from its next boot on. Negative:
    /// too slow. No clock stands, or goes more than twice too fast.
    pub fn set_rate(&mut self, node: NodeId, ppm: i64) {
        self.trace_text(node, None, "rate", &ppm);
        self.nodes[node.0 as usize].rate_ppm = ppm.clamp(1 - MILLION, MILLION);
    }

    /// A shard's device tells it that something of this partition is lost.
    pub fn lose_some(&mut self, node: NodeId, shard: ShardId, of: Partition) {
        self.turn(node, shard, Event::Damaged(of));
    }

    /// A shard is told that a property broke in it, as a host of production tells it that contains such a thing.
    pub fn break_property(&mut self, node: NodeId, shard: ShardId, of: Option<Partition>) {
        self.turn(node, shard, Event::Broken(of));
    }
}

/// What a scenario does to the network.
impl<S: System> World<S> {
    /// Nothing passes between the two sides. Connections stay, unless [`reset`](World::reset).
    pub fn partition(&mut self, side: &[NodeId], other: &[NodeId]) {
        for (a, b) in side.iter().flat_map(|a| other.iter().map(|b| (*a, *b))) {
            self.one_way(a, b);
            self.one_way(b, a);
        }
    }

    /// Nothing passes from one node to the other.
    pub fn one_way(&mut self, from: NodeId, to: NodeId) {
        self.trace_text(from, None, "block", &to);
        self.network.block(from, to);
    }

    /// Everything that is sent from one node to the other takes so much longer, until the network is healed.
    pub fn slow(&mut self, from: NodeId, to: NodeId, us: u64) {
        self.trace_text(from, None, "slow", &(to, us));
        self.network.slow(from, to, us);
    }

    /// Everything passes again, as fast as before. What has stalled arrives now.
    pub fn heal(&mut self) {
        self.note(None, "heal", &());
        for packet in self.network.heal() {
            self.dispatch((self.now, 0), Due::Packet(packet));
        }
        self.reconcile();
    }

    /// Their connection breaks: what is in flight is lost, both hear of it, and they connect again.
    pub fn reset(&mut self, a: NodeId, b: NodeId) {
        self.trace_text(a, None, "reset", &b);
        self.network.cut(a, b);
        self.reconcile();
    }

    /// Changes the weather.
    pub fn set_faults(&mut self, faults: Faults) {
        self.note(None, "weather", &faults);
        self.faults = faults;
    }

    /// The present weather.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// Of what is not synced, each part is kept by the toss of a coin; with 0, none is.
fn crash_disk(disk: &SimDisk, coins: u64) {
    match coins {
        0 => disk.crash_with(|_| false),
        seed => disk.crash(&mut Rng::new(seed)),
    }
}
