//! The same lock manager, written a second time without a thought for speed: lists that are searched from end to end, and a
//! graph with every edge. From one state of the real one it goes on by itself, and says by name what that one did otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub const BY_THE_RULES: &str = "locks are granted by the rules";
pub const REAL_CIRCLES: &str = "a deadlock that is reported is a circle";
pub const CIRCLES_BROKEN: &str = "every circle is broken";
pub const YOUNGEST: &str = "the youngest in a circle gives way";
pub const VALUES: &str = "a value block is what its last writer left, in doubt if a writer died";

/// The name of a property that did not hold, and what was seen.
pub type Broken = (&'static str, String);

/// A request that waits: how, and since when among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    lock: LockId,
    mode: Mode,
    age: u64,
}

/// Who holds a resource, converts and waits, the first one first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shape {
    granted: BTreeMap<LockId, Mode>,
    converting: Vec<Asked>,
    waiting: Vec<Asked>,
    value: ValueBlock,
}

impl Shape {
    fn fits(&self, lock: LockId, mode: Mode) -> bool {
        self.granted.iter().all(|(other, held)| *other == lock || held.compatible(mode))
    }

    fn is_waited_for(&self) -> bool {
        !self.converting.is_empty() || !self.waiting.is_empty()
    }

    fn unqueue(&mut self, lock: LockId) {
        self.converting.retain(|each| each.lock != lock);
        self.waiting.retain(|each| each.lock != lock);
    }

    fn remove(&mut self, lock: LockId) {
        self.granted.remove(&lock);
        self.unqueue(lock);
    }

    fn end(&mut self, session: SessionId) {
        for (lock, held) in std::mem::take(&mut self.granted) {
            if lock.session != session {
                self.granted.insert(lock, held);
            } else if [Mode::PW, Mode::EX].contains(&held) {
                self.value.valid = false;
            }
        }
        self.converting.retain(|each| each.lock.session != session);
        self.waiting.retain(|each| each.lock.session != session);
    }

    fn grant_heads(&mut self) {
        while let Some(Asked { lock, mode, .. }) =
            self.converting.first().or(self.waiting.first()).copied()
            && self.fits(lock, mode)
        {
            self.unqueue(lock);
            self.granted.insert(lock, mode);
        }
    }

