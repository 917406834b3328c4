//! Disks without room.

use std::io::ErrorKind;

use ombak_sim::SyncFault;

use super::*;
use crate::log::room::Room;

/// So small that a few dozen values fill log and files.
fn small(reserve_bytes: u64) -> Options {
    Options {
        log_segment_bytes: 144 * 1024,
        log_segments_max: 3,
        large_bytes: 8 * 1024,
        flush_bytes: 4 * 1024,
        memory_bytes_max: 32 * 1024,
        checkpoint_bytes: 64 * 1024,
        reserve_bytes,
        ..Options::default()
    }
}

/// Every fourth value is a large one.
fn value(key: u64) -> Bytes {
    value_of(key, 1, if key.is_multiple_of(4) { 12_000 } else { 3_000 })
}

/// What was stored, and what of it was announced as durable.
struct Filled {
    node: Node,
    stored: u64,
}

impl Filled {
    fn new(free_bytes: u64) -> Filled {
        let node = Node::start(SimDisk::new(), small(0));
        node.disk.fill_after(free_bytes);
        Filled { node, stored: 0 }
    }

    /// One more value, and what the writer's thread does. `false`: the power is cut.
    fn store(&mut self) -> bool {
        self.stored += 1;
        let (key, bytes) = (format!("k{}", self.stored), value(self.stored));
        self.node.device.store(P, key.as_bytes(), Some(&Entry { tag: 0, bytes }));
        self.node.try_to_rest()
    }

    /// What a host does while there is no room.
    fn look_again(&mut self) {
        self.node.act(|writer, notices| writer.write(Vec::new(), notices));
        self.node.rest();
    }

    fn fill(&mut self) -> bool {
        while !self.node.writer.is_full() {
            assert!(self.stored < 1_000, "the disk has no end");
            if !self.store() {
                return false;
            }
        }
        // A shard hears of it later, and stores a little more until then.
        (0..3).all(|_| self.store())
    }

    fn durable(&self) -> u64 {
        self.node.device.durable().0
    }

    #[track_caller]
    fn expect_upto(&mut self, last: u64) {
        (1..=last).for_each(|key| self.node.expect(&format!("k{key}"), value(key)));
    }
}

#[test]
fn writes_wait_for_room_and_reads_go_on() {
    let mut filled = Filled::new(600_000);
    assert!(filled.fill());
    let announced = filled.durable();
    assert!(announced > 10 && announced < filled.stored, "{announced} of {}", filled.stored);
    filled.look_again();
    assert_eq!(filled.durable(), announced, "nothing more is announced without room");
    filled.expect_upto(filled.stored);
    assert!(filled.node.device.pending_bytes() > 0);

    filled.node.disk.set_capacity(None);
    filled.look_again();
    assert!(!filled.node.writer.is_full());
    assert_eq!(filled.durable(), filled.stored);
    assert_eq!(filled.node.device.pending_bytes(), 0);
    (0..20).for_each(|_| assert!(filled.store()));
    assert_eq!(filled.durable(), filled.stored);
    filled.expect_upto(filled.stored);
    let Filled { node, stored } = filled;
    let mut again = Filled { node: node.lose_power(), stored };
    assert_eq!(again.node.recovered.damage, []);
    again.expect_upto(stored);
}

#[test]
fn nothing_is_appended_twice() {
    // All of it fits into the log, once there is a segment for it.
    let mut node = Node::start(SimDisk::new(), small(0));
    node.put("first", "value");
    let records = |node: Node| node.lose_power().recovered.replayed_records;
    node.disk.fill_after(0);
    for key in 0..60 {
        let entry = Entry { tag: 0, bytes: value_of(key, 1, 3_000) };
        node.device.store(P, format!("k{key}").as_bytes(), Some(&entry));
        let commit = node.device.take_commit().unwrap();
        node.act(|writer, notices| writer.write(vec![(ShardId(0), commit)], notices));
        node.act(|writer, notices| writer.write(Vec::new(), notices));
    }
    assert!(node.writer.is_full());
    node.disk.set_capacity(None);
    node.act(|writer, notices| writer.write(Vec::new(), notices));
    assert_eq!(node.device.durable().0, 61);
    assert_eq!(records(node), 61);
}

