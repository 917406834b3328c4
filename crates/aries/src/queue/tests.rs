use std::collections::{BTreeSet, VecDeque};

use ombak_sim::{Rng, SimDisk};
use proptest::prelude::*;

use super::*;
use crate::engine::EngineOptions;
use crate::engine::tests::world::{forge, small};
use crate::log::Options;

fn options() -> EngineOptions {
    let log = Options { segment_bytes: 64 * 1024, segments_max: 16 };
    EngineOptions { pool_bytes: 1 << 19, log, waits: Waits::Refuse, ..EngineOptions::default() }
}

fn open(disk: &SimDisk) -> (Engine, Queue) {
    let (engine, _) = Engine::open(disk.mount(), "", options()).unwrap();
    let queue = engine.queue("jobs").unwrap();
    (engine, queue)
}

#[test]
fn items_come_out_once_in_order_and_their_pages_go() {
    let (engine, queue) = open(&SimDisk::new());
    for round in 0..3u32 {
        for i in 0..500u32 {
            let mut txn = engine.begin();
            queue.enqueue(&mut txn, &[&i.to_be_bytes()[..], &[7; 90]].concat()).unwrap();
            txn.commit_lazily().unwrap();
        }
        assert_eq!(queue.len(&engine).unwrap(), 500);
        for i in 0..500u32 {
            let mut txn = engine.begin();
            assert_eq!(
                queue.dequeue(&mut txn).unwrap().unwrap()[..4],
                i.to_be_bytes(),
                "round {round}"
            );
            txn.commit_lazily().unwrap();
        }
        assert_eq!(queue.dequeue(&mut engine.begin()).unwrap(), None);
    }
    // Catalog, first page, and the seven that 500 items need.
    assert!(engine.0.pages().unwrap() < 14, "{} pages", engine.0.pages().unwrap());
}

#[test]
fn who_takes_an_item_and_does_not_commit_gives_it_back() {
    let (engine, queue) = open(&SimDisk::new());
    let mut txn = engine.begin();
    [b"a", b"b", b"c"].into_iter().for_each(|item| queue.enqueue(&mut txn, item).unwrap());
    assert_eq!(queue.dequeue(&mut engine.begin()).unwrap(), None, "not committed yet");
    txn.commit().unwrap();
    let (mut one, mut other) = (engine.begin(), engine.begin());
    assert_eq!(queue.dequeue(&mut one).unwrap().as_deref(), Some(&b"a"[..]));
    assert_eq!(
        queue.dequeue(&mut other).unwrap().as_deref(),
        Some(&b"b"[..]),
        "nobody waits for another"
    );
    one.rollback().unwrap();
    assert_eq!(queue.dequeue(&mut other).unwrap().as_deref(), Some(&b"a"[..]), "it is there again");
    other.commit().unwrap();
    assert_eq!(queue.dequeue(&mut engine.begin()).unwrap().as_deref(), Some(&b"c"[..]));
}

/// A job is taken from a queue and its result put into a tree, in one transaction: through crashes, each exactly once.
#[test]
fn a_job_is_done_exactly_once_through_crashes() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let mut rng = Rng::new(seed);
        let (engine, queue) = open(&disk);
        let mut txn = engine.begin();
        (0..60u8).for_each(|job| queue.enqueue(&mut txn, &[job; 300]).unwrap());
        txn.commit().unwrap();
        drop(engine);
        for life in 0..30u8 {
            if life < 25 {
                disk.cut_power(20 + rng.below(60));
            }
            let _cut = work(&disk, life);
            disk.cut_power(u64::MAX);
            disk.crash(&mut rng);
        }
        let (engine, queue) = open(&disk);
        assert_eq!(queue.len(&engine).unwrap(), 0);
        let results = engine.tree("results").unwrap();
        let txn = engine.begin();
        let mut rows = results.range(&txn, &[], None);
        let mut jobs = BTreeSet::new();
        while let Some((key, _)) = rows.next().unwrap() {
            assert!(jobs.insert(key[0]), "job {} was done twice", key[0]);
        }
        assert_eq!(jobs.len(), 60, "seed {seed}");
    }
}

/// Does jobs until none is left, some of them only by half; each row's key is the job and who did it.
fn work(disk: &SimDisk, life: u8) -> Result<(), Error> {
    let (engine, _) = Engine::open(disk.mount(), "", options())?;
    let (queue, results) = (engine.queue("jobs")?, engine.tree("results")?);
    for round in 0u32.. {
        let mut txn = engine.begin();
        let Some(job) = queue.dequeue(&mut txn)? else { return Ok(()) };
        results.put(&mut txn, &[job[0], life, round as u8], b"done")?;
        match round % 4 {
            0 => txn.rollback()?,
            _ => txn.commit()?,
        }
    }
    Ok(())
}

