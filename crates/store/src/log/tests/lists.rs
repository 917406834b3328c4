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
fn every_file_but_the_last_is_listed() {
    let node = filled();
    let (data, lists) = (names(&node, ".data"), names(&node, ".keys"));
    assert!(data.len() > 3);
    assert_eq!(lists.len(), data.len() - 1);
    let bytes = |suffix: &str| {
        let files = node.disk.files().into_iter();
        files.filter(|(path, _)| path.ends_with(suffix)).map(|(_, len)| len).sum::<u64>()
    };
    assert!(40 * bytes(".keys") < bytes(".data"), "{} of {}", bytes(".keys"), bytes(".data"));
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
fn a_file_takes_its_list_along_when_it_is_given_up() {
    let mut node = filled();
    (0..3 * KEYS).for_each(|key| {
        node.put(&format!("key{}", key % KEYS), vec![9; 1024]);
        assert!(node.try_to_rest());
    });
    let number = |path: &String| path.split(['/', '.']).nth(2).unwrap().parse::<u32>().unwrap();
    let numbers = |suffix: &str| names(&node, suffix).iter().map(number).collect::<Vec<_>>();
    let (data, lists) = (numbers(".data"), numbers(".keys"));
    assert!(!data.contains(&0), "{data:?}");
    assert!(lists.iter().all(|list| data.contains(list)), "{lists:?} of {data:?}");
}
