//! The process, and the machine that it runs on. What the system does not say is `None`.

use std::fs;
use std::path::Path;

/// The unit of times in `/proc/self/stat`: hundredths of a second on every Linux that Rust supports (`USER_HZ`).
const MS_PER_TICK: u64 = 10;

/// As of now.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Process {
    /// Milliseconds of CPU, in its own code and in the kernel on its behalf.
    pub cpu_ms: Option<u64>,
    pub resident_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_files: Option<u64>,
    /// Of the machine.
    pub memory_bytes: Option<u64>,
    pub memory_used_bytes: Option<u64>,
    /// Processes of the machine.
    pub processes: Option<u64>,
    /// Load averages of 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
}

/// The disk of the data directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DiskSpace {
    pub bytes: u64,
    pub free_bytes: u64,
}

impl Process {
    pub fn read() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let memory_bytes = bytes_of(&memory, "MemTotal:");
        let available = bytes_of(&memory, "MemAvailable:");
        Process {
            cpu_ms: cpu_ms(&stat),
            resident_bytes: bytes_of(&status, "VmRSS:"),
            threads: number_of(&status, "Threads:"),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            memory_bytes,
            memory_used_bytes: memory_bytes.zip(available).map(|(all, free)| all - free.min(all)),
            processes: processes(),
            load: loads(&load),
        }
    }
}

/// `None`: the system does not say.
pub(crate) fn disk_space(dir: &Path) -> Option<DiskSpace> {
    let about = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
    Some(DiskSpace { bytes: bytes(about.f_blocks), free_bytes: bytes(about.f_bavail) })
}

fn processes() -> Option<u64> {
    let is_process =
        |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let all = fs::read_dir("/proc").ok()?.flatten();
    Some(all.filter(|entry| is_process(&entry.file_name())).count() as u64)
}

/// Fields 14 and 15. The second field is the program's name in parentheses and may contain anything.
fn cpu_ms(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    let (user, system) = (times.next()??, times.next()??);
    Some((user + system) * MS_PER_TICK)
}

fn number_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A line such as `VmRSS:  1234 kB`.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    number_of(text, name).map(|kib| kib.saturating_mul(1024))
}

fn loads(text: &str) -> Option<[f64; 3]> {
    let mut loads = text.split(' ').map(|load| load.parse().ok());
    Some([loads.next()??, loads.next()??, loads.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_understood() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 12 34 0 0 20 0 5 0 1 2 3";
        assert_eq!(cpu_ms(stat), Some(460));
        assert_eq!(cpu_ms("7 (x) S"), None);
        assert_eq!(bytes_of("VmHWM:\t 9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(number_of("Threads:\t5\n", "Threads:"), Some(5));
        assert_eq!(number_of("", "Threads:"), None);
        assert_eq!(loads("0.50 1.00 2.25 1/234 5\n"), Some([0.5, 1.0, 2.25]));
    }

    #[test]
    fn this_process_is_there() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 0 && process.threads.unwrap() > 0);
        assert!(process.memory_used_bytes.unwrap() <= process.memory_bytes.unwrap());
        let space = disk_space(Path::new("/")).unwrap();
        assert!(space.free_bytes <= space.bytes && space.bytes > 0);
    }
}
