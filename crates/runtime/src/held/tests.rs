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
