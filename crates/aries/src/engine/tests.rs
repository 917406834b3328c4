//! The engine on a simulated disk, against an oracle.

mod backup;
mod crash;
mod damage;
mod dropped;
mod faults;
mod faulty;
mod full;
mod golden;
mod golden_backup;
mod isolation;
mod own;
mod pairs;
mod planted;
mod prepared;
mod redo;
mod space;
mod told;
mod waits;
pub mod world;

use ombak_sim::SimDisk;

use super::*;
use world::{World, small};

fn rows(engine: &Engine, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tree = engine.tree(name).unwrap();
    let txn = engine.begin();
    let mut rows = tree.range(&txn, &[], None);
    let mut all = Vec::new();
    while let Some((key, value)) = rows.next().unwrap() {
        all.push((key.to_vec(), value.to_vec()));
    }
    all
}

#[test]
fn what_was_committed_is_there_and_what_was_not_is_not() {
    let disk = SimDisk::new();
    let (engine, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert!(restart.losers.is_empty());
    let tree = engine.tree("accounts").unwrap();
    let mut one = engine.begin();
    tree.put(&mut one, b"alice", b"10").unwrap();
    tree.put(&mut one, b"bob", b"20").unwrap();
    one.commit().unwrap();
    let mut two = engine.begin();
    tree.put(&mut two, b"alice", b"11").unwrap();
    tree.delete(&mut two, b"bob").unwrap();
    engine.sync().unwrap();
    std::mem::forget(two);
    disk.crash_with(|_| false);
    let (engine, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!(restart.losers.len(), 1);
    let expected = [(b"alice".to_vec(), b"10".to_vec()), (b"bob".to_vec(), b"20".to_vec())];
    assert_eq!(rows(&engine, "accounts"), expected);
}

#[test]
fn a_rollback_takes_everything_back() {
    let mut world = World::new(1);
    world.start().unwrap();
    for _ in 0..300 {
        world.step().unwrap();
    }
    world.check();
}
