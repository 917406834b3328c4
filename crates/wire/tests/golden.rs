//! What a real Riak 3.2.3 node was asked and what it answered, `golden/pb.jsonl`, read and written again.
//!
//! One exchange a line: `name`, `code` and `req_hex` of the request, `resp` as a list of `code` and `hex`, and the same
//! as text for people.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::{Bytes, BytesMut};
use ombak_wire::{Request, Response, WireError, split_frame};
use serde_json::Value;

/// Recorded exchanges whose request we don't decode, with what we say instead.
const REFUSED: [(&str, WireError); 5] = [
    ("coverage", WireError::UnknownCode(70)),
    ("unknown-code", WireError::UnknownCode(111)),
    ("yz-index-get", WireError::UnknownCode(54)),
    ("auth-nosec", WireError::UnknownCode(253)),
    // A get without a key. Real Riak reads the key `undefined` and answers that it isn't found.
    ("garbage", WireError::Missing("key")),
];

fn exchanges() -> impl Iterator<Item = Value> {
    include_str!("golden/pb.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
}

fn unhex(hex: &Value) -> Bytes {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn code(of: &Value) -> u8 {
    of["code"].as_u64().unwrap().try_into().unwrap()
}

fn only_frame(bytes: &[u8]) -> (u8, Bytes) {
    let mut buffer = BytesMut::from(bytes);
    let frame = split_frame(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty());
    frame
}

#[test]
fn requests_decode_and_are_written_with_the_same_bytes() {
    for exchange in exchanges() {
        let (code, body) = (code(&exchange), unhex(&exchange["req_hex"]));
        let refused = REFUSED.iter().find(|(name, _)| exchange["name"] == *name);
        match (Request::decode(code, body.clone()), refused) {
            (Ok(request), None) => {
                let mut out = Vec::new();
                request.encode_frame(&mut out);
                assert_eq!(only_frame(&out), (code, body), "{}", exchange["name"]);
            }
            (decoded, expected) => {
                assert_eq!(decoded.err().as_ref(), expected.map(|(_, error)| error), "{exchange}");
            }
        }
    }
}

#[test]
fn responses_decode_and_are_written_with_the_same_bytes() {
    let mut seen = 0;
    for exchange in exchanges() {
        for response in exchange["resp"].as_array().unwrap() {
            let (code, body) = (code(response), unhex(&response["hex"]));
            let decoded = Response::decode(code, body.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", exchange["name"]));
            let mut out = Vec::new();
            decoded.encode_frame(&mut out);
            assert_eq!(only_frame(&out), (code, body), "{}", exchange["name"]);
            seen += 1;
        }
    }
    assert!(seen >= exchanges().count());
}

#[test]
fn unknown_codes_are_refused_in_riaks_words() {
    let mut seen = 0;
    for exchange in exchanges() {
        let refusal = Request::decode(code(&exchange), unhex(&exchange["req_hex"]));
        let Err(error @ WireError::UnknownCode(_)) = refusal else { continue };
        let mut out = Vec::new();
        Response::error(error.to_string()).encode_frame(&mut out);
        assert_eq!(only_frame(&out).1, unhex(&exchange["resp"][0]["hex"]), "{}", exchange["name"]);
        seen += 1;
    }
    assert_eq!(seen, 4);
}
