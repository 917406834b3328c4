//! The terminal: another screen while we run, and the one before when we end, however that comes.

use std::fmt::Write;

use crate::error::CliError;
use crate::output::print_bytes;

/// Another screen, no cursor, no wrapping of long lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Dropping it gives the terminal back.
pub struct Screen(());

impl Screen {
    pub fn enter() -> Result<Screen, CliError> {
        let screen = Screen(());
        print_bytes(ENTER.as_bytes())?;
        Ok(screen)
    }

    /// Draws over what was there, so that nothing flickers.
    pub fn show(&mut self, page: &str) -> Result<(), CliError> {
        print_bytes(frame(page).as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = print_bytes(LEAVE.as_bytes());
    }
}

fn frame(page: &str) -> String {
    let mut frame = String::from("\x1b[H");
    for line in page.lines() {
        // Writing to a String does not fail.
        let _ = write!(frame, "{line}\x1b[K\r\n");
    }
    frame.push_str("\x1b[J");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_leaves_nothing_of_the_one_before() {
        assert_eq!(frame("a\nb"), "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J");
    }
}
