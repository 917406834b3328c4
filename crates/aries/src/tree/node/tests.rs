use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn leaf() -> Page {
    let mut page = Page::blank(PageId(1));
    clear(&mut page, 0);
    page
}

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, usize),
    Remove(Vec<u8>),
    Ghost(Vec<u8>, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop::collection::vec(0..3u8, 0..6);
    prop_oneof![
        4 => (key(), 0..900usize).prop_map(|(key, len)| Op::Put(key, len)),
        2 => key().prop_map(Op::Remove),
        1 => (key(), any::<bool>()).prop_map(|(key, ghost)| Op::Ghost(key, ghost)),
    ]
}

proptest! {
    /// A node is a sorted map with bounded room.
    #[test]
    fn a_node_is_a_map(ops in prop::collection::vec(op(), 1..120)) {
        let mut page = leaf();
        let mut model: BTreeMap<Vec<u8>, (Vec<u8>, bool)> = BTreeMap::new();
        for (i, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(key, len) => {
                    let value = vec![i as u8; len];
                    let node = Node::of(&page);
                    let done = match node.find(&key) {
                        Ok(slot) => replace(&mut page, slot, &value, false),
                        Err(slot) => insert(&mut page, slot, &key, &value),
                    };
                    if done {
                        model.insert(key, (value, false));
                    }
                }
                Op::Remove(key) => {
                    let found = Node::of(&page).find(&key);
                    prop_assert_eq!(found.is_ok(), model.remove(&key).is_some());
                    if let Ok(slot) = found {
                        remove(&mut page, slot);
                    }
                }
                Op::Ghost(key, ghost) => {
                    if let (Ok(slot), Some(row)) = (Node::of(&page).find(&key), model.get_mut(&key)) {
                        set_ghost(&mut page, slot, ghost);
                        row.1 = ghost;
                    }
                }
            }
            let node = Node::of(&page);
            prop_assert_eq!(node.check(), Ok(()));
            let rows: Vec<_> = (0..node.count())
                .map(|slot| (node.key(slot).to_vec(), (node.value(slot).to_vec(), node.is_ghost(slot))))
                .collect();
            prop_assert_eq!(rows, model.clone().into_iter().collect::<Vec<_>>());
            let bytes: usize = model.iter().map(|(key, (value, _))| row_bytes(key.len(), value.len())).sum();
            prop_assert_eq!(node.used(), bytes);
        }
        let mut compacted = page.clone();
        compact(&mut compacted);
        prop_assert_eq!(Node::of(&compacted).count(), model.len());
        prop_assert_eq!(Node::of(&compacted).free(), Node::of(&page).free());
    }

    /// Heads shorten the way to a key, and lead to the same place.
    #[test]
    fn keys_are_found_as_by_whole_comparison(keys in prop::collection::btree_set(prop::collection::vec(0..3u8, 0..7), 1..80), key in prop::collection::vec(0..3u8, 0..7)) {
        let mut page = leaf();
        for (slot, key) in keys.iter().enumerate() {
            prop_assert!(insert(&mut page, slot, key, b""));
        }
        let sorted: Vec<&Vec<u8>> = keys.iter().collect();
        prop_assert_eq!(Node::of(&page).find(&key), sorted.binary_search(&&key));
    }
}
