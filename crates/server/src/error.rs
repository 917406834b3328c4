//! Why a node does not start. Every text is one line that says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ombak_cluster::RingError;
use ombak_runtime::RuntimeError;
use ombak_store::StoreError;

/// Why a node did not start. Nothing of it runs, and all that it took (ports, the directory's lock) is free again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A name that cannot be one.
    #[error("{0:?} is no node name: give 1 to 255 printable characters without spaces or quotes")]
    Name(String),
    /// A member is listed twice.
    #[error("member {0} is listed twice")]
    Twice(String),
    /// The ring cannot be made.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A port is taken, or an address is none of this machine's.
    #[error("cannot listen on {addr} for {what}: {source} (--{option} chooses another)")]
    Listen {
        /// What would have been spoken there.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The option that changes it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The Unix socket cannot be bound.
    #[error("cannot listen on the socket {}: {source} (--socket chooses another path)", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A backend that keeps its data, without a directory.
    #[error("this backend needs a data directory: give --dir, or --backend memory")]
    NoDirectory,
    /// Another process has the directory.
    #[error("data directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// No node has stored anything there.
    #[error("{} is no data directory of a node that keeps its data: it has no node.toml, or no data", .0.display())]
    NoData(PathBuf),
    /// The directory cannot be used.
    #[error("data directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that says whose directory it is cannot be understood.
    #[error("data directory {}: node.toml is damaged ({what}): restore it from a backup", dir.display())]
    Identity {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is data, but nothing that says whose.
    #[error("data directory {} holds data but no node.toml: restore that file, or give an empty directory", .0.display())]
    NoIdentity(PathBuf),
    /// A newer Ombak has written there.
    #[error("data directory {} is in format {found}, this version knows up to {known}: start a newer one", dir.display())]
    NewerFormat {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// The directory is another node's.
    #[error("data directory {} belongs to node {found}, not to {wanted}: --name or --dir is wrong", dir.display())]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: String,
    },
    /// The ring size cannot change.
    #[error("data directory {} was made with ring size {found}, not {wanted}: start with --ring-size {found}", dir.display())]
    OtherRingSize {
        /// The directory.
        dir: PathBuf,
        /// Its ring size.
        found: u32,
        /// What was asked for.
        wanted: u32,
    },
    /// The cluster's name and its member list cannot change yet.
    #[error("data directory {} was made in a cluster of {found}: start with these --members, and with the --cluster of then", dir.display())]
    OtherMembers {
        /// The directory.
        dir: PathBuf,
        /// The names.
        found: String,
    },
    /// The store cannot be opened.
    #[error("data directory {}: {source}", dir.display())]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The thread for HTTP could not be started.
    #[error("starting HTTP: {0}")]
    Http(io::Error),
    /// The system gives no random numbers.
    #[error("reading /dev/urandom: {0}")]
    Random(io::Error),
}
