//! What the operating system counts, and the one thing that it is asked to run beside the work.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::fs::Advice;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

/// The unit in which Linux counts blocks, whatever the disk's are.
const SECTOR_BYTES: u64 = 512;

/// What this process has used so far, or between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Seconds on the wall's clock.
    pub seconds: f64,
    /// Seconds of processor time, of all threads, in and out of the kernel.
    pub cpu_seconds: f64,
    /// `write_bytes` of `/proc/self/io`: bytes that the process wrote past the page cache, and the sizes of the pages
    /// that it made dirty. It can be far more than what reaches the disk, probably because pages may be large ones
    /// of which only a part is written. The file system's own journal is not among them.
    pub dirtied_bytes: u64,
    /// Bytes that reached the block device, those of the file system's journal and of other processes included. None if
    /// the files are not on one.
    pub device_bytes: Option<u64>,
}

/// Counts from when it was made.
pub struct Meter {
    started: Instant,
    cpu_seconds: f64,
    dirtied_bytes: u64,
    device_bytes: Option<u64>,
    device: u64,
}

impl Used {
    /// Bytes that reached the block device for each of `count` pieces of work.
    pub fn device_bytes_each(&self, count: f64) -> Option<f64> {
        self.device_bytes.map(|bytes| bytes as f64 / count)
    }
}

impl Meter {
    /// Counts what is written to the device that `dir` is on.
    pub fn start(dir: &Path) -> Result<Meter> {
        let device = fs::metadata(dir)?.dev();
        Ok(Meter {
            dirtied_bytes: dirtied_bytes()?,
            device_bytes: device_bytes(device),
            device,
            cpu_seconds: cpu_seconds(),
            started: Instant::now(),
        })
    }

    pub fn used(&self) -> Result<Used> {
        Ok(Used {
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - self.cpu_seconds,
            dirtied_bytes: dirtied_bytes()? - self.dirtied_bytes,
            device_bytes: device_bytes(self.device)
                .zip(self.device_bytes)
                .map(|(after, before)| after - before),
        })
    }
}

fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn dirtied_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("/proc/self/io has no write_bytes")?.parse()?)
}

/// The seventh number of a block device's `stat` is the sectors of 512 bytes that were written to it.
fn device_bytes(device: u64) -> Option<u64> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = text.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * SECTOR_BYTES)
}

/// How busy the machine is: processes that want a core, averaged over the last minute.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("/proc/loadavg is empty")?.parse()?)
}

/// Bytes of all files below `dir`, as far as they take room on the disk.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for_each_file(dir, &mut |path| {
        bytes += fs::metadata(path)?.blocks() * SECTOR_BYTES;
        Ok(())
    })?;
    Ok(bytes)
}

/// Has everything written that waits in the page cache for the file system that `dir` is on, so that it is not counted
/// later. It is the whole file system because to open and close an engine's file would give up its locks.
pub fn sync_file_system(dir: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Makes the page cache forget the files below `dir`, so that what is measured next has to read them. It is advice: the
/// kernel keeps pages that are in use.
pub fn forget_files(dir: &Path) -> Result<()> {
    sync_file_system(dir)?;
    for_each_file(dir, &mut |path| {
        Ok(rustix::fs::fadvise(File::open(path)?, 0, None, Advice::DontNeed)?)
    })
}

fn for_each_file(dir: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            for_each_file(&path, visit)?;
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}

/// Puts this process into a memory cgroup, given as its directory, whose limit somebody has set.
pub fn enter_cgroup(dir: &Path) -> Result<()> {
    fs::write(dir.join("cgroup.procs"), std::process::id().to_string())
        .with_context(|| format!("cannot enter the cgroup {}", dir.display()))
}

/// The limit of a memory cgroup in bytes, of version 2 or 1.
pub fn cgroup_limit(dir: &Path) -> Result<u64> {
    let files = ["memory.max", "memory.limit_in_bytes"];
    let text = files.iter().find_map(|file| fs::read_to_string(dir.join(file)).ok());
    let text = text.with_context(|| format!("{} is no memory cgroup", dir.display()))?;
    text.trim().parse().map_err(|_| anyhow!("the cgroup {} has no limit", dir.display()))
}

/// One busy loop of the lowest priority, in a process of its own. On an otherwise idle virtual machine a sync takes a
/// timer tick (4 ms), because the processor sleeps too deeply; with one such loop it takes tens of microseconds.
pub struct Spinner(Child);

impl Spinner {
    pub fn start() -> Result<Spinner> {
        let program = std::env::current_exe()?;
        Ok(Spinner(Command::new(program).arg("spin").stdin(Stdio::null()).spawn()?))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = ended {
            eprintln!("the busy loop did not end: {error}");
        }
    }
}

/// Is the busy loop, until it or who started it ends.
pub fn spin() -> Result<()> {
    end_with_parent()?;
    rustix::process::setpriority_process(None, 19)?;
    loop {
        std::hint::spin_loop();
    }
}

/// This process ends when the one that started it does.
pub fn end_with_parent() -> Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
