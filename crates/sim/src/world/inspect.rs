//! Looking at a world from outside.

use std::collections::BTreeMap;

use ombak_base::{Machine, NodeId, ShardId};

use super::{System, World};
use crate::{Decisions, SimDisk, Trace};

/// Looking at it.
impl<S: System> World<S> {
    /// All nodes, up or down.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<S> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Whether the node has a process, paused or not.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].process.is_some()
    }

    /// Whether the node runs with storage that has failed.
    pub fn is_failed(&self, node: NodeId) -> bool {
        let process = self.nodes[node.0 as usize].process.as_ref();
        process.is_some_and(|process| process.is_failed)
    }

    /// Whether `node` sees a connection to `peer`.
    pub fn is_connected(&self, node: NodeId, peer: NodeId) -> bool {
        let process = self.nodes[node.0 as usize].process.as_ref();
        process.is_some_and(|process| process.peers.contains_key(&peer))
    }

    /// The node's disk, for faults, damage and looking at it.
    pub fn disk(&self, node: NodeId) -> &SimDisk {
        &self.nodes[node.0 as usize].disk
    }

    /// A shard's machine; `None` when the node is down or has no such shard.
    pub fn machine(&self, node: NodeId, shard: ShardId) -> Option<&S::Machine> {
        let process = self.nodes[node.0 as usize].process.as_ref()?;
        process.shards.get(usize::from(shard.0)).map(|shard| &shard.machine)
    }

    /// A shard's storage, to see what is stored; `None` as for [`machine`](World::machine). What is stored or taken
    /// through it is hidden from the machine.
    pub fn device_mut(&mut self, node: NodeId, shard: ShardId) -> Option<&mut S::Device> {
        self.shard(node, shard).map(|shard| &mut shard.device)
    }

    /// What was given to [`new`](World::new).
    pub fn system(&self) -> &S {
        &self.system
    }

    /// The same, to change how later boots go.
    pub fn system_mut(&mut self) -> &mut S {
        &mut self.system
    }

    /// How often each [`probe`](ombak_base::Effects::probe) was reached.
    pub fn probes(&self) -> &BTreeMap<&'static str, u64> {
        &self.probes
    }

    /// Asks every machine whether what had to come about has: [`check_at_rest`](ombak_base::Machine::check_at_rest). For
    /// when nothing goes wrong, nobody asks, and there has been time enough. Panics if it has not.
    pub fn check_at_rest(&self) {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let hosts = processes.flat_map(|process| &process.shards);
        hosts.for_each(|host| Machine::check_at_rest(&host.machine));
    }

    /// The decisions that were not what happens when nothing goes wrong, if they were [recorded](World::record).
    pub fn decisions(&self) -> Decisions {
        self.chances.recorded()
    }

    /// The decisions that are [followed](World::follow) and that nothing has come to.
    pub fn left_over(&self) -> Decisions {
        self.chances.left_over()
    }

    /// How many events machines were given.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The seed that gives this run again.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Fingerprint of what happened: equal for equal seeds, scripts and machines, in every process.
    pub fn trace_hash(&self) -> u128 {
        self.trace.hash()
    }

    /// Prints nothing should the test panic: it is run to see whether it does.
    pub fn keep_quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Keeps the last `max` entries of the trace as text, and prints them should the test panic.
    pub fn keep_lines(&mut self, max: usize) {
        self.trace.keep_lines(max);
    }
}
