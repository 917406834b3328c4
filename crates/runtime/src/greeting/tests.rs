use super::*;

fn written(put: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

#[test]
fn greetings_are_read_once_complete() {
    let hello = written(|out| put_hello(out, b"me"));
    let yes = written(|out| put_accepted(out, b"you"));
    let no = written(|out| put_rejected(out, "another cluster"));
    for cut in 0..hello.len() {
        assert_eq!(parse_hello(&hello[..cut]), Ok(None));
    }
    for cut in 0..yes.len() {
        assert_eq!(parse_verdict(&yes[..cut]), Ok(None));
    }
    assert_eq!(parse_hello(&hello), Ok(Some(b"me".to_vec())));
    assert_eq!(parse_verdict(&yes), Ok(Some(Verdict::Accepted(b"you".to_vec()))));
    assert_eq!(parse_verdict(&no), Ok(Some(Verdict::Rejected("another cluster".into()))));
}

#[test]
fn garbage_is_known_at_once() {
    assert_eq!(parse_hello(b"G"), Err(Garbage));
    let mut long = MAGIC.to_vec();
    long.extend_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(parse_hello(&long), Err(Garbage));
    let mut eager = written(|out| put_hello(out, b"me"));
    eager.push(0);
    assert_eq!(parse_hello(&eager), Err(Garbage), "nothing may follow a hello");
    let mut unknown = written(|out| put_accepted(out, b"you"));
    unknown[MAGIC.len()] = 9;
    assert_eq!(parse_verdict(&unknown), Err(Garbage));
}
