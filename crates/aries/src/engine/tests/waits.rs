//! Waiting for a transaction that can't be ended: nobody does, for it would be for ever.

use std::io::ErrorKind;
use std::thread;

use ombak_sim::SyncFault;

use super::*;
use crate::error::Error;
use crate::txn::Transaction;

/// A transaction has locked a row, and another waits for it while it is ended so. Both that one and who comes later are told.
fn nobody_waits_after(end: impl FnOnce(&SimDisk, &Engine, Transaction)) {
    let disk = SimDisk::new();
    let options = EngineOptions { waits: Waits::Block, ..small() };
    let (engine, _) = Engine::open(disk.mount(), "", options).unwrap();
    let tree = engine.tree("rows").unwrap();
    let mut holder = engine.begin();
    let id = holder.id();
    tree.put(&mut holder, b"a", b"1").unwrap();
    let refused = || tree.get_locked(&mut engine.begin(), b"a").unwrap_err();
    let told = thread::scope(|scope| {
        let waiter = scope.spawn(refused);
        while engine.0.locks.waiting() == 0 {
            thread::yield_now();
        }
        end(&disk, &engine, holder);
        [waiter.join().unwrap(), refused()]
    });
    for told in told {
        assert!(matches!(told, Error::Locked { holder } if holder == id), "{told}");
    }
}

#[test]
fn nobody_waits_for_one_who_is_prepared_and_was_let_go_of() {
    nobody_waits_after(|_, _, holder| drop(holder.prepare(b"order 1").unwrap()));
}

#[test]
fn nobody_waits_for_one_whose_commit_could_not_be_made_durable() {
    nobody_waits_after(|disk, _, holder| {
        disk.fail_sync(1, ErrorKind::Other, SyncFault::Drops);
        holder.commit().unwrap_err();
    });
}

#[test]
fn nobody_waits_for_one_who_could_not_be_taken_back() {
    nobody_waits_after(|_, engine, holder| {
        engine.0.stop("as after a failure");
        holder.rollback().unwrap_err();
    });
}
