//! Signals as messages.

use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::CliError;

/// From now on Ctrl-C, SIGTERM and a closed terminal send `message` instead of ending the process. The thread ends
/// with the process, or at the first signal that nobody takes any more.
pub fn send_on_stop<T: Clone + Send + 'static>(
    sender: Sender<T>,
    message: T,
) -> Result<(), CliError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| CliError::failed(format!("cannot listen to signals: {error}")))?;
    let forward = move || {
        for _ in signals.forever() {
            if sender.send(message.clone()).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("ombak-signals".into())
        .spawn(forward)
        .map(drop)
        .map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))
}
