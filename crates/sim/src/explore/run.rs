//! One exploration under way: what its threads share, and how a state is expanded.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::expect::Expected;
use super::report::{Limit, Progress};
use super::table::{Batch, Id, NOBODY, Table, id_of};
use super::waiting::{Level, Segment, Waiting};
use super::{Digest, Model, Property, Steps, When};

/// What stands beside a state while it waits.
const ENTRY_BYTES: usize = size_of::<Waiting<()>>();
/// So many successors are gathered before the table is asked about them.
const BATCH: usize = 512;

/// Where something was found: at a state, and perhaps one step further.
#[derive(Clone, Debug)]
pub struct Found {
    pub at: Id,
    pub then: Then,
}

/// The step behind a state, if it takes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    Nothing,
    /// The first that passes this place.
    Passes(&'static str),
    /// The first that breaks with this message.
    Breaks(String),
}

/// What one thread has found in one level.
pub struct Harvest<S> {
    pub next: Level<S>,
    pub expanded: usize,
    /// Properties, by number, that were seen for the first time.
    pub seen: Vec<(usize, Found)>,
    pub broken: Option<(String, Found)>,
    /// Successors of which it is not known yet whether they are new; the batch has their fingerprints.
    arrived: Vec<(S, u32)>,
    batch: Batch,
}

impl<S> Harvest<S> {
    pub fn new() -> Harvest<S> {
        Harvest {
            next: Level::new(),
            expanded: 0,
            seen: Vec::new(),
            broken: None,
            arrived: Vec::new(),
            batch: Batch::default(),
        }
    }

    pub fn merge(&mut self, other: Harvest<S>) {
        self.next.append(other.next);
        self.expanded += other.expanded;
        self.seen.extend(other.seen);
        self.broken = self.broken.take().or(other.broken);
    }
}

/// Bounds of one exploration.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub states: usize,
    pub bytes: usize,
    pub depth: u32,
}

/// What the threads of one exploration share.
pub struct Run<'a, M: Model> {
    pub model: &'a M,
    pub expected: Expected<M::State>,
    pub table: Table,
    pub bounds: Bounds,
    /// See [`Expected::all_missing`].
    pub all_missing: u32,
    steps: AtomicU64,
    left_out: AtomicU64,
    /// Takes every order of steps, to see that this makes no difference.
    all_orders: bool,
    ends: AtomicU64,
    waiting_bytes: AtomicUsize,
    bytes_peak: AtomicUsize,
    is_seen: Vec<AtomicBool>,
    is_broken: AtomicBool,
    /// 0, or 1 + the limit.
    stopped: AtomicU8,
}

const LIMITS: [Limit; 3] = [Limit::States, Limit::Bytes, Limit::Depth];

