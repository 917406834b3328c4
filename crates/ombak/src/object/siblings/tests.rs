use super::*;
use ureq::http::HeaderMap;

/// What a real Riak 3.2.3 answered.
const RECORDED: &str = "\r\n--XuA32CbDFdjnbYOJ9Lo9hyNMYS7\r\nContent-Type: text/plain\r\nLink: </buckets/gold>; \
    rel=\"up\"\r\nEtag: 5ogUJVGTQ6eT5fgeNLeovs\r\nLast-Modified: Sun, 22 Nov 2026 13:39:40 GMT\r\n\r\none\r\n\
    --XuA32CbDFdjnbYOJ9Lo9hyNMYS7\r\nContent-Type: text/plain\r\nLink: </buckets/gold>; rel=\"up\"\r\nEtag: \
    3a7YPaSHKFNbf3TIRk9O30\r\nLast-Modified: Sun, 22 Nov 2026 13:39:40 GMT\r\n\r\ntwo\r\n\
    --XuA32CbDFdjnbYOJ9Lo9hyNMYS7--\r\n";

fn answer(content_type: &str, body: &[u8]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", content_type.parse().unwrap());
    headers.insert("x-riak-vclock", "a85h".parse().unwrap());
    Answer { status: 300, headers, body: body.to_vec() }
}

#[test]
fn the_recorded_answer_comes_apart() {
    let content_type = "multipart/mixed; boundary=XuA32CbDFdjnbYOJ9Lo9hyNMYS7";
    let siblings = Siblings::parse(&answer(content_type, RECORDED.as_bytes())).unwrap();
    assert_eq!(siblings.len(), 2);
    assert_eq!(siblings.context(), Some("a85h"));
    let json = siblings.json();
    assert_eq!(json["siblings"][0]["value"], "one");
    assert_eq!(json["siblings"][1]["vtag"], "3a7YPaSHKFNbf3TIRk9O30");
    assert_eq!(json["siblings"][1]["headers"]["content-type"], "text/plain");
}

#[test]
fn values_are_bytes_and_may_look_like_structure() {
    let body = b"--b\r\nEtag: \"x\"\r\n\r\n\xff\r\n\r\n--\r\n--b\r\n\r\nplain\r\n--b--";
    let siblings = Siblings::parse(&answer("multipart/mixed; boundary=\"b\"", body)).unwrap();
    let json = siblings.json();
    assert_eq!(siblings.parts[0].body, b"\xff\r\n\r\n--");
    assert_eq!(json["siblings"][0]["value_base64"], "/w0KDQotLQ==");
    assert_eq!(json["siblings"][0]["vtag"], "x");
    assert_eq!(siblings.parts[1].body, b"plain");
}

#[test]
fn what_is_cut_short_is_an_error() {
    let whole = b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--";
    for length in 0..whole.len() - 2 {
        let answer = answer("multipart/mixed; boundary=b", &whole[..length]);
        assert!(Siblings::parse(&answer).is_err(), "{length}");
    }
    assert!(Siblings::parse(&answer("text/plain", whole)).is_err());
}

#[test]
fn previews_are_short_and_on_one_line() {
    let part = |body: &[u8]| Part { headers: Vec::new(), body: body.to_vec() };
    assert_eq!(part(b"a\nb").preview(), "a b");
    assert_eq!(part(&[0xff]).preview(), "(binary)");
    assert_eq!(part("x".repeat(41).as_bytes()).preview(), format!("{}…", "x".repeat(40)));
}
