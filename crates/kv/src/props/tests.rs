use proptest::prelude::*;

use super::*;

fn bucket() -> BucketId {
    BucketId::default_type("b")
}

fn change(name: &str, value: PropValue) -> PropChange {
    PropChange { name: name.into(), value: Some(value) }
}

#[test]
fn defaults_are_riaks() {
    let props = BucketProps::default();
    assert_eq!((props.n_val(), props.allow_mult(), props.notfound_ok()), (3, false, true));
    assert_eq!((props.quorum("r"), props.quorum("pw")), (Quorum::Quorum, Quorum::Count(0)));
}

#[test]
fn a_change_is_seen_and_a_reset_takes_it_back() {
    let mut map = BucketMap::default();
    assert_eq!(map.digest(&bucket()), 0);
    map.set(&bucket(), &[change("allow_mult", YES)], NodeId(0)).expect("valid");
    assert!(map.props(&bucket()).allow_mult());
    let digest = map.digest(&bucket());
    map.reset(&bucket(), NodeId(1)).expect("valid");
    assert_eq!(map.props(&bucket()), &BucketProps::default());
    assert_ne!(map.digest(&bucket()), digest);
}

#[test]
fn bad_changes_are_refused_by_name() {
    let refused = |name: &str, value| match validate(&change(name, value)) {
        Err(RequestError::BadProperty(name, reason)) => format!("{name}: {reason}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("foo", YES), "foo: unknown property");
    assert_eq!(refused("n_val", PropValue::Json("\"x\"".into())), "n_val: not_integer");
    assert_eq!(refused("n_val", PropValue::Number(0)), "n_val: must be at least 1");
    assert_eq!(
        refused("n_val", PropValue::Number(6)),
        "n_val: must be at most 5, the length of a row"
    );
    assert_eq!(refused("allow_mult", PropValue::Number(1)), "allow_mult: not_boolean");
    assert_eq!(refused("r", YES), "r: not_valid_quorum");
}

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let mut map = BucketMap::default();
    let changes =
        [change("n_val", PropValue::Number(2)), change("w", PropValue::Quorum(QuorumProp::All))];
    map.set(&bucket(), &changes, NodeId(3)).expect("valid");
    let golden = b"\x01\x00\x01b\x02\x05n_val\x01\x03\x02\x02\x01w\x01\x03\x05\x00";
    assert_eq!(map.export(&bucket())[..], golden[..]);
    let mut other = BucketMap::default();
    assert_eq!(other.import(&Bytes::from_static(golden)), Ok((bucket(), true)));
    assert_eq!(other, map);
}

proptest! {
    #[test]
    fn nodes_that_have_exchanged_agree(
        changes in proptest::collection::vec((0..3u32, prop_oneof![Just("n_val"), Just("old_vclock")], 1..5u32), 0..12),
        exchanges in proptest::collection::vec((0..3usize, 0..3usize), 0..12),
    ) {
        let mut maps: [BucketMap; 3] = Default::default();
        for (at, (node, name, value)) in changes.into_iter().enumerate() {
            maps[node as usize].set(&bucket(), &[change(name, PropValue::Number(value))], NodeId(node)).expect("valid");
            if let Some((from, to)) = exchanges.get(at) {
                let exported = maps[*from].export(&bucket());
                maps[*to].import(&exported).expect("our own bytes");
            }
        }
        for round in 0..2 {
            for (from, to) in [(0, 1), (1, 2), (2, 0)] {
                let exported = maps[from].export(&bucket());
                let (_, changed) = maps[to].import(&exported).expect("our own bytes");
                prop_assert!(round == 0 || !changed || from < 2);
            }
        }
        prop_assert_eq!(maps[0].digest(&bucket()), maps[1].digest(&bucket()));
        prop_assert_eq!(maps[1].props(&bucket()), maps[2].props(&bucket()));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = BucketMap::default().import(&Bytes::from(bytes));
    }
}
