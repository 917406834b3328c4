//! Starting a node and stopping it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ombak_aries::OsDisk;
use ombak_base::{Address, DirectoryId, NodeId, Partition, ShardId};
use ombak_cluster::Topology;
use ombak_node::{DeleteMode, Reply, Request, Shard, founders};
use ombak_runtime::{Boot, Config, ErrandList, Running, RuntimeError, Stopper};
use ombak_store::StoreWriter;
use ombak_store::log::Recovered;
use ombak_tape::Recorder;

use crate::directory::{Directory, Identity};
use crate::http::{ALL_BODIES_BYTES_MAX, HttpThread, Site};
use crate::listeners::Addresses;
use crate::metrics::NodeFacts;
use crate::options::NAME_BYTES_MAX;
use crate::pb::PbFace;
use crate::peer::PeerHandshake;
use crate::random::random_u64;
use crate::snapshots::Snapshots;
use crate::socket::Socket;
use crate::storage::Storage;
use crate::tapes::Tapes;
use crate::{Backend, Listeners, Options, StartError};

/// How long a node that is alone is waited for: it has its own disk to wait for, and nobody else.
const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(1);

/// A node that runs. Dropping it stops it.
pub struct Node {
    // Fields are dropped in this order: the directory is given back last.
    http: HttpThread,
    running: Running<Shard>,
    addresses: Addresses,
    shards: u16,
    _directory: Option<Directory>,
}

impl Node {
    /// Binds the ports, opens the data directory, and starts. Logs what was found damaged.
    pub fn start(options: Options) -> Result<Node, StartError> {
        check_names(&options)?;
        let listeners = Listeners::bind(&options)?;
        Node::start_on(options, listeners)
    }

    /// As `start`, on ports that are bound already; the addresses in `options` are not looked at.
    pub fn start_on(options: Options, listeners: Listeners) -> Result<Node, StartError> {
        check_names(&options)?;
        let addresses = listeners.addresses().map_err(StartError::Http)?;
        let topology =
            Topology::fixed(&options.names(), options.ring_size)?.named(&options.cluster);
        let me = topology.node(&options.name).ok_or(StartError::Name(options.name.clone()))?;
        let directory = options.dir.as_deref().map(Directory::open).transpose()?;
        let id = directory_id(&options, &topology, directory.as_ref())?;
        let socket = Socket::bind(&options)?;
        let shards = options.shard_count();
        let storage = Storage::open(&options, directory.as_ref(), shards)?;
        let boot = random_u64()?;
        let delete_mode = options.delete_mode;
        let place = Place { topology: Arc::new(topology), me, id, shards, boot, delete_mode };
        let Listeners { peer, pb, http } = listeners;
        let face = PbFace::new(place.topology.clone(), me);
        let recovered = storage.recovered.clone();
        let (errands, list) = ombak_runtime::errands();
        let snapshots = Snapshots::new(directory.as_ref(), errands)?;
        let (tapes, recorders) = Tapes::new(&options.name, place.addresses(), options.record_bytes);
        let boot = Booting { errands: list, recorders };
        let running = place.run(&options, storage, peer, vec![(pb, face)], boot)?;
        let disk = directory.as_ref().map(Directory::disk);
        let kept = Kept { disk, recovered, snapshots, tapes };
        let site = site(&options, &place, &running, kept);
        let http =
            HttpThread::start(http, socket, site, running.stopper()).map_err(StartError::Http)?;
        tracing::info!(node = options.name, pb = %addresses.pb, http = %addresses.http, shards, "the node is up");
        let node = Node { http, running, addresses, shards, _directory: directory };
        // Others may have to be started first, and by the same caller.
        if options.is_alone() && !node.wait_ready(READY_WITHIN) {
            tracing::warn!("not every vnode can name writes yet");
        }
        Ok(node)
    }

    /// Waits until every vnode of this node can name writes: its record is synced, and in a cluster the others have
    /// been heard or given up. A write that comes earlier may fail with `all_nodes_down`. `false`: not within the time.
    pub fn wait_ready(&self, within: Duration) -> bool {
        let (handle, deadline) = (self.running.handle(), Instant::now() + within);
        let is_ready = |shard| {
            let left = deadline.saturating_duration_since(Instant::now());
            match handle.call(ShardId(shard), Request::Status, left) {
                Ok(Reply::Status(status)) => {
                    status.vnodes.iter().all(|vnode| vnode.ready || vnode.stopped)
                }
                _ => false,
            }
        };
        while !(0..self.shards).all(is_ready) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(READY_PAUSE);
        }
        true
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// For a signal handler's thread: after its `stop`, [`wait`](Node::wait) returns.
    pub fn stopper(&self) -> Stopper {
        self.running.stopper()
    }

    /// What the runtime counts.
    pub fn counters(&self) -> ombak_runtime::Counters {
        self.running.counters()
    }

    /// Speaks to the shards from this process.
    pub fn handle(&self) -> ombak_runtime::Handle<Shard> {
        self.running.handle()
    }

    /// Stops, and waits until every thread has ended. What was taken and not synced is synced.
    pub fn stop(self) -> Result<(), RuntimeError> {
        self.running.stopper().stop();
        self.wait()
    }

