//! What each engine is made to do. A [`Job`] is one run of one workload on one engine, in a process of its own, so
//! that what the system counts belongs to that run.

mod acknowledge;
mod bytes;
mod durable;
mod larger;
mod memory;
mod scan;
mod tables;
mod threads;

pub use acknowledge::ACKNOWLEDGEMENT_BYTES;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::engines::{Engine, Kind, Setup};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub work: Work,
    pub engine: Kind,
    /// An existing directory: empty, or as an earlier run left it.
    pub dir: PathBuf,
    pub threads: usize,
    /// Rows that are there before anything is measured.
    pub rows: u64,
    /// How long each phase takes.
    pub seconds: f64,
    /// Durable transactions of `Work::Bytes`.
    pub transactions: u64,
    /// Rows that are put in one transaction, where it need not be durable.
    pub put_rows: usize,
    /// Rows that are read in one transaction.
    pub read_rows: usize,
    /// Bytes for an engine's caches and write buffers.
    pub memory_bytes: u64,
    /// Tells the rounds of `Work::Acknowledge` apart.
    pub round: u64,
    /// A memory cgroup to work in.
    pub cgroup: Option<PathBuf>,
}

/// What is done in one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Transactions of one new row each, from many threads
    Durable,
    /// Gets and puts at random keys, all in memory
    Memory,
    /// Scans in order of the keys, all in memory
    Scan,
    /// Fills a directory for `Larger`
    LargerLoad,
    /// Gets and puts at random keys, with more data than memory
    Larger,
    /// As `Durable`, a given number of them, with three checkpoints
    Bytes,
    /// Durable transactions, each told on the standard output, until killed
    Acknowledge,
    /// Reads what the rounds of `Acknowledge` left
    Recount,
}

/// A number that a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measure {
    /// What, with its unit.
    pub name: String,
    pub value: f64,
}

/// What a run found, in the order of a table's columns.
pub type Measures = Vec<Measure>;

pub fn measure(name: &str, value: f64) -> Measure {
    Measure { name: name.to_string(), value }
}

impl Job {
    pub fn run(&self) -> Result<Measures> {
        if let Some(cgroup) = &self.cgroup {
            crate::os::enter_cgroup(cgroup)?;
        }
        match self.work {
            Work::Durable => durable::run(self),
            Work::Memory => memory::run(self),
            Work::Scan => scan::run(self),
            Work::LargerLoad => larger::load(self),
            Work::Larger => larger::run(self),
            Work::Bytes => bytes::run(self),
            Work::Acknowledge => acknowledge::run(self),
            Work::Recount => acknowledge::recount(self),
        }
    }

    fn open(&self) -> Result<Box<dyn Engine>> {
        let larger = matches!(self.work, Work::LargerLoad | Work::Larger);
        let in_memory = matches!(self.work, Work::Memory | Work::Scan);
        let setup = Setup {
            memory_bytes: self.memory_bytes,
            threads: self.threads,
            lazy: larger || in_memory,
            beyond_memory: larger,
            keep_log: matches!(self.work, Work::Acknowledge | Work::Recount),
        };
        self.engine.open(&self.dir, setup)
    }
}

#[cfg(test)]
mod tests;
