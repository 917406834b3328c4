//! Against a model: all values that a key ever had, and who wrote each.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Begin,
    /// A running transaction locks a key and changes it, or is refused.
    Change(usize, usize),
    Lock(usize, usize),
    Commit(usize),
    RollBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, key) = (0..4usize, 0..KEYS.len());
    prop_oneof![
        2 => Just(Step::Begin),
        6 => (who.clone(), key.clone()).prop_map(|(who, key)| Step::Change(who, key)),
        2 => (who.clone(), key).prop_map(|(who, key)| Step::Lock(who, key)),
        2 => who.clone().prop_map(Step::Commit),
        1 => who.prop_map(Step::RollBack),
    ]
}

struct Running {
    state: Arc<TxnState>,
    snapshot: u64,
    held: Vec<LockName>,
    /// What it has written.
    own: BTreeMap<usize, u64>,
}

/// The locks, and what must be seen through them.
struct World {
    locks: Locks,
    running: Vec<Running>,
    next: u64,
    commits: u64,
    /// Of each key: after which commit it had which value.
    committed: [Vec<(u64, u64)>; KEYS.len()],
    /// What commits changed that somebody may want to know of.
    changed: Vec<(u64, Vec<LockName>)>,
}

fn name(key: usize) -> LockName {
    LockName { space: 1, key: Bytes::from_static(KEYS[key].as_bytes()) }
}

fn bytes(value: u64) -> Option<Bytes> {
    (value > 0).then(|| Bytes::copy_from_slice(&value.to_be_bytes()))
}

impl World {
    fn new() -> World {
        let committed = std::array::from_fn(|_| vec![(0, 0)]);
        let (running, changed) = (Vec::new(), Vec::new());
        World { locks: Locks::new(), running, next: 0, commits: 0, committed, changed }
    }

    fn last(&self, key: usize) -> (u64, u64) {
        self.committed[key].last().copied().unwrap_or_default()
    }

    /// Who has the lock, by the model.
    fn holder(&self, key: usize) -> Option<usize> {
        self.running.iter().position(|running| running.held.contains(&name(key)))
    }

    /// What is on the page: the last value, committed or not.
    fn current(&self, key: usize) -> u64 {
        let own = self.holder(key).and_then(|who| self.running[who].own.get(&key));
        own.copied().unwrap_or(self.last(key).1)
    }

    fn lock(&mut self, who: usize, key: usize) -> bool {
        let Running { state, snapshot, .. } = &self.running[who];
        let got = self.locks.acquire(state, &name(key), Some(*snapshot), Waits::Refuse);
        match (self.holder(key), self.last(key).0 > *snapshot) {
            (Some(holder), _) if holder == who => assert!(!got.unwrap(), "it has it"),
            (Some(holder), _) => {
                let holder = self.running[holder].state.id;
                assert!(matches!(got, Err(Error::Locked { holder: by }) if by == holder));
                return false;
            }
            (None, true) => {
                assert!(matches!(got, Err(Error::Conflict)), "changed since its snapshot");
                return false;
            }
            (None, false) => {
                assert!(got.unwrap(), "nobody has it");
                self.running[who].held.push(name(key));
            }
        }
        true
    }

    fn change(&mut self, who: usize, key: usize) {
        if !self.lock(who, key) {
            return;
        }
        let before = bytes(self.current(key));
        self.next += 1;
        let running = &mut self.running[who];
        self.locks.remember(&running.state, &name(key), || before);
        running.own.insert(key, self.next);
    }

    fn end(&mut self, who: usize, commits: bool) {
        let Running { state, held, own, .. } = self.running.swap_remove(who);
        if !commits {
            return self.locks.release(&state, &held);
        }
        self.commits += 1;
        state.set_committed(self.commits);
        self.locks.unlock(&held, self.oldest());
        own.into_iter().for_each(|(key, value)| self.committed[key].push((self.commits, value)));
        self.changed.push((self.commits, held));
    }

    /// Nobody has an older snapshot any more.
    fn oldest(&self) -> u64 {
        let oldest = self.running.iter().map(|running| running.snapshot).min();
        oldest.unwrap_or(self.commits)
    }

    /// Forgets what nobody may want to see any more.
    fn forget(&mut self) {
        let oldest = self.oldest();
        for (_, held) in self.changed.extract_if(.., |(at, _)| *at <= oldest) {
            self.locks.forget(&held, oldest);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Begin if self.running.len() < 4 => {
                self.next += 1;
                let state = Arc::new(TxnState::new(TxnId(self.next)));
                let (held, own) = (Vec::new(), BTreeMap::new());
                self.running.push(Running { state, snapshot: self.commits, held, own });
            }
            Step::Change(who, key) if who < self.running.len() => self.change(who, key),
            Step::Lock(who, key) if who < self.running.len() => drop(self.lock(who, key)),
            Step::Commit(who) if who < self.running.len() => self.end(who, true),
            Step::RollBack(who) if who < self.running.len() => self.end(who, false),
            _ => {}
        }
        self.forget();
    }

    /// Every transaction sees its own changes, and else what had been committed when it began.
    fn check(&self) {
        for Running { state, snapshot, own, .. } in &self.running {
            for (key, text) in KEYS.iter().enumerate() {
                let then = self.committed[key].iter().rfind(|(at, _)| at <= snapshot);
                let must = own.get(&key).copied().or(then.map(|(_, value)| *value));
                let seen = self.locks.seen(1, text.as_bytes(), *snapshot, Some(state.id));
                let seen = match seen {
                    Seen::Current => bytes(self.current(key)),
                    Seen::Before(before) => before,
                };
                assert_eq!(seen, must.and_then(bytes), "{text} of {state:?}");
            }
        }
        let holders = (0..KEYS.len()).map(|key| self.locks.holder(1, KEYS[key].as_bytes()));
        let must =
            (0..KEYS.len()).map(|key| self.holder(key).map(|who| self.running[who].state.id));
        assert!(holders.eq(must), "who has the locks");
        if self.running.is_empty() {
            assert_eq!(self.locks.names.load(Ordering::Acquire), 0, "nobody needs anything");
        }
    }
}

proptest! {
    #[test]
    fn what_is_seen_is_what_was_committed(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
        while !world.running.is_empty() {
            world.step(&Step::Commit(0));
            world.check();
        }
    }
}
