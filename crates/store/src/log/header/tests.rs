use super::*;

const HEADER: Header = Header { partition: Partition(7), file: 2, previous_len: 4096 };

fn encoded() -> BytesMut {
    let mut out = BytesMut::new();
    HEADER.encode(&mut out);
    out
}

/// These bytes are on disks.
#[test]
fn golden_bytes() {
    let expected = "6f6d62616b2d766e0100000007000000020000000010000000000000";
    let hex: String = encoded().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.to_owned() + "cb9bfe00");
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(Header::decode(&encoded()), Some(HEADER));
    assert_eq!(Header::decode(&encoded()[..HEADER_BYTES - 1]), None);
}

#[test]
fn any_flipped_bit_is_seen() {
    for bit in 0..HEADER_BYTES * 8 {
        let mut bytes = encoded();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&bytes), None, "bit {bit}");
    }
}
