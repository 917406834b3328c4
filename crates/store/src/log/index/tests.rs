use std::ops::Bound::Unbounded;

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

/// With a 16-byte key: 20 here, 16 for the key's pointer, 32 of heap for its bytes, and what the map leaves empty.
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
    let keys: Vec<_> = index.range((Unbounded, Unbounded)).map(|(key, _)| key.to_vec()).collect();
    assert_eq!(keys, [b"b"]);
}
