use super::*;

/// `count` empty fields of `tag`, two bytes each.
fn empties(tag: u8, count: usize) -> Vec<u8> {
    [tag << 3 | 2, 0].repeat(count)
}

fn inside(tag: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2];
    prost::encoding::encode_varint(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

#[test]
fn fields_are_counted_at_the_top() {
    assert_eq!(check_fields(&empties(6, FIELDS_MAX), &[]), Ok(()));
    assert_eq!(check_fields(&empties(6, FIELDS_MAX + 1), &[]), Err(WireError::TooManyFields));
}

#[test]
fn fields_are_counted_inside_the_named_messages_only() {
    let body = inside(4, &empties(6, FIELDS_MAX));
    assert_eq!(check_fields(&body, &[4]), Err(WireError::TooManyFields));
    assert_eq!(check_fields(&body, &[5]), Ok(()));
}

#[test]
fn two_halves_of_one_message_count_together() {
    let half = inside(4, &empties(6, FIELDS_MAX / 2));
    assert_eq!(check_fields(&half, &[4]), Ok(()));
    assert_eq!(check_fields(&[&half[..], &half[..]].concat(), &[4]), Err(WireError::TooManyFields));
}

#[test]
fn a_large_value_is_one_field() {
    let content = inside(1, &vec![0x32; 1 << 20]);
    assert_eq!(check_fields(&inside(4, &content), &[4]), Ok(()));
}

#[test]
fn what_is_no_message_is_left_to_the_decoder() {
    let mut body = inside(4, &vec![0xff; FIELDS_MAX]);
    assert_eq!(check_fields(&body, &[4]), Ok(()));
    body.truncate(body.len() - 1);
    assert_eq!(check_fields(&body, &[4]), Ok(()));
}
