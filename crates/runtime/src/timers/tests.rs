use super::*;

fn fired(timers: &mut Timers<u32>, now: u64) -> Vec<u32> {
    std::iter::from_fn(|| timers.pop(Tick(now))).collect()
}

#[test]
fn they_fire_in_order_and_once() {
    let mut timers = Timers::default();
    for (timer, due) in [(3, 30), (1, 10), (2, 10), (4, 40)] {
        timers.arm(timer, Tick(due));
    }
    assert_eq!(timers.next(), Some(Tick(10)));
    assert_eq!(fired(&mut timers, 9), []);
    assert_eq!(fired(&mut timers, 30), [1, 2, 3]);
    assert_eq!(fired(&mut timers, 30), []);
    assert_eq!(timers.next(), Some(Tick(40)));
}

#[test]
fn arming_again_moves_in_both_directions() {
    let mut timers = Timers::default();
    timers.arm(1, Tick(10));
    timers.arm(1, Tick(50));
    assert_eq!(fired(&mut timers, 49), []);
    timers.arm(1, Tick(20));
    assert_eq!(fired(&mut timers, 20), [1]);
    assert_eq!(fired(&mut timers, 100), []);
    assert_eq!(timers.len(), 0);
}

#[test]
fn a_disarmed_timer_never_fires_and_does_not_pile_up() {
    let mut timers = Timers::default();
    timers.arm(0, Tick(1_000_000));
    for timer in 1..10_000 {
        timers.arm(timer, Tick(500_000));
        timers.disarm(timer);
    }
    assert!(timers.heap.len() < 200, "{} entries in the heap", timers.heap.len());
    timers.arm(7, Tick(5));
    timers.disarm(7);
    timers.arm(7, Tick(5));
    assert_eq!(fired(&mut timers, 2_000_000), [7, 0]);
}

proptest::proptest! {
    /// Against a plain map of what is armed for when.
    #[test]
    fn they_are_a_map_that_gives_up_what_is_due(moves in proptest::collection::vec((0..4u8, 0..8u32, 0..50u64), 0..300)) {
        let mut timers = Timers::default();
        let mut model = std::collections::BTreeMap::new();
        let mut now = 0;
        for (what, timer, span) in moves {
            match what {
                0 | 1 => {
                    timers.arm(timer, Tick(now + span));
                    model.insert(timer, now + span);
                }
                2 => {
                    timers.disarm(timer);
                    model.remove(&timer);
                }
                _ => {
                    now += span / 4;
                    let mut due: Vec<(u64, u32)> =
                        model.iter().filter(|(_, due)| **due <= now).map(|(timer, due)| (*due, *timer)).collect();
                    due.sort_unstable();
                    model.retain(|_, due| *due > now);
                    let expected: Vec<u32> = due.into_iter().map(|(_, timer)| timer).collect();
                    proptest::prop_assert_eq!(fired(&mut timers, now), expected);
                }
            }
            proptest::prop_assert_eq!(timers.len(), model.len());
            let next = timers.next().map(|tick| tick.0);
            let first = model.values().min().copied();
            proptest::prop_assert!(next.is_some() == first.is_some() && next <= first, "no later than the first");
        }
    }
}
