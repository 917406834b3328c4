use super::*;

#[test]
fn the_claim_is_balanced_and_distinct_for_every_small_cluster() {
    for members in 1..=40 {
        for size in [1, 2, 8, 16, 64, 256] {
            let ring = Ring::claim(members, size).expect("a valid size");
            ring.check();
            assert_eq!(ring.row(Partition(0)).len(), members.min(ROW_MAX));
        }
    }
}

#[test]
fn the_first_column_is_balanced_too() {
    for members in 1..=20u32 {
        let ring = Ring::claim(members as usize, 64).expect("a valid size");
        let mut first = vec![0; members as usize];
        (0..64).for_each(|p| first[ring.row(Partition(p))[0].0 as usize] += 1);
        let spread = first.iter().max().unwrap() - first.iter().min().unwrap();
        assert!(spread <= 3, "{members} members coordinate {first:?}");
    }
}

#[test]
fn three_nodes_hold_three_distinct_replicas_of_all_64_partitions() {
    let ring = Ring::claim(3, 64).expect("a valid size");
    for partition in 0..64 {
        let mut row = ring.primaries(Partition(partition), 3).to_vec();
        row.sort();
        assert_eq!(row, [NodeId(0), NodeId(1), NodeId(2)]);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    assert_eq!(Ring::claim(3, 0), Err(RingError::Size(0)));
    assert_eq!(Ring::claim(3, 48), Err(RingError::Size(48)));
    assert_eq!(Ring::claim(3, 2048), Err(RingError::Size(2048)));
    assert_eq!(Ring::claim(0, 64), Err(RingError::Members(0)));
}

#[test]
fn a_partition_outside_the_ring_has_no_owners() {
    let ring = Ring::claim(3, 8).expect("a valid size");
    assert!(ring.row(Partition(8)).is_empty());
    assert!(ring.primaries(Partition(u32::MAX), 3).is_empty());
}
