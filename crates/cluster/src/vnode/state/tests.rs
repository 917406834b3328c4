use ombak_base::Reader;

use super::*;

const P: Partition = Partition(3);

fn settled(mut vnode: Vnode) -> Vnode {
    vnode.settle(&[], false, ActorId(99));
    vnode
}

fn record(lease: u64) -> VnodeRecord {
    let claim = Claim { generation: 1, actor: ActorId(5), lease };
    VnodeRecord { claim, complete: true, fresh: false, mended: 0, gaps: Vec::new() }
}

#[test]
fn the_record_of_version_1_is_kept_for_ever() {
    let record = VnodeRecord { mended: 9, gaps: vec![(1, 300)], ..record(300) };
    let golden = [1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0xac, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xac, 2];
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
    let mint = |mut vnode: Vnode| {
        vnode.lease_synced = vnode.record.claim.lease;
        settled(vnode).mint().expect("its lease is synced").actor
    };
    let boots = [
        mint(Vnode::format(P, record(LEASE).claim.actor)),
        mint(Vnode::resume(P, record(LEASE))),
        mint(Vnode::resume(P, record(2 * LEASE))),
    ];
    assert!(boots[0] != boots[1] && boots[1] != boots[2] && boots[0] != boots[2], "{boots:?}");
    // One that has minted nothing, since its record was not synced, may be followed by another of the same name.
    assert_eq!(boots[1], mint(Vnode::resume(P, record(LEASE))));
}

#[test]
fn a_boot_resumes_at_the_lease_and_records_the_gap() {
    let mut vnode = settled(Vnode::resume(P, record(LEASE)));
    vnode.lease_synced = vnode.record.claim.lease;
    assert_eq!(vnode.mint().map(|dot| dot.n), Some(LEASE + 1));
    assert_eq!(vnode.record.gaps, [(1, LEASE)]);
    let again = Vnode::resume(P, vnode.record);
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

#[test]
fn a_restored_disk_is_noticed_by_a_peer() {
    let mut peer = Vnode::format(P, ActorId(6));
    let claim = |generation, actor, lease| Claim { generation, actor: ActorId(actor), lease };
    assert_eq!(peer.hear_claim(NodeId(1), claim(1, 5, 300)).0, Verdict::Fits);
    assert_eq!(peer.hear_claim(NodeId(1), claim(1, 5, 400)).0, Verdict::Fits);
    assert_eq!(peer.hear_claim(NodeId(1), claim(1, 5, 300)), (Verdict::Older(1), None));
    assert_eq!(peer.hear_claim(NodeId(1), claim(1, 9, 500)), (Verdict::Older(1), None));
    assert_eq!(peer.hear_claim(NodeId(1), claim(2, 9, 1)).0, Verdict::Fits);
}

#[test]
fn a_lost_disk_makes_a_new_actor_and_an_incomplete_vnode() {
    let mut vnode = Vnode::resume(P, record(LEASE));
    assert!(vnode.settle(&[Verdict::Fits, Verdict::Older(4)], false, ActorId(9)));
    assert_eq!(vnode.claim(), Claim { generation: 5, actor: ActorId(9), lease: LEASE });
    assert!(!vnode.is_complete() && !vnode.is_fresh());
}

#[test]
fn a_silent_peer_makes_a_new_actor_only() {
    let mut vnode = Vnode::resume(P, record(LEASE));
    assert!(vnode.settle(&[Verdict::Fits], true, ActorId(9)));
    assert_eq!(vnode.claim().actor, ActorId(9));
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