    /// Every edge: a request waits for each holder that it does not go together with and for each request before it.
    fn edges(&self, edges: &mut BTreeSet<(LockId, LockId)>) {
        let mut before = Vec::new();
        for Asked { lock, mode, .. } in self.converting.iter().chain(&self.waiting) {
            edges.extend(before.iter().map(|other| (*lock, *other)));
            let others = self.granted.iter().filter(|(other, _)| *other != lock);
            let in_the_way = others.filter(|(_, held)| !held.compatible(*mode));
            edges.extend(in_the_way.map(|(other, _)| (*lock, *other)));
            before.push(*lock);
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oracle(BTreeMap<Path, Shape>);

impl Oracle {
    /// As the manager is, by what it shows.
    pub fn of(manager: &LockManager) -> Oracle {
        let mut oracle = Oracle(BTreeMap::new());
        for (path, value) in manager.resources() {
            let holders = manager.holders(path);
            let granted = holders.map(|(id, lock)| (id, lock.held.unwrap().mode)).collect();
            let mut shape = Shape { granted, value: value.clone(), ..Shape::default() };
            for (lock, Lock { held, wanted, .. }) in manager.waiters(path) {
                let Wanted { mode, place, .. } = wanted.unwrap();
                let queue = if held.is_some() { &mut shape.converting } else { &mut shape.waiting };
                queue.push(Asked { lock, mode, age: place.0 });
            }
            oracle.0.insert(path.clone(), shape);
        }
        oracle
    }

    fn shapes(&mut self) -> impl Iterator<Item = &mut Shape> {
        self.0.values_mut()
    }

    pub fn call(
        &mut self,
        call: LockId,
        request: &Request,
        answer: Option<&Answer>,
        age: u64,
    ) -> Result<(), Broken> {
        use Refused::{Deadlock, WouldWait};
        if let Some(Answer::Refused(why)) = answer
            && ![Deadlock, WouldWait].contains(why)
        {
            return Ok(());
        }
        let of = |number: &u64| LockId { number: *number, ..call };
        match request {
            Request::Lock { path, mode, wait, .. } => {
                let shape = self.0.entry(path.clone()).or_default();
                let at_once =
                    *mode == Mode::NL || !shape.is_waited_for() && shape.fits(call, *mode);
                shape.ask(Asked { lock: call, mode: *mode, age }, at_once, *wait, answer)
            }
            Request::Convert { lock, mode, wait, value } => {
                let lock = of(lock);
                let shape = self.on(lock)?;
                shape.write(value.as_ref());
                let held = shape.granted[&lock];
                let waits_for_it = |each: &Asked| !each.mode.compatible(held);
                let first =
                    shape.converting.is_empty() || shape.converting.iter().any(waits_for_it);
                let at_once = mode.at_most(held) || first && shape.fits(lock, *mode);
                shape.ask(Asked { lock, mode: *mode, age }, at_once, *wait, answer)
            }
            Request::Unlock { lock, value } => {
                let shape = self.on(of(lock))?;
                shape.write(value.as_ref());
                shape.remove(of(lock));
                Ok(())
            }
            Request::Cancel { lock } => {
                self.on(of(lock))?.unqueue(of(lock));
                Ok(())
            }
        }
    }

    /// Where a lock is held or waits.
    fn on(&mut self, lock: LockId) -> Result<&mut Shape, Broken> {
        let mut shapes = self.shapes();
        let waits = |shape: &Shape| shape.waiting.iter().any(|each| each.lock == lock);
        let on = shapes.find(|shape| shape.granted.contains_key(&lock) || waits(shape));
        on.ok_or((BY_THE_RULES, format!("{lock} is there, but nowhere")))
    }

    pub fn end(&mut self, session: SessionId) {
        self.shapes().for_each(|shape| shape.end(session));
    }

    pub fn tick(&mut self, before: &LockManager, now: LogTime) {
        for (session, until) in before.sessions() {
            let wanted = |lock: &Lock| lock.wanted.and_then(|wanted| wanted.until);
            for (id, lock) in before.locks(session) {
                if wanted(lock).is_some_and(|until| until <= now) {
                    self.shapes().for_each(|shape| shape.unqueue(id));
                }
            }
            if until <= now {
                self.end(session);
            }
        }
    }

    pub fn settle(&mut self) {
        self.shapes().for_each(Shape::grant_heads);
        self.0.retain(|_, shape| !shape.granted.is_empty() || shape.is_waited_for());
    }

    fn edges(&self) -> BTreeSet<(LockId, LockId)> {
        let mut edges = BTreeSet::new();
        self.0.values().for_each(|shape| shape.edges(&mut edges));
        edges
    }

    fn age(&self, lock: LockId) -> Option<u64> {
        let asked = self.0.values().flat_map(|shape| shape.converting.iter().chain(&shape.waiting));
        asked.filter(|each| each.lock == lock).map(|each| each.age).next()
    }

    pub fn gives_way(&mut self, victim: LockId, cycle: &[WaitsFor]) -> Result<(), Broken> {
        let seen = format!("{cycle:?} in {self:?}");
        let edges = self.edges();
        let next = cycle.iter().cycle().skip(1);
        let real = cycle.iter().zip(next).all(|(edge, next)| {
            edges.contains(&(edge.waiter, edge.blocker))
                && edge.blocker.session == next.waiter.session
        });
        if !real || cycle.is_empty() {
            return Err((REAL_CIRCLES, seen));
        }
        let youngest = cycle.iter().map(|edge| edge.waiter).max_by_key(|lock| self.age(*lock));
        if youngest != Some(victim) {
            return Err((YOUNGEST, seen));
        }
        self.shapes().for_each(|shape| shape.unqueue(victim));
        self.settle();
        Ok(())
    }

    /// By repeatedly putting two edges together to one, until nothing new comes of it.
    pub fn has_no_circle(&self) -> Result<(), Broken> {
        let edges = self.edges().into_iter();
        let mut ways: BTreeSet<_> = edges.map(|(from, to)| (from.session, to.session)).collect();
        loop {
            let longer = ways.iter().flat_map(|(from, via)| {
                let on = ways.range((*via, SessionId(0))..=(*via, SessionId(u128::MAX)));
                on.map(move |(_, to)| (*from, *to))
            });
            let longer: BTreeSet<_> = longer.filter(|way| !ways.contains(way)).collect();
            if longer.is_empty() {
                break;
            }
            ways.extend(longer);
        }
        match ways.iter().find(|(from, to)| from == to) {
            Some((session, _)) => Err((CIRCLES_BROKEN, format!("{session} waits in {self:?}"))),
            None => Ok(()),
        }
    }

    pub fn compare(&self, real: &Oracle) -> Result<(), Broken> {
        let seen = || format!("expected {self:?}, found {real:?}");
        let values = |oracle: &Oracle| -> Vec<_> {
            oracle.0.values().map(|shape| shape.value.clone()).collect()
        };
        let without = |oracle: &Oracle| {
            let mut oracle = oracle.clone();
            oracle.shapes().for_each(|shape| shape.value = ValueBlock::default());
            oracle
        };
        if without(self) != without(real) {
            return Err((BY_THE_RULES, seen()));
        }
        (values(self) == values(real)).then_some(()).ok_or_else(|| (VALUES, seen()))
    }
}

impl Shape {
    fn ask(
        &mut self,
        asked: Asked,
        at_once: bool,
        wait: Wait,
        answer: Option<&Answer>,
    ) -> Result<(), Broken> {
        let refused = answer == Some(&Answer::Refused(Refused::WouldWait));
        if refused != (!at_once && wait == Wait::No) {
            return Err((BY_THE_RULES, format!("{asked:?}: {answer:?}, in {self:?}")));
        }
        if at_once {
            self.granted.insert(asked.lock, asked.mode);
        } else if !refused && self.granted.contains_key(&asked.lock) {
            self.converting.push(asked);
        } else if !refused {
            self.waiting.push(asked);
        }
        Ok(())
    }

    fn write(&mut self, value: Option<&Value>) {
        if let Some(value) = value {
            self.value = ValueBlock { value: value.clone(), valid: true };
        }
    }
}
