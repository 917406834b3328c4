use std::collections::BTreeSet;

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

/// The first change of one bucket looked like the first change of another: two nodes that had missed one each took each other for
/// equals when they met.
#[test]
fn nodes_that_know_of_different_buckets_do_not_know_the_same() {
    let knows = |name: &'static str| {
        let (mut origin, mut other) = (BucketMap::default(), BucketMap::default());
        let bucket = BucketId::default_type(name);
        origin.set(&bucket, &[change("allow_mult", YES)], NodeId(0)).expect("valid");
        other.import(&origin.export(&bucket)).expect("our own bytes");
        other
    };
    assert_ne!(knows("a").digest_all(), knows("b").digest_all());
}

const BUCKETS: [&str; 2] = ["a", "b"];
const NAMES: [&str; 2] = ["n_val", "old_vclock"];

/// A change of one node, or an exchange between two.
#[derive(Clone, Debug)]
enum Step {
    Set(u32, BucketId, &'static str, u32),
    Reset(u32, BucketId),
    Show(usize, usize, BucketId),
}

fn step() -> impl Strategy<Value = Step> {
    let bucket = || proptest::sample::select(&BUCKETS[..]).prop_map(BucketId::default_type);
    let set = (0..3u32, bucket(), proptest::sample::select(&NAMES[..]), 1..3u32);
    prop_oneof![
        3 => set.prop_map(|(node, bucket, name, value)| Step::Set(node, bucket, name, value)),
        1 => (0..3u32, bucket()).prop_map(|(node, bucket)| Step::Reset(node, bucket)),
        4 => (0..3usize, 0..3usize, bucket()).prop_map(|(from, to, bucket)| Step::Show(from, to, bucket)),
    ]
}

/// Every property by itself: the change with the greatest counter, and of those the one of the greatest node.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Model(BTreeMap<(BucketId, &'static str), (u64, u32, Option<u32>)>);

type Entry<'a> = (&'static str, &'a (u64, u32, Option<u32>));

impl Model {
    fn of(&self, bucket: &BucketId) -> impl Iterator<Item = Entry<'_>> {
        let own = self.0.iter().filter(move |((of, _), _)| of == bucket);
        own.map(|((_, name), change)| (*name, change))
    }

    fn set(
        &mut self,
        node: u32,
        bucket: &BucketId,
        name: &'static str,
        value: Option<u32>,
        counter: u64,
    ) {
        self.0.insert((bucket.clone(), name), (counter, node, value));
    }

    fn next(&self, bucket: &BucketId) -> u64 {
        1 + self.of(bucket).map(|(_, (counter, ..))| *counter).max().unwrap_or(0)
    }

    fn buckets(&self) -> BTreeSet<BucketId> {
        self.0.keys().map(|(bucket, _)| bucket.clone()).collect()
    }

    fn value(&self, bucket: &BucketId, name: &'static str) -> Option<PropValue> {
        let set = self.0.get(&(bucket.clone(), name)).and_then(|(_, _, value)| *value);
        set.map(PropValue::Number).or_else(|| BucketProps::default().values.get(name).cloned())
    }

    fn least_n_val(&self) -> u32 {
        let set = self.0.iter().filter(|((_, name), _)| *name == "n_val");
        set.filter_map(|(_, (_, _, value))| *value).chain([3]).min().unwrap_or(3)
    }
}

fn take(maps: &mut [(BucketMap, Model); 3], step: Step) {
    match step {
        Step::Set(node, bucket, name, value) => {
            let (map, model) = &mut maps[node as usize];
            map.set(&bucket, &[change(name, PropValue::Number(value))], NodeId(node))
                .expect("valid");
            model.set(node, &bucket, name, Some(value), model.next(&bucket));
        }
        Step::Reset(node, bucket) => {
            let (map, model) = &mut maps[node as usize];
            map.reset(&bucket, NodeId(node)).expect("valid");
            let counter = model.next(&bucket);
            let names: Vec<_> = model.of(&bucket).map(|(name, _)| name).collect();
            names.into_iter().for_each(|name| model.set(node, &bucket, name, None, counter));
        }
        Step::Show(from, to, bucket) => {
            let (exported, shown) = (maps[from].0.export(&bucket), maps[from].1.clone());
            let (map, model) = &mut maps[to];
            let before = model.clone();
            for (name, theirs) in shown.of(&bucket) {
                let ours = model.0.entry((bucket.clone(), name)).or_insert(*theirs);
                *ours = (*ours).max(*theirs);
            }
            assert_eq!(map.import(&exported), Ok((bucket, *model != before)));
        }
    }
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
    fn a_map_is_what_the_last_changes_that_reached_it_say(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let mut maps: [(BucketMap, Model); 3] = Default::default();
        for step in steps {
            take(&mut maps, step);
            for (map, model) in &maps {
                prop_assert!(map.buckets().cloned().collect::<BTreeSet<_>>() == model.buckets());
                prop_assert_eq!(map.least_n_val(), model.least_n_val());
                for bucket in BUCKETS.map(BucketId::default_type) {
                    let props = map.props(&bucket);
                    for name in NAMES {
                        prop_assert_eq!(props.values.get(name).cloned(), model.value(&bucket, name));
                    }
                    prop_assert_eq!(map.digest(&bucket) == 0, !model.buckets().contains(&bucket));
                }
            }
            for [(a, first), (b, second)] in [[&maps[0], &maps[1]], [&maps[1], &maps[2]]] {
                prop_assert_eq!(a.digest_all() == b.digest_all(), first == second, "{:?} {:?}", first, second);
                for bucket in BUCKETS.map(BucketId::default_type) {
                    let same = first.of(&bucket).eq(second.of(&bucket));
                    prop_assert_eq!(a.digest(&bucket) == b.digest(&bucket), same);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = BucketMap::default().import(&Bytes::from(bytes));
    }
}
