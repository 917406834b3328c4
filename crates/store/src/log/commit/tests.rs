use super::*;

/// These bytes are on disks.
#[test]
fn golden_bytes() {
    assert_eq!(bytes_head(2, 0x0102_0304), [1, 2, 0, 0, 0, 4, 3, 2, 1]);
    assert_eq!(end_record(1, 32), [2, 1, 0, 0, 0, 32, 0, 0, 0]);
}

#[test]
fn what_was_written_is_read() {
    let mut record = bytes_head(2, 33).to_vec();
    record.extend_from_slice(b"bytes");
    let bytes = Bytes::from_static(b"bytes");
    assert_eq!(Redo::decode(&record.into()), Some(Redo::Bytes { file: 2, offset: 33, bytes }));
    let end = Bytes::copy_from_slice(&end_record(1, 32));
    assert_eq!(Redo::decode(&end), Some(Redo::End { file: 1, offset: 32 }));
}

#[test]
fn nonsense_is_not_read() {
    for record in
        [&b""[..], b"\x01", b"\x01\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0\0\0\0"]
    {
        assert_eq!(Redo::decode(&Bytes::from_static(record)), None, "{record:?}");
    }
}
