use std::collections::BTreeMap;

use super::*;
use crate::row::{self, Numbers, Value};

const KEYS: u64 = 400;
const STEPS: u64 = 60;
const SETUP: Setup =
    Setup { memory_bytes: 64 << 20, threads: 2, lazy: false, beyond_memory: false, keep_log: true };

type Model = BTreeMap<Key, Value>;

fn with_tables() -> impl Iterator<Item = Kind> {
    Kind::value_variants().iter().copied().filter(|kind| kind.has_tables())
}

fn put_something(session: &mut dyn Session, model: &mut Model, numbers: &mut Numbers, step: u64) {
    let version = u32::try_from(step).unwrap();
    let many = if numbers.below(2) == 0 { 1 } else { numbers.below(50) };
    let rows: Vec<Row> = (0..many).map(|_| Row::new(numbers.below(KEYS), version)).collect();
    match rows.as_slice() {
        [row] => session.put_durable(row).unwrap(),
        rows => session.put_many(rows, numbers.below(2) == 0).unwrap(),
    }
    model.extend(rows.iter().map(|row| (row.key, row.value)));
}

fn assert_reads(session: &mut dyn Session, model: &Model, kind: Kind) {
    let keys: Vec<Key> = (0..KEYS).map(row::key).collect();
    let mut seen = Vec::new();
    session.read(&keys, &mut |value| seen.push(value.map(<[u8]>::to_vec))).unwrap();
    let expected: Vec<_> = keys.iter().map(|key| model.get(key).map(|v| v.to_vec())).collect();
    assert_eq!(seen, expected, "{kind:?}");
}

fn assert_scans(session: &mut dyn Session, model: &Model, from: Key, rows: usize, kind: Kind) {
    let mut seen = Vec::new();
    session.scan(&from, rows, &mut |key, value| seen.push((key.to_vec(), value.to_vec()))).unwrap();
    let expected: Vec<_> =
        model.range(from..).take(rows).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    assert_eq!(seen, expected, "{kind:?}");
}

fn assert_agrees(session: &mut dyn Session, model: &Model, kind: Kind) {
    assert_reads(session, model, kind);
    for number in [0, 1, KEYS / 2, KEYS + 1] {
        assert_scans(session, model, row::key(number), 10, kind);
    }
    assert_scans(session, model, [0; 16], usize::MAX, kind);
    assert_scans(session, model, [255; 16], 10, kind);
}

#[test]
fn an_engine_answers_like_a_map_also_after_a_checkpoint_and_opened_anew() {
    for (kind, lazy) in with_tables().flat_map(|kind| [(kind, false), (kind, true)]) {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup { lazy, ..SETUP };
        let (mut model, mut numbers) = (Model::new(), Numbers::new(1));
        for opening in 0..3 {
            let engine = kind.open(dir.path(), setup).unwrap();
            let mut session = engine.session().unwrap();
            assert_agrees(&mut *session, &model, kind);
            for step in 0..STEPS {
                put_something(&mut *session, &mut model, &mut numbers, opening * STEPS + step);
            }
            assert_agrees(&mut *session, &model, kind);
            engine.checkpoint().unwrap();
            assert_agrees(&mut *session, &model, kind);
        }
    }
}

#[test]
fn what_one_session_puts_another_sees() {
    for kind in with_tables() {
        let dir = tempfile::tempdir().unwrap();
        let engine = kind.open(dir.path(), SETUP).unwrap();
        let (mut one, mut other) = (engine.session().unwrap(), engine.session().unwrap());
        one.put_durable(&Row::new(1, 0)).unwrap();
        other.put_durable(&Row::new(1, 1)).unwrap();
        let mut seen = None;
        one.read(&[row::key(1)], &mut |value| seen = value.and_then(row::decode)).unwrap();
        assert_eq!(seen, Some((1, 1)), "{kind:?}");
    }
}

#[test]
fn many_threads_put_at_once_and_nothing_is_missing() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20;
    for kind in Kind::value_variants() {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup { threads: 8, ..SETUP };
        let engine = kind.open(dir.path(), setup).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let engine = &engine;
                scope.spawn(move || {
                    let mut session = engine.session().unwrap();
                    for number in thread * EACH..(thread + 1) * EACH {
                        session.put_durable(&Row::new(number, 0)).unwrap();
                    }
                });
            }
        });
        drop(engine);
        let engine = kind.open(dir.path(), setup).unwrap();
        let model = (0..THREADS * EACH).map(|n| (row::key(n), row::value(n, 0))).collect();
        assert_agrees(&mut *engine.session().unwrap(), &model, *kind);
    }
}
