//! What `ombak lock` promises when holders are stopped and killed, leaders crash, and networks are cut.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ombak_locks::wire::Locks;
use ombak_locks::{Fence, How, LockError, Mode, Nodes, Session, Token};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

use crate::support::cluster::Cluster;
use crate::support::hosts::Hosts;
use crate::support::process::{PATIENCE, Process, ombak, run};

/// A client may be without locks for so long when a node crashes, and when one is frozen and does not even close its connections.
const CRASH_MAX: Duration = Duration::from_secs(1);
const FROZEN_MAX: Duration = Duration::from_secs(2);
/// So much more is taken by a debug build on a machine with other work.
const SLACK: Duration = Duration::from_secs(2);
/// Between two looks.
const PACE: Duration = Duration::from_millis(10);

/// Shows its token, works until it is told to go on, and then writes. It does not end when it is asked to.
const HOLDER: &str = r#"
trap '' TERM
echo "$OMBAK_LOCK_TOKEN" > "$1/$2.tmp" && mv "$1/$2.tmp" "$1/$2.holds"
while [ ! -e "$1/$2.go" ]; do sleep 0.02; done
echo "$OMBAK_LOCK_TOKEN" > "$1/$2.tmp" && mv "$1/$2.tmp" "$1/$2.writes"
"#;

/// A place where holders meet.
struct Meeting {
    dir: TempDir,
    nodes: String,
}

impl Meeting {
    fn at(cluster: &Cluster, nodes: &[usize]) -> Meeting {
        let nodes = nodes.iter().map(|node| cluster.http_address(*node).to_string());
        Meeting { dir: tempfile::tempdir().unwrap(), nodes: nodes.collect::<Vec<_>>().join(",") }
    }

    /// Runs a holder, in a process group of its own.
    fn holder(&self, name: &str, options: &[&str]) -> Process {
        let mut command = ombak();
        command.args(["lock", "--node", &self.nodes]).args(options);
        command.args(["printer", "--", "sh", "-c", HOLDER, "sh"]);
        command.arg(self.dir.path()).arg(name);
        Process::start(command.stdin(Stdio::null()).process_group(0))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn go(&self, name: &str) {
        fs::write(self.path(&format!("{name}.go")), "").unwrap();
    }

    /// The token that a holder wrote with, which has ended.
    fn written(&self, name: &str) -> Token {
        let text = fs::read_to_string(self.path(&format!("{name}.writes"))).unwrap();
        Token(text.trim().parse().unwrap())
    }

    /// The token of a holder that has come so far.
    fn token(&self, process: &mut Process, step: &str) -> Token {
        let path = self.path(step);
        Token(wait_file(process, &path).trim().parse().unwrap())
    }
}

fn wait_file(process: &mut Process, path: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        assert!(Instant::now() < deadline, "no {path:?}: {}", process.all_text());
        process.pace(PACE);
    }
}

fn signal_group(process: &Process, signal: Signal) {
    kill_process_group(Pid::from_raw(process.pid() as i32).unwrap(), signal).unwrap();
}

/// A holder is stopped past its lease, another one has its turn, and then the first goes on. What arrives, in order.
fn a_late_writer() -> Vec<(&'static str, Token)> {
    let cluster = Cluster::start();
    let meeting = Meeting::at(&cluster, &[0, 1, 2]);
    let mut late = meeting.holder("late", &["--lease", "1s", "--kill-after", "60s"]);
    meeting.token(&mut late, "late.holds");
    signal_group(&late, Signal::STOP);

    let mut next = meeting.holder("next", &[]);
    meeting.token(&mut next, "next.holds");
    meeting.go("next");
    assert!(next.wait().success());
    let second = meeting.written("next");

    meeting.go("late");
    signal_group(&late, Signal::CONT);
    assert_eq!(late.wait().code(), Some(123), "{}", late.all_text());
    let first = meeting.written("late");
    vec![("next", second), ("late", first)]
}

#[test]
fn a_stopped_holder_that_goes_on_does_not_corrupt_what_checks_tokens() {
    let (mut fence, mut value) = (Fence::default(), None);
    for (who, token) in a_late_writer() {
        if fence.pass(Mode::EX, token).is_ok() {
            value = Some(who);
        }
    }
    assert_eq!(value, Some("next"));
}

