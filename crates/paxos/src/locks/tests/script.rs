//! Scripts that read like the protocol. A line that is indented once is done; those below it, indented twice, are all that
//! is said to anybody because of it.
//!
//! ```text
//! a open [LEASE]                   a session; 10s unless it says
//! a lock PATH MODE [under N] [nowait | within TIME] [notify]
//! a convert N MODE [nowait | within TIME] [value TEXT]
//! a unlock N [value TEXT]          a cancel N
//! a again [N]                      the last request of a, or another, sent once more
//! a has N [but N…]                 from now on it says that it has the answers up to N
//! a skips N                        so many numbers are not used
//! a explain N                      what has to happen before the lock N of a is granted
//! a alive      a close      tick      leader
//! after TIME                       so much later; nothing is applied
//! ```

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::SplitWhitespace;

use ombak_base::Wire;

use super::*;

type Words<'a> = Peekable<SplitWhitespace<'a>>;

#[derive(Default)]
struct Script {
    manager: LockManager,
    now: LogTime,
    /// Each session's last number, its requests, and what it has.
    last: BTreeMap<char, (u64, BTreeMap<u64, Request>, Have)>,
}

/// Runs a script, and compares what it gives with what it says.
pub fn run(script: &str) {
    let mut world = Script::default();
    let mut text = String::new();
    for line in script.lines().filter(|line| !line.starts_with("        ")) {
        text += line;
        text += "\n";
        if let Some(line) = line.strip_prefix("    ")
            && !line.starts_with('#')
        {
            world.line(line).into_iter().for_each(|said| text += &format!("        {said}\n"));
        }
    }
    assert_eq!(text.trim_end(), script.trim_end(), "\n{text}");
}

impl Script {
    fn line(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace().peekable();
        let first = words.next().unwrap();
        let command = match first {
            "after" => {
                self.now = self.now.plus_us(us(words.next().unwrap()));
                return Vec::new();
            }
            "tick" => Command::Tick,
            "leader" => Command::NewLeader,
            name if words.next_if_eq(&"explain").is_some() => {
                let session = session(name.chars().next().unwrap());
                let lock = LockId { session, number: number(&mut words) };
                return self.manager.explain(lock).iter().map(waits_for).collect();
            }
            name => match self.command(name.chars().next().unwrap(), &mut words) {
                Some(command) => command,
                None => return Vec::new(),
            },
        };
        assert_eq!(words.next(), None, "{line}");
        self.apply(&command)
    }

    fn apply(&mut self, command: &Command) -> Vec<String> {
        let notices = apply(&mut self.manager, self.now, command);
        self.manager.check();
        let mut bytes = Vec::new();
        self.manager.encode(&mut bytes);
        assert_eq!(LockManager::decode(bytes.into()).as_ref(), Ok(&self.manager));
        notices.iter().map(shown).collect()
    }

    fn command(&mut self, name: char, words: &mut Words<'_>) -> Option<Command> {
        let session = session(name);
        Some(match words.next().unwrap() {
            "open" => Command::Open {
                session,
                lease_us: words.next().map_or(10_000_000, us),
                about: Value::default(),
            },
            "alive" => Command::KeepAlive { session },
            "close" => Command::Close { session },
            "has" => {
                let all_to = number(words);
                let but: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
                self.last.entry(name).or_default().2 = Have::all_but(all_to, but);
                return None;
            }
            "skips" => {
                self.last.entry(name).or_default().0 += number(words);
                return None;
            }
            "again" => self.call(name, words.next().map(|word| word.parse().unwrap())),
            verb => {
                let (last, requests, _) = self.last.entry(name).or_default();
                *last += 1;
                requests.insert(*last, asked(verb, words));
                self.call(name, None)
            }
        })
    }

    fn call(&self, name: char, number: Option<u64>) -> Command {
        let (last, requests, have) = self.last[&name].clone();
        let number = number.unwrap_or(last);
        Command::Call { session: session(name), number, have, request: requests[&number].clone() }
    }
}

fn asked(verb: &str, words: &mut Words<'_>) -> Request {
    match verb {
        "lock" => Request::Lock {
            path: path(words.next().unwrap()),
            mode: mode(words),
            under: words.next_if_eq(&"under").map(|_| number(words)),
            wait: wait(words),
            notify: words.next_if_eq(&"notify").is_some(),
        },
        "convert" => Request::Convert {
            lock: number(words),
            mode: mode(words),
            wait: wait(words),
            value: value(words),
        },
        "unlock" => Request::Unlock { lock: number(words), value: value(words) },
        "cancel" => Request::Cancel { lock: number(words) },
        other => panic!("{other}"),
    }
}

fn number(words: &mut Words<'_>) -> u64 {
    words.next().unwrap().parse().unwrap()
}

fn mode(words: &mut Words<'_>) -> Mode {
    let name = words.next().unwrap();
    Mode::ALL.into_iter().find(|mode| mode.to_string() == name).unwrap()
}

fn wait(words: &mut Words<'_>) -> Wait {
    if words.next_if_eq(&"nowait").is_some() {
        return Wait::No;
    }
    words.next_if_eq(&"within").map_or(Wait::Forever, |_| Wait::Us(us(words.next().unwrap())))
}

fn value(words: &mut Words<'_>) -> Option<Value> {
    words.next_if_eq(&"value")?;
    Some(Value::new(words.next().unwrap().as_bytes()).unwrap())
}

fn us(time: &str) -> u64 {
    time.strip_suffix("s").unwrap().parse::<u64>().unwrap() * 1_000_000
}

fn shown(notice: &Notice) -> String {
    match notice {
        Notice::Answer { session, number, answer } => {
            format!("{}#{number} {}", letter(*session), answered(answer))
        }
        Notice::Session { session, state } => {
            let state = match state {
                SessionState::Live { until } => format!("lives until {}s", until.0 / 1_000_000),
                SessionState::Closed => "is closed".to_owned(),
                SessionState::Expired => "is expired".to_owned(),
                SessionState::Refused(why) => format!("is refused: {why:?}"),
            };
            format!("{} {state}", letter(*session))
        }
        Notice::Blocking { lock, waiter, wanted } => {
            format!("{} blocks {}, which wants {wanted}", named(*lock), named(*waiter))
        }
        Notice::Deadlock { victim, cycle } => {
            let cycle: Vec<_> = cycle.iter().map(waits_for).collect();
            format!("deadlock: {}; {} gives way", cycle.join(", "), named(*victim))
        }
    }
}

fn waits_for(edge: &WaitsFor) -> String {
    let WaitsFor { waiter, blocker, why } = *edge;
    let why = if why == Why::Held { "for" } else { "behind" };
    format!("{} {why} {}", named(waiter), named(blocker))
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Granted { mode, token, value } => {
            let valid = if value.valid { "" } else { " not valid" };
            let text = value.value.as_bytes().escape_ascii().to_string();
            let text = if text.is_empty() { "none" } else { &text };
            let block = format!(" value {text}{valid}");
            let block = if *value == ValueBlock::default() { "" } else { &block };
            format!("has {mode} token {}{block}", token.0)
        }
        Answer::Waiting => "waits".to_owned(),
        Answer::Unlocked => "unlocked".to_owned(),
        Answer::Cancelled => "cancelled".to_owned(),
        Answer::Refused(why) => format!("is refused: {why:?}"),
    }
}

fn letter(session: SessionId) -> char {
    char::from(session.0 as u8)
}

fn named(lock: LockId) -> String {
    format!("{}#{}", letter(lock.session), lock.number)
}
