use super::*;

const RUN_US: u64 = 12_000_000;

#[test]
fn a_lane_is_as_slow_as_it_is_for_a_while() {
    let order = Order::Lanes { us: 1_000_000, period_us: 10_000 };
    let of = |now, link| order.delay(5, now, link, 0);
    assert!((0..10_000).all(|now| of(now, 1) == of(0, 1)));
    assert_ne!(of(0, 1), of(0, 2), "another lane");
    assert_ne!(of(0, 1), of(10_000, 1), "another time");
}

#[test]
fn a_priority_only_falls_and_only_when_all_change() {
    let order = Order::Priorities { step_us: 10, changes: 3, within_us: RUN_US };
    let mut times = std::collections::BTreeSet::new();
    let mut firsts = std::collections::BTreeSet::new();
    for link in 0..200 {
        let of = |now: u64| order.delay(7, now, link, 0);
        assert!(of(0) < 10 * PRIORITIES);
        firsts.insert(of(0));
        for step in 1..=1_200 {
            let (before, after) = (of((step - 1) * 10_000), of(step * 10_000));
            if before != after {
                assert!(after >= 10 * PRIORITIES && after > before, "behind all that have not");
                times.insert(step);
            }
        }
    }
    assert_eq!(firsts.len() as u64, PRIORITIES);
    assert_eq!(times.len(), 3, "{times:?}");
}

#[test]
fn some_kinds_are_late() {
    let order = Order::Procrastinate { late_us: 500 };
    let late = |kind: u8| order.delay(3, 0, 1, kind) == 500;
    let count = (0..=255).filter(|kind| late(*kind)).count();
    assert!((32..=96).contains(&count), "{count} of 256");
    assert!((0..=255).all(|kind| order.delay(3, 9, 2, kind) == order.delay(3, 0, 1, kind)));
}

#[test]
fn every_order_is_drawn() {
    let mut rng = Rng::new(1);
    let drawn: Vec<Order> = (0..100).map(|_| Order::random(&mut rng, RUN_US)).collect();
    let has = |of: fn(&Order) -> bool| drawn.iter().any(of);
    assert!(has(|order| *order == Order::Random));
    assert!(has(|order| matches!(order, Order::Lanes { .. })));
    assert!(has(|order| matches!(order, Order::Priorities { .. })));
    assert!(has(|order| matches!(order, Order::Procrastinate { .. })));
}