impl<'a, M: Model> Run<'a, M> {
    pub fn new(model: &'a M, bounds: Bounds, all_orders: bool) -> Run<'a, M> {
        let expected = Expected::new(model.properties());
        Run {
            model,
            table: Table::new(),
            bounds,
            all_missing: expected.all_missing(),
            steps: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            all_orders,
            ends: AtomicU64::new(0),
            waiting_bytes: AtomicUsize::new(0),
            bytes_peak: AtomicUsize::new(0),
            is_seen: expected.all().iter().map(|_| AtomicBool::new(false)).collect(),
            expected,
            is_broken: AtomicBool::new(false),
            stopped: AtomicU8::new(0),
        }
    }

    /// The initial states.
    pub fn begin(&self) -> Harvest<M::State> {
        let mut harvest = Harvest::new();
        for state in self.model.initial() {
            self.arrive(state, self.all_missing, NOBODY, &mut harvest);
        }
        self.settle(&mut harvest);
        harvest
    }

    /// Expands what `take` gives, until there is no more or it is time to stop. `tick` is called in between.
    pub fn work(
        &self,
        take: impl Fn() -> Option<Segment<M::State>>,
        mut tick: impl FnMut(),
    ) -> Harvest<M::State> {
        let mut harvest = Harvest::new();
        while !self.is_over() {
            let Some(Segment { states, bytes }) = take() else { break };
            for waiting in states {
                self.expand(&waiting, &mut harvest);
                if harvest.arrived.len() >= BATCH {
                    self.settle(&mut harvest);
                }
            }
            self.waiting_bytes.fetch_sub(bytes, Relaxed);
            tick();
        }
        self.settle(&mut harvest);
        harvest
    }

    fn expand(&self, waiting: &Waiting<M::State>, harvest: &mut Harvest<M::State>) {
        let mut expand = Expand {
            run: self,
            waiting,
            harvest,
            passed: Vec::new(),
            steps: 0,
            left_out: 0,
            was_broken: false,
        };
        self.model.next(&waiting.state, &mut expand);
        let (steps, left_out, was_broken) = (expand.steps, expand.left_out, expand.was_broken);
        harvest.expanded += 1;
        self.steps.fetch_add(steps, Relaxed);
        self.left_out.fetch_add(left_out, Relaxed);
        if steps + left_out == 0 && !was_broken {
            self.end(waiting, harvest);
        }
    }

    /// Nothing more can happen here.
    fn end(&self, waiting: &Waiting<M::State>, harvest: &mut Harvest<M::State>) {
        self.ends.fetch_add(1, Relaxed);
        if let Some(broken) = self.expected.broken_at_end(waiting.missing) {
            self.break_off(broken, Found { at: waiting.id, then: Then::Nothing }, harvest);
        }
    }

    /// Gathers a state, however it was come upon.
    fn arrive(&self, state: M::State, missing: u32, from: Id, harvest: &mut Harvest<M::State>) {
        let missing = self.expected.still_missing(&state, missing);
        harvest.batch.arrivals.push((self.fingerprint(&state, missing), from));
        harvest.arrived.push((state, missing));
    }

    /// Judges what was gathered and is new, and lets it wait.
    fn settle(&self, harvest: &mut Harvest<M::State>) {
        self.table.insert_all(&mut harvest.batch);
        let (mut bytes, mut shared) = (0, None);
        let arrived = std::mem::take(&mut harvest.arrived);
        for (at, (state, missing)) in arrived.into_iter().enumerate() {
            if harvest.batch.is_new[at] {
                let id = id_of(harvest.batch.arrivals[at].0);
                self.judge(&state, id, harvest);
                shared.get_or_insert_with(|| self.model.shared_bytes(&state));
                let each = self.model.state_bytes(&state) + ENTRY_BYTES;
                bytes += each;
                harvest.next.push(Waiting { state, id, missing }, each);
            }
        }
        harvest.batch.arrivals.clear();
        self.account(bytes, shared.unwrap_or(0));
    }

    /// Whether a property was already true is part of what a state is, if there are such properties.
    pub fn fingerprint(&self, state: &M::State, missing: u32) -> u128 {
        let print = self.model.fingerprint(state);
        if self.all_missing == 0 { print } else { Digest::of(&(print, missing)) }
    }

    fn judge(&self, state: &M::State, id: Id, harvest: &mut Harvest<M::State>) {
        let found = || Found { at: id, then: Then::Nothing };
        if let Some(broken) = self.expected.broken_in(state) {
            self.break_off(broken, found(), harvest);
        }
        for (number, property) in self.sometimes() {
            if self.is_unseen(number) && property.holds(state) {
                self.see(number, found(), harvest);
            }
        }
    }

    /// What is to be seen, by number.
    pub fn sometimes(&self) -> impl Iterator<Item = (usize, &Property<M::State>)> {
        self.expected.all().iter().enumerate().filter(|(_, each)| each.when == When::Sometimes)
    }

    fn is_unseen(&self, number: usize) -> bool {
        !self.is_seen[number].load(Relaxed)
    }

    fn see(&self, number: usize, found: Found, harvest: &mut Harvest<M::State>) {
        if !self.is_seen[number].swap(true, Relaxed) {
            harvest.seen.push((number, found));
        }
    }

    fn break_off(&self, broken: String, found: Found, harvest: &mut Harvest<M::State>) {
        self.is_broken.store(true, Relaxed);
        harvest.broken.get_or_insert((broken, found));
    }

    /// Counts the memory of states that came to wait, and looks at the bounds.
    fn account(&self, bytes: usize, shared: usize) {
        let waiting_bytes = self.waiting_bytes.fetch_add(bytes, Relaxed) + bytes;
        let bytes = waiting_bytes + self.table.bytes() + shared;
        self.bytes_peak.fetch_max(bytes, Relaxed);
        if self.table.states() >= self.bounds.states {
            self.stop(Limit::States);
        } else if bytes >= self.bounds.bytes {
            self.stop(Limit::Bytes);
        }
    }

    pub fn stop(&self, limit: Limit) {
        self.stopped.store(1 + limit as u8, Relaxed);
    }

    pub fn stopped(&self) -> Option<Limit> {
        let number = usize::from(self.stopped.load(Relaxed));
        number.checked_sub(1).map(|number| LIMITS[number])
    }

    pub fn is_over(&self) -> bool {
        self.is_broken.load(Relaxed) || self.stopped.load(Relaxed) != 0
    }

    pub fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    pub fn left_out(&self) -> u64 {
        self.left_out.load(Relaxed)
    }

    pub fn ends(&self) -> u64 {
        self.ends.load(Relaxed)
    }

    pub fn bytes_peak(&self) -> usize {
        self.bytes_peak.load(Relaxed)
    }

    pub fn progress(&self, depth: u32, level: usize) -> Progress {
        let unseen = self.sometimes().filter(|(number, _)| self.is_unseen(*number));
        Progress {
            states: self.table.states() as u64,
            steps: self.steps(),
            depth,
            level: level as u64,
            table_bytes: self.table.bytes() as u64,
            unreached: unseen.map(|(_, each)| each.name).collect(),
        }
    }
}

/// Takes the steps from one state.
struct Expand<'a, 'b, M: Model> {
    run: &'a Run<'b, M>,
    waiting: &'a Waiting<M::State>,
    harvest: &'a mut Harvest<M::State>,
    /// Places that the step to come has passed.
    passed: Vec<&'static str>,
    steps: u64,
    left_out: u64,
    was_broken: bool,
}

impl<M: Model> Expand<'_, '_, M> {
    fn note_places(&mut self) {
        for name in std::mem::take(&mut self.passed) {
            let number = self.run.expected.all().iter().position(|each| each.name == name);
            if let Some(number) = number.filter(|number| self.run.is_unseen(*number)) {
                let found = Found { at: self.waiting.id, then: Then::Passes(name) };
                self.run.see(number, found, self.harvest);
            }
        }
    }
}

impl<M: Model> Steps<M> for Expand<'_, '_, M> {
    fn step(&mut self, _: M::Action, state: M::State) {
        self.steps += 1;
        if !self.passed.is_empty() {
            self.note_places();
        }
        self.run.arrive(state, self.waiting.missing, self.waiting.id, self.harvest);
    }

    fn broken(&mut self, _: M::Action, message: String) {
        self.was_broken = true;
        self.note_places();
        let found = Found { at: self.waiting.id, then: Then::Breaks(message.clone()) };
        self.run.break_off(message, found, self.harvest);
    }

    fn reached(&mut self, name: &'static str) {
        self.passed.push(name);
    }

    fn may_leave_out(&mut self) -> bool {
        let may = self.run.all_missing == 0 && !self.run.all_orders;
        self.left_out += u64::from(may);
        may
    }
}
