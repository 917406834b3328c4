//! The node's Unix socket: HTTP for programs of the same user on the same machine.
//!
//! A machine has one node, and any program there finds it without a port or an address. The kernel says who connects
//! (`SO_PEERCRED`): the user that the node runs as, or root. Others are refused before a byte of theirs is read.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::{Options, StartError};

/// In the data directory, unless the options say where.
const NAME: &str = "socket";
/// The longest path that the system takes, with its end.
const PATH_BYTES_MAX: usize = 107;

/// A bound socket. Dropping it takes its file away.
#[derive(Debug)]
pub(crate) struct Socket {
    pub listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds where the options say; `None`: nowhere. The data directory is locked by now, so a socket in it that is there
    /// already is what a killed node has left.
    pub fn bind(options: &Options) -> Result<Option<Socket>, StartError> {
        if let Some(path) = &options.socket {
            return bind(path).map(Some).map_err(|source| failed(path, source));
        }
        let Some(path) = options.dir.as_ref().map(|dir| dir.join(NAME)) else { return Ok(None) };
        if path.as_os_str().len() > PATH_BYTES_MAX {
            tracing::warn!(path = %path.display(), "no socket: its path is too long (--socket names another)");
            return Ok(None);
        }
        bind(&path).map(Some).map_err(|source| failed(&path, source))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Left there, it is taken for what it is at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(path: &Path, source: io::Error) -> StartError {
    StartError::Socket { path: path.into(), source }
}

fn bind(path: &Path) -> io::Result<Socket> {
    remove_left(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(Socket { listener, path: path.into() })
}

/// Takes a socket away that nobody listens on any more, and nothing else.
fn remove_left(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            ));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
        Err(_) => fs::remove_file(path),
    }
}

/// Whether a user may speak to this node: the one that it runs as, or root.
pub(crate) fn may_speak(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_node_left_is_taken_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let bound = bind(&path).unwrap();
        let taken = bind(&path).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop(bound);
        assert!(!path.exists());
        fs::write(&path, "not a socket").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a socket");
    }

    #[test]
    fn the_same_user_and_root_may_speak() {
        let me = rustix::process::geteuid().as_raw();
        assert!(may_speak(me) && may_speak(0));
        assert!(!may_speak(me.wrapping_add(1)) || me.wrapping_add(1) == 0);
    }
}
