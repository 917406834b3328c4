use ombak_base::Reader;

use super::super::record::STARTS_MAX;
use super::*;

const P: Partition = Partition(3);

fn settled(mut vnode: Vnode) -> Vnode {
    vnode.settle(&[], ActorId(99));
    vnode
}

fn record(lease: u64) -> VnodeRecord {
    let claim = Claim { generation: 1, actor: ActorId(5), lease };
    let (gaps, lineage) = (Vec::new(), Lineage::default());
    VnodeRecord { claim, complete: true, fresh: false, mended: 0, gaps, lineage }
}

#[test]
fn the_record_of_version_1_is_kept_for_ever() {
    let record = VnodeRecord { mended: 9, gaps: vec![(1, 300)], ..record(300) };
    let golden = [1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0xac, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xac, 2];
    assert_eq!(VnodeRecord::decode(&Bytes::copy_from_slice(&golden)), Ok(record));
}

#[test]
fn the_record_of_version_2_is_kept_for_ever() {
    let mut lineage = Lineage::default();
    lineage.push(ActorId(3), 300);
    let record = VnodeRecord { mended: 9, gaps: vec![(1, 300)], lineage, ..record(300) };
    let golden = [
        2, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0xac, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xac, 2, 1, 3, 0,
        0, 0, 0, 0, 0, 0, 0xac, 2,
    ];
    assert_eq!(record.encode()[..], golden);
    assert_eq!(VnodeRecord::decode(&Bytes::copy_from_slice(&golden)), Ok(record));
}

#[test]
fn nothing_is_minted_before_the_lease_is_synced_and_the_peers_are_asked() {
    let mut vnode = Vnode::format(P, ActorId(5));
    vnode.syncing = Some((Stamp(7), LEASE));
    vnode.durable(Stamp(6));
    assert_eq!(settled(vnode.clone()).mint(), None);
    vnode.durable(Stamp(7));
    assert_eq!(vnode.mint(), None);
    assert_eq!(settled(vnode).mint().map(|dot| dot.n), Some(1));
}

#[test]
fn each_boot_names_its_writes_under_an_actor_of_its_own() {
    let mut vnode = settled(Vnode::resume(P, record(LEASE), ActorId(6)));
    vnode.lease_synced = vnode.record.claim.lease;
    assert_eq!(vnode.mint(), Some(Dot { actor: ActorId(6), n: LEASE + 1 }));
    vnode.name_anew();
    assert_ne!(vnode.mint().map(|dot| dot.actor), Some(ActorId(6)), "something was lost");
}

#[test]
fn a_boot_resumes_at_the_lease_and_records_the_gap() {
    let mut vnode = settled(Vnode::resume(P, record(LEASE), ActorId(6)));
    vnode.lease_synced = vnode.record.claim.lease;
    assert_eq!(vnode.mint().map(|dot| dot.n), Some(LEASE + 1));
    assert_eq!(vnode.record.gaps, [(1, LEASE)]);
    let again = Vnode::resume(P, vnode.record, ActorId(7));
    assert_eq!(again.record.gaps, [(1, 2 * LEASE)]);
}

#[test]
fn the_lease_is_extended_before_it_is_used_up() {
    let mut vnode = settled(Vnode::format(P, ActorId(5)));
    vnode.lease_synced = LEASE;
    let mut minted = 0;
    while !vnode.wants_lease() {
        assert!(vnode.mint().is_some());
        minted += 1;
    }
    assert_eq!(minted, LEASE / 2);
    while vnode.mint().is_some() {
        minted += 1;
    }
    assert_eq!(minted, LEASE, "nothing above the lease");
}

/// What a peer that remembers `known` says to what this vnode shows.
fn judged(known: &Vnode, shown: &Vnode) -> Verdict {
    let mut peer = Vnode::format(P, ActorId(100));
    peer.remember_claim(NodeId(1), known.claim());
    peer.hear_claim(NodeId(1), shown.claim(), shown.lineage()).0
}

