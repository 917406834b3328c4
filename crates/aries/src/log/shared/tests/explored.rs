//! Every order in which a few threads and tasks can commit together, on a disk whose writes end well, find no room, or fail.
//!
//! The decisions are the log's own ([`Turns`], [`Wakers`]). What is modelled is what a thread does with them: one step is what it does
//! while it holds the log's end, or a write, or the ringing of a bell. Nobody is woken but by a bell: a machine may do so, and must not have to.

mod steps;

use ombak_sim::explore::{Explorer, Model, Outcome as Explored, Property, Report, Steps};

use super::super::turns::{BELLS, Next, Outcome, Rings, Turns};
use super::super::wait::Wakers;
use super::*;

/// Who takes part.
#[derive(Clone, Copy)]
struct Group {
    /// Threads, and how often each appends a record and has it made durable.
    threads: &'static [u8],
    /// Tasks of one executor, each with a record.
    tasks: u8,
    /// How often a write may find no room.
    full: u8,
    fails: bool,
}

/// A write: records from the first one up to the other.
type Range = (u64, u64);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    turns: Turns,
    wakers: Wakers<()>,
    /// The next record, and the first one of the batch to which is appended.
    next: u64,
    batch: u64,
    stuck: Vec<Range>,
    /// What is said to be durable, and what is.
    durable: u64,
    synced: u64,
    /// What the disk has still in mind, and what it has done.
    full_left: u8,
    may_fail: bool,
    failed: bool,
    threads: Vec<Thread>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    /// Records that it is going to append.
    left: u8,
    /// The record that it needs; 0: none.
    lsn: u64,
    at: At,
    tasks: Option<Tasks>,
}

/// What an executor has, besides what a thread has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Tasks {
    /// Record and number of each that is not done.
    waiting: Vec<(u64, Option<u64>)>,
    woken: bool,
}

/// Where a thread is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum At {
    Start,
    /// Asks what to do.
    Asks,
    Writes(Range),
    HasWritten(Range, Outcome),
    /// Wakes, one after the other.
    Rings(Vec<Ring>, Outcome),
    /// Has let go of the end, and goes to wait; whether the bell was rung since.
    GoesToWait {
        bell: usize,
        rung: bool,
    },
    Sleeps {
        bell: usize,
    },
    Awake,
    /// An executor that has polled all, and one that has nothing to do until it is woken.
    Serves,
    Parked,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Ring {
    One(usize),
    All(usize),
    Executor,
}

impl State {
    fn sleepers(&self, bell: usize) -> Vec<usize> {
        let sleeps = |i: &usize| self.threads[*i].at == At::Sleeps { bell };
        (0..self.threads.len()).filter(sleeps).collect()
    }

    fn is_over(&self) -> bool {
        self.threads.iter().all(|thread| thread.at == At::Done)
    }
}

impl Model for Group {
    type State = State;
    type Action = String;

    fn initial(&self) -> Vec<State> {
        let thread = |left: u8| Thread { left, lsn: 0, at: At::Start, tasks: None };
        let mut threads: Vec<Thread> = self.threads.iter().map(|left| thread(*left)).collect();
        if self.tasks > 0 {
            threads.push(Thread { tasks: Some(Tasks::default()), ..thread(self.tasks) });
        }
        vec![State {
            turns: Turns::default(),
            wakers: Wakers::default(),
            next: 1,
            batch: 1,
            stuck: Vec::new(),
            durable: 0,
            synced: 0,
            full_left: self.full,
            may_fail: self.fails,
            failed: false,
            threads,
        }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Group>) {
        let mut enabled = false;
        for i in 0..state.threads.len() {
            match state.step(i) {
                Ok(all) => {
                    enabled |= !all.is_empty();
                    all.into_iter()
                        .for_each(|(what, next)| steps.step(format!("{i} {what}"), next));
                }
                Err(message) => steps.broken(format!("{i}"), message),
            }
        }
        if !enabled && !state.is_over() {
            steps.broken(
                "nobody can go on".to_string(),
                format!("somebody waits for ever: {state:?}"),
            );
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let mut all = vec![
            Property::sometimes("one write served two", |state: &State| {
                state
                    .threads
                    .iter()
                    .any(|it| matches!(it.at, At::Writes((from, to)) if to - from > 1))
            }),
            Property::sometimes("somebody slept", |state: &State| {
                let parked = state.threads.iter().any(|thread| thread.at == At::Parked);
                parked || (0..BELLS).any(|bell| !state.sleepers(bell).is_empty())
            }),
            Property::sometimes("all were told", |state: &State| state.is_over() && !state.failed),
        ];
        if self.fails {
            all.push(Property::sometimes("all heard of it", |state: &State| {
                state.is_over() && state.failed
            }));
        }
        all
    }
}

fn explore(group: &Group) -> Report<Group> {
    let report = Explorer::new(group).run();
    assert_eq!(report.outcome, Explored::Complete, "{report}");
    assert_eq!(report.unreached().count(), 0, "{report}");
    report
}

#[test]
fn threads_that_commit_together_are_told_and_not_too_soon() {
    for (threads, full, fails, states) in [
        (&[1, 1][..], 0, false, 225),
        (&[1, 1, 1], 0, true, 14_564),
        (&[2, 1, 1], 0, true, 47_981),
        (&[2, 2], 1, true, 10_308),
        (&[1, 1, 1], 2, true, 73_463),
    ] {
        let found = explore(&Group { threads, tasks: 0, full, fails }).states;
        assert_eq!(found, states, "{threads:?} {full} {fails}");
    }
}

#[test]
fn tasks_and_threads_that_commit_together_are_told_and_not_too_soon() {
    for (threads, tasks, full, states) in
        [(&[1][..], 2, 1, 4_452), (&[1, 1], 1, 1, 133_936), (&[2], 2, 0, 4_404)]
    {
        let found = explore(&Group { threads, tasks, full, fails: true }).states;
        assert_eq!(found, states, "{threads:?} {tasks} {full}");
    }
}
