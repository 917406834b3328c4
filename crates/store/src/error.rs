//! What can go wrong when a store is opened. Later errors are `DeviceError` (reads) and `io::Error` (writes).

use std::io;

use ombak_aries::LogError;
use ombak_base::DeviceError;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused; nothing was changed that a second try would not do again.
    #[error("{path}: {source}")]
    Io {
        /// The file, relative to the data directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The commit log cannot be opened.
    #[error("the commit log cannot be opened: {0}")]
    Log(#[from] LogError),
    /// The engine of the `btree` backend cannot be opened: the text says why.
    #[error(transparent)]
    Engine(#[from] ombak_aries::Error),
    /// A later version of Ombak has written here: use that one, or a copy from before.
    #[error(
        "format at offset 0: the data is in format {found}, and this version knows formats up to {known}; nothing was changed"
    )]
    NewerFormat {
        /// What the file `format` says.
        found: u32,
        /// The newest that this version reads.
        known: u32,
    },
    /// It is a store, and another node's or database's.
    #[error(
        "format at offset 0: the data is of database {found:016x}, not of {wanted:016x}; nothing was changed"
    )]
    OtherDatabase {
        /// What the file `format` says.
        found: u64,
        /// Whose it should be.
        wanted: u64,
    },
    /// There is something here, but no store: a wrong directory, or one that lost its file `format`.
    #[error("this directory does not hold a store: {0}; nothing was changed")]
    NotAStore(&'static str),
    /// The options contradict each other or the formats: the text says how.
    #[error("options: {0}")]
    Options(&'static str),
}

impl StoreError {
    /// Adds the path to an error of the system.
    pub(crate) fn io(path: impl Into<String>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }
}

/// A read error of the system, for a machine.
pub(crate) fn read_failed(path: &str, source: &io::Error) -> DeviceError {
    DeviceError::Io(format!("{path}: {source}"))
}
