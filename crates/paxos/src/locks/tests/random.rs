//! Hundreds of commands that make no sense together, each followed by the oracle, and every few of them a replica that goes
//! on from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::Wire;
use proptest::prelude::*;

use super::follow::{apply_and_follow, nobody_starves};
use super::*;

const PATHS: [&str; 5] = ["r", "s", "r/a", "r/b", "r/a/x"];

/// What is tried. Numbers of locks are places in the list of those that the session has.
#[derive(Clone, Debug)]
pub enum Try {
    Open(u64),
    KeepAlive,
    Close,
    Lock {
        on: usize,
        under: usize,
        mode: Mode,
        wait: Wait,
        notify: bool,
    },
    Convert {
        lock: usize,
        mode: Mode,
        wait: Wait,
        value: Option<u8>,
    },
    Unlock {
        lock: usize,
        value: Option<u8>,
    },
    Cancel {
        lock: usize,
    },
    Again {
        back: u64,
    },
    /// All answers but those to these of the last requests, and to what waits.
    Acknowledge {
        but: u8,
    },
    Later(u64),
    Tick,
    NewLeader,
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        1 => Just(Wait::No),
        2 => (0..400_000u64).prop_map(Wait::Us),
        5 => Just(Wait::Forever),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(Mode::ALL.to_vec())
}

fn value() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.3, any::<u8>())
}

fn a_try() -> impl Strategy<Value = Try> {
    let lock = 0..4usize;
    prop_oneof![
        4 => (0..3u64).prop_map(|extra| Try::Open(100_000 * (extra + 1))),
        2 => Just(Try::KeepAlive),
        1 => Just(Try::Close),
        16 => (0..PATHS.len(), 0..4usize, mode(), wait(), any::<bool>())
            .prop_map(|(on, under, mode, wait, notify)| Try::Lock { on, under, mode, wait, notify }),
        10 => (lock.clone(), mode(), wait(), value())
            .prop_map(|(lock, mode, wait, value)| Try::Convert { lock, mode, wait, value }),
        6 => (lock.clone(), value()).prop_map(|(lock, value)| Try::Unlock { lock, value }),
        2 => lock.prop_map(|lock| Try::Cancel { lock }),
        2 => (0..5u64).prop_map(|back| Try::Again { back }),
        2 => prop_oneof![Just(0), any::<u8>()].prop_map(|but| Try::Acknowledge { but }),
        3 => (0..80_000u64).prop_map(Try::Later),
        2 => Just(Try::Tick),
        1 => Just(Try::NewLeader),
    ]
}

pub fn tries(count: usize) -> impl Strategy<Value = Vec<(char, Try)>> {
    prop::collection::vec((prop::sample::select(vec!['a', 'b', 'c', 'd', 'e']), a_try()), count)
}

#[derive(Clone, Default)]
pub struct World {
    pub manager: LockManager,
    now: LogTime,
    asked: BTreeMap<char, (u64, BTreeMap<u64, Request>, Have)>,
    /// Requests that were told to wait, and have heard nothing since.
    waiting: BTreeSet<LockId>,
}

impl World {
    pub fn new(manager: LockManager) -> World {
        World { manager, ..World::default() }
    }

