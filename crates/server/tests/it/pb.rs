//! Protocol Buffers over a socket.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::limits::{BUCKET_BYTES_MAX, FRAME_BYTES_MAX, KEY_BYTES_MAX};
use ombak_wire::{
    Request, Response, RpbBucketProps, RpbDelReq, RpbGetBucketReq, RpbGetBucketTypeReq,
    RpbListBucketsReq, RpbListKeysReq, RpbPutReq, RpbSetBucketReq,
};

use crate::world::{Client, bytes, get, node, node_with, put, put_req, values, wait_until_read};

fn delete(bucket: &str, key: &str) -> Request {
    Request::Del(RpbDelReq {
        bucket: Some(bytes(bucket)),
        key: Some(bytes(key)),
        ..RpbDelReq::default()
    })
}

fn list_keys(bucket: &str) -> Request {
    Request::ListKeys(RpbListKeysReq { bucket: Some(bytes(bucket)), ..RpbListKeysReq::default() })
}

/// All parts of a listing.
fn listed(client: &mut Client) -> BTreeSet<Bytes> {
    let mut names = BTreeSet::new();
    loop {
        let (part, done) = match client.receive() {
            Response::ListKeys(part) => (part.keys, part.done),
            Response::ListBuckets(part) => (part.buckets, part.done),
            other => panic!("not a part of a listing: {other:?}"),
        };
        names.extend(part);
        if done == Some(true) {
            return names;
        }
    }
}

fn assert_works(client: &mut Client) {
    assert_eq!(client.ask(Request::Ping), Response::Ping);
    assert!(matches!(client.ask(put("works", "k", "v")), Response::Put(_)));
    assert_eq!(values(&client.ask(get("works", "k"))), ["v"]);
}

#[test]
fn a_key_is_written_read_and_deleted() {
    let node = node();
    let mut client = Client::of(&node);
    assert!(values(&client.ask(get("b", "k"))).is_empty());
    assert!(matches!(client.ask(put("b", "k", "v")), Response::Put(_)));
    assert_eq!(values(&client.ask(get("b", "k"))), ["v"]);
    assert_eq!(client.ask(delete("b", "k")), Response::Del);
    assert!(values(&client.ask(get("b", "k"))).is_empty());
    assert_eq!(client.ask(delete("b", "k")), Response::Del);
    node.stop().unwrap();
}

#[test]
fn requests_sent_back_to_back_are_answered_in_order() {
    let node = node();
    let mut client = Client::of(&node);
    let mut requests = Vec::new();
    for round in 0..100 {
        let (key, value) = (format!("k{}", round % 7), format!("v{round}"));
        requests.extend([put("b", &key, &value), get("b", &key), Request::Ping]);
    }
    client.send(&requests);
    for round in 0..100 {
        assert!(matches!(client.receive(), Response::Put(_)), "{round}");
        assert_eq!(values(&client.receive()), [format!("v{round}")], "what was written before");
        assert_eq!(client.receive(), Response::Ping);
    }
    node.stop().unwrap();
}

#[test]
fn a_read_does_not_see_the_write_behind_it() {
    let node = node();
    let mut client = Client::of(&node);
    let rounds = 200;
    let mut requests = vec![put("b", "k", "0")];
    for round in 1..=rounds {
        requests.extend([get("b", "k"), put("b", "k", &round.to_string())]);
    }
    client.send(&requests);
    client.receive();
    for round in 1..=rounds {
        assert_eq!(values(&client.receive()), [(round - 1).to_string()]);
        client.receive();
    }
    node.stop().unwrap();
}

#[test]
fn listings_hold_back_what_is_behind_them_and_wait_for_what_is_before() {
    let node = node();
    let mut client = Client::of(&node);
    let keys: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
    let mut requests: Vec<Request> = keys.iter().map(|key| put("b", key, "v")).collect();
    requests.extend([list_keys("b"), delete("b", "k0"), list_keys("b"), Request::Ping]);
    client.send(&requests);
    keys.iter().for_each(|_| assert!(matches!(client.receive(), Response::Put(_))));
    assert_eq!(listed(&mut client), keys.iter().map(|key| bytes(key)).collect());
    assert_eq!(client.receive(), Response::Del);
    assert_eq!(listed(&mut client), keys[1..].iter().map(|key| bytes(key)).collect());
    assert_eq!(client.receive(), Response::Ping);

    let stream = RpbListBucketsReq { stream: Some(true), ..RpbListBucketsReq::default() };
    client.send(&[Request::ListBuckets(stream)]);
    assert_eq!(listed(&mut client), [bytes("b")].into());
    let once = client.ask(Request::ListBuckets(RpbListBucketsReq::default()));
    let Response::ListBuckets(once) = once else { panic!("{once:?}") };
    assert_eq!((once.buckets, once.done), (vec![bytes("b")], None));
    node.stop().unwrap();
}

