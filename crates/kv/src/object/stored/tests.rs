use ombak_crdt::Context;
use proptest::prelude::*;

use super::super::tests::{any_object, written};
use super::super::{Content, Link, Version};
use super::*;

fn rich() -> Content {
    Content {
        value: Bytes::from_static(b"v2"),
        content_type: Some(Bytes::from_static(b"t")),
        last_modified_us: 5,
        links: vec![Link {
            bucket: Bytes::from_static(b"b"),
            key: Bytes::from_static(b"k"),
            tag: Bytes::from_static(b"g"),
        }],
        user_meta: vec![(Bytes::from_static(b"m"), None)],
        indexes: vec![(Bytes::from_static(b"i"), Some(Bytes::from_static(b"x")))],
        ..Content::default()
    }
}

/// One actor, whose second write is here.
fn one_write(content: Content) -> Object {
    let mut object = written("v", 1, 1, 9);
    let seen = object.context();
    let version = Version { request: RequestId(7), retried: true, content };
    object.write(&seen, Dot { actor: ActorId(1), n: 2 }, version);
    object
}

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let mut golden = vec![1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7];
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(
        b"\x01\x02\x05\x01t\x01\x01b\x01k\x01g\x01\x01m\x00\x01\x01i\x01\x01x\x02v2",
    );
    assert_eq!(Object::decode(&Bytes::from(golden)), Ok(one_write(rich())));
}

#[test]
fn the_bytes_of_the_short_form_are_kept_for_ever() {
    let mut golden = vec![128 | RETRIED | HAS_LISTS | HAS_TYPE, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7];
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(
        b"\x05\0\0\0\0\0\0\x01t\x01\x01b\x01k\x01g\x01\x01m\x00\x01\x01i\x01\x01xv2",
    );
    assert_eq!(one_write(rich()).encode()[..], golden);
    assert_eq!(Object::decode(&Bytes::from(golden)), Ok(one_write(rich())));
    assert_eq!((HAS_TYPE, HAS_LISTS, RETRIED), (2, 32, 64));
}

#[test]
fn the_bytes_of_the_general_form_are_kept_for_ever() {
    let mut object = one_write(rich());
    let content = Content {
        value: Bytes::from_static(b"{}"),
        content_type: Some(Bytes::from_static(b"application/json")),
        ..Content::default()
    };
    let version = Version { request: RequestId(8), retried: false, content };
    object.write(&Context::default(), Dot { actor: ActorId(3), n: 1 }, version);
    let mut golden = vec![2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2];
    golden.extend_from_slice(&[RETRIED | HAS_LISTS | HAS_TYPE, 0, 2, 7]);
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(b"\x05\x01t\x01\x01b\x01k\x01g\x01\x01m\x00\x01\x01i\x01\x01x\x02v2");
    golden.extend_from_slice(&[USUAL_TYPE, 1, 1, 8]);
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(b"\0\x01\x02{}");
    assert_eq!(object.encode()[..], golden);
    assert_eq!(Object::decode(&Bytes::from(golden)), Ok(object));
}

/// What a small value costs beside itself: the benchmark's puts have these 35 bytes around theirs.
#[test]
fn a_usual_object_is_short() {
    let content = Content {
        value: Bytes::from_static(&[1; 100]),
        content_type: Some(Bytes::from_static(b"application/octet-stream")),
        last_modified_us: 1_800_000_000_000_000,
        ..Content::default()
    };
    let mut object = Object::default();
    let version = Version { request: RequestId(u128::MAX), retried: false, content };
    object.write(&Context::default(), Dot { actor: ActorId(u64::MAX), n: 5_000 }, version);
    assert_eq!(object.encode().len(), 135);
}

#[test]
fn every_usual_type_reads_back_and_others_do() {
    let others: [&[u8]; 2] = [b"", b"image/webp"];
    for content_type in USUAL_TYPES.into_iter().chain(others) {
        let content_type = Some(Bytes::from_static(content_type));
        let object = one_write(Content { content_type, ..Content::default() });
        assert_eq!(Object::decode(&object.encode()), Ok(object));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let short = one_write(Content::default()).encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = short.to_vec();
        bytes[at] = byte;
        Object::decode(&Bytes::from(bytes))
    };
    assert_eq!(with(0, 3), Err(DecodeError::Version(3)));
    assert_eq!(with(0, 128 | HAS_TYPE | USUAL_TYPE), Err(DecodeError::Invalid("content flags")));
    assert_eq!(with(9, 0), Err(DecodeError::Invalid("object")), "a dot is counted from one");
    let mut unusual = short.to_vec();
    unusual[0] |= USUAL_TYPE;
    unusual.push(200);
    assert_eq!(Object::decode(&Bytes::from(unusual)), Err(DecodeError::Invalid("content type")));
}

proptest! {
    #[test]
    fn an_object_reads_back(object in any_object()) {
        prop_assert_eq!(Object::decode(&object.encode()), Ok(object));
    }

    #[test]
    fn damaged_bytes_never_panic(object in any_object(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = object.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Object::decode(&Bytes::from(bytes.clone()));
        bytes.truncate(at);
        let _ = Object::decode(&Bytes::from(bytes));
    }
}
