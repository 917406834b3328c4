//! Steps under names that can be written down: what else is under way does not change them.

use ombak_base::{ClientId, Machine, NodeId};

use super::state::ClusterState;
use super::{Cluster, Explorable, History, What};

/// What can happen, by name. Of the messages from one node to another, and of the news of their connection, it is the first
/// that arrives next, so that the two are name enough.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Named {
    /// What comes first from one to the other arrives.
    Arrive(NodeId, NodeId),
    /// It arrives, and will arrive again.
    Repeat(NodeId, NodeId),
    /// It is lost.
    Drop(NodeId, NodeId),
    /// A client asks.
    Ask(ClientId),
    /// A timer fires: that which shows as this text.
    Fire(NodeId, String),
    /// What a node has stored is durable.
    Sync(NodeId),
    /// A node dies.
    Crash(NodeId),
    /// A dead node is started.
    Start(NodeId),
    /// The connection between two nodes breaks, and there is another.
    Reset(NodeId, NodeId),
}

/// One step of a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Step {
    /// What happens.
    pub what: Named,
    /// What `choose` answers in it, where there is a choice.
    pub choices: Vec<u64>,
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    pub(super) fn name_of(&self, state: &ClusterState<M, H>, what: &What<M>) -> Named {
        let link = |at: &usize| (state.packet(*at).from, state.packet(*at).to);
        let on = |at, named: fn(NodeId, NodeId) -> Named| {
            let (from, to) = link(at);
            named(from, to)
        };
        match what {
            What::Deliver(at) => on(at, Named::Arrive),
            What::Duplicate(at) => on(at, Named::Repeat),
            What::Drop(at) => on(at, Named::Drop),
            What::Request(client) => Named::Ask(*client),
            What::Timer(node, timer) => Named::Fire(*node, timer_name::<M>(timer)),
            What::Sync(node) => Named::Sync(*node),
            What::Crash(node) => Named::Crash(*node),
            What::Restart(node) => Named::Start(*node),
            What::Reset(a, b) => Named::Reset(*a, *b),
        }
    }
}

/// Blanks are single, so that it can be a part of a line.
fn timer_name<M: Machine>(timer: &M::Timer) -> String {
    format!("{timer:?}").split_whitespace().collect::<Vec<_>>().join(" ")
}
