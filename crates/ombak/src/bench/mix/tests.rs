use std::collections::BTreeMap;

use super::super::tests::args;
use super::*;

const SOON: Duration = Duration::from_micros(5);

fn asked(line: &str) -> Vec<Operation> {
    let mut mix = Mix::new(&args(line));
    (0..10_000).filter_map(|_| mix.next(Instant::now())).map(|(next, _)| next).collect()
}

fn count(asked: &[Operation], kind: Kind) -> usize {
    asked.iter().filter(|operation| operation.kind == kind).count()
}

#[test]
fn a_mix_has_the_shares_that_were_asked_for() {
    for (gets, deletes) in [(0, 0), (20, 0), (100, 0), (50, 10), (0, 100)] {
        let asked = asked(&format!("--keys 10 --gets {gets} --deletes {deletes}"));
        for (kind, percent) in
            [(Kind::Get, gets), (Kind::Delete, deletes), (Kind::Put, 100 - gets - deletes)]
        {
            let found = count(&asked, kind);
            assert!(found.abs_diff(percent * 100) < 200, "{percent} % {kind:?}: {found}");
        }
        assert!((0..10).all(|key| asked.iter().any(|operation| operation.key == key)));
    }
}

#[test]
fn zipf_has_a_most_popular_key_and_uniform_has_none() {
    let most = |line: &str| {
        let mut counts = BTreeMap::new();
        asked(line).iter().for_each(|operation| *counts.entry(operation.key).or_insert(0) += 1);
        counts.values().copied().max().unwrap_or(0)
    };
    assert!(most("--keys 1000") < 40);
    assert!(most("--keys 1000 --keys-distribution zipf") > 300);
}

#[test]
fn answers_are_counted_by_what_they_are() {
    let mut mix = Mix::new(&args(""));
    let [get, put, delete] =
        [Kind::Get, Kind::Put, Kind::Delete].map(|kind| Operation { kind, key: 1 });
    mix.ended(get, SOON, Answer::Done);
    mix.ended(get, SOON, Answer::NotFound);
    mix.ended(put, SOON, Answer::Done);
    mix.ended(delete, SOON, Answer::Done);
    mix.ended(put, SOON, Answer::Error("timeout".into()));
    mix.ended(put, SOON, Answer::Error("timeout".into()));
    mix.ended(put, SOON, Answer::Lost("closed".into()));
    let tally = mix.take_tally();
    let counts = [Kind::Get, Kind::Put, Kind::Delete].map(|kind| tally.of(kind).len());
    assert_eq!((counts, tally.not_found), ([2, 1, 1], 1));
    assert_eq!(tally.errors, BTreeMap::from([("timeout".into(), 2)]));
    assert_eq!((tally.operations(), tally.failures()), (4, 3));
    assert_eq!(mix.tally().operations(), 0);
}

#[test]
fn the_mixes_of_ycsb_have_its_shares() {
    use Kind::{Get, Insert, Put, ReadModifyWrite};
    let mixes = [
        ("a", vec![(Get, 50), (Put, 50)]),
        ("b", vec![(Get, 95), (Put, 5)]),
        ("c", vec![(Get, 100)]),
        ("d", vec![(Get, 95), (Insert, 5)]),
        ("f", vec![(Get, 50), (ReadModifyWrite, 50)]),
    ];
    for (name, shares) in mixes {
        let mut mix = Mix::new(&args(&format!("--mix {name}")).with_mix());
        let asked: Vec<_> =
            (0..10_000).filter_map(|_| mix.next(Instant::now())).map(|(next, _)| next).collect();
        for kind in Kind::ALL {
            let percent = shares.iter().find(|share| share.0 == kind).map_or(0, |share| share.1);
            let found = count(&asked, kind);
            assert!(found.abs_diff(percent * 100) < 200, "{name}: {found} {kind:?}");
            assert!(percent > 0 || found == 0, "{name}: {found} {kind:?}");
        }
        assert!(asked.iter().all(|operation| operation.kind == Insert || operation.key < 100_000));
    }
}
