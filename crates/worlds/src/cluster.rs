//! A cluster for the simulator: how a node boots, exactly as the server does it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Address, DirectoryId, Epoch, NodeId, Partition, ShardId};
use ombak_cluster::{Hello, Topology, VERSION};
use ombak_node::{Boot, Bounds, Config, DeleteMode, Shard, founders};
use ombak_sim::{Booted, Rng, SimDisk, System};

use crate::history::REPLICAS;
use crate::storage::{Backend, StoreDevice, StoreWriter};

/// The size of a simulated cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Members.
    pub nodes: u32,
    /// Shards of each.
    pub shards: u16,
    /// Partitions.
    pub ring_size: u32,
}

impl Shape {
    /// Three to five nodes of one or two shards.
    pub fn random(rng: &mut Rng) -> Shape {
        Shape { nodes: rng.between(3, 5) as u32, shards: rng.between(1, 2) as u16, ring_size: 8 }
    }
}

/// Boots nodes.
pub struct Cluster {
    shape: Shape,
    topology: Topology,
    /// Nodes that boot under another epoch than the first.
    epochs: BTreeMap<NodeId, Epoch>,
    delete_mode: DeleteMode,
    bounds: Bounds,
    /// Whether nodes have a root group.
    root: bool,
    backend: Backend,
}

impl Cluster {
    /// A cluster of that shape.
    pub fn new(shape: Shape) -> Result<Cluster, String> {
        let names: Vec<String> = (0..shape.nodes).map(|node| format!("n{node}")).collect();
        let topology =
            Topology::fixed(&names, shape.ring_size).map_err(|error| error.to_string())?;
        let delete_mode = DeleteMode::Immediate;
        let (epochs, bounds) = (BTreeMap::new(), Bounds::default());
        let backend = Backend::default();
        Ok(Cluster { shape, topology, epochs, delete_mode, bounds, root: false, backend })
    }

    /// The same, with a root group.
    pub fn with_root(self) -> Cluster {
        Cluster { root: true, ..self }
    }

    /// The same, whose nodes keep their data in that backend.
    pub fn with_backend(self, backend: Backend) -> Cluster {
        Cluster { backend, ..self }
    }

    /// What shards have room for, in nodes that boot from now on.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// What becomes of tombstones, in nodes that boot from now on.
    pub fn set_delete_mode(&mut self, mode: DeleteMode) {
        self.delete_mode = mode;
    }

    /// What becomes of tombstones.
    pub fn delete_mode(&self) -> DeleteMode {
        self.delete_mode
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Who holds a partition's keys.
    pub fn primaries(&self, partition: Partition) -> &[NodeId] {
        self.topology.ring.primaries(partition, REPLICAS)
    }

    /// From its next boot on, `node` knows a topology of that version.
    pub fn set_epoch(&mut self, node: NodeId, epoch: Epoch) {
        self.epochs.insert(node, epoch);
    }

    fn topology_of(&self, node: NodeId) -> Topology {
        let epoch = self.epochs.get(&node).copied().unwrap_or(self.topology.epoch);
        Topology { epoch, ..self.topology.clone() }
    }
}

impl System for Cluster {
    type Machine = Shard;
    type Device = StoreDevice;
    type Writer = StoreWriter;

    fn boot(
        &mut self,
        node: NodeId,
        disk: &SimDisk,
        _: u64,
        rng: &mut Rng,
    ) -> Result<Booted<Cluster>, String> {
        let (mut devices, writer, recovered) = self.backend.open(disk, self.shape.shards)?;
        let damaged = recovered.incomplete();
        let props = Boot::read_props(&mut devices[0]);
        let topology = self.topology_of(node);
        let boot = rng.next_u64();
        // What the root group has stored counts: only an empty disk is another one.
        let directory = if self.root { rng.next_u64() } else { u64::from(node.0) };
        let shard = |(shard, mut device): (usize, StoreDevice)| {
            let config = Config {
                me: Address { node, shard: ShardId(shard as u16) },
                shards: self.shape.shards,
                topology: topology.clone(),
                boot,
                directory: DirectoryId(directory),
                delete_mode: self.delete_mode,
                root: self.root.then(|| founders(&topology)),
            };
            let mut found = Boot::read(&mut device, &config, &damaged);
            found.props.clone_from(&props);
            (Shard::new(config, found).bounded(self.bounds), device)
        };
        Ok(Booted { shards: devices.into_iter().enumerate().map(shard).collect(), writer })
    }

    fn hello(&self, node: NodeId, _: NodeId, machine: &Shard) -> Bytes {
        let hello = Hello {
            versions: (VERSION, VERSION),
            cluster: self.topology.cluster,
            node,
            directory: machine.config().directory,
            epoch: machine.config().topology.epoch,
            shard: ShardId(0),
            shards: self.shape.shards,
        };
        Bytes::from(hello.encode())
    }

    fn admit(&self, node: NodeId, _: NodeId, hello: &Bytes) -> bool {
        Hello::admit(hello, &self.topology, node).is_ok()
    }
}
