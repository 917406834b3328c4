//! Lists of keys: what a start reads in place of records.

use super::*;

const KEYS: usize = 500;

/// Some files full of records of a kilobyte, at rest.
fn filled() -> Node {
    let mut node = Node::with_short_files();
    (0..KEYS).for_each(|key| node.put(&format!("key{key}"), vec![7; 1024]));
    assert!(node.try_to_rest());
    node.checkpoint();
    node
}

fn names(node: &Node, suffix: &str) -> Vec<String> {
    let files = node.disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with("vnodes/0/") && path.ends_with(suffix)).collect()
}

#[test]
fn what_is_in_files_is_listed_but_for_the_last_few() {
    let node = filled();
    assert!(names(&node, ".data").len() > 3);
    assert_eq!(names(&node, ".keys"), ["vnodes/0/0.keys"], "to create a file is dear");
    let list = Bytes::from(node.disk.contents("vnodes/0/0.keys").unwrap());
    let (sections, _) = keys::decode(P, &list);
    let listed: usize = sections.iter().map(|(_, records)| records.len()).sum();
    assert!(listed > KEYS / 2, "{listed}");
    assert!(40 * list.len() < listed * 1024, "{} bytes", list.len());
}

#[test]
fn a_start_reads_lists_in_place_of_records() {
    let mut node = filled();
    // The log would put right what is wrong with the file.
    let log = node.disk.files().into_iter().filter(|(path, _)| path.starts_with("commit-log/"));
    log.for_each(|(path, _)| node.disk.mount().remove(&path).unwrap());
    // In the value of the first record.
    assert!(node.disk.flip_bit("vnodes/0/0.data", 512, 3));
    node = node.restart();
    assert_eq!(node.recovered.damage, []);
    assert_eq!(node.recovered.keys, KEYS as u64);
    node.expect("key499", vec![7; 1024]);
    assert!(matches!(node.read("key0"), Err(DeviceError::Damaged(_))), "rot is found by reading");
}

/// A node keeps what it has found damaged for as long as it runs: the keys alone, not the pieces of files that they were in.
#[test]
fn damaged_keys_keep_nothing_else_in_memory() {
    let mut node = Node::with_short_files();
    (0..3).for_each(|key| node.put(&format!("key{key}"), vec![7; 1024]));
    node.checkpoint();
    let log = node.disk.files().into_iter().filter(|(path, _)| path.starts_with("commit-log/"));
    log.for_each(|(path, _)| node.disk.mount().remove(&path).unwrap());
    [600, 1700].into_iter().for_each(|at| assert!(node.disk.flip_bit("vnodes/0/0.data", at, 3)));
    node = node.restart();
    let keys = node.recovered.damage.iter().map(|damage| damage.key.as_ref().unwrap());
    assert_eq!(keys.map(Bytes::is_unique).collect::<Vec<_>>(), [true, true]);
}

#[test]
fn without_a_list_the_records_are_read_and_listed_again() {
    let mut node = filled();
    let lists = names(&node, ".keys");
    lists.iter().for_each(|path| node.disk.mount().remove(path).unwrap());
    node = node.restart();
    assert_eq!((node.recovered.keys, names(&node, ".keys")), (KEYS as u64, lists));
    (0..KEYS).for_each(|key| node.expect(&format!("key{key}"), vec![7; 1024]));
}

#[test]
fn lists_that_a_power_cut_spoils_are_passed_over() {
    for seed in 0..8 {
        let mut node = filled();
        node.disk.crash(&mut Rng::new(seed));
        node = Node::start(node.disk, node.options);
        assert_eq!(node.recovered.damage, []);
        (0..KEYS).for_each(|key| node.expect(&format!("key{key}"), vec![7; 1024]));
    }
}

#[test]
fn removals_and_large_values_are_listed() {
    let mut node = filled();
    for key in 0..200 {
        node.device.store(P, format!("key{key}").as_bytes(), None);
        node.put(&format!("large{key}"), large(1));
        (0..2).for_each(|_| node.put("key499", vec![8; 1024]));
    }
    assert!(node.try_to_rest());
    node = node.restart();
    assert_eq!(node.recovered.damage, []);
    (0..200).for_each(|key| node.expect(&format!("large{key}"), large(1)));
    (0..200).for_each(|key| assert_eq!(node.read(&format!("key{key}")), Ok(None)));
    node.expect("key499", vec![8; 1024]);
}

#[test]
fn a_list_goes_when_all_its_files_are_given_up() {
    let mut node = filled();
    for key in 0..20 * KEYS {
        node.put(&format!("key{}", key % KEYS), vec![9; 1024]);
        if key % 16 == 0 {
            assert!(node.try_to_rest());
        }
    }
    assert!(node.try_to_rest());
    let number = |path: &String| path.split(['/', '.']).nth(2).unwrap().parse::<u32>().unwrap();
    let first = names(&node, ".data").iter().map(number).min().unwrap();
    let lists: Vec<u32> = names(&node, ".keys").iter().map(number).collect();
    assert!(first > 32 && !lists.is_empty() && lists.len() < 4, "{first} {lists:?}");
    assert!(lists.iter().all(|list| *list >= first / 16), "{first} {lists:?}");
    node = node.restart();
    assert_eq!(node.recovered.damage, []);
    (0..KEYS).for_each(|key| node.expect(&format!("key{key}"), vec![9; 1024]));
}

/// Again and again: what one start has listed, and what was listed while running, adds up.
#[test]
fn lists_go_on_through_restarts() {
    let mut node = filled();
    for round in 0..6u8 {
        node = if round % 2 == 0 { node.restart() } else { node.lose_power() };
        assert_eq!(node.recovered.damage, []);
        (0..100).for_each(|key| node.put(&format!("round{round}/{key}"), vec![round; 1024]));
        assert!(node.try_to_rest());
        node.checkpoint();
    }
    let list = Bytes::from(node.disk.contents("vnodes/0/0.keys").unwrap());
    let (sections, end) = keys::decode(P, &list);
    assert_eq!(end, list.len() as u64);
    let listed: usize = sections.iter().map(|(_, records)| records.len()).sum();
    assert!(listed > KEYS + 400, "{listed}");
    node = node.restart();
    assert_eq!(node.recovered.keys, KEYS as u64 + 600);
}
