//! What a person sees while a benchmark runs. Nothing, when nobody looks.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Tally;

/// A bar on stderr.
pub(super) struct Progress {
    bar: ProgressBar,
    operations: u64,
    at: Duration,
}

impl Progress {
    /// For preloading so many keys.
    pub(super) fn preload(keys: u64) -> Progress {
        Progress::new(keys, "preload {bar:30} {human_pos}/{human_len} keys, {eta} left")
    }

    /// For a phase of so long.
    pub(super) fn phase(name: &'static str, length: Duration) -> Progress {
        let progress = Progress::new(length.as_millis() as u64, "{prefix} {bar:30} {msg}");
        progress.bar.set_prefix(name);
        progress
    }

    fn new(length: u64, template: &str) -> Progress {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, operations: 0, at: Duration::ZERO }
    }

    /// Keys stored so far.
    pub(super) fn stored(&self, keys: u64) {
        self.bar.set_position(keys);
    }

    /// The state `since` the beginning of the phase; the throughput is that since the last call.
    pub(super) fn running(&mut self, since: Duration, tally: &Tally) {
        let seconds = since.saturating_sub(self.at).as_secs_f64();
        let rate = (tally.operations() - self.operations) as f64 / seconds.max(0.001);
        self.bar.set_position(since.as_millis() as u64);
        self.bar.set_message(format!("{rate:.0} operations/s, {} errors", tally.failures()));
        (self.operations, self.at) = (tally.operations(), since);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
