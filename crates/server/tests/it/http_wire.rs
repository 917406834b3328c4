//! HTTP as it stands on the wire: interim answers, chunks, pipelines, ends of connections, encodings.

use std::net::Shutdown;

use ombak_base::limits::OBJECT_BYTES_MAX;

use crate::world::{Answer, Client, Http, get, node, node_with, values};

const KEY: &str = "/buckets/b/keys/k";

/// The head of a put to `path`, with more headers, each with its line end.
fn put_head(path: &str, more: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nHost: test\r\nContent-Type: text/plain\r\n{more}\r\n").into()
}

fn say_put(http: &mut Http, path: &str, more: &str) {
    http.say(&put_head(path, more));
}

#[test]
fn a_client_that_waits_before_the_body_is_told_to_go_on() {
    let node = node();
    let mut http = Http::of(&node);
    for n in 0..2 {
        say_put(&mut http, KEY, "Expect: 100-continue\r\nContent-Length: 5\r\n");
        let interim = http.answer(true);
        assert_eq!((interim.status, interim.headers.len()), (100, 0), "{n}");
        http.say(b"hello");
        assert_eq!(http.answer(false).status, 204);
    }
    assert_eq!(http.get(KEY).text(), "hello");
    node.stop().unwrap();
}

#[test]
fn a_client_that_waits_is_refused_before_it_sends_the_body() {
    let node = node();
    let too_long = format!("Content-Length: {}\r\n", OBJECT_BYTES_MAX + 1);
    let cases = [
        (put_head(KEY, &too_long), 413),
        (put_head("/types/nope/buckets/b/keys/k", "Content-Length: 5\r\n"), 404),
        (put_head("/nothing", "Content-Length: 5\r\n"), 404),
        (put_head("/ping", "Content-Length: 5\r\n"), 405),
        (put_head(&format!("{KEY}?w=x"), "Content-Length: 5\r\n"), 400),
        (put_head(KEY, "Content-Length: 5\r\nReferer: http://evil.example/\r\n"), 403),
        (
            b"PUT /buckets/b/keys/k HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n".to_vec(),
            400,
        ),
    ];
    for (head, status) in cases {
        let head = String::from_utf8(head).unwrap();
        let mut http = Http::of(&node);
        http.say(
            head.replace("Host: test\r\n", "Host: test\r\nExpect: 100-continue\r\n").as_bytes(),
        );
        assert_eq!(http.answer(false).status, status, "{head}");
        // Nobody knows whether the body follows, so nothing else can.
        assert!(http.is_closed(), "{head}");
    }
    node.stop().unwrap();
}

#[test]
fn chunks_are_one_value_whatever_stands_between_them() {
    let node = node();
    let mut http = Http::of(&node);
    let mut body = Vec::new();
    for n in 0..500 {
        let piece = format!("{n},");
        let extension = if n % 7 == 0 { ";name=\"value\"" } else { "" };
        body.extend_from_slice(format!("{:X}{extension}\r\n{piece}\r\n", piece.len()).as_bytes());
    }
    body.extend_from_slice(b"0\r\nX-Checksum: none\r\nX-Riak-Meta-Late: no\r\n\r\n");
    let head = put_head(KEY, "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n");
    http.say(&[head, body].concat());
    assert_eq!(http.answer(false).status, 204);
    let got = http.get(KEY);
    assert_eq!(got.text(), (0..500).map(|n| format!("{n},")).collect::<String>());
    assert_eq!(got.header("x-riak-meta-late"), None, "what comes too late is no metadata");

    // Byte by byte, as if each were a packet.
    let head = put_head(KEY, "Transfer-Encoding: chunked\r\n");
    [&head[..], b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"]
        .concat()
        .iter()
        .for_each(|byte| http.say(&[*byte]));
    assert_eq!(http.answer(false).status, 204);
    assert_eq!(http.get(KEY).text(), "abcd");
    node.stop().unwrap();
}

#[test]
fn chunks_that_are_none_or_too_many_end_the_connection() {
    let node = node();
    let mut other = Http::of(&node);
    for bad in ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "3\r\nabcd\r\n"] {
        let mut http = Http::of(&node);
        say_put(&mut http, KEY, "Transfer-Encoding: chunked\r\n");
        http.say(bad.as_bytes());
        assert_eq!(http.answer(false).status, 400, "{bad}");
        assert!(http.is_closed());
    }
    let mut http = Http::of(&node);
    say_put(&mut http, KEY, "Transfer-Encoding: chunked\r\n");
    let chunk = [&b"100000\r\n"[..], &vec![b'x'; 0x10_0000], b"\r\n"].concat();
    // The server may have closed before it was sent all of them.
    let _ = (0..=OBJECT_BYTES_MAX / 0x10_0000).try_for_each(|_| http.try_say(&chunk));
    let answer = http.answer(false);
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert_eq!(other.get(KEY).status, 404);
    node.stop().unwrap();
}

