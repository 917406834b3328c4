//! Where the demo's nodes keep their data, and whether they may.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ombak_store::log::FORMAT;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::error::CliError;

use super::plan::PlannedNode;

/// The newest format of a node's directory that this version's nodes take.
const NODE_FORMAT: i64 = 1;
/// The file in which the store of such a directory says its own format.
const STORE_FORMAT_FILE: &str = "format";

/// The directory of all nodes; a temporary one goes when this value does.
pub enum Root {
    /// The user's.
    Given(PathBuf),
    /// Ours.
    Temporary(TempDir),
}

impl Root {
    /// The directory that was given, made if missing, or a temporary one.
    pub fn open(dir: Option<&Path>) -> Result<Root, CliError> {
        let cannot = |what: String, error: io::Error| {
            CliError::failed(format!("cannot make {what} ({error}): give another --dir"))
        };
        match dir {
            Some(dir) => {
                let made = fs::create_dir_all(dir).and_then(|()| dir.canonicalize());
                made.map(Root::Given).map_err(|error| cannot(dir.display().to_string(), error))
            }
            None => {
                let made = tempfile::Builder::new().prefix("ombak-demo-").tempdir();
                let made = made.map(Root::Temporary);
                made.map_err(|error| cannot("a temporary directory".into(), error))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Root::Given(path) => path,
            Root::Temporary(dir) => dir.path(),
        }
    }
}

/// Refuses, before anything starts, what a node would refuse: a directory that another process holds, that a newer
/// version has written, or that was made for another cluster. What only a node can judge is left to it.
pub fn check(nodes: &[PlannedNode], ring_size: u32) -> Result<(), CliError> {
    for node in nodes {
        check_lock(&node.dir)?;
        check_store(&node.dir)?;
        match fs::read_to_string(node.dir.join("node.toml")) {
            Ok(text) => check_identity(&node.dir, &text, nodes.len(), ring_size)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&node.dir, &error)),
        }
    }
    Ok(())
}

fn check_lock(dir: &Path) -> Result<(), CliError> {
    let file = match File::open(dir.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    // Given back at once, when the file is closed: the node takes it itself.
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(CliError::failed(format!(
            "{} is in use by another process: stop that one, or give another --dir",
            dir.display()
        ))),
        Err(errno) => Err(unreadable(dir, &errno.into())),
    }
}

/// A store may be newer although `node.toml` is not.
fn check_store(dir: &Path) -> Result<(), CliError> {
    let text = match fs::read(dir.join(STORE_FORMAT_FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    // Anything else in the file is the node's to explain.
    let format = text.strip_prefix("ombak-log ").and_then(|rest| rest.trim().parse::<u64>().ok());
    match format {
        Some(format) if format > u64::from(FORMAT) => Err(newer(dir)),
        _ => Ok(()),
    }
}

fn check_identity(dir: &Path, text: &str, nodes: usize, ring_size: u32) -> Result<(), CliError> {
    // A damaged file is the node's to explain.
    let Ok(identity) = text.parse::<toml::Table>() else { return Ok(()) };
    let number = |name: &str| identity.get(name).and_then(toml::Value::as_integer);
    if number("format").is_some_and(|format| format > NODE_FORMAT) {
        return Err(newer(dir));
    }
    if let Some(made) = number("ring_size").filter(|made| *made != i64::from(ring_size)) {
        return Err(CliError::failed(format!(
            "{} was made with ring size {made}: say --ring-size {made}, or give another --dir",
            dir.display()
        )));
    }
    let members = identity.get("members").and_then(toml::Value::as_str);
    match members.map(|members| members.split(' ').count()) {
        Some(made) if made != nodes => Err(CliError::failed(format!(
            "{} was made in a cluster of {made} nodes: say --nodes {made}, or give another --dir",
            dir.display()
        ))),
        _ => Ok(()),
    }
}

fn newer(dir: &Path) -> CliError {
    CliError::failed(format!(
        "{} was written by a newer version of Ombak: use that one, or give another --dir",
        dir.display()
    ))
}

fn unreadable(dir: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("cannot read {} ({error}): give another --dir", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        check_identity(Path::new("d"), text, 3, 64).unwrap_err().to_string()
    }

    #[test]
    fn a_directory_of_this_cluster_is_taken() {
        let text = "format = 1\nring_size = 64\nmembers = \"dev1@127.0.0.1 dev2@127.0.0.1 dev3@127.0.0.1\"\n";
        check_identity(Path::new("d"), text, 3, 64).unwrap();
        check_identity(Path::new("d"), "damaged [", 3, 64).unwrap();
    }

    #[test]
    fn what_differs_is_named_with_the_option_to_say() {
        assert!(refused("format = 2").contains("newer version"));
        assert!(refused("format = 1\nring_size = 8").contains("--ring-size 8"));
        assert!(refused("format = 1\nring_size = 64\nmembers = \"a b\"").contains("--nodes 2"));
    }

    #[test]
    fn a_store_alone_may_be_newer() {
        let dir = tempfile::tempdir().unwrap();
        check_store(dir.path()).unwrap();
        let with = |text: &[u8]| {
            fs::write(dir.path().join(STORE_FORMAT_FILE), text).unwrap();
            check_store(dir.path())
        };
        for taken in [&b"ombak-log 1\n"[..], b"", b"damaged \xff", b"ombak-log x"] {
            with(taken).unwrap();
        }
        assert!(
            with(format!("ombak-log {}\n", FORMAT + 1).as_bytes())
                .unwrap_err()
                .to_string()
                .contains("newer version")
        );
    }

    #[test]
    fn a_temporary_directory_goes() {
        let root = Root::open(None).unwrap();
        let path = root.path().to_path_buf();
        assert!(path.is_dir());
        drop(root);
        assert!(!path.exists());
    }
}
