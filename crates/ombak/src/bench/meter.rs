//! What processes use, in the parts of a run that are measured.

use super::BenchError;
use super::procstat::{self, ProcessReport, Usage};

/// Counts while it is on.
pub(super) struct Meter {
    pids: Vec<u32>,
    before: Vec<Usage>,
    thread_before: f64,
    cpu_seconds: Vec<f64>,
    /// CPU seconds of this thread.
    pub thread_cpu_seconds: f64,
}

impl Meter {
    /// Of these processes; all of them are there.
    pub(super) fn new(pids: &[u32]) -> Result<Meter, BenchError> {
        Ok(Meter {
            pids: pids.to_vec(),
            before: usages(pids)?,
            thread_before: 0.0,
            cpu_seconds: vec![0.0; pids.len()],
            thread_cpu_seconds: 0.0,
        })
    }

    /// Counts from now on.
    pub(super) fn start(&mut self) -> Result<(), BenchError> {
        self.before = usages(&self.pids)?;
        self.thread_before = procstat::thread_cpu_seconds().unwrap_or(0.0);
        Ok(())
    }

    /// Counts no longer. A process that ended meanwhile is reported with what was seen of it.
    pub(super) fn stop(&mut self) {
        let thread = procstat::thread_cpu_seconds().unwrap_or(self.thread_before);
        self.thread_cpu_seconds += thread - self.thread_before;
        for (at, pid) in self.pids.iter().enumerate() {
            let after = procstat::usage(*pid).unwrap_or(self.before[at]);
            self.cpu_seconds[at] += after.cpu_seconds - self.before[at].cpu_seconds;
            self.before[at] = after;
        }
    }

    /// All that was counted.
    pub(super) fn processes(&self) -> Vec<ProcessReport> {
        let of = |(pid, (usage, cpu_seconds)): (&u32, (&Usage, &f64))| ProcessReport {
            pid: *pid,
            cpu_seconds: *cpu_seconds,
            peak_bytes: usage.peak_bytes,
            resident_bytes: usage.resident_bytes,
        };
        self.pids.iter().zip(self.before.iter().zip(&self.cpu_seconds)).map(of).collect()
    }
}

fn usages(pids: &[u32]) -> Result<Vec<Usage>, BenchError> {
    let usage = |pid: &u32| procstat::usage(*pid).map_err(|error| BenchError::Process(*pid, error));
    pids.iter().map(usage).collect()
}
