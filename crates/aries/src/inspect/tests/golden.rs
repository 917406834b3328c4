//! The texts, as people see them.

use super::*;

/// Two transactions that commit, one that does not, one page write in between, and then the lights go out.
fn small_crash() -> SimDisk {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("accounts").unwrap();
    engine.checkpoint().unwrap();
    let mut one = engine.begin();
    tree.put(&mut one, b"alice", b"10").unwrap();
    tree.put(&mut one, b"bob", b"20").unwrap();
    one.commit().unwrap();
    let mut two = engine.begin();
    tree.put(&mut two, b"alice", b"11").unwrap();
    engine.checkpoint().unwrap();
    let mut three = engine.begin();
    tree.put(&mut three, b"carol", b"30").unwrap();
    three.commit().unwrap();
    tree.delete(&mut two, b"bob").unwrap();
    engine.sync().unwrap();
    std::mem::forget(two);
    disk.crash_with(|_| false);
    disk
}

#[test]
fn a_dump() {
    let inspection = inspect(&small_crash());
    let mut lines = String::new();
    let scanned = inspection.log().scan(Lsn(0), |entry| {
        lines += &inspection.words().line(&entry);
        lines += "\n";
        Ok::<(), Error>(())
    });
    scanned.unwrap();
    assert_eq!(lines, include_str!("dump.txt"), "{lines}");
}

/// Pages were written in the middle, one transaction took something back, and two had not ended when the lights went out.
fn eventful_crash() -> SimDisk {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let accounts = engine.tree("accounts").unwrap();
    engine.checkpoint().unwrap();
    let mut one = engine.begin();
    accounts.put(&mut one, b"alice", b"10").unwrap();
    accounts.put(&mut one, b"bob", b"20").unwrap();
    one.commit().unwrap();
    let (mut two, mut three) = (engine.begin(), engine.begin());
    accounts.put(&mut two, b"alice", b"11").unwrap();
    engine.0.pool.flush_below(Lsn(u64::MAX), crate::pool::Latched::WaitFor).unwrap();
    let before = three.savepoint();
    accounts.put(&mut three, b"carol", b"30").unwrap();
    three.rollback_to(before).unwrap();
    accounts.put(&mut three, b"dave", b"40").unwrap();
    accounts.delete(&mut two, b"bob").unwrap();
    engine.sync().unwrap();
    std::mem::forget((two, three));
    disk.crash_with(|_| false);
    disk
}

#[test]
fn a_dry_run() {
    let inspection = inspect(&eventful_crash());
    let mut lines = String::new();
    inspection
        .dry_run(100, |line| {
            lines += line;
            lines += "\n";
            Ok(())
        })
        .unwrap();
    assert_eq!(lines, include_str!("dry_run.txt"), "{lines}");
}

#[test]
fn a_long_pass_is_cut_short() {
    let inspection = inspect(&small_crash());
    let mut lines = Vec::new();
    inspection
        .dry_run(1, |line| {
            lines.push(line.to_string());
            Ok(())
        })
        .unwrap();
    assert!(lines.iter().any(|line| line.contains("... and 1 more")), "{lines:#?}");
}
