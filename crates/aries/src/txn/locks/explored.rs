//! Every order in which a few transactions can lock, wait, change, commit and be taken back.
//!
//! The decisions are the production's own ([`Names`], [`Waiters`], [`Snapshots`]). What is modelled is what a thread does with them:
//! one step is what it does while it holds the mutex of a part of the table, or of the waiters, or a page's latch. Nobody is woken but
//! by a ring: a machine may do so, and must not have to.

mod checks;
mod steps;

use std::collections::VecDeque;

use ombak_sim::explore::{Explorer, Model, Outcome as Explored, Property, Report, Steps};

use super::*;
use crate::txn::table::{Changed, Snapshots};

/// What a transaction does with a row. Then it commits, or is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Do {
    /// Reads it from the snapshot.
    Get(usize),
    /// Locks and reads it.
    GetLocked(usize),
    /// Locks it and writes the transaction's number.
    Put(usize),
}
use Do::{Get, GetLocked, Put};

/// Who takes part, and what may happen.
#[derive(Clone, Copy)]
struct Group {
    scripts: &'static [&'static [Do]],
    /// Whether each row's name is in a part of the table of its own, with a mutex and a bell.
    apart: bool,
    /// Who has done all may take it back.
    takes_back: bool,
    /// Who has done all may be left as he is, because the disk has failed.
    fails: bool,
    /// What must be seen to happen.
    sees: &'static [&'static str],
}

const ROWS: usize = 3;

/// A transaction, as versions know it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Who {
    id: TxnId,
    committed: u64,
}

impl Writer for Who {
    fn id(&self) -> TxnId {
        self.id
    }

    fn committed(&self) -> u64 {
        self.committed
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    /// Parts of the table, and which thread has the mutex of each.
    parts: Vec<Names<Who>>,
    taken: Vec<Option<usize>>,
    waiters: Waiters,
    snapshots: Snapshots,
    /// What is on the page.
    rows: [u8; ROWS],
    /// What was committed, after each commit.
    history: Vec<[u8; ROWS]>,
    txns: Vec<Txn>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Txn {
    at: At,
    /// Steps of the script that are done.
    done: usize,
    snapshot: u64,
    held: Vec<LockName>,
    /// What it has read, in the script's order.
    read: Vec<u8>,
    /// Rows that it has changed, and what was there.
    changed: Vec<(usize, u8)>,
    /// It could not be ended.
    stays: bool,
    /// Its commit's place among all.
    committed: Option<u64>,
    chores: VecDeque<Chore>,
}

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum At {
    #[default]
    Start,
    Runs,
    /// Asks for a lock; `again`: it has the mutex, and has waited.
    Asks {
        row: usize,
        again: bool,
    },
    /// Was told who has it, and has the mutex.
    GoesToWait {
        row: usize,
        holder: TxnId,
    },
    Sleeps {
        row: usize,
        holder: TxnId,
    },
    Awake {
        row: usize,
        holder: TxnId,
    },
    HasLock,
    /// Does its chores.
    Ends,
    Done,
}

/// What is left to do for one that ends: each a step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Chore {
    TakeBack { row: usize, value: u8 },
    Unlock { name: LockName, oldest: u64 },
    Release(LockName),
    Keep(LockName),
    Ring { part: usize },
    Leave,
    Forget { name: LockName, oldest: u64 },
}

fn name(row: usize) -> LockName {
    LockName { space: row as u32, key: Bytes::new() }
}

fn row_of(name: &LockName) -> usize {
    name.space as usize
}

fn id(i: usize) -> TxnId {
    TxnId(i as u64 + 1)
}

impl Model for Group {
    type State = State;
    type Action = String;

