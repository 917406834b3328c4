//! Two transactions, every script of so many steps, every order: snapshot isolation, first updater wins.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::error::Error;
use crate::tree::Tree;
use crate::txn::Transaction;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Get(u8),
    Put(u8),
    Delete(u8),
}

const STEPS: [Step; 6] =
    [Step::Get(0), Step::Get(1), Step::Put(0), Step::Put(1), Step::Delete(0), Step::Delete(1)];

type Rows = BTreeMap<u8, u8>;

/// What snapshot isolation says, in a few lines.
#[derive(Default)]
struct Model {
    rows: Rows,
    /// For each key: how many commits there were when it was changed last.
    changed: BTreeMap<u8, u64>,
    commits: u64,
    locks: BTreeMap<u8, usize>,
    running: [Option<ModelTxn>; 2],
}

struct ModelTxn {
    seen: Rows,
    began: u64,
    writes: BTreeMap<u8, Option<u8>>,
}

impl Model {
    fn begin(&mut self, who: usize) {
        let txn =
            ModelTxn { seen: self.rows.clone(), began: self.commits, writes: BTreeMap::new() };
        self.running[who] = Some(txn);
    }

    fn get(&self, who: usize, key: u8) -> Option<u8> {
        let txn = self.running[who].as_ref().unwrap();
        txn.writes.get(&key).copied().unwrap_or_else(|| txn.seen.get(&key).copied())
    }

