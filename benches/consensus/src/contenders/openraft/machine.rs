//! openraft's state machine: the tally, and snapshots of nothing, which let the log be purged.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use openraft::storage::RaftStateMachine;
use openraft::{
    Entry, EntryPayload, LogId, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError,
    StorageIOError, StoredMembership,
};

use super::Types;
use crate::tally::Tally;

type Result<T> = std::result::Result<T, StorageError<u64>>;
type Members = StoredMembership<u64, openraft::BasicNode>;
type Meta = SnapshotMeta<u64, openraft::BasicNode>;

pub struct Machine {
    tally: Arc<Mutex<Tally>>,
    applied: Option<LogId<u64>>,
    members: Members,
}

/// Makes the snapshot of a moment.
pub struct Builder(Meta);

impl Machine {
    pub fn new(tally: Arc<Mutex<Tally>>) -> Machine {
        Machine { tally, applied: None, members: Members::default() }
    }

    fn meta(&self) -> Meta {
        let snapshot_id = self.applied.map_or_else(String::new, |last| last.index.to_string());
        Meta { last_log_id: self.applied, last_membership: self.members.clone(), snapshot_id }
    }
}

fn snapshot(meta: Meta) -> Snapshot<Types> {
    Snapshot { meta, snapshot: Box::new(Cursor::new(Vec::new())) }
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>> {
        Ok(snapshot(self.0.clone()))
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId<u64>>, Members)> {
        Ok((self.applied, self.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut tally = self.tally.lock().expect("nobody panicked");
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Normal(command) if !command.is_empty() => tally.apply(&command),
                EntryPayload::Membership(members) => {
                    self.members = Members::new(self.applied, members);
                }
                _ => {}
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.meta())
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>> {
        Err(unexpected())
    }

    async fn install_snapshot(&mut self, _: &Meta, _: Box<Cursor<Vec<u8>>>) -> Result<()> {
        Err(unexpected())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// Nobody is ever so far behind that a snapshot would be sent.
fn unexpected() -> StorageError<u64> {
    StorageIOError::read_snapshot(None, openraft::AnyError::error("a snapshot was sent")).into()
}
