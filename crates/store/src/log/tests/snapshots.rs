//! Copies of a store that is in use.

use std::sync::mpsc;

use super::*;

const DIR: &str = "snapshots/monday";

type Outcome = Result<SnapshotReport, SnapshotError>;

fn ask(node: &mut Node) -> mpsc::Receiver<Outcome> {
    let (tell, told) = mpsc::channel();
    let done = Box::new(move |outcome| tell.send(outcome).unwrap());
    let beside = vec![("node.toml".into(), b"who".to_vec())];
    node.writer.begin_snapshot(Snapshot { dir: DIR.into(), beside, done });
    told
}

/// The copy, on a disk of its own.
fn copy_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new();
    for (path, _) in disk.files() {
        let Some(inside) = path.strip_prefix(&format!("{DIR}/")) else { continue };
        write_whole(&copy.mount(), inside, &disk.contents(&path).unwrap()).unwrap();
    }
    copy
}

fn fill(node: &mut Node, keys: usize) {
    for key in 0..keys {
        node.put(&format!("key{key}"), vec![key as u8; 1024]);
    }
    (0..3).for_each(|key| node.put(&format!("large{key}"), large(key)));
    node.device.store(NODE_PARTITION, b"own", Some(&Entry { tag: 0, bytes: "state".into() }));
    node.write();
}

fn expect_filled(node: &mut Node, keys: usize) {
    assert_eq!(node.recovered.damage, []);
    (0..keys).for_each(|key| node.expect(&format!("key{key}"), vec![key as u8; 1024]));
    (0..3).for_each(|key| node.expect(&format!("large{key}"), large(key)));
    assert_eq!(node.device.status(NODE_PARTITION).unwrap().keys, 1);
}

#[test]
fn a_copy_holds_what_was_durable_and_nothing_after() {
    let mut node = Node::with_short_files();
    fill(&mut node, 300);
    let told = ask(&mut node);
    node.tidy_all();
    let report = told.try_recv().unwrap().unwrap();
    assert!(report.linked_files > 2 && report.copied_files >= 2, "{report:?}");
    node.put("later", "value");
    node.put("key7", "changed");
    node.checkpoint();
    let mut copy = Node::start(copy_of(&node.disk), node.options);
    expect_filled(&mut copy, 300);
    assert_eq!(copy.read("later"), Ok(None));
    let beside = node.disk.contents(&format!("{DIR}/node.toml"));
    assert_eq!(beside.as_deref(), Some(&b"who"[..]));
}

#[test]
fn a_copy_keeps_the_files_that_compaction_gives_up() {
    let mut node = Node::with_short_files();
    fill(&mut node, 300);
    assert!(node.try_to_rest());
    let told = ask(&mut node);
    for round in 0..5 {
        (0..300).for_each(|key| node.put(&format!("key{key}"), vec![round; 1024]));
        assert!(node.try_to_rest());
    }
    told.try_recv().unwrap().unwrap();
    assert_eq!(node.disk.contents("vnodes/0/0.data"), None, "compacted");
    let mut copy = Node::start(copy_of(&node.disk), node.options);
    assert_eq!(copy.recovered.damage, []);
    (0..300)
        .for_each(|key| assert_eq!(copy.read(&format!("key{key}")).unwrap().unwrap().len(), 1024));
}

#[test]
fn a_store_that_begins_with_a_later_file_is_copied_with_that() {
    let mut node = Node::with_short_files();
    for _ in 0..4 {
        fill(&mut node, 300);
        assert!(node.try_to_rest());
    }
    assert_eq!(node.disk.contents("vnodes/0/0.data"), None, "compacted");
    let told = ask(&mut node);
    node.tidy_all();
    told.try_recv().unwrap().unwrap();
    expect_filled(&mut Node::start(copy_of(&node.disk), node.options), 300);
}

#[test]
fn nothing_is_written_over_and_one_is_made_at_a_time() {
    let mut node = Node::with_short_files();
    fill(&mut node, 100);
    let first = ask(&mut node);
    assert!(matches!(ask(&mut node).try_recv(), Ok(Err(SnapshotError::Busy))));
    node.tidy_all();
    first.try_recv().unwrap().unwrap();
    assert!(matches!(ask(&mut node).try_recv(), Ok(Err(SnapshotError::Exists(dir))) if dir == DIR));
}

/// Wherever the power goes while a copy is made: the store has all, and the copy is whole or refused.
#[test]
fn a_power_cut_leaves_a_whole_copy_or_none() {
    let (mut whole, mut refused) = (0, 0);
    for cut_at in 1.. {
        let mut node = Node::with_short_files();
        fill(&mut node, 30);
        let told = ask(&mut node);
        node.disk.cut_power(cut_at);
        node.try_to_rest();
        node.disk.crash(&mut Rng::new(cut_at));
        let copied = told.try_recv().is_ok_and(|outcome| outcome.is_ok());
        let options = node.options;
        let copy = copy_of(&node.disk);
        // Where no data has arrived, any store may begin.
        let is_begun = !copy.mount().list("vnodes").unwrap().is_empty();
        match open(copy.mount(), 1, options) {
            Ok(_) if is_begun => {
                expect_filled(&mut Node::start(copy_of(&node.disk), options), 30);
                whole += 1;
            }
            _ => {
                assert!(!copied, "cut at {cut_at}: it was said to be there");
                refused += 1;
            }
        }
        expect_filled(&mut Node::start(node.disk, options), 30);
        if copied {
            break;
        }
    }
    assert!(whole > 0 && refused > 10, "{whole} {refused}");
}

#[test]
fn a_copy_that_finds_the_disk_full_fails_alone() {
    let mut node = Node::with_short_files();
    fill(&mut node, 100);
    node.checkpoint();
    let told = ask(&mut node);
    node.disk.fill_after(1000);
    node.tidy_all();
    assert!(matches!(told.try_recv(), Ok(Err(SnapshotError::Io(_)))));
    node.disk.set_capacity(None);
    node.put("key", "value");
    expect_filled(&mut node, 100);
}
