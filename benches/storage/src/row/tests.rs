use std::collections::BTreeSet;

use super::*;

#[test]
fn keys_differ() {
    let keys: BTreeSet<Key> = (0..10_000).map(key).collect();
    assert_eq!(keys.len(), 10_000);
}

#[test]
fn a_value_says_whose_it_is_unless_a_byte_differs() {
    let bytes = value(77, 3);
    assert_eq!(decode(&bytes), Some((77, 3)));
    for place in 0..VALUE_BYTES {
        let mut changed = bytes;
        changed[place] ^= 1;
        assert_eq!(decode(&changed), None, "byte {place}");
    }
    assert_eq!(decode(&bytes[..VALUE_BYTES - 1]), None);
}

#[test]
fn a_sum_depends_on_every_byte() {
    let row = Row::new(1, 2);
    let whole = sum(&row.key, &row.value);
    for place in 0..KEY_BYTES {
        let mut changed = row.key;
        changed[place] ^= 1;
        assert_ne!(sum(&changed, &row.value), whole);
    }
    for place in 0..VALUE_BYTES {
        let mut changed = row.value;
        changed[place] ^= 1;
        assert_ne!(sum(&row.key, &changed), whole);
    }
}
