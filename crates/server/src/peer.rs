//! Who may be a peer: the cluster's handshake, as the runtime asks for it.

use ombak_base::{DirectoryId, NodeId, ShardId};
use ombak_cluster::{Hello, Topology, VERSION};
use ombak_runtime::{Admitted, Handshake};

/// What this node says of itself, and whom it lets in.
pub(crate) struct PeerHandshake {
    pub topology: Topology,
    pub me: NodeId,
    pub directory: DirectoryId,
    pub shards: u16,
}

impl Handshake for PeerHandshake {
    fn hello(&self, shard: ShardId) -> Vec<u8> {
        let hello = Hello {
            versions: (VERSION, VERSION),
            cluster: self.topology.cluster,
            node: self.me,
            directory: self.directory,
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
