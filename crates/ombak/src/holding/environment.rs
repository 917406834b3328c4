//! What the command is told, and what others are told of it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The longest that a session may say of itself.
const ABOUT_BYTES_MAX: usize = 64;

/// Host, process and command, for whoever asks who holds a lock.
pub fn about(command: &str) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let command = command.rsplit('/').next().unwrap_or_default();
    let mut text = format!("{host}:{} {command}", std::process::id());
    let end = (0..=ABOUT_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}

/// A moment in seconds since 1970, as this machine's clock has it.
pub fn deadline(at: Instant) -> String {
    let left = at.saturating_duration_since(Instant::now());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:.3}", (now + left).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_cut_between_letters() {
        let text = about(&"ü".repeat(200));
        assert!(text.len() <= ABOUT_BYTES_MAX && text.len() >= ABOUT_BYTES_MAX - 1);
        assert!(about("/usr/bin/pg_dump").ends_with(" pg_dump"));
    }
}
