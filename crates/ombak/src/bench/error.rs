//! Why a benchmark did not happen, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Each message ends with the next step.
#[derive(Debug)]
pub enum BenchError {
    /// Options that contradict each other.
    Options(String),
    /// Not an address, or a name that nobody knows.
    Address(String, io::Error),
    /// Nobody accepts the connection.
    Connect(String, io::Error),
    /// Somebody answers, but not in Riak's protocol.
    NotRiak(String, String),
    /// The server refuses what every request would need.
    Refused(String, String),
    /// A `--pid` whose numbers can't be read.
    Process(u32, io::Error),
    /// Keys can't be put before the run: how many were, and the last reason.
    Preload(u64, String),
    /// Ctrl-C before the measured window.
    Interrupted,
    /// No request was answered well in the measured window.
    NothingDone(Duration),
    /// It was measured, but not everything went well: what did not.
    Failed(String),
    /// The operating system refuses what the benchmark itself needs.
    System(&'static str, io::Error),
    /// A file that holds no result, and what is wrong with it.
    Compare(PathBuf, String),
    /// The page can't be written.
    Plot(PathBuf, io::Error),
    /// The results can't be written.
    Json(PathBuf, io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BenchError::Options(what) => write!(f, "{what}"),
            BenchError::Address(address, error) => {
                write!(
                    f,
                    "`{address}` is no address ({error}): give HOST:PORT, such as 127.0.0.1:8087"
                )
            }
            BenchError::Connect(address, error) => write!(
                f,
                "cannot connect to {address} ({error}): is the node running? Start one with `ombak demo`, \
                 or name another with --addr HOST:PORT"
            ),
            BenchError::NotRiak(address, what) => write!(
                f,
                "{address} does not answer in Riak's Protocol Buffers protocol ({what}): \
                 is it the Protocol Buffers port (8087 by default), not the HTTP port (8098)?"
            ),
            BenchError::Refused(address, text) => write!(
                f,
                "{address} refuses to show the bucket's properties ({text}): \
                 create and activate the bucket type, or leave --type out"
            ),
            BenchError::Process(pid, error) => {
                write!(
                    f,
                    "cannot read /proc/{pid} ({error}): --pid takes the id of a running server process"
                )
            }
            BenchError::Preload(stored, reason) => write!(
                f,
                "preloading stopped after {stored} keys: {reason}. Look at the server's log; \
                 lower --connections or --depth if it is overloaded"
            ),
            BenchError::Interrupted => write!(
                f,
                "interrupted before anything was measured: a shorter --warmup, or no --preload, measures sooner"
            ),
            BenchError::NothingDone(window) => write!(
                f,
                "no operation succeeded within {window:?}: the errors above and the server's log say why"
            ),
            BenchError::Failed(what) => {
                write!(f, "{what}: the report above and the server's log say more")
            }
            BenchError::System(what, error) => write!(f, "{what}: {error}"),
            BenchError::Compare(path, what) => write!(
                f,
                "cannot compare {} ({what}): give two files that `ombak bench --json FILE` wrote",
                path.display()
            ),
            BenchError::Plot(path, error) => write!(
                f,
                "cannot write {} ({error}): the results are above; give another --plot FILE.html",
                path.display()
            ),
            BenchError::Json(path, error) => write!(
                f,
                "cannot write {} ({error}): the results are above; give another --json FILE",
                path.display()
            ),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BenchError::Address(_, error)
            | BenchError::Connect(_, error)
            | BenchError::Process(_, error)
            | BenchError::System(_, error)
            | BenchError::Plot(_, error)
            | BenchError::Json(_, error) => Some(error),
            _ => None,
        }
    }
}