#[test]
fn both_lengths_at_once_end_the_connection() {
    let node = node();
    let mut http = Http::of(&node);
    // A proxy in front might believe the other one.
    say_put(&mut http, KEY, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n");
    http.say(b"0\r\n\r\n");
    http.answer(false);
    assert!(http.is_closed());
    node.stop().unwrap();
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let node = node();
    let mut http = Http::of(&node);
    let mut all = Vec::new();
    for n in 0..50 {
        let path = format!("/buckets/b/keys/{n}");
        let value = format!("value {n}");
        all.extend(put_head(&path, &format!("Content-Length: {}\r\n", value.len())));
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes());
        all.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes());
    }
    http.say(&all);
    for n in 0..50 {
        assert_eq!(http.answer(false).status, 204);
        let head = http.answer(true);
        let length = format!("value {n}").len().to_string();
        assert_eq!((head.status, head.header("content-length")), (200, Some(&*length)));
        assert_eq!(http.answer(false).text(), format!("value {n}"));
    }
    node.stop().unwrap();
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let node = node();
    let mut http = Http::of(&node);
    http.put(KEY, "v");
    for path in
        ["/", "/ping", "/stats", "/buckets/b/props", "/buckets/b/keys?keys=true", KEY, "/nothing"]
    {
        // Bytes of a body would be read as the beginning of the next answer.
        let head = http.ask("HEAD", path, &[], b"");
        let got = http.get(path);
        assert_eq!(head.status, got.status, "{path}");
        for name in ["content-type", "etag", "vary", "link", "x-riak-vclock"] {
            assert_eq!(head.header(name), got.header(name), "{path}: {name}");
        }
    }
    node.stop().unwrap();
}

#[test]
fn a_connection_goes_on_or_ends_as_the_client_says() {
    let node = node();
    let ask = |version: &str, connection: &str| {
        let mut http = Http::of(&node);
        http.say(format!("GET /ping HTTP/{version}\r\nHost: test\r\n{connection}\r\n").as_bytes());
        let answer = http.answer(false);
        assert_eq!(answer.text(), "OK");
        (http, answer)
    };
    for (version, connection) in [("1.1", "Connection: close\r\n"), ("1.0", "")] {
        let (mut http, answer) = ask(version, connection);
        assert!(http.is_closed(), "{version} {connection}: {answer:?}");
    }
    for (version, connection) in [("1.1", ""), ("1.0", "Connection: keep-alive\r\n")] {
        let (mut http, answer) = ask(version, connection);
        if version == "1.0" {
            assert_eq!(answer.header("connection"), Some("keep-alive"));
        }
        assert_eq!(http.get("/ping").text(), "OK");
    }
    node.stop().unwrap();
}

