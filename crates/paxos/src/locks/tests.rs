//! The lock manager, from the table of modes to every state of a small one.

mod answers;
mod bounds;
mod circles;
mod explored;
mod fences;
mod follow;
mod golden;
mod matrix;
mod oracle;
mod planted;
mod random;
mod replicated;
mod script;
mod scripts;

use super::*;

/// A session of one letter.
fn session(name: char) -> SessionId {
    SessionId(u128::from(u32::from(name)))
}

fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}

/// Applies a command, and gives what is said.
fn apply(manager: &mut LockManager, at: LogTime, command: &Command) -> Vec<Notice> {
    let mut notices = Vec::new();
    manager.apply(at, command, &mut |notice| notices.push(notice));
    notices
}
