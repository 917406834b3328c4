//! Three processes of an example, which are killed and started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// For what must come, on a machine that is busy.
pub const WITHIN: Duration = Duration::from_secs(60);

/// A line, and when it came.
pub type Line = (Instant, String);

/// Three members of a group, each a process.
pub struct Trio {
    program: PathBuf,
    addresses: Vec<String>,
    dir: tempfile::TempDir,
    pub members: Vec<Member>,
}

/// One process.
pub struct Member {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Line>,
    /// Read while something else was waited for.
    passed_over: Vec<Line>,
}

/// Free when they were asked for, and all at the same time, so that they are three.
pub fn three_addresses() -> Vec<String> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").unwrap();
    let bound: Vec<_> = (0..3).map(bind).collect();
    bound.iter().map(|it| it.local_addr().unwrap().to_string()).collect()
}

impl Trio {
    /// Starts `program` three times.
    pub fn start(program: PathBuf) -> Trio {
        assert!(program.exists(), "{} is missing: build it first", program.display());
        let addresses = three_addresses();
        let dir = tempfile::tempdir().unwrap();
        let mut trio = Trio { program, addresses, dir, members: Vec::new() };
        trio.members = (0..3).map(|index| trio.run(index)).collect();
        trio
    }

    fn run(&self, index: usize) -> Member {
        let errors = self.dir.path().join(format!("stderr-{}", index + 1));
        let errors = OpenOptions::new().create(true).append(true).open(errors).unwrap();
        let mut child = Command::new(&self.program)
            .arg((index + 1).to_string())
            .args(&self.addresses)
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send((Instant::now(), line));
            }
        });
        Member { child, stdin, lines, passed_over: Vec::new() }
    }

    /// Kills a member with SIGKILL, and waits until it is gone. What it still says is in `lines`.
    pub fn kill(&mut self, index: usize) {
        self.members.iter_mut().for_each(|member| member.passed_over.clear());
        self.members[index].child.kill().unwrap();
        self.members[index].child.wait().unwrap();
    }

    /// Starts one that was killed.
    pub fn revive(&mut self, index: usize) {
        self.members[index] = self.run(index);
    }

    /// What a member said on its standard error.
    pub fn complaints(&self) -> String {
        let read = |index: usize| {
            let file = File::open(self.dir.path().join(format!("stderr-{index}")));
            file.and_then(std::io::read_to_string).unwrap_or_default()
        };
        (1..=3).map(|index| format!("{index}: {}\n", read(index))).collect()
    }

    /// Asks a member, and waits for its answer. `None`: it is gone.
    pub fn ask(&mut self, index: usize, line: &str) -> Option<String> {
        self.members[index].say(line);
        match self.members[index].lines.recv_timeout(WITHIN) {
            Ok((_, answer)) => Some(answer),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("member {} says nothing to {line:?}; {}", index + 1, self.complaints())
            }
        }
    }

    /// Waits until one of them leads: which, its token, and when.
    fn next_leader(&mut self) -> (usize, i64, Instant) {
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            for (index, member) in self.members.iter_mut().enumerate() {
                let Ok((at, line)) = member.lines.recv_timeout(Duration::from_millis(1)) else {
                    continue;
                };
                if let Some(token) = number(&line, "I lead, with token") {
                    return (index, token, at);
                }
                member.passed_over.push((at, line));
            }
        }
        panic!("nobody leads; {}", self.complaints())
    }

    /// Waits for a line, unless it was passed over already.
    fn expect(&mut self, index: usize, wanted: &str) {
        let deadline = Instant::now() + WITHIN;
        let member = &mut self.members[index];
        while !member.passed_over.iter().any(|(_, line)| line == wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            match member.lines.recv_timeout(left) {
                Ok(line) => member.passed_over.push(line),
                Err(_) => {
                    let said = std::mem::take(&mut member.passed_over);
                    panic!("no {wanted:?}, but {said:?}; {}", self.complaints())
                }
            }
        }
    }
}