#[test]
fn threads_take_each_item_once() {
    let (engine, queue) = open(&SimDisk::new());
    let taken = std::thread::scope(|scope| {
        let engine = &engine;
        let producer = scope.spawn(move || {
            for i in 0..600u32 {
                let mut txn = engine.begin();
                queue.enqueue(&mut txn, &i.to_be_bytes()).unwrap();
                txn.commit_lazily().unwrap();
            }
        });
        let consume = || {
            let (mut taken, mut tries) = (Vec::new(), 0);
            while taken.len() < 200 {
                let mut txn = engine.begin();
                let Some(item) = queue.dequeue(&mut txn).unwrap() else { continue };
                tries += 1;
                if tries % 5 == 0 {
                    txn.rollback().unwrap();
                    continue;
                }
                txn.commit_lazily().unwrap();
                taken.push(item);
            }
            taken
        };
        let consumers: Vec<_> = (0..2).map(|_| scope.spawn(consume)).collect();
        producer.join().unwrap();
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 400, "each once");
    assert_eq!(queue.len(&engine).unwrap(), 200);
}

/// A database in `db` with a queue of several pages, that was closed.
fn closed() -> (SimDisk, Queue, Vec<PageId>) {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let queue = engine.queue("mail").unwrap();
    for item in 0..40u8 {
        let mut txn = engine.begin();
        queue.enqueue(&mut txn, &[item; 1000]).unwrap();
        txn.commit().unwrap();
    }
    engine.checkpoint().unwrap();
    let pages = queue.pages(&engine).unwrap();
    (disk, queue, pages)
}

/// Everything that can be done with a queue, until there is an error.
fn use_all(queue: Queue, engine: &Engine) -> Result<usize, Error> {
    let there = queue.len(engine)?;
    let mut txn = engine.begin();
    queue.enqueue(&mut txn, &[1; 8000])?;
    queue.enqueue(&mut txn, &[2; 8000])?;
    txn.commit()?;
    for _ in 0..there + 2 {
        let mut txn = engine.begin();
        queue.dequeue(&mut txn)?;
        txn.commit()?;
    }
    Ok(there)
}

#[test]
fn a_chain_that_leads_back_is_told_and_not_followed_for_ever() {
    for (from, to) in [(1, 0), (3, 1), (2, 2)] {
        let (disk, queue, pages) = closed();
        forge(&disk, pages[from], |page| {
            put_u32(page.body_mut(), NEXT, pages[to].0);
        });
        // Nothing waits, so that whoever takes goes on and on.
        pages.iter().for_each(|page| forge(&disk, *page, |page| set_states(page, TAKEN)));
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let told = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::Corrupt { page, .. }) if pages.contains(&page)));
        };
        told(queue.len(&engine).map(drop));
        let mut txn = engine.begin();
        told(
            std::iter::from_fn(|| queue.dequeue(&mut txn).transpose())
                .try_for_each(|it| it.map(drop)),
        );
    }
}

fn set_states(page: &mut Page, state: u8) {
    let offsets: Vec<usize> = items(page).map(|item| item.offset).collect();
    offsets.into_iter().for_each(|offset| page.body_mut()[offset + 2] = state);
}

#[test]
fn a_first_page_that_leads_to_itself_is_told() {
    for at in [HEAD, TAIL] {
        for to in [0, 1] {
            let (disk, queue, _) = closed();
            forge(&disk, queue.root, |page| put_u32(page.body_mut(), at, to * queue.root.0));
            let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
            let told = use_all(queue, &engine).unwrap_err();
            assert!(matches!(told, Error::Corrupt { page, .. } if page == queue.root), "{told}");
        }
    }
}

/// Damage that no checksum tells of, and of which something may look right. It never panics, and it ends.
#[test]
fn any_damage_under_a_valid_checksum_is_told_or_harmless() {
    let (disk, queue, pages) = closed();
    let image = disk.snapshot();
    let mut rng = Rng::new(6);
    let (mut told, mut harmless) = (0, 0);
    for _ in 0..400 {
        disk.restore(&image);
        let page = if rng.chance(1, 4) { queue.root } else { *rng.pick(&pages).unwrap() };
        // Mostly where it steers something: pointers, ends, lengths.
        forge(&disk, page, |page| {
            for _ in 0..1 + rng.below(3) {
                let item = START + 1003 * rng.below(8) as usize + rng.below(3) as usize;
                let at = if rng.chance(1, 2) { rng.below(12) as usize } else { item };
                page.body_mut()[at] =
                    [0, 1, 2, 5, 255, rng.below(256) as u8][rng.below(6) as usize];
            }
        });
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        match use_all(queue, &engine) {
            Ok(_) => harmless += 1,
            Err(Error::Corrupt { .. }) => told += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(told > 100 && harmless > 20, "{told} told, {harmless} harmless");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// One transaction at a time: the queue is a queue.
    #[test]
    fn a_queue_is_a_queue(steps in prop::collection::vec((0..4u8, 0..3000usize), 1..120)) {
        let (engine, queue) = open(&SimDisk::new());
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut before = model.clone();
        let mut txn = engine.begin();
        for (i, (what, len)) in steps.into_iter().enumerate() {
            match what {
                0 | 1 => {
                    let item = vec![i as u8; len];
                    queue.enqueue(&mut txn, &item).unwrap();
                    model.push_back(item);
                }
                2 => {
                    let item = queue.dequeue(&mut txn).unwrap().map(|item| item.to_vec());
                    prop_assert_eq!(item, model.pop_front());
                }
                _ if len % 2 == 0 => {
                    std::mem::replace(&mut txn, engine.begin()).commit_lazily().unwrap();
                    before = model.clone();
                }
                _ => {
                    std::mem::replace(&mut txn, engine.begin()).rollback().unwrap();
                    model = before.clone();
                }
            }
        }
    }
}
