//! Trees of many pages, without crashes: those are the engine's tests.

use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::engine::EngineOptions;

fn engine() -> Engine {
    let options = EngineOptions { pool_bytes: 1 << 20, ..EngineOptions::default() };
    Engine::open(SimDisk::new(), "", options).unwrap().0
}

fn key(number: u64) -> Vec<u8> {
    format!("key-{number:08}").into_bytes()
}

#[test]
fn thousands_of_rows_in_any_order_are_found() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    let mut numbers: Vec<u64> = (0..5000).collect();
    Rng::new(3).shuffle(&mut numbers);
    let mut txn = engine.begin();
    for number in &numbers {
        tree.put(&mut txn, &key(*number), &number.to_le_bytes()).unwrap();
    }
    txn.commit().unwrap();
    tree.check(&engine).unwrap();
    for number in 0..5000u64 {
        let value = tree.get_latest(&engine, &key(number)).unwrap();
        assert_eq!(value.as_deref(), Some(&number.to_le_bytes()[..]));
    }
    assert_eq!(tree.get_latest(&engine, b"key-").unwrap(), None);
    let txn = engine.begin();
    let mut rows = tree.range_back(&txn, &key(1000), Some(&key(3000)));
    for number in (1000..3000).rev() {
        assert_eq!(rows.next().unwrap().map(|(key, _)| key.to_vec()), Some(key(number)));
    }
    assert_eq!(rows.next().unwrap(), None);
}

#[test]
fn rising_keys_fill_their_pages() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    for number in 0..4000 {
        tree.put_now(&engine, &key(number), &[7; 80]).unwrap();
    }
    tree.check(&engine).unwrap();
    // 92 bytes a row, 80 rows a page: 50 pages, and few more.
    assert!(engine.0.pages().unwrap() < 60, "{} pages", engine.0.pages().unwrap());
}

#[test]
fn what_is_deleted_gives_its_pages_back() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    let fill = |from: u64| {
        for number in from..from + 3000 {
            tree.put_now(&engine, &key(number), &[7; 80]).unwrap();
        }
    };
    fill(0);
    let pages = engine.0.pages().unwrap();
    for number in 0..3000 {
        assert!(tree.delete_now(&engine, &key(number)).unwrap().is_some());
    }
    assert_eq!(tree.delete_now(&engine, &key(5)).unwrap(), None);
    tree.check(&engine).unwrap();
    fill(10_000);
    tree.check(&engine).unwrap();
    assert!(
        engine.0.pages().unwrap() <= pages + 4,
        "{} pages, then {}",
        pages,
        engine.0.pages().unwrap()
    );
}

#[test]
fn ghosts_go_when_nobody_can_want_them() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    let mut txn = engine.begin();
    (0..2000).for_each(|number| tree.put(&mut txn, &key(number), &[1; 50]).unwrap());
    txn.commit().unwrap();
    let reader = engine.begin();
    let mut txn = engine.begin();
    (0..2000).for_each(|number| assert!(tree.delete(&mut txn, &key(number)).unwrap()));
    txn.commit().unwrap();
    while engine.tidy().unwrap() {}
    let count = |txn: &Transaction| {
        let mut rows = tree.range(txn, &[], None);
        std::iter::from_fn(|| rows.next().unwrap().map(drop)).count()
    };
    assert_eq!(
        (count(&reader), count(&engine.begin())),
        (2000, 0),
        "an older snapshot still sees them"
    );
    reader.commit().unwrap();
    while engine.tidy().unwrap() {}
    tree.check(&engine).unwrap();
    let root = engine.0.pool.read(tree.root()).unwrap();
    assert_eq!((Node::of(&root).level(), Node::of(&root).count()), (0, 0), "nothing is left");
}

#[test]
fn rows_that_are_too_large_are_refused() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    let mut txn = engine.begin();
    let long = vec![0; KEY_BYTES_MAX + 1];
    assert!(matches!(tree.put(&mut txn, &long, b""), Err(Error::TooLarge { .. })));
    let large = vec![0; ROW_BYTES_MAX];
    assert!(matches!(tree.put(&mut txn, b"k", &large), Err(Error::TooLarge { .. })));
    tree.put(&mut txn, b"", &large).unwrap();
    txn.commit().unwrap();
    assert_eq!(tree.get_latest(&engine, b"").unwrap().as_deref(), Some(&large[..]));
}

#[test]
fn threads_that_put_get_and_scan() {
    let engine = engine();
    let tree = engine.tree("t").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..400 {
                    let mut txn = engine.begin();
                    // Both rows of a pair, or none.
                    let pair = thread * 1000 + round;
                    tree.put(&mut txn, format!("a{pair:06}").as_bytes(), &[thread as u8; 90])
                        .unwrap();
                    tree.put(&mut txn, format!("b{pair:06}").as_bytes(), &[thread as u8; 90])
                        .unwrap();
                    match round % 7 {
                        0 => txn.rollback().unwrap(),
                        1..4 => txn.commit().unwrap(),
                        _ => drop(txn.commit_lazily().unwrap()),
                    }
                }
            });
        }
        let engine = &engine;
        scope.spawn(move || {
            for _ in 0..60 {
                let txn = engine.begin();
                let count = |from: &[u8], to: &[u8]| {
                    let mut rows = tree.range(&txn, from, Some(to));
                    std::iter::from_fn(|| rows.next().unwrap().map(drop)).count()
                };
                assert_eq!(
                    count(b"a", b"b"),
                    count(b"b", b"c"),
                    "a snapshot shows whole transactions"
                );
                engine.tidy().unwrap();
            }
        });
    });
    tree.check(&engine).unwrap();
    let txn = engine.begin();
    let mut rows = tree.range(&txn, &[], None);
    let count = std::iter::from_fn(|| rows.next().unwrap().map(drop)).count();
    assert_eq!(count, 4 * 2 * (400 - 58), "58 of 400 rounds were taken back");
}
