//! What `ombak lock` says to scripts: by its exit code, and in the environment of its command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ombak_locks::{How, Nodes, Session};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::alone::{start_alone, stop, wait_up};
use crate::support::ports::Ports;
use crate::support::process::{Finished, PATIENCE, Process, run};

/// A node that locks.
struct World {
    ports: Ports,
    node: Process,
    dir: TempDir,
}

impl World {
    fn start() -> World {
        let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
        let mut node = start_alone(&ports, dir.path(), &[]);
        wait_up(&mut node);
        let world = World { ports, node, dir };
        let deadline = Instant::now() + PATIENCE;
        while run(["locks", "--node", &world.address()]).code != Some(0) {
            assert!(Instant::now() < deadline, "it locks nothing: {}", world.node.all_text());
        }
        world
    }

    fn address(&self) -> String {
        self.ports.address(2).to_string()
    }

    fn lock(&self, arguments: &[&str]) -> Finished {
        let address = self.address();
        run([&["lock", "--node", &address], arguments].concat())
    }

    fn session(&self) -> Session {
        let nodes = Nodes::new([self.address()]).unwrap();
        Session::open(nodes, "a test", Duration::from_secs(60)).unwrap()
    }
}

fn file(dir: &Path, mode: u32) -> String {
    let path = dir.join("command");
    fs::write(&path, "no program").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

/// As the table in the guide has them; 123, the lost lease, is where leases are lost.
#[test]
fn exit_codes_are_those_of_the_guide() {
    let world = World::start();
    let session = world.session();
    let _held = session.lock(&["taken"], How::default()).unwrap();
    let cannot_be_run = file(world.dir.path(), 0o644);
    for (code, says, arguments) in [
        (0, "", &["free", "--", "true"][..]),
        (3, "", &["free", "--", "sh", "-c", "exit 3"]),
        (128 + 9, "", &["free", "--", "sh", "-c", "kill -KILL $$"]),
        (124, "somebody else holds taken", &["--timeout", "0", "taken", "--", "true"]),
        (124, "somebody else holds taken", &["--timeout", "50ms", "taken", "--", "true"]),
        (7, "somebody else holds taken", &["-E", "7", "--timeout", "0", "taken", "--", "true"]),
        (125, "a lease lasts from", &["--lease", "1ms", "free", "--", "true"]),
        (125, "is no address", &["--node", "nowhere", "free", "--", "true"]),
        (126, "cannot run", &["free", "--", &cannot_be_run]),
        (127, "cannot run", &["free", "--", "/there/is/no/such/command"]),
        (2, "required", &["free"]),
    ] {
        let ended = world.lock(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {ended:?}");
    }
    drop(session);
    stop(world.node, Signal::TERM);
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn the_command_finds_name_token_and_deadline_in_its_environment() {
    let world = World::start();
    let echo = "echo $OMBAK_LOCK_NAME/$OMBAK_LOCK_TOKEN/$OMBAK_LOCK_DEADLINE";
    let mut last = 0;
    for lease in [10.0, 100.0] {
        let before = now();
        let said =
            world.lock(&["--lease", &format!("{lease}s"), "free", "--", "sh", "-c", echo]).out;
        let [name, token, deadline] =
            said.trim().split('/').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(name, "free");
        let token: u64 = token.parse().unwrap();
        assert!(token > last, "{token} after {last}");
        last = token;
        let deadline: f64 = deadline.parse().unwrap();
        assert!((before..=now() + lease).contains(&deadline), "{said}");
        assert!(deadline > before + lease - 5.0, "one lease from the start: {said}");
    }
    stop(world.node, Signal::TERM);
}
