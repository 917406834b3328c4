use super::*;

const SOON: Duration = Duration::from_micros(5);

#[test]
fn preloading_puts_every_key_and_failed_ones_again() {
    let mut preload = Preload::new(3, Instant::now());
    let first = preload.next(Instant::now()).unwrap().0;
    preload.ended(first, SOON, Answer::Error("busy".into()));
    let mut stored = Vec::new();
    while let Some((operation, _)) = preload.next(Instant::now()) {
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
        let operation = preload.next(Instant::now()).unwrap().0;
        preload.ended(operation, SOON, Answer::Error("no".into()));
    }
    let error = preload.check(now, patience).unwrap_err();
    assert!(error.to_string().contains("after 0 keys: no"), "{error}");
}