    /// The command that is tried next, if it is one.
    pub fn command(&mut self, name: char, what: Try) -> Option<Command> {
        let session = session(name);
        let number = |manager: &LockManager, lock: usize| {
            let mut locks = manager.locks(session);
            locks.nth(lock).map_or(lock as u64, |(id, _)| id.number)
        };
        let block = |value: Option<u8>| value.map(|byte| Value::new(&[byte]).unwrap());
        let request = match what {
            Try::Open(lease_us) => {
                return Some(Command::Open { session, lease_us, about: Value::default() });
            }
            Try::KeepAlive => return Some(Command::KeepAlive { session }),
            Try::Close => return Some(Command::Close { session }),
            Try::Tick => return Some(Command::Tick),
            Try::NewLeader => return Some(Command::NewLeader),
            Try::Later(us) => {
                self.now = self.now.plus_us(us);
                return None;
            }
            Try::Acknowledge { but } => {
                let (last, _, have) = self.asked.entry(name).or_default();
                let late = (0..8).filter(|back| but >> back & 1 == 1);
                let late = late.filter_map(|back| last.checked_sub(back));
                let waits = self.waiting.iter().filter(|each| each.session == session);
                let waits = waits.filter(|_| but != 0).map(|each| each.number);
                *have = Have::all_but(*last, late.chain(waits));
                return None;
            }
            Try::Again { back } => return self.again(name, back),
            Try::Lock { on, under, mode, wait, notify } => {
                let path = path(PATHS[on]);
                let mut locks = self.manager.locks(session);
                let parent = locks.find(|(_, lock)| Some(&lock.path) == path.parent().as_ref());
                let parent = parent.map(|(id, _)| id.number);
                // Now and then a wrong one.
                let under = if under == 0 { Some(number(&self.manager, 0)) } else { parent };
                Request::Lock { path, under, mode, wait, notify }
            }
            Try::Convert { lock, mode, wait, value } => {
                let (lock, value) = (number(&self.manager, lock), block(value));
                Request::Convert { lock, mode, wait, value }
            }
            Try::Unlock { lock, value } => {
                Request::Unlock { lock: number(&self.manager, lock), value: block(value) }
            }
            Try::Cancel { lock } => Request::Cancel { lock: number(&self.manager, lock) },
        };
        let (last, requests, have) = self.asked.entry(name).or_default();
        *last += 1;
        requests.insert(*last, request.clone());
        Some(Command::Call { session, number: *last, have: have.clone(), request })
    }

    fn again(&self, name: char, back: u64) -> Option<Command> {
        let (last, requests, have) = self.asked.get(&name)?;
        let (number, have) = (last.checked_sub(back)?, have.clone());
        let request = requests.get(&number)?.clone();
        Some(Command::Call { session: session(name), number, have, request })
    }

    fn apply(&mut self, command: &Command) {
        let applied = apply_and_follow(&mut self.manager, self.now, command);
        let notices = applied.unwrap_or_else(|(name, detail)| panic!("{name}: {detail}"));
        self.manager.check();
        notices.into_iter().for_each(|notice| self.hear(notice));
        let sessions = self.manager.sessions();
        let locks = sessions.flat_map(|(session, _)| self.manager.locks(session));
        let waiting =
            locks.filter_map(|(id, lock)| Some(LockId { number: lock.wanted?.number, ..id }));
        assert_eq!(self.waiting, waiting.collect(), "who waits is answered once more");
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Answer { session, number, answer: Answer::Waiting } => {
                self.waiting.insert(LockId { session, number });
            }
            // That the answer is forgotten is not what became of it.
            Notice::Answer { answer: Answer::Refused(Refused::Forgotten), .. } => (),
            Notice::Answer { session, number, .. } => {
                self.waiting.remove(&LockId { session, number });
            }
            Notice::Session { session, state: SessionState::Closed | SessionState::Expired } => {
                self.waiting.retain(|each| each.session != session);
                // One that is opened again under this name would be another client, that counts from 1.
                self.asked.retain(|name, _| super::session(*name) != session);
            }
            _ => (),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn by_the_rules_and_from_any_snapshot(tries in tries(300)) {
        let mut world = World::default();
        for (i, (name, what)) in tries.into_iter().enumerate() {
            let Some(command) = world.command(name, what) else { continue };
            world.apply(&command);
            nobody_starves(&world.manager).unwrap();
            if i % 5 == 0 {
                let mut bytes = Vec::new();
                world.manager.encode(&mut bytes);
                let restored = LockManager::decode(bytes.into()).unwrap();
                prop_assert_eq!(&restored, &world.manager);
                world.manager = restored;
            }
        }
    }
}
