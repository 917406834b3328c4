//! Which steps commute, so that one order of two is enough: see [What is left out](super::super#what-is-left-out).

use ombak_base::NodeId;

use super::state::ClusterState;
use super::turn::{Out, Then};
use super::{Cluster, Explorable, History, What};

/// How far a step reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Farther than to one node, or into time, or into what is counted.
    Wide,
    /// To one node.
    Local {
        /// Which.
        node: NodeId,
        /// Whether a client sees it.
        told: bool,
    },
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// Of one way of a step that happens to a node.
    pub(super) fn scope_of(&self, what: &What<M>, node: NodeId, then: &Then<M>) -> Scope {
        match what {
            What::Deliver(_) | What::Sync(_) | What::Request(_) => {
                Scope::Local { node, told: self.tells(what, then) }
            }
            _ => Scope::Wide,
        }
    }

    /// Whether the history hears of it.
    fn tells(&self, what: &What<M>, then: &Then<M>) -> bool {
        let hears = size_of::<H>() > 0;
        let replies = || then.out.iter().any(|out| matches!(out, Out::Reply(..)));
        hears && (matches!(what, What::Request(_)) || replies())
    }

    /// Whether this step and the last one could have been taken the other way round, and will be.
    ///
    /// Both happen to one node each, and take no time. So neither changes what the other finds there, and each leaves its messages on
    /// links of its own. What may be in the way: a message that the last step has sent, or may have, and that both are heard
    /// of by clients, in an order that a history may remember. That nodes are alike is another thing: their numbers, by which the steps
    /// are ordered, mean nothing then.
    pub(super) fn comes_before_last(
        &self,
        state: &ClusterState<M, H>,
        what: &What<M>,
        node: NodeId,
        then: &Then<M>,
    ) -> bool {
        let Scope::Local { node: last, told } = state.last else { return false };
        let is_new = matches!(what, What::Deliver(at) if state.packet(*at).from == last);
        match self.scope_of(what, node, then) {
            Scope::Local { node, told: tells } => {
                node < last && !is_new && !(told && tells) && self.symmetry.is_none()
            }
            Scope::Wide => false,
        }
    }
}
