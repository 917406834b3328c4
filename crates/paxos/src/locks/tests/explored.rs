//! Every state that three sessions and two resources can get into, whatever they do in whatever order.

use std::collections::BTreeMap;
use std::hash::Hash;

use ombak_sim::explore::{Digest, Explorer, Model, Property, Report, Steps, quietly};

use super::follow::{apply_and_follow, nobody_starves};
use super::oracle::Broken;
use super::*;

const SESSIONS: [char; 3] = ['a', 'b', 'c'];
const PATHS: [&str; 2] = ["r", "s"];
const LEASE_US: u64 = 1_000_000;

/// A session has at most one lock on each resource. It locks, converts, cancels and unlocks at any time, waiting or not,
/// and expires at any time.
pub struct Small {
    /// How r is locked, and how s.
    modes: [&'static [Mode]; 2],
    /// Whether sessions expire.
    expire: bool,
    paths: [Path; 2],
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    manager: LockManager,
    /// How many requests each has made.
    asked: BTreeMap<char, u64>,
}

/// What is said, and to whom, if it is a request.
type Step = (Option<char>, String, Vec<Command>);

impl State {
    fn request(&self, name: char, text: String, request: Request) -> Step {
        let number = self.asked[&name] + 1;
        let call =
            Command::Call { session: session(name), number, have: (number - 1).into(), request };
        (Some(name), format!("{name} {text}"), vec![call])
    }

    fn requests(&self, name: char, modes: [&[Mode]; 2]) -> Vec<Step> {
        let mut steps = Vec::new();
        for (on, modes) in PATHS.into_iter().zip(modes) {
            let mut locks = self.manager.locks(session(name));
            match locks.find(|(_, lock)| lock.path == path(on)) {
                None => steps.extend(modes.iter().map(|mode| self.lock(name, on, *mode))),
                Some((id, lock)) => self.others(name, id.number, lock, modes, &mut steps),
            }
        }
        steps
    }

    fn lock(&self, name: char, on: &str, mode: Mode) -> Step {
        let (path, wait) = (path(on), Wait::Forever);
        let request = Request::Lock { path, under: None, mode, wait, notify: true };
        self.request(name, format!("locks {on} {mode}"), request)
    }

    fn others(&self, name: char, lock: u64, now: &Lock, modes: &[Mode], steps: &mut Vec<Step>) {
        let on = &now.path;
        let held = now.held.map(|held| held.mode);
        let value = || Value::new(b"v").unwrap();
        let others = modes.iter().filter(|mode| now.wanted.is_none() && held != Some(**mode));
        steps.extend(others.map(|mode| {
            let request = Request::Convert { lock, mode: *mode, wait: Wait::Forever, value: None };
            self.request(name, format!("converts {on} to {mode}"), request)
        }));
        // What holds nothing is taken back by unlocking it.
        if held.is_some() && now.wanted.is_some() {
            let request = Request::Cancel { lock };
            steps.push(self.request(name, format!("cancels on {on}"), request));
        }
        let value = held.filter(|held| held.writes()).map(|_| value());
        let request = Request::Unlock { lock, value };
        steps.push(self.request(name, format!("unlocks {on}"), request));
    }

    /// Time passes until the session is overdue, and all others have shown that they live.
    fn expires(&self, name: char) -> Step {
        let others = SESSIONS.into_iter().filter(|other| *other != name);
        let mut commands: Vec<_> =
            others.map(|other| Command::KeepAlive { session: session(other) }).collect();
        commands.push(Command::Tick);
        commands.push(Command::Open {
            session: session(name),
            lease_us: LEASE_US,
            about: Value::default(),
        });
        (None, format!("{name} expires"), commands)
    }

    fn after(&self, step: &Step) -> Result<(State, Vec<Notice>), Broken> {
        let (name, _, commands) = step;
        let mut next = self.clone();
        let overdue = self.manager.now().plus_us(LEASE_US);
        let at = if name.is_some() { self.manager.now() } else { overdue };
        let mut notices = Vec::new();
        for command in commands {
            let said = match command {
                // What this does to locks, the state shows.
                Command::KeepAlive { .. } | Command::Open { .. } => {
                    apply(&mut next.manager, at, command)
                }
                _ => apply_and_follow(&mut next.manager, at, command)?,
            };
            notices.extend(said);
        }
        if let Some(name) = name {
            *next.asked.entry(*name).or_default() += 1;
        }
        Ok((next, notices))
    }

    /// What holds of each state by itself.
    fn check(&self) -> Result<(), String> {
        quietly(|| self.manager.check())?;
        nobody_starves(&self.manager).map_err(|(name, detail)| format!("{name}: {detail}"))
    }

