//! Groups under the simulator and the explorer, with a state machine that shows whatever goes wrong.

mod disks;
mod explored;
mod explored_lease;
mod flexible;
mod group;
mod latency;
mod leases;
mod planted;
mod pressure;
mod scenarios;
mod script;
mod seeds;
mod sessions;
mod wire;
mod witnesses;

pub(crate) use explored::is_asked_for_all;
pub(crate) use seeds::asked_for as seeds_asked_for;

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_varint};

use super::{Slot, StateMachine};

/// A list of all that was ever applied. Nothing about a log can go wrong without being seen here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Journal {
    pub lines: Vec<u64>,
    /// Bytes that came with the lines and make snapshots large.
    pub padding: usize,
}

impl StateMachine for Journal {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        self.lines.push(number(command));
        self.padding += command.len().saturating_sub(8);
        Bytes::copy_from_slice(&(self.lines.len() as u64).to_le_bytes())
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        let mut out = Vec::new();
        self.lines.iter().for_each(|line| put_varint(&mut out, *line));
        out.resize(out.len() + self.padding, 0);
        Bytes::from(out)
    }

    fn restore(snapshot: Bytes) -> Result<Journal, DecodeError> {
        let end = snapshot.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let padding = snapshot.len() - end;
        let mut reader = Reader::new(snapshot.slice(..end));
        let mut lines = Vec::new();
        while reader.remaining() > 0 {
            lines.push(reader.varint()?);
        }
        Ok(Journal { lines, padding })
    }
}

pub fn command(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

pub fn number(command: &Bytes) -> u64 {
    command.first_chunk().map_or(u64::MAX, |number| u64::from_le_bytes(*number))
}