/// Why tokens are there: the same, for what does not look at them.
#[test]
fn a_stopped_holder_that_goes_on_corrupts_what_does_not() {
    let value = a_late_writer().into_iter().map(|(who, _)| who).next_back();
    assert_eq!(value, Some("late"), "written after the lock was another's");
}

#[test]
fn a_killed_holder_takes_its_command_along_and_the_next_has_a_larger_token() {
    let cluster = Cluster::start();
    let meeting = Meeting::at(&cluster, &[0, 1, 2]);
    let mut command = ombak();
    command.args(["lock", "--node", &meeting.nodes, "--lease", "1s", "printer", "--", "sh", "-c"]);
    command.arg("echo $$ $OMBAK_LOCK_TOKEN > $0.tmp; mv $0.tmp $0; exec sleep 60");
    command.arg(meeting.path("victim"));
    let mut victim = Process::start(command.stdin(Stdio::null()));
    let text = wait_file(&mut victim, &meeting.path("victim"));
    let (pid, first) = text.trim().split_once(' ').unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    victim.kill();
    let deadline = Instant::now() + PATIENCE;
    while test_kill_process(pid).is_ok() {
        assert!(Instant::now() < deadline, "the command is left behind");
        std::thread::park_timeout(PACE);
    }
    let mut next = meeting.holder("next", &[]);
    let second = meeting.token(&mut next, "next.holds");
    assert!(second > Token(first.parse().unwrap()));
    meeting.go("next");
    assert!(next.wait().success());
}

fn who_leads(meeting: &Meeting) -> String {
    let asked = run(["leader", "--node", &meeting.nodes, "billing"]);
    match asked.code {
        Some(0) => asked.out.trim().to_string(),
        Some(1) => String::new(),
        _ => panic!("{asked:?}"),
    }
}

fn candidate(meeting: &Meeting, who: &str) -> Process {
    candidate_for(meeting, who, "1s")
}

fn candidate_for(meeting: &Meeting, who: &str, lease: &str) -> Process {
    let mut command = ombak();
    command.args(["lead", "--node", &meeting.nodes, "--lease", lease, "billing", "--as", who]);
    command.args(["--", "sh", "-c", HOLDER, "sh"]).arg(meeting.dir.path()).arg(who);
    Process::start(command.stdin(Stdio::null()).process_group(0))
}

#[test]
fn a_killed_leader_is_followed_by_the_next_and_everybody_hears_of_it() {
    let cluster = Cluster::start();
    let meeting = Meeting::at(&cluster, &[0, 1, 2]);
    assert_eq!(who_leads(&meeting), "");
    let mut first = candidate(&meeting, "first");
    let before = meeting.token(&mut first, "first.holds");
    assert_eq!(who_leads(&meeting), "first");
    let mut second = candidate(&meeting, "second");
    signal_group(&first, Signal::KILL);
    first.wait();
    assert!(meeting.token(&mut second, "second.holds") > before);
    assert_eq!(who_leads(&meeting), "second");
    meeting.go("second");
    assert!(second.wait().success(), "{}", second.all_text());
    assert_eq!(who_leads(&meeting), "");
}

/// Looks at what is locked, as a node tells it, until there is what is looked for.
fn wait_locks<T>(cluster: &Cluster, node: usize, find: impl Fn(&Locks) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let url = format!("http://{}/ombak/locks", cluster.http_address(node));
    loop {
        if let Ok(mut response) = ureq::get(&url).call() {
            let text = response.body_mut().read_to_string().unwrap();
            if let Some(found) = find(&serde_json::from_str(&text).unwrap()) {
                return found;
            }
        }
        assert!(Instant::now() < deadline, "not found in time");
        std::thread::park_timeout(PACE);
    }
}

fn leader(cluster: &Cluster) -> usize {
    let named = |locks: &Locks, node: &usize| Some(cluster.name(*node)) == locks.leader;
    wait_locks(cluster, 0, |locks| (0..3).find(|node| named(locks, node)))
}