#[test]
fn a_stream_to_an_old_client_ends_with_the_connection() {
    let node = node();
    let mut http = Http::of(&node);
    http.put(KEY, "v");
    http.say(b"GET /buckets/b/keys?keys=stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = http.answer(true);
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    assert!(http.rest().contains(r#"{"keys":["k"]}"#));
    node.stop().unwrap();
}

#[test]
fn a_client_that_has_said_all_is_still_answered() {
    let node = node();
    let mut http = Http::of(&node);
    http.say(&[put_head(KEY, "Content-Length: 1\r\n"), b"v".to_vec()].concat());
    http.say(b"GET /buckets/b/keys/k HTTP/1.1\r\nHost: test\r\n\r\n");
    http.shut(Shutdown::Write);
    assert_eq!(http.answer(false).status, 204);
    assert_eq!(http.answer(false).text(), "v");
    assert!(http.is_closed());

    let mut http = Http::of(&node);
    say_put(&mut http, "/buckets/b/keys/half", "Content-Length: 10\r\n");
    http.say(b"half");
    http.shut(Shutdown::Write);
    assert!(http.rest().is_empty() || http.is_closed());
    assert_eq!(Http::of(&node).get("/buckets/b/keys/half").status, 404, "half a value is none");
    node.stop().unwrap();
}

#[test]
fn what_is_not_finished_in_time_is_given_up() {
    let node = node_with(|limits| limits.unfinished_ms = 50);
    let mut head = Http::of(&node);
    head.say(b"GET /ping HTTP/1.1\r\nX-Never: ending");
    let mut body = Http::of(&node);
    say_put(&mut body, KEY, "Content-Length: 10\r\n");
    body.say(b"half");
    let mut chunks = Http::of(&node);
    say_put(&mut chunks, KEY, "Transfer-Encoding: chunked\r\n");
    chunks.say(b"4\r\nha");
    assert!(head.rest().is_empty());
    for mut http in [body, chunks] {
        assert_eq!(http.answer(false).status, 408);
        assert!(http.is_closed());
    }
    assert_eq!(Http::of(&node).get(KEY).status, 404);
    node.stop().unwrap();
}

#[test]
fn names_are_percent_encoded_as_in_riak() {
    let node = node();
    let mut http = Http::of(&node);
    // A name, and other ways to write it in a path.
    let names: [(&str, &[&str]); 6] = [
        ("a/b", &["a%2Fb", "a%2fb", "%61%2F%62"]),
        ("a b", &["a+b", "a%20b"]),
        ("a+b", &["a%2Bb"]),
        ("100%", &["100%25"]),
        ("a?b#c", &["a%3Fb%23c"]),
        ("é\u{1}", &["%C3%A9%01"]),
    ];
    let mut pb = Client::of(&node);
    for (name, paths) in names {
        // It once told whether names were encoded; they are.
        for (path, encoding) in paths.iter().flat_map(|path| [(path, "on"), (path, "off")]) {
            let value = format!("{path} {encoding}");
            let path = format!("/buckets/e%2Fe/keys/{path}");
            let headers = [("Content-Type", "text/plain"), ("X-Riak-URL-Encoding", encoding)];
            assert_eq!(http.ask("PUT", &path, &headers, value.as_bytes()).status, 204);
            assert_eq!(values(&pb.ask(get("e/e", name))), [value.as_bytes()], "{path} is {name}");
            let got = http.ask("GET", &path, &headers[1..], b"");
            assert_eq!(got.text(), value);
            assert_eq!(got.header("link"), Some("</buckets/e%2Fe>; rel=\"up\""));
        }
    }
    let mut listed: Vec<String> =
        serde_json::from_value(http.get("/buckets/e%2Fe/keys?keys=true").json()["keys"].take())
            .unwrap();
    let mut all = names.map(|(name, _)| name.to_owned());
    listed.sort();
    all.sort();
    assert_eq!(listed, all);
    assert_eq!(http.get("/buckets/e%2Fe/keys/a%2Fb?%72=%31").status, 200, "parameters too");
    node.stop().unwrap();
}

#[test]
fn odd_types_come_back_and_break_nothing() {
    let node = node();
    let mut http = Http::of(&node);
    for (given, shown) in [
        ("text/plain; charset= \"", "text/plain"),
        ("text/plain; charset=", "text/plain"),
        ("text/plain; charset=\"utf-8\"", "text/plain; charset=utf-8"),
        ("text/plain ; CHARSET = utf-8 ", "text/plain; charset=utf-8"),
        ("text/plain; a=b; charset=c; d=\"e f\"", "text/plain; a=b; d=\"e f\"; charset=c"),
        (";;", "application/octet-stream"),
        ("caf\u{e9}/x", "caf\u{e9}/x"),
    ] {
        let put = http.ask("PUT", KEY, &[("Content-Type", given)], b"v");
        assert_eq!(put.status, 204, "{given:?}");
        let got: Answer = http.get(KEY);
        assert_eq!((got.status, got.header("content-type")), (200, Some(shown)), "{given:?}");
        assert_eq!(got.text(), "v");
    }
    node.stop().unwrap();
}
