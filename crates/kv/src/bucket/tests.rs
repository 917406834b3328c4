use proptest::prelude::*;

use super::*;

fn any_name() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(prop_oneof![Just(0u8), Just(255u8), any::<u8>()], 1..6)
        .prop_map(Bytes::from)
}

fn any_bucket() -> impl Strategy<Value = BucketId> {
    let bucket_type = prop_oneof![Just(Bytes::new()), any_name()];
    (bucket_type, any_name()).prop_map(|(bucket_type, name)| BucketId { bucket_type, name })
}

proptest! {
    #[test]
    fn a_storage_key_reads_back_and_lies_in_its_bucket_alone(a in any_bucket(), b in any_bucket(), key in any_name()) {
        let stored = storage_key(&a, &key);
        prop_assert_eq!(key_of(&stored), Some((a.clone(), key)));
        let within = |(from, to): (Bytes, Bytes)| from <= stored && stored < to;
        prop_assert!(within(bucket_range(&a)) && within(type_range(&a.bucket_type)));
        prop_assert_eq!(within(bucket_range(&b)), a == b);
    }

    #[test]
    fn any_bytes_are_a_storage_key_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
        let _ = key_of(&Bytes::from(bytes));
    }
}

#[test]
fn names_that_cannot_be_stored_are_refused() {
    assert_eq!(BucketId::default_type("").validate(), Err(RequestError::EmptyBucket));
    assert!(BucketId::default_type(vec![b'b'; BUCKET_BYTES_MAX + 1]).validate().is_err());
    assert_eq!(validate_key(b""), Err(RequestError::EmptyKey));
    assert!(validate_key(&[b'k'; KEY_BYTES_MAX + 1]).is_err());
    assert!(validate_key(&[b'k'; KEY_BYTES_MAX]).is_ok());
}
