use super::*;

fn buffer(bytes: &[u8]) -> BytesMut {
    BytesMut::from(bytes)
}

#[test]
fn frames_leave_the_front_and_the_rest_stays() {
    let mut buffer = buffer(b"\0\0\0\x01\x01\0\0\0\x03\x09hi\0\0");
    assert_eq!(split_frame(&mut buffer), Ok(Some((1, Bytes::new()))));
    assert_eq!(split_frame(&mut buffer), Ok(Some((9, Bytes::from_static(b"hi")))));
    assert_eq!(split_frame(&mut buffer), Ok(None));
    assert_eq!(buffer, b"\0\0"[..]);
}

#[test]
fn a_frame_is_found_when_its_last_byte_is_there() {
    let frame = b"\0\0\0\x03\x09hi";
    let mut buffer = BytesMut::new();
    for (i, byte) in frame.iter().enumerate() {
        let missing = if i < 4 { 5 - i } else { frame.len() - i };
        assert_eq!(answer_missing(&buffer), Ok(missing), "before byte {i}");
        assert_eq!(split_frame(&mut buffer), Ok(None), "before byte {i}");
        buffer.extend_from_slice(&[*byte]);
    }
    assert_eq!(answer_missing(&buffer), Ok(0));
    assert_eq!(split_frame(&mut buffer), Ok(Some((9, Bytes::from_static(b"hi")))));
}

#[test]
fn impossible_lengths_are_errors_and_allocate_nothing() {
    let (request, answer) = (FRAME_BYTES_MAX, ANSWER_BYTES_MAX);
    for (length, of_request, of_answer) in [
        (0, Some(FrameError::Empty), Some(FrameError::Empty)),
        (request as u32 + 1, Some(FrameError::TooLong(request as u32 + 1, request)), None),
        (
            u32::MAX,
            Some(FrameError::TooLong(u32::MAX, request)),
            Some(FrameError::TooLong(u32::MAX, answer)),
        ),
    ] {
        let mut buffer = buffer(&length.to_be_bytes());
        let capacity = buffer.capacity();
        assert_eq!(split_frame(&mut buffer).err(), of_request);
        assert_eq!(split_answer(&mut buffer).err(), of_answer);
        assert_eq!(answer_missing(&buffer).err(), of_answer);
        assert_eq!((buffer.capacity(), &buffer[..]), (capacity, &length.to_be_bytes()[..]));
    }
}

#[test]
fn the_longest_frame_is_waited_for_without_allocating_it() {
    let mut buffer = buffer(&(FRAME_BYTES_MAX as u32).to_be_bytes());
    let capacity = buffer.capacity();
    assert_eq!(split_frame(&mut buffer), Ok(None));
    assert_eq!(answer_missing(&buffer), Ok(FRAME_BYTES_MAX));
    assert_eq!(buffer.capacity(), capacity);
}

#[test]
fn a_body_shares_the_memory_of_the_buffer() {
    let mut buffer = buffer(b"\0\0\0\x03\x09hi");
    let memory = buffer.as_ptr_range();
    let (_, body) = split_frame(&mut buffer).unwrap().unwrap();
    assert!(memory.contains(&body.as_ptr()));
}
