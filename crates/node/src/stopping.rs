//! What a shard does when its device has lost something, or when a property of the code does not hold in it and the host is one
//! that contains this.

use ombak_base::{Effects, Event, Now, Partition};
use ombak_kv::{Answer, RequestError};

use crate::registers::REGISTER_PARTITION;
use crate::root::ROOT_PARTITION;
use crate::shard::Shard;

/// What whoever waits for something that stopped is told.
pub(crate) const PROPERTY_BROKEN: &str = "a property of the code does not hold on this node, so it has stopped this vnode: its log says which; start it again";

pub(crate) fn broken_answer() -> Answer {
    Answer::Failed(RequestError::Storage(PROPERTY_BROKEN.into()))
}

impl Shard {
    /// The device has lost something of this partition. What the root group or a register has promised may be gone with it, so they
    /// take no part any more.
    pub(crate) fn device_damaged<E: Effects<Shard>>(
        &mut self,
        now: Now,
        of: Partition,
        fx: &mut E,
    ) {
        match of {
            ROOT_PARTITION => self.tell_root(now, Event::Damaged(of), fx),
            REGISTER_PARTITION => self.tell_registers(now, Event::Damaged(of), fx),
            _ => self.damaged(of, fx),
        }
    }

    /// A property broke in the middle of a step, whose state is as it was left. What it concerned stops, and whoever may
    /// wait for that step is told: clients here, and coordinators on other nodes, as after a link that broke.
    pub(crate) fn property_broke<E: Effects<Shard>>(
        &mut self,
        now: Now,
        of: Option<Partition>,
        fx: &mut E,
    ) {
        self.vnodes.stop(of);
        self.fail_ops(of, fx);
        if of.is_none_or(|partition| partition == ROOT_PARTITION) {
            self.tell_root(now, Event::Broken(of), fx);
        }
        if of.is_none_or(|partition| partition == REGISTER_PARTITION) {
            self.tell_registers(now, Event::Broken(of), fx);
        }
        self.peers.answers_lost();
        for node in self.config.topology.nodes() {
            self.greet(now, self.peers.shards_of(node), fx);
        }
    }
}
