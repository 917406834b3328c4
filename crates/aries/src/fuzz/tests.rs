//! The same functions over bytes that nobody wrote, and over those of a database with something wrong in them.

use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::engine::Engine;
use crate::engine::tests::world::{World, forge, small};
use crate::inspect::Inspection;

const TRIES: u64 = 4000;

/// Any bytes; small numbers get further than any numbers do.
fn any(rng: &mut Rng, len: u64) -> Vec<u8> {
    let byte = |rng: &mut Rng| match rng.below(8) {
        0..4 => 0,
        4..7 => rng.below(20) as u8,
        _ => rng.below(256) as u8,
    };
    (0..rng.below(len)).map(|_| byte(rng)).collect()
}

/// Something is changed, cut off or added.
fn wounded(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..rng.below(4) {
        let at = rng.below(bytes.len().max(1) as u64) as usize;
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend(any(rng, 20)),
            // Most of what steers is in front.
            2 => bytes.iter_mut().take(40).for_each(|byte| {
                if rng.chance(1, 20) {
                    *byte = rng.below(256) as u8;
                }
            }),
            3 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            _ if at < bytes.len() => bytes[at] = rng.below(9) as u8,
            _ => {}
        }
    }
    bytes
}

fn both(seed: u64, valid: &[Vec<u8>], kinds: std::ops::Range<u8>, f: fn(&[u8])) {
    let mut rng = Rng::new(seed);
    for _ in 0..TRIES {
        let kind = kinds.start + rng.below(u64::from(kinds.end - kinds.start)) as u8;
        f(&[&[kind][..], &any(&mut rng, 400)].concat());
        let sound = rng.pick(valid).unwrap().clone();
        f(&sound);
        let bytes = wounded(&mut rng, &sound[1..]);
        f(&[&sound[..1], &bytes].concat());
    }
}

/// A database that has lived, with a queue, and was not closed.
fn lived() -> SimDisk {
    let mut world = World::new(3);
    assert!(world.live(250));
    let engine = world.engine.as_ref().unwrap();
    let queue = engine.queue("mail").unwrap();
    let mut txn = engine.begin();
    (0..40u8).for_each(|item| queue.enqueue(&mut txn, &[item; 50]).unwrap());
    txn.commit().unwrap();
    let mut txn = engine.begin();
    queue.dequeue(&mut txn).unwrap();
    txn.rollback().unwrap();
    engine.checkpoint().unwrap();
    let disk = world.disk.clone();
    world.stop();
    disk
}

/// Everything that stands in the log, each behind the byte that says what it is.
fn in_the_log(disk: &SimDisk) -> Vec<Vec<u8>> {
    let inspection = Inspection::open(disk.mount(), "db", Vec::new()).unwrap();
    let mut all = Vec::new();
    let scanned = inspection.log().scan(crate::Lsn(0), |entry| {
        all.push([&[0][..], entry.payload].concat());
        if let Some(change) = Record::decode(entry.payload).unwrap().change() {
            let kind = [3, 1, 2][usize::from(change.manager.0)];
            all.push([&[kind][..], change.bytes].concat());
        }
        Ok::<(), Error>(())
    });
    scanned.unwrap();
    for kind in 0..4 {
        assert!(all.iter().filter(|bytes| bytes[0] == kind).count() > 10, "kind {kind}");
    }
    all
}

#[test]
fn any_bytes_and_wounded_ones_in_the_log() {
    both(1, &in_the_log(&lived()), 0..4, logged);
}

#[test]
fn any_bytes_and_wounded_ones_in_the_page_files() {
    let disk = lived();
    let pages = disk.contents("db/pages").unwrap();
    let mut all = vec![
        [&[1][..], &disk.contents("db/pages.double").unwrap()].concat(),
        [&[2][..], &pages[..PAGE_BYTES]].concat(),
    ];
    let nodes = pages.chunks(PAGE_BYTES).filter(|page| page[16] == TREE.0 && page[17] == NODE);
    all.extend(nodes.map(|page| [&[0][..], &page[page::HEADER_BYTES..]].concat()));
    let queues = pages.chunks(PAGE_BYTES).filter(|page| page[16] == QUEUE.0);
    all.extend(queues.map(|page| [&[3, page[17]][..], &page[page::HEADER_BYTES..]].concat()));
    assert!(all.len() > 8, "{}", all.len());
    both(2, &all, 0..4, stored);
}

/// What is refused when it is read can't be seen, and stops nobody who does not want it.
#[test]
fn a_page_that_is_impossible_is_told_by_name() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let (tree, other) = (engine.tree("rows").unwrap(), engine.tree("other").unwrap());
    tree.put_now(&engine, b"a", b"1").unwrap();
    other.put_now(&engine, b"a", b"2").unwrap();
    engine.checkpoint().unwrap();
    drop(engine);
    // So many rows are not on it.
    forge(&disk, tree.root(), |page| page.body_mut()[2] = 200);
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let refused = tree.get_latest(&engine, b"a").unwrap_err();
    assert!(matches!(refused, Error::Corrupt { page, .. } if page == tree.root()), "{refused}");
    assert_eq!(other.get_latest(&engine, b"a").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_child_that_leads_up_is_told_and_not_followed() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let trees = ["one", "other"].map(|name| engine.tree(name).unwrap());
    for key in 0..12u8 {
        for tree in trees {
            tree.put_now(&engine, &[key], &[key; 1500]).unwrap();
        }
    }
    engine.checkpoint().unwrap();
    drop(engine);
    let [one, other] = trees;
    forge(&disk, one.root(), |page| {
        assert_eq!(Node::of(page).level(), 1);
        assert!(node::replace(page, 0, &other.root().0.to_le_bytes(), false));
    });
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let refused = |error: Error| {
        let told = matches!(error, Error::Corrupt { page, .. } if page == other.root());
        assert!(told, "{error}");
    };
    refused(one.get_latest(&engine, &[0]).unwrap_err());
    refused(one.put_now(&engine, &[0], b"x").unwrap_err());
    refused(one.range_latest(&engine, &[], None).next().map(drop).unwrap_err());
    assert!(one.get_latest(&engine, &[11]).unwrap().is_some());
}
