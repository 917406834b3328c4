//! CPU time and memory of this process, from Linux.

use std::time::Instant;

/// User and system time of all threads so far, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    // Behind the name, which may have blanks in it, utime is the 12th field and stime the 13th, in 1/100 s.
    let fields = stat.rsplit(')').next().expect("a name in brackets").split_whitespace();
    let ticks: f64 =
        fields.skip(11).take(2).map(|each| each.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

/// A line of `/proc/self/status`, in bytes.
fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the line is there");
    let kilobytes = line.split_whitespace().nth(1).expect("a number").parse::<u64>();
    kilobytes.expect("a number") * 1024
}

/// Runs something that gives a number of unique states, prints what it cost, and gives that number.
pub fn measure(side: &str, run: impl FnOnce() -> u64) -> u64 {
    let (before, cpu, wall) = (status_bytes("VmRSS:"), cpu_seconds(), Instant::now());
    let states = run();
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    let memory = status_bytes("VmHWM:") - before;
    println!(
        "{side}: {states} states, {cpu:.2} CPU s, {wall:.2} s, {:.0} states per CPU s, {:.0} bytes a state at the peak",
        states as f64 / cpu,
        memory as f64 / states as f64
    );
    states
}
