use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn filled<const WORDS: usize>(keys: &[&[u8]]) -> Packed<usize, WORDS> {
    let mut packed = Packed::default();
    for (value, key) in keys.iter().enumerate() {
        let at = packed.find(key).expect_err("a new key");
        packed.insert(at, key, value);
    }
    packed
}

fn keys<const WORDS: usize>(packed: &Packed<usize, WORDS>) -> Vec<Vec<u8>> {
    (0..packed.len()).map(|at| packed.key(at)).collect()
}

#[test]
fn keys_that_differ_in_padding_alone_stay_apart() {
    stay_apart::<1>();
    stay_apart::<2>();
}

fn stay_apart<const WORDS: usize>() {
    let zeros = |n: usize| [&b"a"[..], &vec![0; n]].concat();
    let all = [zeros(0), zeros(1), zeros(7), zeros(8), zeros(15), zeros(16), vec![b'b'], vec![]];
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let packed = filled::<WORDS>(&all);
    let mut sorted: Vec<Vec<u8>> = all.iter().map(|key| key.to_vec()).collect();
    sorted.sort();
    assert_eq!(keys(&packed), sorted);
    for (value, key) in all.iter().enumerate() {
        assert_eq!(packed.find(key).map(|at| *packed.value(at)), Ok(value));
    }
    assert!(packed.find(b"a\0\0").is_err());
}

#[test]
fn a_key_that_does_not_share_the_prefix_shortens_it() {
    let mut packed = filled::<1>(&[b"bucket/one/1", b"bucket/one/2"]);
    assert_eq!(&packed.prefix[..], b"bucket/one/1".split_at(11).0);
    packed.insert(0, b"bucket/", 7);
    assert_eq!(&packed.prefix[..], b"bucket/");
    assert_eq!(keys(&packed), [&b"bucket/"[..], b"bucket/one/1", b"bucket/one/2"]);
    assert_eq!(packed.find(b"bucket"), Err(0));
    assert_eq!(packed.find(b"buckets"), Err(3));
}

#[test]
fn removed_keys_leave_no_text_behind() {
    let long = [b'x'; 200];
    let mut packed: Packed<i32> = Packed::default();
    for round in 0..1000u32 {
        let key = [&long[..], &round.to_be_bytes()[..], &long[..]].concat();
        let at = packed.find(&key).expect_err("a new key");
        packed.insert(at, &key, 0);
        if packed.len() > 4 {
            packed.remove(0);
        }
    }
    assert!(packed.heap_bytes() < 8 * 1024, "{}", packed.heap_bytes());
}

/// Keys as they come: long common beginnings, few letters, zeros.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 255]), 0..14);
    (0..4usize, tail)
        .prop_map(|(beginning, tail)| [&b"type bucket"[..beginning * 3], &tail].concat())
}

proptest! {
    #[test]
    fn it_is_an_ordered_map(ops in prop::collection::vec((any_key(), any::<u8>()), 0..120), at in 0..100usize) {
        ordered_map::<1>(&ops, at)?;
        ordered_map::<2>(&ops, at)?;
    }
}

fn ordered_map<const WORDS: usize>(ops: &[(Vec<u8>, u8)], at: usize) -> Result<(), TestCaseError> {
    let (mut packed, mut oracle) = (Packed::<u8, WORDS>::default(), BTreeMap::new());
    for (key, value) in ops {
        match (packed.find(key), value % 3) {
            (Ok(at), 0) => prop_assert_eq!(Some(packed.remove(at)), oracle.remove(key)),
            (Err(_), 0) => prop_assert_eq!(oracle.remove(key), None),
            (Ok(at), _) => {
                let old = std::mem::replace(packed.value_mut(at), *value);
                prop_assert_eq!(oracle.insert(key.clone(), *value), Some(old));
            }
            (Err(at), _) => {
                packed.insert(at, key, *value);
                prop_assert_eq!(oracle.insert(key.clone(), *value), None);
            }
        }
    }
    let all = |packed: &Packed<u8, WORDS>| -> Vec<(Vec<u8>, u8)> {
        (0..packed.len()).map(|at| (packed.key(at), *packed.value(at))).collect()
    };
    let expected: Vec<(Vec<u8>, u8)> = oracle.into_iter().collect();
    prop_assert_eq!(all(&packed), expected.clone());
    let at = at.min(packed.len());
    let taken = packed.split_off(at);
    prop_assert_eq!(all(&packed), &expected[..at]);
    prop_assert_eq!(all(&taken), &expected[at..]);
    packed.append(taken);
    prop_assert_eq!(all(&packed), expected);
    Ok(())
}
