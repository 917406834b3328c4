//! What the operating system counts, and the one thing that it is asked to run beside the work.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::fs::Advice;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

/// What this process has used so far, or between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Seconds on the wall's clock.
    pub seconds: f64,
    /// Seconds of processor time, of all threads, in and out of the kernel.
    pub cpu_seconds: f64,
    /// Bytes that the process had written to the disk, or left to the page cache to be written: `write_bytes` of
    /// `/proc/self/io`. The file system's own journal is not among them.
    pub written_bytes: u64,
}

/// Counts from when it was made.
pub struct Meter {
    started: Instant,
    cpu_seconds: f64,
    written_bytes: u64,
}

impl Meter {
    pub fn start() -> Result<Meter> {
        let (written_bytes, cpu_seconds) = (written_bytes()?, cpu_seconds());
        Ok(Meter { started: Instant::now(), cpu_seconds, written_bytes })
    }

    pub fn used(&self) -> Result<Used> {
        Ok(Used {
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - self.cpu_seconds,
            written_bytes: written_bytes()? - self.written_bytes,
        })
    }
}

fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn written_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("/proc/self/io has no write_bytes")?.parse()?)
}

/// How busy the machine is: processes that want a core, averaged over the last minute.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("/proc/loadavg is empty")?.parse()?)
}

/// Bytes of all files below `dir`, as far as they take room on the disk.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for_each_file(dir, &mut |path| {
        bytes += fs::metadata(path)?.blocks() * 512;
        Ok(())
    })?;
    Ok(bytes)
}

/// Makes the page cache forget the files below `dir`, so that what is measured next has to read them. It is advice: the
/// kernel keeps pages that are in use.
pub fn forget_files(dir: &Path) -> Result<()> {
    for_each_file(dir, &mut |path| {
        let file = File::open(path)?;
        file.sync_all()?;
        Ok(rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?)
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
