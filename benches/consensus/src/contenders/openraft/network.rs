//! openraft's network: the other node's method is called.

use openraft::error::{
    Infallible, InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};

use super::{Nodes, Raft, Types};

type Failure<E = Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

pub struct Network {
    nodes: Nodes,
}

impl Network {
    pub fn new(nodes: Nodes) -> Network {
        Network { nodes }
    }
}

/// The way to one node.
pub struct Way {
    nodes: Nodes,
    target: u64,
    /// Once it is there.
    raft: Option<Raft>,
}

impl Way {
    fn raft(&mut self) -> Result<Raft, Unreachable> {
        if self.raft.is_none() {
            self.raft = self.nodes.lock().expect("nobody panicked").get(&self.target).cloned();
        }
        let absent = || Unreachable::new(&AnyError::error("it has not begun"));
        self.raft.clone().ok_or_else(absent)
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Way {
        Way { nodes: self.nodes.clone(), target, raft: None }
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        let answer = self.raft()?.append_entries(request).await;
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<InstallSnapshotError>> {
        let answer = self.raft()?.install_snapshot(request).await;
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failure> {
        let answer = self.raft()?.vote(request).await;
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }
}
