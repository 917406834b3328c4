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

    fn session(&self, of: &str) -> Session {
        let nodes = Nodes::new([self.address()]).unwrap();
        Session::open(nodes, of, Duration::from_secs(60)).unwrap()
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
    let session = world.session("a test");
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

/// One holds, and two wait for each other's turn: as a table, as a picture, and as JSON.
#[test]
fn locks_are_shown_with_who_holds_and_who_waits_for_whom() {
    let world = World::start();
    let locks = |arguments: &[&str]| {
        let shown = run([&["locks", "--node", &world.address()], arguments].concat());
        assert_eq!(shown.code, Some(0), "{shown:?}");
        shown.out
    };
    assert_eq!(locks(&[]).trim(), "nothing is locked");
    assert_eq!(locks(&["--explain"]).trim(), "nobody waits for anybody");

    let [first, second, third] = ["first", "second", "third"].map(|who| world.session(who));
    let printer = first.lock(&["printer"], How::default()).unwrap();
    let paper = second.lock(&["paper"], How::default()).unwrap();
    let token = printer.token();
    std::thread::scope(|scope| {
        let wait = |session, name, waiting| {
            let lock = move |session: &Session| session.lock(&[name], How::default()).map(drop);
            let waits = scope.spawn(move || lock(session));
            let deadline = Instant::now() + PATIENCE;
            while locks(&[]).matches("waits").count() < waiting {
                assert!(Instant::now() < deadline, "nobody waits for {name}");
            }
            waits
        };
        let of_second = wait(&second, "printer", 1);
        let of_third = wait(&third, "paper", 2);

        let table = locks(&[]);
        let line = |name: &str, how: &str| {
            let found = table.lines().find(|line| line.contains(name) && line.contains(how));
            found.unwrap_or_else(|| panic!("no {how} {name} in {table}")).to_string()
        };
        for (name, how, who) in [
            ("printer", "holds", "first"),
            ("printer", "waits", "second"),
            ("paper", "holds", "second"),
            ("paper", "waits", "third"),
        ] {
            assert!(line(name, how).contains(who), "{table}");
            assert!(line(name, how).contains("EX"), "{table}");
        }
        assert!(line("printer", "holds").contains(&format!(" {token} ")), "{table}");
        assert!(!locks(&["paper"]).contains("printer"));

        let picture = locks(&["--explain"]);
        let lines: Vec<&str> = picture.trim().lines().collect();
        assert!(lines[0].starts_with("first · at work"), "{picture}");
        assert!(lines[1].starts_with("└─ second · wants EX on printer, for "), "{picture}");
        assert!(lines[2].starts_with("   └─ third · wants EX on paper, for "), "{picture}");
        assert_eq!(lines.len(), 3, "{picture}");

        let json: serde_json::Value = serde_json::from_str(&locks(&["--json"])).unwrap();
        let printer_of = |of: &serde_json::Value| of["path"] == serde_json::json!(["printer"]);
        let resources = json["resources"].as_array().unwrap();
        let found = resources.iter().find(|of| printer_of(of)).unwrap();
        assert_eq!(found["holders"][0]["token"], token);
        assert!(found["waiters"][0]["for_ms"].is_u64(), "{found}");

        printer.unlock(None).unwrap();
        of_second.join().unwrap().unwrap();
        paper.unlock(None).unwrap();
        of_third.join().unwrap().unwrap();
    });
    let missing = run(["locks", "--node", &world.address(), "nothing"]);
    assert_ne!(missing.code, Some(0));
    assert!(missing.err.contains("nobody holds or waits for nothing"), "{missing:?}");
    drop((first, second, third));
    stop(world.node, Signal::TERM);
}