/// `vnode`, started so many times more.
fn started(vnode: &Vnode, times: u64, actors_from: u64) -> Vnode {
    (0..times).fold(vnode.clone(), |vnode, at| {
        settled(Vnode::resume(P, vnode.record, ActorId(actors_from + at)))
    })
}

#[test]
fn a_directory_knows_its_earlier_starts() {
    let first = Vnode::resume(P, record(LEASE), ActorId(6));
    for times in 0..3 * STARTS_MAX as u64 {
        let later = started(&first, times, 200);
        assert_eq!(judged(&first, &later), Verdict::Fits, "after {times} starts");
        let earlier = if times == 0 { Verdict::Fits } else { Verdict::Older(1) };
        assert_eq!(judged(&later, &first), earlier, "{times} starts ago");
    }
}

/// However often it is started, and however long its peers are silent.
#[test]
fn an_older_disk_is_noticed_by_a_peer() {
    let copied = Vnode::resume(P, record(LEASE), ActorId(6));
    let known = started(&copied, 1, 200);
    for times in 1..STARTS_MAX as u64 {
        let restored = started(&copied, times, 300);
        assert_eq!(judged(&known, &restored), Verdict::Older(1), "{times} starts after");
        assert!(restored.is_complete() && restored.is_settled(), "nobody has told it");
    }
}

#[test]
fn a_copy_of_before_the_lease_was_extended_is_noticed() {
    let copied = Vnode::resume(P, record(LEASE), ActorId(6));
    let mut known = copied.clone();
    known.extend_lease();
    assert_eq!(judged(&copied, &known), Verdict::Fits);
    assert_eq!(judged(&known, &started(&copied, 1, 200)), Verdict::Older(1));
}

#[test]
fn a_lost_disk_makes_a_new_actor_and_an_incomplete_vnode() {
    let known = Vnode::resume(P, record(LEASE), ActorId(6));
    let mut vnode = Vnode::resume(P, record(LEASE), ActorId(7));
    assert!(vnode.settle(&[Verdict::Fits, Verdict::Older(4)], ActorId(9)));
    assert_eq!(vnode.claim(), Claim { generation: 5, actor: ActorId(9), lease: LEASE });
    assert!(!vnode.is_complete() && !vnode.is_fresh());
    assert_eq!(judged(&known, &vnode), Verdict::Fits, "it says what it is");
    assert_eq!(judged(&vnode, &known), Verdict::Older(5));
}

#[test]
fn silent_peers_change_nothing() {
    let mut vnode = Vnode::resume(P, record(LEASE), ActorId(6));
    assert!(!vnode.settle(&[], ActorId(9)));
    assert_eq!(vnode.claim().actor, ActorId(6));
    assert!(vnode.is_complete());
}

#[test]
fn a_grave_is_remembered_for_one_window() {
    let mut vnode = Vnode::format(P, ActorId(5));
    let key = Bytes::from_static(b"\x01k");
    let seen = [Dot { actor: ActorId(1), n: 3 }].into_iter().collect();
    let context = Context { seen, retried: Vec::new() };
    assert!(vnode.bury(&key, &context, Tick(0)));
    let window = crate::FENCE_WINDOW_MS + crate::CLOCK_SLACK_MS;
    vnode.forget_graves(Tick(0).plus_ms(window));
    assert_eq!(vnode.grave(&key), Some(&context));
    vnode.forget_graves(Tick(1).plus_ms(window));
    assert_eq!(vnode.grave(&key), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_record_or_are_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
        let bytes = Bytes::from(bytes);
        let _ = VnodeRecord::decode(&bytes);
        let _ = Claim::decode(&mut Reader::new(bytes));
    }
}

#[test]
fn damage_that_was_repaired_is_not_lost_again() {
    let mut vnode = Vnode::resume_damaged(P, Some(record(LEASE)), 7, ActorId(9));
    assert!(!vnode.is_complete());
    assert_eq!(vnode.claim().generation, 2);
    vnode.set_complete(true);
    let again = |damage| Vnode::resume_damaged(P, Some(vnode.record.clone()), damage, ActorId(10));
    assert!(again(7).is_complete(), "the same damage, repaired");
    assert!(!again(8).is_complete(), "more damage");
}
