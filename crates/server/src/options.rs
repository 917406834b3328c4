//! What a node is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use ombak_node::DeleteMode;

use ombak_base::limits::SHARDS_MAX;

/// The name that Riak's nodes have unless they are given one, and that its clients' tests expect.
pub const DEFAULT_NAME: &str = "riak@127.0.0.1";
/// Riak's.
pub const DEFAULT_RING_SIZE: u32 = 64;
/// The longest node name, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Where data is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// In memory, for as long as the process.
    Memory,
    /// In files behind a commit log.
    #[default]
    Log,
    /// In a tree of pages behind a log: keys may outgrow memory.
    Btree,
}

/// Everything that an operator chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory. May be `None` with [`Backend::Memory`] alone.
    pub dir: Option<PathBuf>,
    /// This node's name.
    pub name: String,
    /// The cluster's name; empty for none. Nodes of clusters with different names refuse each other.
    pub cluster: String,
    /// All members of the cluster with their peer addresses. This node may be among them or not.
    pub members: Vec<(String, SocketAddr)>,
    /// Where other members connect. Not bound by a node that is alone.
    pub peer_addr: SocketAddr,
    /// Where Protocol Buffers clients connect.
    pub pb_addr: SocketAddr,
    /// Where HTTP clients connect.
    pub http_addr: SocketAddr,
    /// The Unix socket for programs of the same user; `None`: in `dir`, if there is one.
    pub socket: Option<PathBuf>,
    /// Partitions: a power of two, the same on all members, for the life of the data.
    pub ring_size: u32,
    /// What becomes of tombstones; the same on all members.
    pub delete_mode: DeleteMode,
    /// Where data is kept.
    pub backend: Backend,
    /// Event loops; `None`: one per core, and no more than there are partitions.
    pub shards: Option<u16>,
    /// The bounds of the runtime.
    pub limits: ombak_runtime::Limits,
    /// So many bytes of what passes between machines and host are kept in memory, for all shards; 0: nothing is.
    pub record_bytes: usize,
    /// How the log backend uses disk and memory.
    pub log: ombak_store::log::Options,
    /// How the btree backend does.
    pub btree: ombak_store::btree::BtreeOptions,
}

impl Default for Options {
    /// A node alone, on Riak's ports of this machine. Only `dir` is missing.
    fn default() -> Options {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Options {
            dir: None,
            name: DEFAULT_NAME.into(),
            cluster: String::new(),
            members: Vec::new(),
            peer_addr: local(8099),
            pb_addr: local(8087),
            http_addr: local(8098),
            socket: None,
            ring_size: DEFAULT_RING_SIZE,
            delete_mode: DeleteMode::default(),
            backend: Backend::default(),
            shards: None,
            limits: ombak_runtime::Limits::default(),
            record_bytes: 0,
            log: ombak_store::log::Options::default(),
            btree: ombak_store::btree::BtreeOptions::default(),
        }
    }
}

impl Options {
    /// The names of all members, this node's among them.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.members.iter().map(|(name, _)| name.clone()).collect();
        if !names.contains(&self.name) {
            names.push(self.name.clone());
        }
        names
    }

    /// Whether there is nobody else.
    pub(crate) fn is_alone(&self) -> bool {
        self.members.iter().all(|(name, _)| *name == self.name)
    }

    pub(crate) fn shard_count(&self) -> u16 {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let wanted = self.shards.map_or_else(cores, usize::from);
        wanted.clamp(1, usize::from(SHARDS_MAX)).min(self.ring_size.max(1) as usize) as u16
    }
}