#[test]
fn a_crash_at_any_change_of_a_full_disk_loses_nothing_that_was_announced() {
    let mut cuts = 0;
    for cut_at in (1..).step_by(3) {
        let mut filled = Filled::new(300_000);
        filled.node.disk.cut_power(cut_at);
        let mut went = filled.fill();
        if went {
            filled.node.disk.set_capacity(None);
            went = filled.store() && filled.store();
        }
        let (announced, Filled { node, stored }) = (filled.durable(), filled);
        node.disk.set_capacity(None);
        node.disk.crash(&mut Rng::new(cut_at));
        let mut again = Filled { node: Node::start(node.disk, node.options), stored };
        assert_eq!(again.node.recovered.damage, [], "cut at {cut_at}");
        again.expect_upto(announced);
        if went {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 30, "{cuts}");
}

#[test]
fn a_write_that_stops_halfway_is_written_again() {
    for at in 1..40 {
        let mut filled = Filled::new(10_000_000);
        filled.node.disk.fail_write(at, ErrorKind::StorageFull);
        // The log's own writes go to places that have storage: there, it is a failure.
        let works = (0..30).all(|_| filled.store());
        let announced = filled.durable();
        assert!(!works || announced == filled.stored, "write {at}");
        let Filled { node, stored } = filled;
        let mut again = Filled { node: node.lose_power(), stored };
        assert_eq!(again.node.recovered.damage, [], "write {at}");
        again.expect_upto(announced);
    }
}

#[test]
fn a_sync_that_fails_for_want_of_room_poisons() {
    for at in 1..6 {
        let mut filled = Filled::new(10_000_000);
        filled.store();
        filled.node.disk.fail_sync(at, ErrorKind::StorageFull, SyncFault::Drops);
        let stored = (0..100).find(|_| !filled.store());
        assert!(stored.is_some(), "sync {at}: the failure was not taken for one");
        assert!(!filled.store(), "sync {at}: it was tried again");
        assert!(filled.node.writer.write(Vec::new(), &mut Vec::new()).is_err());
    }
}

#[test]
fn below_the_reserve_it_is_full_and_goes_on() {
    let mut node = Node::start(SimDisk::new(), small(100_000));
    node.put("key", "value");
    node.tidy_all();
    let look = |node: &mut Node, free: u64| {
        node.disk.fill_after(free);
        node.act(|writer, notices| writer.write(Vec::new(), notices));
        node.writer.is_full()
    };
    assert!(!look(&mut node, 100_000));
    assert!(look(&mut node, 99_999));
    node.put("within", "the reserve");
    assert_eq!(node.device.durable().0, 2, "what comes all the same is made durable");
    assert!(look(&mut node, 124_999), "a quarter above it, and not before");
    assert!(!look(&mut node, 125_000));
    assert!(!look(&mut node, 100_000));
    node.disk.fill_after(50_000);
    assert!(node.restart().writer.is_full(), "from the start");
}

#[test]
fn overwritten_files_are_removed_within_the_reserve() {
    let options = Options { file_bytes: 64 * 1024, ..small(256 * 1024) };
    let mut node = Node::start(SimDisk::new(), options);
    overwrite(&mut node, 200, 200, 3_000);
    // Others have filled the disk, down to the reserve.
    node.disk.fill_after(200 * 1024);
    node.act(|writer, notices| writer.write(Vec::new(), notices));
    assert!(node.writer.is_full());
    let before = node.disk.used_bytes();
    for key in 0..190 {
        node.device.store(P, format!("key {key}").as_bytes(), None);
    }
    node.write();
    node.rest();
    let after = node.disk.used_bytes();
    assert!(after + 256 * 1024 < before, "{after} of {before}");
    assert!(!node.writer.is_full(), "and that is noticed");
}

/// As a node has it.
const RESERVE: u64 = 128 * 1024 * 1024;

#[test]
fn the_system_is_asked_for_room_now_and_then_and_each_time_while_there_is_little() {
    let disk = SimDisk::new();
    let mut room = Room::new(RESERVE);
    room.look(&disk, 0);
    disk.fill_after(RESERVE - 1);
    room.look(&disk, RESERVE / 64 - 1);
    assert!(!room.is_low(), "it was not asked");
    room.look(&disk, RESERVE / 64);
    assert!(room.is_low(), "so much was written");
    disk.set_capacity(None);
    room.look(&disk, RESERVE / 64);
    assert!(!room.is_low());
    disk.fill_after(0);
    let looks = (1..20).find(|_| {
        room.look(&disk, RESERVE / 64);
        room.is_low()
    });
    assert_eq!(looks, Some(17));
}

#[test]
fn a_small_reserve_is_asked_for_each_time() {
    let disk = SimDisk::new();
    let mut room = Room::new(64 * 1024);
    room.look(&disk, 0);
    disk.fill_after(64 * 1024 - 1);
    room.look(&disk, 0);
    assert!(room.is_low());
}

#[test]
fn large_values_do_not_use_up_the_reserve_unseen() {
    let mut node = Node::start(SimDisk::new(), small(RESERVE));
    node.put("key", "value");
    node.tidy_all();
    node.disk.fill_after(RESERVE - 1);
    for (key, is_full) in [("one", false), ("two", false), ("three", true)] {
        node.put(key, "v".repeat(1_000_000));
        assert_eq!(node.writer.is_full(), is_full, "{key}");
    }
}
