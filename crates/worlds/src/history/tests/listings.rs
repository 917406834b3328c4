use super::*;

const SHOWN: Option<&str> = Some("a listing shows what is there");
const NAMED: Option<&str> = Some("nothing is invented in a listing");

fn listing(keys: &[Option<usize>], began: u64, ended: u64) -> Listed {
    let (began, ended) = (Tick::from_ms(began), Tick::from_ms(ended));
    Listed { node: NodeId(0), of: vec![0, 1], keys: keys.to_vec(), began, ended }
}

fn listed(ops: &[Op], keys: &[Option<usize>]) -> Option<&'static str> {
    let mut history = history(ops);
    history.listed(listing(keys, 10, 20));
    verdict(&history)
}

fn everywhere(op: Op) -> Op {
    Op { holds: 3, ..op }
}

#[test]
fn names_are_of_keys_that_were_written() {
    assert_eq!(listed(&[put(1, 0, 1)], &[Some(0)]), None);
    assert_eq!(listed(&[put(1, 15, 30)], &[Some(0)]), None, "being written");
    assert_eq!(listed(&[put(1, 21, 30)], &[Some(0)]), SHOWN);
    assert_eq!(listed(&[], &[Some(1)]), SHOWN);
    assert_eq!(listed(&[put(1, 0, 1)], &[Some(0), None]), NAMED);
    assert_eq!(listed(&[put(1, 0, 1)], &[Some(0), Some(2)]), NAMED, "of another bucket");
    assert_eq!(listed(&[put(1, 0, 1)], &[Some(0), Some(0)]), NAMED, "twice");
}

/// The replica that is read may lag, but not behind what all replicas hold.
#[test]
fn what_all_replicas_hold_is_listed() {
    assert_eq!(listed(&[put(1, 0, 1)], &[]), None);
    assert_eq!(listed(&[everywhere(put(1, 0, 1))], &[]), SHOWN);
    assert_eq!(listed(&[everywhere(put(1, 0, 15))], &[]), None, "meanwhile");
    assert_eq!(listed(&[everywhere(put(1, 0, 1)), delete(15, 30)], &[]), None);
    assert_eq!(listed(&[delete(0, 1), everywhere(put(1, 2, 3))], &[]), SHOWN);
}

#[test]
fn what_is_deleted_on_all_replicas_is_not_listed() {
    assert_eq!(listed(&[put(1, 0, 1), delete(2, 3)], &[Some(0)]), None);
    assert_eq!(listed(&[put(1, 0, 1), everywhere(delete(2, 3))], &[Some(0)]), SHOWN);
    assert_eq!(listed(&[failed(put(1, 0, 1)), everywhere(delete(2, 3))], &[Some(0)]), None);
    let again = [put(1, 0, 1), everywhere(delete(2, 3)), put(2, 4, 5)];
    assert_eq!(listed(&again, &[Some(0)]), None);
}
