use proptest::prelude::*;

use super::*;

const PLACE: Place = Place { partition: Partition(7), file: 2, offset: 32 };

fn encoded(place: Place, key: &[u8], tag: u64, body: &Body) -> Bytes {
    let mut out = BytesMut::new();
    encode(&mut out, place, key, tag, body);
    out.freeze()
}

/// These bytes are on disks: a version that writes others is another version of the format.
#[test]
fn golden_bytes() {
    let value =
        encoded(PLACE, b"key", 0x0102_0304_0506_0708, &Body::Value(Bytes::from_static(b"value")));
    assert_eq!(
        hex(&value),
        "d36317423458771d05000001030000000807060504030201".to_owned() + "6b6579" + "76616c7565"
    );
    let removed = encoded(PLACE, b"key", 0, &Body::Removed);
    assert_eq!(
        hex(&removed),
        "b411f3e60000000000000003030000000000000000000000".to_owned() + "6b6579"
    );
    let pointer = Pointer { file: 1, len: 70_000, offset: 1 << 33, crc: 0xdead_beef };
    let pointer = encoded(PLACE, b"key", 9, &Body::Pointer(pointer));
    let body = "01000000".to_owned() + "70110100" + "0000000002000000" + "efbeadde";
    assert_eq!(
        hex(&pointer),
        "acb25baf7d0e79ac14000002030000000900000000000000".to_owned() + "6b6579" + &body
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body() -> impl Strategy<Value = Body> {
    let value =
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|value| Body::Value(value.into()));
    let pointer = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>())
        .prop_map(|(file, len, offset, crc)| Body::Pointer(Pointer { file, len, offset, crc }));
    prop_oneof![value, pointer, Just(Body::Removed)]
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        key in prop::collection::vec(any::<u8>(), 0..50),
        tag: u64,
        body in body(),
    ) {
        let bytes = encoded(PLACE, &key, tag, &body);
        prop_assert_eq!(bytes.len(), record_len(&key, &body));
        let record = decode(PLACE, &bytes);
        prop_assert_eq!(record, Some(Record { key: key.into(), tag, body }));
    }

    #[test]
    fn any_flipped_bit_is_seen(body in body(), bit: usize) {
        let mut bytes = encoded(PLACE, b"key", 1, &body).to_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(decode(PLACE, &bytes.into()), None);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        decode(PLACE, &bytes.into());
    }
}

#[test]
fn a_record_elsewhere_is_no_record() {
    let bytes = encoded(PLACE, b"key", 1, &Body::Removed);
    for place in [
        Place { partition: Partition(8), ..PLACE },
        Place { file: 3, ..PLACE },
        Place { offset: 33, ..PLACE },
    ] {
        assert_eq!(decode(place, &bytes), None);
    }
}

#[test]
fn a_cut_record_is_no_record() {
    let bytes = encoded(PLACE, b"key", 1, &Body::Value(Bytes::from_static(b"value")));
    for len in 0..bytes.len() {
        assert_eq!(decode(PLACE, &bytes.slice(..len)), None);
    }
}
