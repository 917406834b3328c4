use super::*;

fn counts(keys: usize, draws: usize, mut draw: impl FnMut() -> u64) -> Vec<f64> {
    let mut counts = vec![0.0; keys];
    (0..draws).for_each(|_| counts[draw() as usize] += 1.0 / draws as f64);
    counts
}

#[test]
fn the_sum_is_that_of_the_terms_and_that_of_ycsb() {
    for items in [1, 2, 3, TERMS, TERMS + 1, 5000, 1_000_000] {
        let slow: f64 = (1..=items).rev().map(|k| (k as f64).powf(-THETA)).sum();
        assert!((zeta(items) - slow).abs() < 1e-9, "{items}: {} {slow}", zeta(items));
    }
    // `ScrambledZipfianGenerator.ZETAN`.
    assert!((zeta(SCRAMBLED_ITEMS) - 26.469_028_201_783_02).abs() < 1e-6);
}

#[test]
fn frequencies_are_those_of_the_distribution() {
    const ITEMS: usize = 100;
    let (zipf, mut rng) = (Zipf::new(ITEMS as u64), Rng::new(1));
    let seen = counts(ITEMS, 400_000, || zipf.draw(&mut rng));
    let share = |rank: usize| (rank as f64 + 1.0).powf(-THETA) / zeta(ITEMS as u64);
    for rank in [0, 1] {
        assert!((seen[rank] / share(rank) - 1.0).abs() < 0.03, "rank {rank}: {}", seen[rank]);
    }
    // Beyond the second rank Gray's method approximates; the whole never strays far.
    let (mut expected, mut found) = (0.0, 0.0);
    for (rank, seen) in seen.iter().enumerate() {
        expected += share(rank);
        found += seen;
        assert!((expected - found).abs() < 0.03, "up to rank {rank}: {found} for {expected}");
    }
    assert!(seen[99] > 0.0);
}

#[test]
fn every_number_of_items_works_and_keeps_its_bound() {
    let mut rng = Rng::new(2);
    for keys in [1, 2, 3, 4, 7, 1000, u32::MAX] {
        let (zipf, scrambled) = (Zipf::new(keys.into()), Scrambled::new(keys));
        for _ in 0..2000 {
            assert!(zipf.draw(&mut rng) < u64::from(keys) && scrambled.draw(&mut rng) < keys);
        }
    }
    let (zipf, scrambled) = (Zipf::new(2), Scrambled::new(2));
    assert!(counts(2, 1000, || zipf.draw(&mut rng)).iter().all(|share| *share > 0.2));
    assert!(counts(2, 1000, || scrambled.draw(&mut rng).into()).iter().all(|share| *share > 0.2));
}

#[test]
fn scrambled_the_popular_keys_have_the_shares_of_ycsb_and_are_no_neighbours() {
    const KEYS: u32 = 100_000;
    let (scrambled, mut rng) = (Scrambled::new(KEYS), Rng::new(3));
    let seen = counts(KEYS as usize, 400_000, || scrambled.draw(&mut rng).into());
    for rank in 0..2 {
        let expected = ((rank + 1) as f64).powf(-THETA) / zeta(SCRAMBLED_ITEMS);
        let found = seen[key_of(rank, KEYS) as usize];
        assert!((found / expected - 1.0).abs() < 0.05, "rank {rank}: {found} for {expected}");
    }
    assert!(key_of(0, KEYS).abs_diff(key_of(1, KEYS)) > 1);
}

#[test]
fn the_hash_is_that_of_ycsb() {
    // FNV-1a of eight zero bytes is 0xa8c7f832281a39c5: negative as a Java long, so YCSB takes its absolute value.
    assert_eq!(fnv(0), 0xa8c7_f832_281a_39c5u64.wrapping_neg());
}

#[test]
fn what_has_grown_is_as_if_made_so() {
    let (mut grown, made) = (Zipf::new(1), Zipf::new(3000));
    (1..3000).for_each(|_| grown.grow());
    assert_eq!(grown.items, made.items);
    assert!((grown.zeta - made.zeta).abs() < 1e-9 && (grown.eta - made.eta).abs() < 1e-9);
}
