use super::*;

/// The reference implementation's first outputs for seed 0 through splitmix64. Pinned seeds all over
/// the workspace rest on these.
#[test]
fn the_sequence_is_pinned() {
    let mut rng = Rng::new(0);
    let drawn: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
    assert_eq!(drawn, [0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0]);
}

#[test]
fn draws_stay_in_range_and_reach_all_of_it() {
    let mut rng = Rng::new(7);
    let mut seen = [0u32; 5];
    (0..1000).for_each(|_| seen[rng.below(5) as usize] += 1);
    assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    assert!((0..1000).all(|_| (3..=9).contains(&rng.between(3, 9))));
    assert_eq!((rng.below(0), rng.below(1), rng.between(4, 4)), (0, 0, 4));
    assert!(!rng.chance(0, 10) && rng.chance(10, 10));
    assert_eq!(rng.pick::<u8>(&[]), None);
}

#[test]
fn a_shuffle_loses_nothing() {
    let mut items: Vec<u32> = (0..50).collect();
    Rng::new(1).shuffle(&mut items);
    assert_ne!(items, (0..50).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..50).collect::<Vec<_>>());
}
