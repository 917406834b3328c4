//! Room on the disk: when there is too little of it, and which errors say no more than that.
//!
//! A full disk is a state, not a failure. What may be tried again is a write that the system refused for want of room: the
//! same bytes go to the same place later, and until then nobody was told that they are there. What may never be tried
//! again is a sync: after one has failed, the next may succeed over pages that were thrown away. So an error is a failure
//! unless the place where it came up says [`or_full`], and no sync says it.

use std::io::{self, ErrorKind};

use ombak_aries::LogError;
use ombak_base::Disk;

/// Why the writer could not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// For want of room; nothing is lost, and the same may be tried again.
    Full,
    /// For good.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Stop {
        match error {
            LogError::Full => Stop::Full,
            LogError::Io { source, place } => {
                Stop::Failed(io::Error::new(source.kind(), format!("{place}: {source}")))
            }
            error => Stop::Failed(io::Error::other(error)),
        }
    }
}

/// For what may be tried again, and so for no sync.
pub(crate) fn or_full<T>(result: io::Result<T>) -> Result<T, Stop> {
    result.map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Stop::Full,
        _ => Stop::Failed(error),
    })
}

/// At most so many looks pass before the system is asked again, and no more than the reserve has of these bytes, about as many as
/// others may write meanwhile...
const LOOKS_MAX: u64 = 16;
const LOOK_BYTES: u64 = 8 * 1024 * 1024;
/// ... unless this part of the reserve was written here since.
const RESERVE_PARTS: u64 = 64;

/// Watches what is free against the reserve. To ask the system after each write would take a tenth of what the write takes.
#[derive(Debug)]
pub(crate) struct Room {
    reserve_bytes: u64,
    is_low: bool,
    /// Since it was asked.
    looks: u64,
    /// What had been written when it was asked.
    written_bytes: u64,
}

impl Room {
    pub(crate) fn new(reserve_bytes: u64) -> Room {
        Room { reserve_bytes, is_low: false, looks: LOOKS_MAX, written_bytes: 0 }
    }

    /// After some work: asks if it is time to. `written_bytes`: since the start.
    pub(crate) fn look(&mut self, disk: &impl Disk, written_bytes: u64) {
        self.looks += 1;
        let written = written_bytes - self.written_bytes;
        let passes = LOOKS_MAX.min(self.reserve_bytes / LOOK_BYTES);
        let is_due = self.looks > passes || written >= self.reserve_bytes / RESERVE_PARTS;
        if is_due || self.is_low {
            (self.looks, self.written_bytes) = (0, written_bytes);
            self.ask(disk);
        }
    }

    /// Low below the reserve, and not low any more a quarter above it: or it would change with every file that comes
    /// and goes. A disk that cannot say what is free will say so when it is full.
    pub(crate) fn ask(&mut self, disk: &impl Disk) {
        let free = disk.free_bytes().unwrap_or(u64::MAX);
        let back = self.reserve_bytes.saturating_add(self.reserve_bytes / 4);
        self.is_low = free < if self.is_low { back } else { self.reserve_bytes };
    }

    pub(crate) fn is_low(&self) -> bool {
        self.is_low
    }
}
