use super::*;

const SOON: Duration = Duration::from_micros(5);

#[test]
fn a_mix_has_the_shares_that_were_asked_for() {
    for percent in [0, 20, 100] {
        let mut mix = Mix::new(1, percent, 10);
        let asked: Vec<_> = (0..10_000).filter_map(|_| mix.next()).collect();
        let gets = asked.iter().filter(|operation| operation.kind == Kind::Get).count();
        assert!(gets.abs_diff(usize::from(percent) * 100) < 200, "{percent} %: {gets}");
        assert!((0..10).all(|key| asked.iter().any(|operation| operation.key == key)));
    }
}

#[test]
fn answers_are_counted_by_what_they_are() {
    let mut mix = Mix::new(1, 50, 10);
    let (get, put) = (Operation { kind: Kind::Get, key: 1 }, Operation { kind: Kind::Put, key: 1 });
    mix.ended(get, SOON, Answer::Done);
    mix.ended(get, SOON, Answer::NotFound);
    mix.ended(put, SOON, Answer::Done);
    mix.ended(put, SOON, Answer::Error("timeout".into()));
    mix.ended(put, SOON, Answer::Error("timeout".into()));
    mix.ended(put, SOON, Answer::Lost("closed".into()));
    let tally = mix.take_tally();
    assert_eq!((tally.gets.len(), tally.puts.len(), tally.not_found), (2, 1, 1));
    assert_eq!(tally.errors, BTreeMap::from([("timeout".into(), 2)]));
    assert_eq!((tally.operations(), tally.failures()), (3, 3));
    assert_eq!(mix.tally().operations(), 0);
}

#[test]
fn kinds_of_errors_are_bounded() {
    let mut tally = Tally::new();
    (0..1000).for_each(|i| tally.error(format!("key {i}")));
    assert_eq!(tally.errors.len(), ERROR_KINDS_MAX + 1);
    assert_eq!(tally.errors["others"], 1000 - ERROR_KINDS_MAX as u64);
}

#[test]
fn a_latency_beyond_all_bounds_is_still_counted() {
    let mut tally = Tally::new();
    tally.time(Kind::Get, LATENCY_MAX * 2);
    tally.time(Kind::Get, Duration::ZERO);
    assert_eq!(tally.gets.len(), 2);
}

#[test]
fn preloading_puts_every_key_and_failed_ones_again() {
    let mut preload = Preload::new(3, Instant::now());
    let first = preload.next().unwrap();
    preload.ended(first, SOON, Answer::Error("busy".into()));
    let mut stored = Vec::new();
    while let Some(operation) = preload.next() {
        assert_eq!(operation.kind, Kind::Put);
        stored.push(operation.key);
        preload.ended(operation, SOON, Answer::Done);
    }
    stored.sort();
    assert_eq!(stored, [0, 1, 2]);
    assert!(preload.is_complete());
}

#[test]
fn preloading_gives_up_when_nothing_works() {
    let now = Instant::now();
    let mut preload = Preload::new(1, now);
    let patience = Duration::from_secs(30);
    assert!(preload.check(now, patience).is_ok());
    assert!(preload.check(now + patience * 2, patience).is_err());
    for _ in 0..=PRELOAD_ERRORS_MAX {
        let operation = preload.next().unwrap();
        preload.ended(operation, SOON, Answer::Error("no".into()));
    }
    let error = preload.check(now, patience).unwrap_err();
    assert!(error.to_string().contains("after 0 keys: no"), "{error}");
}
