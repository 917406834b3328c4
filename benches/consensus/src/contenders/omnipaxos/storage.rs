//! OmniPaxos' storage in memory, which also appends what must survive to the journal. What is decided and what was
//! trimmed is not written: it can be found again.

use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use omnipaxos_storage::memory_storage::MemoryStorage;

use super::Command;
use crate::journal::Journal;

pub struct Kept {
    memory: MemoryStorage<Command>,
    journal: Journal,
}

impl Kept {
    pub fn new(journal: Journal) -> Kept {
        Kept { memory: MemoryStorage::default(), journal }
    }

    fn write_entries(&self, from: usize, entries: &[Command]) {
        self.journal.append_entries(from as u64, entries.iter().map(|entry| &entry.0[..]));
    }

    fn write_ballot(&self, ballot: Ballot) {
        self.journal.append(&[&ballot.n.to_le_bytes(), &ballot.pid.to_le_bytes()]);
    }

    fn write(&self, op: &StorageOp<Command>) {
        match op {
            StorageOp::AppendEntry(entry) => self.write_entries(0, std::slice::from_ref(entry)),
            StorageOp::AppendEntries(entries) => self.write_entries(0, entries),
            StorageOp::AppendOnPrefix(from, entries) => self.write_entries(*from, entries),
            StorageOp::SetPromise(ballot) | StorageOp::SetAcceptedRound(ballot) => {
                self.write_ballot(*ballot);
            }
            _ => {}
        }
    }
}

impl Storage<Command> for Kept {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Command>>) -> StorageResult<()> {
        ops.iter().for_each(|op| self.write(op));
        self.memory.write_atomically(ops)
    }

    fn append_entry(&mut self, entry: Command) -> StorageResult<()> {
        self.write_entries(0, std::slice::from_ref(&entry));
        self.memory.append_entry(entry)
    }

    fn append_entries(&mut self, entries: Vec<Command>) -> StorageResult<()> {
        self.write_entries(0, &entries);
        self.memory.append_entries(entries)
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<Command>) -> StorageResult<()> {
        self.write_entries(from, &entries);
        self.memory.append_on_prefix(from, entries)
    }

    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.write_ballot(ballot);
        self.memory.set_promise(ballot)
    }

    fn set_decided_idx(&mut self, decided: usize) -> StorageResult<()> {
        self.memory.set_decided_idx(decided)
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        self.memory.get_decided_idx()
    }

    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.write_ballot(ballot);
        self.memory.set_accepted_round(ballot)
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        self.memory.get_accepted_round()
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Command>> {
        self.memory.get_entries(from, to)
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        self.memory.get_log_len()
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Command>> {
        self.memory.get_suffix(from)
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        self.memory.get_promise()
    }

    fn set_stopsign(&mut self, sign: Option<StopSign>) -> StorageResult<()> {
        self.memory.set_stopsign(sign)
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        self.memory.get_stopsign()
    }

    fn trim(&mut self, through: usize) -> StorageResult<()> {
        self.memory.trim(through)
    }

    fn set_compacted_idx(&mut self, through: usize) -> StorageResult<()> {
        self.memory.set_compacted_idx(through)
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        self.memory.get_compacted_idx()
    }

    fn set_snapshot(&mut self, snapshot: Option<NoSnapshot>) -> StorageResult<()> {
        self.memory.set_snapshot(snapshot)
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        self.memory.get_snapshot()
    }
}
