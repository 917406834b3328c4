//! Nodes that change the same register at the same time, and how they stop being in each other's way.
//!
//! Two proposers can refuse each other for ever; who holds a register ([`Hold`](super::Hold)) and goes on changing it has one round
//! trip where all others have two, and would leave them no gap. So of two that meet, one *gives way*: it passes on to the other what
//! its clients ask, and that does it in the order in which it came, one round trip each. Who gives way is said by an order of the
//! nodes that is another one for each register ([`place`]): what is passed on comes to an end, and no node has all the work.
//! Nobody gives way with something that may be chosen already. That ends only by being tried again.
//!
//! Nothing depends on it: each node may propose at any time, and who finds the other gone, or nobody else's changes for a while, does.

use bytes::Bytes;
use ombak_base::{Effects, FNV_START, NodeId, fnv1a};
use serde::{Deserialize, Serialize};

use super::super::Outcome;
use super::{RegisterAsk, RegisterReply, RegisterRequest, RegisterServer};

/// So many registers are remembered to be another's.
const RIVALS_MAX: usize = 4096;
/// Who has made so many changes after each other through a rival tries again to make them itself.
const ALONE: u32 = 8;

/// A node that others give way to, for one register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Rival {
    pub node: NodeId,
    /// What it has last told this one of.
    version: u64,
    /// So many changes before that were this node's as well.
    alone: u32,
}

impl RegisterServer {
    /// This one has a higher ballot.
    pub(super) fn note_rival(&mut self, key: &Bytes, node: NodeId) {
        if place(key, node) >= place(key, self.setup.id) {
            return;
        }
        if self.rivals.len() >= RIVALS_MAX {
            self.rivals.pop_first(); // Any of them: it is refused once more.
        }
        self.rivals.insert(key.clone(), Rival { node, version: 0, alone: 0 });
    }

    /// Passes it on, if somebody is known whom it is in the way of.
    pub(super) fn gives_way<E: Effects<Self>>(&mut self, number: u128, fx: &mut E) -> bool {
        let Some(running) = self.running.get(&number) else { return false };
        let Some(rival) = self.rivals.get(&running.key) else { return false };
        let to = rival.node;
        let is_seat = self.setup.seats.members().contains(&to);
        let looks_first = running.operation.is_read() && running.tries == 0;
        let can_go = is_seat && self.up.contains(&to) && !running.stays;
        if running.operation.is_proposed() || looks_first || !can_go {
            return false;
        }
        let Some(running) = self.remove(number) else { return false };
        let ask = RegisterAsk { key: running.key, wish: running.operation.wish };
        let asked = (number, running.asker);
        self.pass_on(asked, RegisterRequest::One(ask), to, running.until, fx);
        fx.probe("paxos: a register's operation gives way");
        true
    }

    /// What was passed on has ended so. Who is alone with a register does not give way any more.
    pub(super) fn note_passed(&mut self, key: &Bytes, is_read: bool, reply: &RegisterReply) {
        let Some(rival) = self.rivals.get_mut(key) else { return };
        match reply {
            RegisterReply::Answer(Outcome::Done(value)) if !is_read => {
                let is_next = value.version == rival.version + 1;
                rival.alone = if is_next { rival.alone + 1 } else { 0 };
                rival.version = value.version;
            }
            RegisterReply::Failed(_) => rival.alone = ALONE,
            _ => {}
        }
        if rival.alone >= ALONE {
            self.rivals.remove(key);
        }
    }
}

/// Where a node comes in the order of a register, the same on all nodes.
fn place(key: &[u8], node: NodeId) -> (u64, NodeId) {
    (fnv1a(fnv1a(FNV_START, key), &node.0.to_le_bytes()), node)
}