impl Member {
    pub fn say(&mut self, line: &str) {
        // One that is gone does not listen.
        let _ = self.stdin.write_all(format!("{line}\n").as_bytes());
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

/// The number behind a word.
pub fn number(line: &str, word: &str) -> Option<i64> {
    line.strip_prefix(word)?.trim().parse().ok()
}

/// What a counter may be.
#[derive(Default)]
struct Ledger {
    sure: i64,
    unsure: i64,
}

impl Ledger {
    /// Asks a member to add, and notes what it says. Whether it was acknowledged.
    fn add(&mut self, trio: &mut Trio, index: usize, n: i64) -> bool {
        let answer = trio.ask(index, &format!("add {n}"));
        self.note(n, answer.as_deref().unwrap_or("unknown"))
    }

    fn note(&mut self, n: i64, answer: &str) -> bool {
        if answer.starts_with("later: ") {
            return false;
        }
        if answer == "unknown" {
            self.unsure += n;
            return false;
        }
        self.sure += n;
        self.check(number(answer, "ok"), answer);
        true
    }

    /// Reads at a member.
    fn read(&self, trio: &mut Trio, index: usize) -> Option<i64> {
        let answer = trio.ask(index, "get").unwrap_or_default();
        let now = number(&answer, "value");
        self.check(now, &answer);
        now
    }

    fn check(&self, now: Option<i64>, answer: &str) {
        let Ledger { sure, unsure } = self;
        let may_be = *sure..=*sure + *unsure;
        assert!(now.is_some_and(|now| may_be.contains(&now)), "{answer:?}, and not {may_be:?}");
    }
}

/// A counter: what was acknowledged survives its leader, and the end of all.
pub fn a_counter_keeps_what_was_acknowledged(program: PathBuf) {
    let mut trio = Trio::start(program);
    let mut ledger = Ledger::default();
    for n in 1..=30 {
        ledger.add(&mut trio, n as usize % 3, n);
    }
    let mut times = Vec::new();
    for round in 0..3 {
        let leader = leader_of(&mut trio, round);
        let [next, last] = [(leader + 1) % 3, (leader + 2) % 3];
        // Something is under way when the leader dies: that is answered, or it is not.
        trio.members[leader].say("add 1000000");
        let killed = Instant::now();
        trio.kill(leader);
        let answer = trio.members[leader].lines.iter().last();
        ledger.note(1_000_000, answer.as_ref().map_or("unknown", |(_, line)| line));
        while !ledger.add(&mut trio, next, 1) {
            assert!(killed.elapsed() < WITHIN, "no leader; {}", trio.complaints());
        }
        times.push(killed.elapsed());
        ledger.read(&mut trio, last);
        trio.revive(leader);
        ledger.read(&mut trio, leader);
    }
    println!("from SIGKILL to the next command that was acknowledged: {times:?}");
    (0..3).for_each(|index| trio.kill(index));
    (0..3).for_each(|index| trio.revive(index));
    let read: Vec<_> = (0..3).map(|index| ledger.read(&mut trio, index)).collect();
    assert!(read.windows(2).all(|pair| pair[0] == pair[1]), "{read:?}");
}

/// Who leads, as soon as somebody does.
fn leader_of(trio: &mut Trio, index: usize) -> usize {
    let deadline = Instant::now() + WITHIN;
    loop {
        let line = trio.ask(index, "who").unwrap_or_default();
        if let Some(leader) = number(&line, "leader n") {
            return leader as usize - 1;
        }
        assert!(Instant::now() < deadline, "nobody leads; {}", trio.complaints());
    }
}

/// A leader that is killed is replaced, and its token with it.
pub fn a_leader_is_replaced(program: PathBuf) {
    let mut trio = Trio::start(program);
    let mut times: Vec<Duration> = Vec::new();
    let (mut leader, mut token, _) = trio.next_leader();
    for _ in 0..5 {
        let killed = Instant::now();
        trio.kill(leader);
        let (next, higher, at) = trio.next_leader();
        assert!(higher > token, "{higher} after {token}");
        times.push(at.saturating_duration_since(killed));
        let third = 3 - leader - next;
        let leads = format!("n{} leads", next + 1);
        trio.expect(third, &leads);
        trio.revive(leader);
        trio.expect(leader, &leads);
        (leader, token) = (next, higher);
    }
    times.sort();
    println!("from SIGKILL to the token of the next leader: {times:?}");
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
}

/// Where cargo puts what belongs to the test that runs.
pub fn built(path: impl AsRef<Path>) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join(path)
}
