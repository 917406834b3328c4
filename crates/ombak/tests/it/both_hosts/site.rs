//! How a node begins: the same for every host, and as the server does it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use ombak_aries::OsDisk;
use ombak_base::{Address, DirectoryId, Disk, NodeId, ShardId};
use ombak_cluster::{Hello, Topology, VERSION};
use ombak_node::{Boot, Config, DeleteMode, Shard, founders};
use ombak_paxos::Members;
use ombak_runtime::{Admitted, Handle, Handshake, Hosted, Limits, Running};
use ombak_store::log::{self, LogDevice, LogWriter};
use ombak_tape::Recorder;
use ombak_worlds::SMALL_STORE;

use crate::both_hosts::recorded::{Record, Recorded};
use crate::both_hosts::window::{Client, Window};

const RING_SIZE: u32 = 8;

/// Shards with their devices, and the writer of all of them.
pub type Opened<M, D> = (Vec<(M, LogDevice<D>)>, LogWriter<D>);

/// A member of a cluster, whether it runs or not.
pub struct Site {
    topology: Topology,
    me: NodeId,
    shards: u16,
    /// Who founds the root group, if there is one.
    root: Option<Members>,
    /// The records of its shards, from each of its starts.
    pub starts: Vec<Vec<Record>>,
}

impl Site {
    /// Member `me` of a cluster of so many.
    pub fn new(me: u32, nodes: u32, shards: u16) -> Site {
        let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
        let topology = Topology::fixed(&names, RING_SIZE).unwrap();
        Site { topology, me: NodeId(me), shards, root: None, starts: Vec::new() }
    }

    /// Of a cluster that has a root group.
    pub fn with_root(self) -> Site {
        let root = Some(founders(&self.topology));
        Site { root, ..self }
    }

    /// Starts it from what its disk holds, with everything written down.
    pub fn open<D: Disk>(&mut self, disk: D) -> Opened<Recorded, D> {
        let (shards, writer) = self.open_as_it_is(disk);
        let recorded = |(shard, device)| (Recorded::new(shard), device);
        let shards: Vec<_> = shards.into_iter().map(recorded).collect();
        self.starts.push(shards.iter().map(|(shard, _)| shard.record()).collect());
        (shards, writer)
    }

    /// Starts it from what its disk holds.
    pub fn open_as_it_is<D: Disk>(&self, disk: D) -> Opened<Shard, D> {
        let (mut devices, writer, recovered) = log::open(disk, self.shards, SMALL_STORE).unwrap();
        let props = Boot::read_props(&mut devices[0]);
        let (boot, damaged) = (self.starts.len() as u64 + 1, recovered.incomplete());
        let shard = |(shard, mut device): (usize, LogDevice<D>)| {
            let config = self.config(shard as u16, boot);
            let mut found = Boot::read(&mut device, &config, &damaged);
            found.props.clone_from(&props);
            (Shard::new(config, found), device)
        };
        (devices.into_iter().enumerate().map(shard).collect(), writer)
    }

    /// The records of the last start.
    pub fn records(&self) -> &[Record] {
        self.starts.last().unwrap()
    }

    pub fn address(&self, shard: u16) -> Address {
        Address { node: self.me, shard: ShardId(shard) }
    }

    fn config(&self, shard: u16, boot: u64) -> Config {
        Config {
            me: self.address(shard),
            shards: self.shards,
            topology: self.topology.clone(),
            boot,
            directory: DirectoryId(u64::from(self.me.0)),
            delete_mode: DeleteMode::Immediate,
            root: self.root.clone(),
        }
    }
}

/// A node on threads and sockets of its own.
pub struct Node<M: Hosted> {
    running: Running<M>,
    window: Window<M>,
    face: SocketAddr,
}

/// Where the nodes of a cluster listen for each other.
pub type Peers<'a> = &'a [(NodeId, SocketAddr)];

impl<M: Hosted> Node<M> {
    pub fn start(
        site: &Site,
        (shards, writer): (Vec<(M, LogDevice<OsDisk>)>, LogWriter<OsDisk>),
        window: Window<M>,
        peers: Peers<'_>,
        peer_listener: Option<TcpListener>,
        recorders: Vec<Box<dyn Recorder<M>>>,
    ) -> Node<M> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let face = listener.local_addr().unwrap();
        let greeter = Greeter { topology: site.topology.clone(), me: site.me, shards: site.shards };
        let config = ombak_runtime::Config {
            node: site.me,
            peers: peers.iter().filter(|(node, _)| *node != site.me).copied().collect(),
            peer_listener,
            face_listeners: vec![(listener, window.clone())],
            handshake: Arc::new(greeter),
            limits: Limits::default(),
        };
        let boot = ombak_runtime::Boot { shards, writer, errands: None, recorders };
        Node { running: ombak_runtime::start(config, boot).unwrap(), window, face }
    }

    pub fn client(&self) -> Client<M> {
        Client::connect(self.face, &self.window)
    }

    pub fn handle(&self) -> Handle<M> {
        self.running.handle()
    }

    pub fn stop(self) {
        self.running.stop().unwrap();
    }
}

/// Says and admits what the server's handshake does.
struct Greeter {
    topology: Topology,
    me: NodeId,
    shards: u16,
}

impl Handshake for Greeter {
    fn hello(&self, shard: ShardId) -> Vec<u8> {
        let hello = Hello {
            versions: (VERSION, VERSION),
            cluster: self.topology.cluster,
            node: self.me,
            directory: DirectoryId(u64::from(self.me.0)),
            epoch: self.topology.epoch,
            shard,
            shards: self.shards,
        };
        hello.encode()
    }

    fn admit(&self, hello: &[u8]) -> Result<Admitted, String> {
        let hello = Hello::admit(hello, &self.topology, self.me);
        let hello = hello.map_err(|error| error.to_string())?;
        Ok(Admitted { node: hello.node, shard: hello.shard, shards: hello.shards })
    }
}