/// How many wait for anything.
fn waiting(locks: &Locks) -> usize {
    locks.resources.iter().map(|resource| resource.waiters.len()).sum()
}

fn wait_waiting(cluster: &Cluster, node: usize, count: usize) {
    wait_locks(cluster, node, |locks| (waiting(locks) == count).then_some(()));
}

#[test]
fn a_leader_crashes_and_the_lock_is_held_by_the_same_one() {
    let mut cluster = Cluster::start();
    let leader = leader(&cluster);
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    let meeting = Meeting::at(&cluster, &others);
    let mut holder = meeting.holder("holder", &["--lease", "3s"]);
    let first = meeting.token(&mut holder, "holder.holds");
    // How long nothing can be locked, as a client sees it.
    let session = Session::open(nodes(&meeting), "watch", Duration::from_secs(10)).unwrap();
    cluster.kill(leader);
    let began = Instant::now();
    drop(session.lock(&["another"], How::default()).unwrap());
    let took = began.elapsed();
    assert!(took < CRASH_MAX + SLACK, "nothing could be locked for {took:?}");

    let now = How { wait: Some(Duration::ZERO), ..How::default() };
    let refused = session.lock(&["printer"], now);
    assert!(matches!(refused, Err(LockError::NotGranted(_))), "{refused:?}");
    meeting.go("holder");
    assert!(holder.wait().success(), "{}", holder.all_text());
    let lock = session.lock(&["printer"], How::default()).unwrap();
    assert!(Token(lock.token()) > first);
}

/// A node that is stopped takes connections, and answers nothing: its clients have to notice, and go on with another.
#[test]
fn a_frozen_leader_holds_up_its_own_clients_no_longer_than_two_seconds() {
    let cluster = Cluster::start();
    let leader = leader(&cluster);
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    let open = |nodes: &[usize]| {
        let nodes = nodes.iter().map(|node| cluster.http_address(*node).to_string());
        Session::open(Nodes::new(nodes).unwrap(), "a test", Duration::from_secs(10)).unwrap()
    };
    let frozen_first = [leader, others[0], others[1]];
    let (holder, waiter) = (open(&others), open(&frozen_first));
    let held = holder.lock(&["printer"], How::default()).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let lock = waiter.lock(&["printer"], How::default());
            lock.map(|lock| (lock.token(), Instant::now()))
        });
        wait_waiting(&cluster, others[0], 1);
        kill_process(pid(&cluster, leader), Signal::STOP).unwrap();
        let (began, first) = (Instant::now(), held.token());
        held.unlock(None).unwrap();
        let (token, at) = waits.join().unwrap().unwrap();
        assert!(token > first);
        assert!(at - began < FROZEN_MAX + SLACK, "it heard of its lock after {:?}", at - began);
    });
    let began = Instant::now();
    drop(open(&frozen_first).lock(&["another"], How::default()).unwrap());
    let took = began.elapsed();
    assert!(took < FROZEN_MAX, "with the frozen node first, a lock took {took:?}");
}

fn pid(cluster: &Cluster, node: usize) -> Pid {
    Pid::from_raw(cluster.pid(node) as i32).unwrap()
}

fn nodes(meeting: &Meeting) -> Nodes {
    Nodes::new(meeting.nodes.split(',')).unwrap()
}

/// Who is told to end while it waits does not come up later, when nobody is there to let go.
#[test]
fn a_waiter_that_is_told_to_end_leaves_its_place() {
    let cluster = Cluster::start();
    let meeting = Meeting::at(&cluster, &[0, 1, 2]);
    let session = Session::open(nodes(&meeting), "holds", Duration::from_secs(10)).unwrap();
    let held = session.lock(&["printer"], How::default()).unwrap();
    let leads = session.lead(&["billing"], b"a test", None).unwrap();
    let mut waiters = [meeting.holder("waiter", &[]), candidate_for(&meeting, "waiter", "10s")];
    wait_waiting(&cluster, 0, 2);
    for (waiter, (signal, code)) in
        waiters.iter_mut().zip([(Signal::TERM, 128 + 15), (Signal::INT, 128 + 2)])
    {
        waiter.signal(signal);
        let ended = waiter.wait();
        assert_eq!(ended.code(), Some(code), "{ended}: {}", waiter.all_text());
    }
    // As soon as it has ended, and not when its lease has.
    let url = format!("http://{}/ombak/locks", cluster.http_address(0));
    let text = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(waiting(&serde_json::from_str(&text).unwrap()), 0, "{text}");
    held.unlock(None).unwrap();
    leads.resign().unwrap();
    assert!(!meeting.path("waiter.holds").exists(), "it was run after all");
}

