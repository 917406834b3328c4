//! Queues whose chains are not what they should be.

use super::*;
use crate::engine::tests::world::forge;
use crate::named::offset_of;
use crate::page::{PAGE_BYTES, put_u32};

/// A database that was closed, with a queue of several pages, in the order of its chain.
fn closed() -> (SimDisk, Vec<PageId>) {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let (queue, tree) = (engine.queue("mail").unwrap(), engine.tree("rows").unwrap());
    for item in 0..40u8 {
        let mut txn = engine.begin();
        queue.enqueue(&mut txn, &[item; 1000]).unwrap();
        tree.put(&mut txn, &[item], b"row").unwrap();
        txn.commit().unwrap();
    }
    let chain = queue.pages(&engine).unwrap();
    assert!(chain.len() > 4, "{chain:?}");
    engine.checkpoint().unwrap();
    // Its pages take the place of the copies.
    for key in 0..40u8 {
        tree.put_now(&engine, &[key; 9], &[key; 1500]).unwrap();
    }
    engine.checkpoint().unwrap();
    (disk, chain)
}

/// The one thing that is found: its page, and what is said.
fn found(disk: &SimDisk) -> (PageId, String) {
    let report = inspect(disk).verify().unwrap();
    let queue = report.findings.iter().filter(|finding| finding.what.starts_with("queue"));
    let [finding] = queue.collect::<Vec<_>>()[..] else { panic!("{report:?}") };
    assert_eq!((finding.severity, finding.file.as_str()), (Severity::Damage, "db/pages"));
    assert!(finding.lost.contains("items"), "{finding:?}");
    assert_eq!((report.trees, report.queues), (Some(2), Some(0)));
    (PageId((finding.offset / PAGE_BYTES as u64) as u32), finding.what.clone())
}

#[test]
fn a_sound_queue_is_walked() {
    let (disk, _) = closed();
    let report = inspect(&disk).verify().unwrap();
    assert_eq!((report.findings, report.trees, report.queues), (vec![], Some(2), Some(1)));
}

#[test]
fn a_chain_that_leads_back_is_told_at_the_page_to_which_it_does() {
    let (disk, chain) = closed();
    forge(&disk, chain[3], |page| put_u32(page.body_mut(), 0, chain[1].0));
    let (page, what) = found(&disk);
    assert_eq!(page, chain[1], "{what}");
    assert!(what.contains("\"mail\"") && what.contains("leads back"), "{what}");
}

#[test]
fn a_chain_that_is_cut_is_told_at_the_page_where_it_ends() {
    let (disk, chain) = closed();
    forge(&disk, chain[2], |page| put_u32(page.body_mut(), 0, 0));
    let (page, what) = found(&disk);
    assert_eq!(page, chain[2], "{what}");
    assert!(what.contains("ends before its last page"), "{what}");
}

#[test]
fn a_chain_that_leads_to_no_page_of_a_queue_is_told_there() {
    let (disk, chain) = closed();
    // The catalog's, one that was never used, and one that can't be.
    for (next, why) in [(1, "is none"), (400, "is none"), (u32::MAX, "no such page")] {
        forge(&disk, chain[1], |page| put_u32(page.body_mut(), 0, next));
        let (page, what) = found(&disk);
        assert_eq!(page, PageId(next), "{what}");
        assert!(what.contains(why), "{what}");
    }
}

#[test]
fn every_bit_of_a_queues_pages_is_missed() {
    let (disk, chain) = closed();
    let mut rng = Rng::new(2);
    for _ in 0..40 {
        let page = *rng.pick(&chain).unwrap();
        let (offset, bit) = (offset_of(page) + rng.below(PAGE_BYTES as u64), rng.below(8) as u8);
        disk.flip_bit("db/pages", offset, bit);
        assert_eq!(found(&disk).0, page, "bit {bit} of {offset}");
        disk.flip_bit("db/pages", offset, bit);
    }
}
