//! All that a command has started, in whatever process group it is by now.
//!
//! A process group of the command's own would be simpler to signal, and would not be the terminal's: what reads from there would be
//! stopped, and Ctrl-C and Ctrl-Z would not reach it. So processes are found by their parents, and those that lost theirs become this
//! program's children.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// From now on, whoever loses its parent among this program's descendants becomes its child.
pub fn keep_together() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Sends a signal to everybody that descends from this program.
pub fn signal(signal: Signal) {
    for pid in descendants() {
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}

/// Everybody who descends from this program.
pub fn descendants() -> Vec<Pid> {
    let mut strangers: Vec<(Pid, Pid)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| parent(&entry.ok()?.file_name().into_string().ok()?))
        .collect();
    let (mut found, mut next) = (Vec::new(), vec![getpid()]);
    while let Some(parent) = next.pop() {
        let children = strangers.extract_if(.., |(_, of)| *of == parent);
        let children: Vec<Pid> = children.map(|(pid, _)| pid).collect();
        found.extend(&children);
        next.extend(children);
    }
    found
}

/// A process that has not ended, and its parent.
fn parent(name: &str) -> Option<(Pid, Pid)> {
    let pid = Pid::from_raw(name.parse().ok()?)?;
    Some((pid, parent_in(&fs::read_to_string(format!("/proc/{name}/stat")).ok()?)?))
}

/// `pid (name) state parent …`, where the name may hold anything.
fn parent_in(stat: &str) -> Option<Pid> {
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    let state = words.next()?;
    let parent = Pid::from_raw(words.next()?.parse().ok()?);
    parent.filter(|_| !["Z", "X"].contains(&state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_hold_anything() {
        let parent = |stat| parent_in(stat).map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent("17 (sleep) S 4 17 17 0"), Some(4));
        assert_eq!(parent("17 (a) S 9 (b) R 4 17 17 0"), Some(4));
        assert_eq!(parent("17 (sleep) Z 4 17 17 0"), None, "it has ended");
        assert_eq!(parent("17 (kthreadd) S 0 0 0 0"), None);
        assert_eq!(parent(""), None);
    }
}