/// Shows its process id, and goes on whatever it is told.
const STUBBORN: &str =
    r#"trap '' TERM; echo $$ > "$0.tmp"; mv "$0.tmp" "$0"; while :; do sleep 0.05; done"#;

/// What the command has started is ended with it, whether it listens or not.
#[test]
fn a_lost_lease_ends_all_that_the_command_has_started() {
    let cluster = Cluster::start();
    let meeting = Meeting::at(&cluster, &[0, 1, 2]);
    let mut command = ombak();
    command.args(["lock", "--node", &meeting.nodes, "--lease", "1s", "--kill-after", "300ms"]);
    command.args(["printer", "--", "sh", "-c"]);
    // One is a child of the command, and one is nobody's any more.
    command.arg(r#"sh -c "$0" "$1/child" & (sh -c "$0" "$1/orphan" &) ; wait; echo after"#);
    command.arg(STUBBORN).arg(meeting.dir.path());
    let mut holder = Process::start(command.stdin(Stdio::null()));
    let started = ["child", "orphan"].map(|name| {
        let text = wait_file(&mut holder, &meeting.path(name));
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    });
    holder.signal(Signal::STOP);
    let session = Session::open(nodes(&meeting), "next", Duration::from_secs(10)).unwrap();
    session.lock(&["printer"], How::default()).unwrap();
    holder.signal(Signal::CONT);
    assert_eq!(holder.wait().code(), Some(123), "{}", holder.all_text());
    for pid in started {
        assert!(test_kill_process(pid).is_err(), "{pid:?} goes on without the lock");
    }
}

/// Three machines on one network, each in a namespace of its own; the holder's is cut off.
#[test]
fn a_holder_that_is_cut_off_is_ended_and_the_next_has_a_larger_token() {
    let Some(mut hosts) = Hosts::start(3) else { return };
    let dir = tempfile::tempdir().unwrap();
    let meeting = Meeting { dir, nodes: hosts.http_addresses().join(",") };
    let own = hosts.http_addresses()[2].clone();
    let holder = |hosts: &Hosts, host: usize, name: &str, nodes: &str, options: &[&str]| {
        let mut command = hosts.ombak_on(host);
        command.args(["lock", "--node", nodes]).args(options);
        command.args(["printer", "--", "sh", "-c", HOLDER, "sh"]);
        command.arg(meeting.dir.path()).arg(name);
        Process::start(command.stdin(Stdio::null()))
    };
    let options = ["--lease", "2s", "--kill-after", "200ms"];
    let mut cut_off = holder(&hosts, 2, "cut-off", &own, &options);
    let first = meeting.token(&mut cut_off, "cut-off.holds");
    hosts.cut_off(2);
    let mut next = holder(&hosts, 0, "next", &meeting.nodes, &[]);
    let second = meeting.token(&mut next, "next.holds");
    assert!(second > first);
    // It knows by its own clock, without hearing from anybody.
    assert_eq!(cut_off.wait().code(), Some(123), "{}", cut_off.all_text());
    // Would what it has started still be there, it would write now.
    meeting.go("cut-off");
    meeting.go("next");
    assert!(next.wait().success(), "{}", next.all_text());

    hosts.connect(2);
    let mut back = holder(&hosts, 2, "back", &own, &[]);
    let third = meeting.token(&mut back, "back.holds");
    assert!(third > second);
    meeting.go("back");
    assert!(back.wait().success(), "{}", back.all_text());
    assert_eq!([meeting.written("next"), meeting.written("back")], [second, third]);
    assert!(!meeting.path("cut-off.writes").exists(), "whoever had lost the lock wrote");
}
