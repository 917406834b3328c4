//! CPU time and memory of processes, from `/proc`.

use std::fs;
use std::io;

use serde::Serialize;

/// The unit of times in `/proc/PID/stat`: hundredths of a second on every Linux that Rust supports (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Seconds in its own code and in the kernel on its behalf.
    pub cpu_seconds: f64,
    /// The most memory it ever had (VmHWM).
    pub peak_bytes: u64,
    /// The memory it has now (VmRSS).
    pub resident_bytes: u64,
}

/// A process in the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ProcessReport {
    /// Its id.
    pub pid: u32,
    /// CPU seconds, user and system, within the measured window.
    pub cpu_seconds: f64,
    /// The most memory since the process began, not since the window did.
    pub peak_bytes: u64,
    /// Memory at the end of the window.
    pub resident_bytes: u64,
}

/// What process `pid` has used.
pub(super) fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "unknown format");
    Ok(Usage {
        cpu_seconds: cpu_seconds(&stat).ok_or_else(invalid)?,
        // A process that just ended has no memory any more.
        peak_bytes: memory_bytes(&status, "VmHWM:").unwrap_or(0),
        resident_bytes: memory_bytes(&status, "VmRSS:").unwrap_or(0),
    })
}

/// CPU seconds of the calling thread alone.
pub(super) fn thread_cpu_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/stat")?;
    Ok(cpu_seconds(&stat).unwrap_or(0.0))
}

/// Fields 14 and 15. The second field is the program's name in parentheses and may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    let (user, system) = (times.next()??, times.next()??);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

fn memory_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_from_behind_the_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 5 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(memory_bytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(memory_bytes(status, "VmRSS:"), Some(1 << 20));
        assert_eq!(memory_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_bytes >= usage.resident_bytes && usage.resident_bytes > 0, "{usage:?}");
        assert!(thread_cpu_seconds().unwrap() <= usage.cpu_seconds + 1.0);
        assert!(super::usage(u32::MAX).is_err());
    }
}
