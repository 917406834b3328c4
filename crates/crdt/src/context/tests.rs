use ombak_base::ActorId;
use proptest::prelude::*;

use super::*;
use crate::Dot;

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let context: VersionVector =
        [Dot { actor: ActorId(0x0102), n: 1 }, Dot { actor: ActorId(u64::MAX), n: 300 }]
            .into_iter()
            .collect();
    let golden = [1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0xac, 2];
    assert_eq!(encode_context(&context)[..], golden);
    assert_eq!(decode_context(&Bytes::copy_from_slice(&golden)), Ok(context));
}

#[test]
fn a_foreign_context_is_a_typed_error() {
    assert_eq!(decode_context(&Bytes::new()), Ok(VersionVector::new()));
    assert_eq!(decode_context(&Bytes::from_static(b"\x83")), Err(DecodeError::Version(0x83)));
    assert_eq!(decode_context(&Bytes::from_static(&[1, 0, 0])), Err(DecodeError::Trailing));
    assert_eq!(
        decode_context(&Bytes::from(vec![1; CONTEXT_BYTES_MAX + 1])),
        Err(DecodeError::Invalid("context length"))
    );
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(context) = decode_context(&bytes)
            && !bytes.is_empty()
        {
            prop_assert_eq!(encode_context(&context), bytes);
        }
    }
}