    fn initial(&self) -> Vec<State> {
        let parts = if self.apart { ROWS } else { 1 };
        vec![State {
            parts: vec![Names::default(); parts],
            taken: vec![None; parts],
            waiters: Waiters::default(),
            snapshots: Snapshots::default(),
            rows: [0; ROWS],
            history: vec![[0; ROWS]],
            txns: vec![Txn::default(); self.scripts.len()],
        }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Group>) {
        let mut enabled = false;
        for i in 0..state.txns.len() {
            let led = self.step(state, i).and_then(|all| {
                all.iter().try_for_each(|(_, next)| self.check(next)).map(|()| all)
            });
            match led {
                Ok(all) => {
                    enabled |= !all.is_empty();
                    for (what, next) in all {
                        self.sees
                            .iter()
                            .filter(|sees| **sees == what)
                            .for_each(|sees| steps.reached(sees));
                        steps.step(format!("{:?} {what}", id(i)), next);
                    }
                }
                Err(message) => steps.broken(format!("{:?}", id(i)), message),
            }
        }
        if !enabled && !state.is_over() {
            let message = format!("somebody waits for ever: {state:?}");
            steps.broken("nobody can go on".to_string(), message);
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let mut all: Vec<_> = self.sees.iter().map(|sees| Property::reached(sees)).collect();
        all.push(Property::sometimes("all have committed", |state: &State| {
            state.is_over() && state.txns.iter().all(|txn| txn.committed.is_some())
        }));
        let group = *self;
        if !self.locks_all() {
            all.push(Property::sometimes("write skew", move |state: &State| {
                state.is_over() && !group.is_serializable(state)
            }));
        }
        all
    }
}

/// The states of a group, with the names in one part of the table and in several.
fn explore(group: Group) -> [u64; 2] {
    [false, true].map(|apart| {
        let report: Report<Group> = Explorer::new(&Group { apart, ..group }).run();
        assert_eq!(report.outcome, Explored::Complete, "{report}");
        assert_eq!(report.unreached().count(), 0, "{report}");
        report.states
    })
}

fn group(scripts: &'static [&'static [Do]], sees: &'static [&'static str]) -> Group {
    Group { scripts, apart: false, takes_back: true, fails: false, sees }
}

#[test]
fn two_that_want_both_rows_in_turn_are_served_or_one_of_them_is_refused() {
    let sees =
        &["would close a circle", "has what it waited for", "waited for nothing", "comes too late"];
    let blind = explore(group(&[&[Put(0), Put(1)], &[Put(1), Put(0)]], sees));
    assert_eq!(
        (
            blind,
            explore(Group {
                scripts: &[
                    &[GetLocked(0), GetLocked(1), Put(0), Put(1)],
                    &[GetLocked(1), Put(1), GetLocked(0), Put(0)]
                ],
                ..group(&[], sees)
            })
        ),
        ([824, 801], [949, 926])
    );
}

#[test]
fn a_circle_of_three_loses_one_and_nobody_is_refused_without_a_circle() {
    let circle = group(
        &[&[Put(0), Put(1)], &[Put(1), Put(2)], &[Put(2), Put(0)]],
        &["would close a circle", "has what it waited for"],
    );
    assert_eq!(explore(Group { takes_back: false, ..circle }), [13_804, 12_203]);
}

#[test]
fn three_that_want_the_same_in_the_same_order_are_never_refused_for_a_circle() {
    let line = group(
        &[&[Put(0), Put(1)], &[Put(0), Put(1)], &[GetLocked(0), GetLocked(1)]],
        &["has what it waited for", "waited for nothing"],
    );
    assert_eq!(explore(line), [34_513, 33_710]);
}

#[test]
fn who_reads_what_another_writes_may_see_what_no_order_gives_but_if_he_locks_it() {
    let skewed =
        group(&[&[Get(0), Get(1), Put(0)], &[Get(0), Get(1), Put(1)], &[Get(0), Get(1)]], &[]);
    let locked = group(
        &[&[GetLocked(0), GetLocked(1), Put(0)], &[GetLocked(0), GetLocked(1), Put(1)]],
        &["has what it waited for"],
    );
    assert_eq!((explore(skewed), explore(locked)), ([11_876; 2], [771, 751]));
}

#[test]
fn nobody_waits_for_one_who_can_not_be_ended() {
    let sees = &["is left as it is", "is told that it stays", "would wait in vain"];
    let group = group(&[&[Put(0), Put(1)], &[Put(1), Put(0)], &[GetLocked(0)]], sees);
    assert_eq!(explore(Group { fails: true, takes_back: false, ..group }), [18_498, 17_253]);
}
