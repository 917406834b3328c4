use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { partition: Partition(3), file: 9, offset: 77 };

#[test]
fn a_location_keeps_its_parts() {
    let longest = LEN_MASK as usize;
    for (len, tag, is_pointer) in [(16, 0, false), (1, u64::MAX, true), (longest, 1 << 40, false)] {
        let location = Location::new(PLACE, len, tag, is_pointer);
        for (location, is_flawed) in [(location, false), (location.flawed(), true)] {
            let parts = (location.len(), location.tag(), location.is_pointer());
            assert_eq!(parts, (len, tag, is_pointer));
            assert_eq!(location.place(Partition(3)), PLACE);
            assert_eq!(location.is_flawed(), is_flawed);
        }
    }
}

/// Beside it, each key has 16 bytes, and those that it does not share with its neighbours.
#[test]
fn a_location_is_small() {
    assert_eq!((size_of::<Location>(), align_of::<Location>()), (20, 4));
}

#[test]
fn live_bytes_are_those_of_the_latest_records() {
    let location = |len| Location::new(PLACE, len, 0, false);
    let mut index = Index::default();
    index.insert(b"a", location(100));
    index.insert(b"b", location(10));
    index.insert(b"a", location(30));
    assert_eq!((index.keys(), index.live_bytes()), (2, 40));
    index.remove(b"a");
    index.remove(b"a");
    assert_eq!((index.keys(), index.live_bytes()), (1, 10));
    let keys: Vec<_> = index.range((Unbounded, Unbounded)).map(|(key, _)| key).collect();
    assert_eq!(keys, [b"b"]);
}

/// A million keys of a bucket, in any order.
#[test]
fn a_key_costs_less_than_fifty_bytes() {
    let location = Location::new(PLACE, 100, 0, false);
    let (mut index, count) = (Index::default(), 100_003);
    for at in 0..count {
        let key = format!("\u{1}\0\0\u{5}bench{:012}", at * 7919 % count);
        index.insert(key.as_bytes(), location);
    }
    assert_eq!(index.keys(), count);
    let each = index.heap_bytes() as u64 / count;
    assert!(each < 50, "{each} bytes a key");
}

proptest! {
    #[test]
    fn it_is_an_ordered_map(
        ops in prop::collection::vec((0..400u32, 1..4usize), 0..2000),
        from in 0..400u32,
        to in 0..400u32,
    ) {
        let key = |n: u32| format!("bucket{}/{n:09}", n % 3).into_bytes();
        let (mut index, mut oracle) = (Index::default(), BTreeMap::new());
        for (n, len) in ops {
            let location = Location::new(PLACE, len, u64::from(n), false);
            // Mostly additions at first sight, removals again and again.
            if len == 1 || n % 5 == 0 {
                index.remove(&key(n));
                oracle.remove(&key(n));
            } else {
                index.insert(&key(n), location);
                oracle.insert(key(n), location);
            }
        }
        let bytes: usize = oracle.values().map(Location::len).sum();
        prop_assert_eq!((index.keys(), index.live_bytes()), (oracle.len() as u64, bytes as u64));
        for n in 0..400 {
            prop_assert_eq!(index.get(&key(n)), oracle.get(&key(n)).copied());
        }
        let (from, to) = (key(from).min(key(to)), key(from).max(key(to)));
        for begin in [Unbounded, Included(&from[..]), Excluded(&from[..])] {
            for end in [Unbounded, Excluded(&to[..]), Included(&to[..])] {
                if matches!((begin, end), (Excluded(a), Excluded(b)) if a == b) {
                    continue;
                }
                let found: Vec<_> = index.range((begin, end)).collect();
                let there = oracle.range::<[u8], _>((begin, end));
                let there: Vec<_> = there.map(|(key, location)| (key.clone(), *location)).collect();
                prop_assert_eq!(found, there);
            }
        }
    }
}