    /// Waits until the node ends: because it was told to stop, or because a thread failed, which is the error.
    pub fn wait(self) -> Result<(), RuntimeError> {
        let Node { http, running, _directory, .. } = self;
        let ended = running.join();
        http.end().and(ended)
    }
}

/// Who and where a node is.
struct Place {
    topology: Arc<Topology>,
    me: NodeId,
    id: DirectoryId,
    shards: u16,
    boot: u64,
    delete_mode: DeleteMode,
}

/// What a node's threads are given beside their work.
struct Booting {
    errands: ErrandList<StoreWriter<OsDisk>>,
    recorders: Vec<Box<dyn Recorder<Shard>>>,
}

impl Place {
    fn addresses(&self) -> impl ExactSizeIterator<Item = Address> {
        let node = self.me;
        (0..self.shards).map(move |shard| Address { node, shard: ShardId(shard) })
    }

    fn shard_config(&self, shard: u16) -> ombak_node::Config {
        ombak_node::Config {
            me: Address { node: self.me, shard: ShardId(shard) },
            shards: self.shards,
            topology: (*self.topology).clone(),
            boot: self.boot,
            directory: self.id,
            delete_mode: self.delete_mode,
            root: Some(founders(&self.topology)),
        }
    }

    fn run(
        &self,
        options: &Options,
        storage: Storage,
        peer_listener: Option<std::net::TcpListener>,
        face_listeners: Vec<(std::net::TcpListener, PbFace)>,
        boot: Booting,
    ) -> Result<Running<Shard>, StartError> {
        let (shards, writer) = storage.shards(|shard| self.shard_config(shard));
        let peer = |(name, addr): &(String, _)| Some((self.topology.node(name)?, *addr));
        let peers = options.members.iter().filter_map(peer).filter(|(node, _)| *node != self.me);
        let handshake = PeerHandshake {
            topology: (*self.topology).clone(),
            me: self.me,
            directory: self.id,
            shards: self.shards,
        };
        let config = Config {
            node: self.me,
            peers: peers.collect(),
            peer_listener,
            face_listeners,
            handshake: Arc::new(handshake),
            limits: options.limits.clone(),
        };
        let Booting { errands, recorders } = boot;
        let boot = Boot { shards, writer, errands: Some(errands), recorders };
        Ok(ombak_runtime::start(config, boot)?)
    }
}

/// What a node has to show of its data.
struct Kept {
    disk: Option<OsDisk>,
    recovered: Recovered,
    snapshots: Snapshots,
    tapes: Tapes,
}

fn site(options: &Options, place: &Place, running: &Running<Shard>, kept: Kept) -> Site {
    let Kept { disk, recovered, snapshots, tapes } = kept;
    Site {
        handle: running.handle(),
        topology: place.topology.clone(),
        me: place.me,
        shards: place.shards,
        backend: options.backend,
        snapshots,
        tapes,
        disk,
        recovered,
        patience: Duration::from_millis(options.limits.unfinished_ms),
        gauges: running.gauges(),
        window: Mutex::default(),
        start: Instant::now(),
        facts: facts(options, place),
        body_room: Arc::new(tokio::sync::Semaphore::new(ALL_BODIES_BYTES_MAX)),
    }
}

/// What a node's numbers say of it that does not change.
fn facts(options: &Options, place: &Place) -> NodeFacts {
    let topology = &place.topology;
    let ring = &topology.ring;
    let mut first_of = vec![0; topology.members.len()];
    for partition in (0..ring.size()).map(Partition) {
        if let Some(node) = ring.row(partition).first()
            && let Some(count) = first_of.get_mut(node.0 as usize)
        {
            *count += 1;
        }
    }
    NodeFacts {
        name: options.name.clone(),
        members: topology.members.iter().map(|member| member.name.clone()).collect(),
        ring_size: ring.size(),
        epoch: topology.epoch.0,
        first_of,
        vnodes: ring.partitions_of(place.me).count(),
        backend: match options.backend {
            Backend::Memory => "riak_kv_memory_backend",
            Backend::Log => "ombak_log_backend",
            Backend::Btree => "ombak_btree_backend",
        },
        dir: options.dir.clone(),
    }
}

/// Who the data is: the directory's id, or a new one for data that does not outlive the process.
fn directory_id(
    options: &Options,
    topology: &Topology,
    directory: Option<&Directory>,
) -> Result<DirectoryId, StartError> {
    let fresh = DirectoryId(random_u64()?);
    let Some(directory) = directory else { return Ok(fresh) };
    let wanted = Identity {
        node: options.name.clone(),
        ring_size: options.ring_size,
        cluster: topology.cluster,
        members: topology.members.iter().map(|member| member.name.clone()).collect(),
        directory: fresh,
    };
    let found = directory.identify(wanted)?;
    Ok(if options.backend == crate::Backend::Memory { fresh } else { found.directory })
}

fn check_names(options: &Options) -> Result<(), StartError> {
    let mut seen = std::collections::BTreeSet::new();
    let members = options.members.iter().map(|(name, _)| name);
    for name in members.clone().chain([&options.name]) {
        let plain = |c: char| c.is_ascii_graphic() && !"\"'\\,=".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            return Err(StartError::Name(name.clone()));
        }
    }
    match members.clone().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(StartError::Twice(twice.clone())),
        None => Ok(()),
    }
}
