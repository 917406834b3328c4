use bytes::Bytes;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_varint_reads_back(value: u64) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        let mut reader = Reader::new(Bytes::from(out));
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn bytes_read_back_and_leave_the_rest(first: Vec<u8>, rest: Vec<u8>) {
        let mut out = Vec::new();
        put_bytes(&mut out, &first);
        out.extend_from_slice(&rest);
        let mut reader = Reader::new(Bytes::from(out));
        prop_assert_eq!(reader.bytes(first.len()).map(|b| b.to_vec()), Ok(first));
        prop_assert_eq!(reader.rest().to_vec(), rest);
    }

    #[test]
    fn equal_varints_have_equal_bytes(input in proptest::collection::vec(any::<u8>(), 0..12)) {
        let mut reader = Reader::new(Bytes::from(input.clone()));
        if let Ok(value) = reader.varint() {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(&out[..], &input[..input.len() - reader.remaining()]);
        }
    }
}

#[test]
fn a_length_beyond_the_limit_or_the_end_is_refused() {
    let mut out = Vec::new();
    put_varint(&mut out, u64::MAX);
    assert_eq!(Reader::new(Bytes::from(out)).bytes(usize::MAX), Err(DecodeError::Truncated));
    let mut reader = Reader::new(Bytes::from_static(&[5, 1, 2]));
    assert_eq!(reader.clone().bytes(4), Err(DecodeError::Invalid("length")));
    assert_eq!(reader.bytes(5), Err(DecodeError::Truncated));
}

#[test]
fn a_count_that_cannot_fit_is_refused() {
    let mut reader = Reader::new(Bytes::from_static(&[3, 0, 0, 0, 0, 0]));
    assert_eq!(reader.clone().count(2), Err(DecodeError::Invalid("count")));
    assert_eq!(reader.count(1), Ok(3));
}
