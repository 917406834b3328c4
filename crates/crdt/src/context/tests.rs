use ombak_base::ActorId;
use proptest::prelude::*;

use super::*;
use crate::Dot;

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let seen = [Dot { actor: ActorId(0x0102), n: 1 }, Dot { actor: ActorId(u64::MAX), n: 300 }];
    let context = Context { seen: seen.into_iter().collect(), retried: vec![RequestId(7)] };
    let mut golden = vec![
        1, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0xac, 2, 1, 7,
    ];
    golden.extend_from_slice(&[0; 15]);
    assert_eq!(context.encode()[..], golden);
    assert_eq!(Context::decode(&Bytes::from(golden)), Ok(context));
}

#[test]
fn a_foreign_context_is_a_typed_error() {
    let decode = |bytes: &'static [u8]| Context::decode(&Bytes::from_static(bytes));
    assert_eq!(decode(b""), Ok(Context::default()));
    assert_eq!(decode(b"\x83"), Err(DecodeError::Version(0x83)));
    assert_eq!(decode(&[1, 0, 0, 0]), Err(DecodeError::Trailing));
    let long = Bytes::from(vec![1; CONTEXT_BYTES_MAX + 1]);
    assert_eq!(Context::decode(&long), Err(DecodeError::Invalid("context length")));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(context) = Context::decode(&bytes)
            && !bytes.is_empty()
        {
            prop_assert_eq!(context.encode(), bytes);
        }
    }
}