#[test]
fn a_made_key_is_told_and_found() {
    let node = node();
    let mut client = Client::of(&node);
    let Response::Put(put) = client.ask(Request::Put(put_req("b", None, "v"))) else { panic!() };
    let key = String::from_utf8(put.key.unwrap().to_vec()).unwrap();
    assert_eq!(values(&client.ask(get("b", &key))), ["v"]);
    node.stop().unwrap();
}

#[test]
fn properties_are_read_changed_and_set_back() {
    let node = node();
    let mut client = Client::of(&node);
    let read = |client: &mut Client| {
        let get = RpbGetBucketReq { bucket: Some(bytes("b")), bucket_type: None };
        match client.ask(Request::GetBucket(get)) {
            Response::GetBucket(got) => got.props.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let set = |props| RpbSetBucketReq {
        bucket: Some(bytes("b")),
        props: Some(Box::new(props)),
        bucket_type: None,
    };
    let changed = RpbBucketProps { n_val: Some(2), allow_mult: Some(true), ..Default::default() };
    assert_eq!(client.ask(Request::SetBucket(set(changed))), Response::SetBucket);
    let props = read(&mut client);
    assert_eq!((props.n_val, props.allow_mult), (Some(2), Some(true)));
    let wrong = RpbBucketProps { n_val: Some(0), ..Default::default() };
    client.send(&[Request::SetBucket(set(wrong))]);
    assert!(client.error().contains("n_val"));
    let reset = ombak_wire::RpbResetBucketReq { bucket: Some(bytes("b")), bucket_type: None };
    assert_eq!(client.ask(Request::ResetBucket(reset)), Response::ResetBucket);
    assert_eq!(read(&mut client).n_val, Some(3));

    let get_type =
        |name: &str| Request::GetBucketType(RpbGetBucketTypeReq { bucket_type: Some(bytes(name)) });
    assert!(matches!(client.ask(get_type("default")), Response::GetBucket(_)));
    client.send(&[get_type("nope")]);
    assert_eq!(client.error(), "Invalid bucket type: <<\"nope\">>");
    node.stop().unwrap();
}

#[test]
fn a_length_that_no_frame_has_ends_its_connection_and_no_other() {
    let node = node();
    let mut other = Client::of(&node);
    let too_long = FRAME_BYTES_MAX as u32 + 1;
    for length in [0, u32::MAX, too_long] {
        let mut client = Client::of(&node);
        client.say(&length.to_be_bytes());
        assert!(client.error().contains("length") || length > 0);
        assert!(client.is_closed(), "{length}");
        assert_works(&mut other);
    }
    node.stop().unwrap();
}

#[test]
fn a_message_that_is_not_finished_is_given_up() {
    let node = node_with(|limits| limits.unfinished_ms = 50);
    let (mut client, mut other) = (Client::of(&node), Client::of(&node));
    let mut bytes = Vec::new();
    put("b", "k", "v").encode_frame(&mut bytes);
    bytes.extend_from_slice(&100u32.to_be_bytes());
    client.say(&bytes);
    assert!(matches!(client.receive(), Response::Put(_)), "what was whole is answered");
    assert!(client.error().contains("timeout"));
    assert!(client.is_closed());
    assert_works(&mut other);
    node.stop().unwrap();
}

#[test]
fn unfinished_messages_of_all_connections_are_bounded_together() {
    let node = node_with(|limits| limits.clients_input_bytes_max = 200_000);
    let (mut first, mut second, mut other) =
        (Client::of(&node), Client::of(&node), Client::of(&node));
    let mut whole = Vec::new();
    put("b", "k", &"x".repeat(300_000)).encode_frame(&mut whole);
    first.say(&whole[..150_000]);
    wait_until_read(&node, 150_000);
    second.say(&whole[..150_000]);
    assert_eq!(second.error(), "overload");
    assert!(second.is_closed());
    // Not to its end: a message of which the end is there is taken, however much was read at once.
    first.say(&whole[150_000..whole.len() - 1]);
    assert!(first.error().contains("overload"), "it went over the bound by itself");
    assert_works(&mut other);
    node.stop().unwrap();
}

#[test]
fn what_was_asked_before_a_lost_frame_is_answered_first() {
    let node = node();
    let mut client = Client::of(&node);
    let mut bytes = Vec::new();
    put("b", "k", "v").encode_frame(&mut bytes);
    get("b", "k").encode_frame(&mut bytes);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(b"what follows is not looked at");
    client.say(&bytes);
    assert!(matches!(client.receive(), Response::Put(_)));
    assert_eq!(values(&client.receive()), ["v"]);
    client.error();
    assert!(client.is_closed());
    node.stop().unwrap();
}

#[test]
fn bad_messages_are_errors_and_the_connection_goes_on() {
    let node = node();
    let (mut client, mut other) = (Client::of(&node), Client::of(&node));
    let empty_key = "Key cannot be zero-length";
    let empty_bucket = "Bucket cannot be zero-length";
    let cases: &[(u8, &[u8], &str)] = &[
        (111, b"", "Unknown message code: 111"),
        (253, b"", "Unknown message code: 253"),
        (255, b"", "Security not enabled; STARTTLS not allowed."),
        (9, b"\x0a\x7f", "the message cannot be decoded"),
        (9, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "the message cannot be decoded"),
        (9, b"\x0a\x01b", "lacks its required field `key`"),
        (9, b"", "lacks its required field `bucket`"),
        (11, b"\x0a\x01b\x12\x01k", "lacks its required field `content`"),
        (13, b"\x0a\x01b", "lacks its required field `key`"),
        (17, b"", "lacks its required field `bucket`"),
        (9, b"\x0a\x01b\x12\x00", empty_key),
        (9, b"\x0a\x00\x12\x01k", empty_bucket),
        (13, b"\x0a\x01b\x12\x00", empty_key),
        (17, b"\x0a\x00", empty_bucket),
        (19, b"\x0a\x00", empty_bucket),
        (29, b"\x0a\x00", empty_bucket),
        (33, b"\x0a\x01b\x12\x00", empty_key),
        (9, b"\x0a\x01b\x12\x01k\x6a\x04nope", "no_type"),
        (19, b"\x0a\x01b\x12\x04nope", "No bucket-type named 'nope'"),
        (15, b"\x1a\x04nope", "no_type"),
        (9, b"\x0a\x01b\x12\x01k\x18\x63", "{n_val_violation,3}"),
    ];
    for (code, body, wanted) in cases {
        client.send_frame(*code, body);
        let error = client.error();
        assert!(error.contains(wanted), "{code} {body:?}: {error}");
        assert_works(&mut client);
        assert_works(&mut other);
    }
    node.stop().unwrap();
}

#[test]
fn names_that_are_too_long_are_refused_by_name() {
    let node = node();
    let mut client = Client::of(&node);
    let key = "k".repeat(KEY_BYTES_MAX + 1);
    let bucket = "b".repeat(BUCKET_BYTES_MAX + 1);
    for request in [get("b", &key), put("b", &key, "v"), delete("b", &key)] {
        client.send(&[request]);
        assert_eq!(client.error(), format!("key is longer than {KEY_BYTES_MAX} bytes"));
    }
    let props = RpbGetBucketReq { bucket: Some(bytes(&bucket)), bucket_type: None };
    for request in [get(&bucket, "k"), list_keys(&bucket), Request::GetBucket(props)] {
        client.send(&[request]);
        assert_eq!(client.error(), format!("bucket is longer than {BUCKET_BYTES_MAX} bytes"));
    }
    assert!(matches!(client.ask(put("b", &key[1..], "v")), Response::Put(_)), "the longest");
    node.stop().unwrap();
}

#[test]
fn random_bytes_harm_nobody() {
    let node = node();
    let mut other = Client::of(&node);
    let mut client = Client::of(&node);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..500 {
        // No writes: what random names come to exist is of no interest.
        let code = [9, 13, 15, 17, 19, 31, 33][next() as usize % 7];
        let body: Vec<u8> = (0..next() % 40).map(|_| next() as u8).collect();
        client.send_frame(code, &body);
        client.send(&[Request::Ping]);
        while client.receive() != Response::Ping {}
    }
    assert_works(&mut other);
    node.stop().unwrap();
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_nothing_behind() {
    let node = node();
    for _ in 0..20 {
        let mut client = Client::of(&node);
        let requests: Vec<Request> = (0..100).map(|n| put("b", &n.to_string(), "v")).collect();
        client.send(&requests);
        client.say(&[0, 0, 0, 99, 9, 1, 2]);
    }
    assert_works(&mut Client::of(&node));
    node.stop().unwrap();
}

#[test]
fn a_put_says_as_much_as_it_was_asked_for() {
    let node = node();
    let mut client = Client::of(&node);
    let ask = |client: &mut Client, change: fn(&mut RpbPutReq)| {
        let mut request = put_req("b", Some("k"), "v");
        change(&mut request);
        match client.ask(Request::Put(request)) {
            Response::Put(put) => put,
            other => panic!("{other:?}"),
        }
    };
    let nothing = ask(&mut client, |_| {});
    assert!(nothing.content.is_empty() && nothing.vclock.is_none() && nothing.key.is_none());
    let body = ask(&mut client, |put| put.return_body = Some(true));
    assert_eq!(body.content[0].value, Some(bytes("v")));
    let head = ask(&mut client, |put| put.return_head = Some(true));
    assert_eq!(head.content[0].value, Some(Bytes::new()));
    assert_eq!(head.content[0].content_type, Some(bytes("text/plain")));
    assert!(head.vclock.is_some());
    node.stop().unwrap();
}
