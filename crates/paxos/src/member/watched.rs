//! What replicas apply, for whoever composed the member and has clients that wait for what others do.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Group;
use crate::log::Slot;

/// Bytes of what was applied that wait to be taken, each answer with what it takes besides. A step that brings more brings too much to
/// be told one by one.
pub const APPLIED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What happened to the state of a group.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Applied {
    /// A command was applied, whoever asked for it.
    Command {
        /// Where it stands in the log, maybe with others.
        slot: Slot,
        /// What the state machine said.
        answer: Bytes,
    },
    /// The state is that after this slot, and more is not told of what led to it.
    Restored {
        /// After this one.
        slot: Slot,
    },
}

/// What was applied and is not taken yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watched {
    applied: Vec<(Group, Applied)>,
    bytes: usize,
}

impl Watched {
    pub fn command(&mut self, group: Group, slot: Slot, answer: &Bytes) {
        self.bytes = self.bytes.saturating_add(answer.len() + size_of::<Applied>());
        match self.bytes > APPLIED_BYTES_MAX {
            true => self.restored(group, slot),
            false => {
                self.applied.push((group, Applied::Command { slot, answer: answer.clone() }));
            }
        }
    }

    /// What was told before says nothing any more about a state that is another one.
    pub fn restored(&mut self, group: Group, slot: Slot) {
        self.applied.retain(|(of, _)| *of != group);
        self.applied.push((group, Applied::Restored { slot }));
    }

    pub fn take(&mut self) -> Vec<(Group, Applied)> {
        std::mem::take(self).applied
    }

    #[cfg(test)]
    pub fn applied(&self) -> &[(Group, Applied)] {
        &self.applied
    }
}