    /// Whether the change is allowed.
    fn write(&mut self, who: usize, key: u8, value: Option<u8>) -> Result<(), &'static str> {
        let txn = self.running[who].as_mut().unwrap();
        if self.locks.get(&key).is_some_and(|holder| *holder != who) {
            return Err("locked");
        }
        if self.changed.get(&key).is_some_and(|at| *at > txn.began) {
            return Err("conflict");
        }
        self.locks.insert(key, who);
        let there = txn.writes.get(&key).copied().unwrap_or_else(|| txn.seen.get(&key).copied());
        // What deletes nothing changes nothing.
        if value.is_some() || there.is_some() {
            txn.writes.insert(key, value);
        }
        Ok(())
    }

    fn end(&mut self, who: usize, commits: bool) {
        let txn = self.running[who].take().unwrap();
        self.locks.retain(|_, holder| *holder != who);
        if !commits {
            return;
        }
        self.commits += 1;
        for (key, value) in txn.writes {
            self.changed.insert(key, self.commits);
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}

/// A transaction's script: begin, its steps, and whether it commits.
#[derive(Clone, Debug)]
struct Script {
    steps: Vec<Step>,
    commits: bool,
}

/// Does the `at`th step of a script, in the engine and in the model, which must agree.
fn step(
    (engine, tree): (&Engine, Tree),
    model: &mut Model,
    txns: &mut [Option<Transaction>; 2],
    who: usize,
    script: &Script,
    at: usize,
) {
    if at == 0 {
        txns[who] = Some(engine.begin());
        return model.begin(who);
    }
    if at > script.steps.len() {
        let txn = txns[who].take().unwrap();
        match script.commits {
            true => drop(txn.commit_lazily().unwrap()),
            false => txn.rollback().unwrap(),
        }
        return model.end(who, script.commits);
    }
    let txn = txns[who].as_mut().unwrap();
    let value = (10 * who + at) as u8;
    match script.steps[at - 1] {
        Step::Get(key) => {
            let found = tree.get(txn, &[key]).unwrap().map(|value| value[0]);
            assert_eq!(found, model.get(who, key));
        }
        Step::Put(key) => {
            let put = tree.put(txn, &[key], &[value]);
            agree(put, model.write(who, key, Some(value)));
        }
        Step::Delete(key) => {
            // Of what it does not see it is told so, and locks it all the same.
            let there = model.get(who, key).is_some();
            let deleted = tree.delete(txn, &[key]).map(|was| assert_eq!(was, there));
            agree(deleted, model.write(who, key, None));
        }
    }
}

fn agree(done: Result<(), Error>, allowed: Result<(), &str>) {
    match (&done, allowed) {
        (Ok(()), Ok(())) => {}
        (Err(Error::Locked { .. }), Err("locked")) | (Err(Error::Conflict), Err("conflict")) => {}
        _ => panic!("the engine says {done:?}, the model {allowed:?}"),
    }
}

/// Every order of `one` steps of one and `other` of the other, as the places of the first one's.
fn orders(one: usize, other: usize) -> Vec<Vec<usize>> {
    match (one, other) {
        (0, 0) => vec![Vec::new()],
        _ => {
            let mut all = Vec::new();
            for (who, left) in [(0, one), (1, other)] {
                if left > 0 {
                    let rest =
                        if who == 0 { orders(one - 1, other) } else { orders(one, other - 1) };
                    all.extend(rest.into_iter().map(|rest| [vec![who], rest].concat()));
                }
            }
            all
        }
    }
}

fn latest(engine: &Engine, tree: Tree) -> Rows {
    let values = [0, 1].map(|key| tree.get_latest(engine, &[key]).unwrap().map(|value| value[0]));
    (0..).zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
}

fn run(engine: &Engine, tree: Tree, scripts: [&Script; 2], order: &[usize]) {
    // Key 0 is there, key 1 is not.
    tree.put_now(engine, &[0], &[1]).unwrap();
    tree.delete_now(engine, &[1]).unwrap();
    let mut model = Model { rows: Rows::from([(0, 1)]), ..Model::default() };
    let (mut txns, mut at) = ([None, None], [0, 0]);
    for &who in order {
        step((engine, tree), &mut model, &mut txns, who, scripts[who], at[who]);
        at[who] += 1;
    }
    assert_eq!(latest(engine, tree), model.rows, "{scripts:?} {order:?}");
}

#[test]
fn every_order_of_two_small_transactions() {
    let (engine, _) = Engine::open(SimDisk::new(), "", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let two_steps = STEPS.iter().flat_map(|one| STEPS.iter().map(|other| vec![*one, *other]));
    let scripts: Vec<Script> = two_steps
        .flat_map(|steps| [true, false].map(|commits| Script { steps: steps.clone(), commits }))
        .collect();
    let orders = orders(4, 4);
    let mut runs = 0;
    for (i, one) in scripts.iter().enumerate() {
        // The other way round is the same but for names.
        for other in &scripts[i..] {
            for order in &orders {
                run(&engine, tree, [one, other], order);
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 72 * 73 / 2 * 70);
}

#[test]
fn every_order_of_two_transactions_and_a_crash_after_every_step() {
    let changes = STEPS.into_iter().filter(|step| !matches!(step, Step::Get(_)));
    let scripts: Vec<Script> = changes
        .flat_map(|step| [true, false].map(|commits| Script { steps: vec![step], commits }))
        .collect();
    let disk = SimDisk::new();
    // What was done before the crash, once each.
    let begun: BTreeSet<Vec<usize>> = orders(3, 3)
        .iter()
        .flat_map(|order| (0..=order.len()).map(|len| order[..len].to_vec()))
        .collect();
    for (i, one) in scripts.iter().enumerate() {
        for other in &scripts[i..] {
            for order in &begun {
                disk.wipe();
                let (engine, _) = Engine::open(disk.mount(), "", small()).unwrap();
                let tree = engine.tree("rows").unwrap();
                run_and_crash(&disk, engine, tree, [one, other], order);
            }
        }
    }
}

fn run_and_crash(
    disk: &SimDisk,
    engine: Engine,
    tree: Tree,
    scripts: [&Script; 2],
    order: &[usize],
) {
    tree.put_now(&engine, &[0], &[1]).unwrap();
    let mut model = Model { rows: Rows::from([(0, 1)]), ..Model::default() };
    let (mut txns, mut at) = ([None, None], [0, 0]);
    for &who in order {
        step((&engine, tree), &mut model, &mut txns, who, scripts[who], at[who]);
        at[who] += 1;
    }
    engine.sync().unwrap();
    txns.into_iter().flatten().for_each(std::mem::forget);
    drop(engine);
    disk.crash_with(|_| false);
    let (engine, _) = Engine::open(disk.mount(), "", small()).unwrap();
    assert_eq!(latest(&engine, engine.tree("rows").unwrap()), model.rows, "{scripts:?} {order:?}");
}

#[test]
fn two_that_read_what_the_other_changes_may_both_commit() {
    let (engine, _) = Engine::open(SimDisk::new(), "", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let skew = |locked: bool| {
        tree.put_now(&engine, b"a", b"1").unwrap();
        tree.put_now(&engine, b"b", b"1").unwrap();
        let (mut one, mut other) = (engine.begin(), engine.begin());
        let both = |txn: &mut Transaction, reads: &[u8], writes: &[u8]| {
            match locked {
                true => drop(tree.get_locked(txn, reads)?),
                false => drop(tree.get(txn, reads)?),
            }
            tree.put(txn, writes, b"0")
        };
        let (first, second) = (both(&mut one, b"a", b"b"), both(&mut other, b"b", b"a"));
        first.and_then(|()| one.commit()).and(second.and_then(|()| other.commit()))
    };
    assert!(skew(false).is_ok(), "write skew");
    assert!(skew(true).is_err(), "who locks what he reads is safe from it");
}

#[test]
fn savepoints_take_back_what_came_after_them_alone() {
    let (engine, _) = Engine::open(SimDisk::new(), "", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let mut txn = engine.begin();
    tree.put(&mut txn, b"a", b"1").unwrap();
    let first = txn.savepoint();
    tree.put(&mut txn, b"a", b"2").unwrap();
    let second = txn.savepoint();
    tree.delete(&mut txn, b"a").unwrap();
    txn.rollback_to(second).unwrap();
    assert_eq!(tree.get(&txn, b"a").unwrap().as_deref(), Some(&b"2"[..]));
    txn.rollback_to(first).unwrap();
    txn.rollback_to(first).unwrap();
    assert_eq!(tree.get(&txn, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    txn.commit().unwrap();
    assert_eq!(rows(&engine, "rows"), [(b"a".to_vec(), b"1".to_vec())]);
}
