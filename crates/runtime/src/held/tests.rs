use super::*;

#[test]
fn they_leave_in_the_order_of_stamps_then_of_arrival() {
    let mut held = Held::default();
    for (stamp, name) in [(5, "a"), (3, "b"), (5, "c"), (3, "d"), (9, "e")] {
        held.push(Stamp(stamp), name);
    }
    let mut release = |durable| std::iter::from_fn(|| held.pop(Stamp(durable))).collect::<Vec<_>>();
    assert_eq!(release(2), [] as [&str; 0]);
    assert_eq!(release(5), ["b", "d", "a", "c"]);
    assert_eq!(release(8), [] as [&str; 0]);
    assert_eq!(release(9), ["e"]);
}

proptest::proptest! {
    /// Against a list that is sorted by stamp each time, equal ones as they came.
    #[test]
    fn they_are_a_sorted_list(moves in proptest::collection::vec((proptest::prelude::any::<bool>(), 0..20u64), 0..200)) {
        let (mut held, mut model) = (Held::default(), Vec::new());
        for (n, (pushes, stamp)) in moves.into_iter().enumerate() {
            if pushes {
                held.push(Stamp(stamp), n);
                model.push((stamp, n));
                model.sort_by_key(|(stamp, _)| *stamp);
            } else {
                let durable = model.iter().take_while(|(waits, _)| *waits <= stamp).count();
                let expected: Vec<usize> = model.drain(..durable).map(|(_, n)| n).collect();
                let released: Vec<usize> = std::iter::from_fn(|| held.pop(Stamp(stamp))).collect();
                proptest::prop_assert_eq!(released, expected);
            }
            proptest::prop_assert_eq!(held.len(), model.len());
        }
    }
}