    /// What the future depends on, the resources being called so: not how many tokens, places and numbers were given.
    fn shape(&self, paths: [&Path; 2]) -> impl Hash {
        let mut locks = [[None; PATHS.len()]; SESSIONS.len()];
        for (locks, name) in locks.iter_mut().zip(SESSIONS) {
            for (_, lock) in self.manager.locks(session(name)) {
                locks[usize::from(lock.path == *paths[1])] = Some(lock);
            }
        }
        let all = locks.as_flattened().iter().flatten();
        let mut places: Vec<_> =
            all.filter_map(|lock| lock.wanted).map(|each| each.place).collect();
        places.sort();
        let rank = |place| places.iter().position(|each| *each == place);
        let asked = |wanted: Wanted| (wanted.mode, rank(wanted.place));
        let locks = locks.map(|locks| {
            locks.map(|lock| {
                let held = lock.and_then(|lock| lock.held).map(|held| held.mode);
                (held, lock.and_then(|lock| lock.wanted).map(asked))
            })
        });
        let in_doubt =
            |on: &Path| self.manager.resources().any(|(each, value)| each == on && !value.valid);
        (locks, paths.map(in_doubt))
    }
}

impl Model for Small {
    type State = State;
    type Action = String;

    fn initial(&self) -> Vec<State> {
        let mut manager = LockManager::default();
        for name in SESSIONS {
            let open = Command::Open {
                session: session(name),
                lease_us: LEASE_US,
                about: Value::default(),
            };
            apply(&mut manager, LogTime(0), &open);
        }
        vec![State { manager, asked: SESSIONS.map(|name| (name, 0)).into() }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Small>) {
        if let Err(broken) = state.check() {
            return steps.broken("is looked at".to_owned(), broken);
        }
        for name in SESSIONS {
            let mut all = state.requests(name, self.modes);
            if self.expire && state.manager.locks(session(name)).next().is_some() {
                all.push(state.expires(name));
            }
            for step in all {
                let what = step.1.clone();
                match quietly(|| state.after(&step)) {
                    Ok(Ok((next, notices))) => {
                        notices.iter().filter_map(seen).for_each(|name| steps.reached(name));
                        steps.step(what, next);
                    }
                    Ok(Err((name, detail))) => steps.broken(what, format!("{name}: {detail}")),
                    Err(panic) => steps.broken(what, panic),
                }
            }
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let seen = if self.expire { &SEEN[..] } else { &SEEN[..3] };
        seen.iter().copied().map(Property::reached).collect()
    }

    /// If both are locked alike, nothing depends on which resource is called r and which s.
    fn fingerprint(&self, state: &State) -> u128 {
        let [r, s] = &self.paths;
        let named = Digest::of(&state.shape([r, s]));
        let alike = self.modes[0] == self.modes[1];
        if alike { named.min(Digest::of(&state.shape([s, r]))) } else { named }
    }
}

const SEEN: [&str; 5] =
    ["two wait for each other", "three wait for each other", "a block", "doubt", "expiry"];

fn seen(notice: &Notice) -> Option<&'static str> {
    Some(match notice {
        Notice::Deadlock { cycle, .. } if cycle.len() == 2 => SEEN[0],
        Notice::Deadlock { cycle, .. } if cycle.len() == 3 => SEEN[1],
        Notice::Blocking { .. } => SEEN[2],
        Notice::Answer { answer: Answer::Granted { value, .. }, .. } if !value.valid => SEEN[3],
        Notice::Session { state: SessionState::Expired, .. } => SEEN[4],
        _ => return None,
    })
}

/// Readers and writers.
pub fn shared_and_exclusive() -> Report<Small> {
    let modes = &[Mode::PR, Mode::EX];
    Explorer::new(&Small { modes: [modes, modes], expire: true, paths: PATHS.map(path) }).run()
}

/// One resource on which a place can be kept with NL, so that conversions are granted past those that wait.
pub fn with_null() -> Report<Small> {
    let modes: [&[Mode]; 2] = [&[Mode::NL, Mode::PR, Mode::EX], &[Mode::EX]];
    Explorer::new(&Small { modes, expire: false, paths: PATHS.map(path) }).run()
}

#[test]
fn three_sessions_share_two_resources() {
    let report = shared_and_exclusive();
    report.assert_holds();
    assert_eq!(report.states, 21_399);
}

#[test]
fn three_sessions_convert_past_each_other() {
    let report = with_null();
    report.assert_holds();
    assert_eq!(report.states, 6_024);
}
