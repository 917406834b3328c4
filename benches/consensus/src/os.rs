//! What the operating system counts, and the one thing that it is asked to run beside the work.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

/// Counts from when it was made.
pub struct Meter {
    started: Instant,
    cpu_seconds: f64,
}

impl Meter {
    pub fn start() -> Meter {
        Meter { cpu_seconds: cpu_seconds(), started: Instant::now() }
    }

    /// Seconds on the wall's clock.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Seconds of processor time, of all threads of this process, in and out of the kernel.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds() - self.cpu_seconds
    }
}

fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// Seconds of processor time that another process has used so far, as fine as a tick of the kernel's clock.
pub fn cpu_seconds_of(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_name) = text.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks =
        |at: usize| -> Result<u64> { Ok(fields.get(at).context("stat is short")?.parse()?) };
    let per_second = rustix::param::clock_ticks_per_second();
    Ok((ticks(11)? + ticks(12)?) as f64 / per_second as f64)
}

/// How busy the machine is: processes that want a core, averaged over the last minute.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().context("/proc/loadavg is empty")?.parse()?)
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
