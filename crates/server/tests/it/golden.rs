//! Exchanges recorded from a real Riak 3.2.3, replayed against a node of ours. What a server chooses (contexts, tags,
//! times, made keys) is learned from the answers and put into later requests in place of what Riak had chosen.
//!
//! Bucket type `plain` does not exist here: its buckets become `plain-…` of the default type, with siblings allowed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_server::{Node, Options};
use ombak_wire::{Request, Response, RpbContent};
use serde_json::Value;

use crate::world::{Answer, Client, Http, options};

const HTTP: &str = include_str!("../golden/http.jsonl");
const PB: &str = include_str!("../golden/pb.jsonl");
const PENDING: &str = include_str!("../golden/pending.txt");
/// So many are left of 231. Lower it with each that is replayed.
const PENDING_MAX: usize = 118;
/// Buckets with siblings.
const SIBLINGS: [&str; 3] = ["plain-gold", "plain-idx", "pbg"];

fn start() -> Node {
    let node = Node::start(Options { name: "riakct@127.0.0.1".into(), ..options() }).unwrap();
    let mut http = Http::of(&node);
    for bucket in SIBLINGS {
        let body = br#"{"props":{"allow_mult":"true"}}"#;
        let set = http.ask("PUT", &format!("/buckets/{bucket}/props"), &[], body);
        assert_eq!(set.status, 204);
    }
    node
}

fn exchanges(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn nothing_is_both_replayed_and_pending() {
    let lines = PENDING.lines().filter(|line| !line.starts_with('#'));
    let pending: BTreeSet<String> = lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").unwrap();
            assert!(!reason.is_empty());
            name.into()
        })
        .collect();
    assert!(pending.len() <= PENDING_MAX, "the list may only shrink");
    for (face, text) in [("http", HTTP), ("pb", PB)] {
        for exchange in exchanges(text) {
            let name = format!("{face} {}", exchange["name"].as_str().unwrap());
            assert!(!pending.contains(&name), "{name}");
        }
    }
}

#[test]
fn http_answers_are_riaks() {
    let node = start();
    let mut http = Http::of(&node);
    let mut learned = BTreeMap::new();
    for exchange in exchanges(HTTP) {
        let wanted = Recorded::of(&exchange);
        let request = &exchange["req"];
        let put = |text: &str| learned_in(&learned, &untyped(text));
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), put(value.as_str().unwrap())))
            .collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = request["method"].as_str().unwrap();
        let body = latin1(request["body"].as_str().unwrap());
        let got = http.ask(method, &put(request["path"].as_str().unwrap()), &headers, &body);
        wanted.compare(&got);
        wanted.learn(&got, &mut learned);
    }
    node.stop().unwrap();
}

/// What Riak answered.
struct Recorded {
    name: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Recorded {
    fn of(exchange: &Value) -> Recorded {
        let header = |line: &Value| {
            let (name, value) = line.as_str().unwrap().split_once(": ").unwrap();
            (name.to_ascii_lowercase(), untyped(value))
        };
        let is_typed = exchange["req"]["path"].as_str().unwrap().contains("/types/plain/");
        let mut headers: BTreeMap<_, _> =
            exchange["headers"].as_array().unwrap().iter().map(header).collect();
        if let Some(link) = headers.get_mut("link").filter(|_| is_typed) {
            *link = link.replace("</buckets/", "</buckets/plain-");
        }
        Recorded {
            name: exchange["name"].as_str().unwrap().into(),
            status: exchange["status"].as_str().unwrap()[9..12].parse().unwrap(),
            headers,
            body: latin1(exchange["body"].as_str().unwrap()),
        }
    }

    fn compare(&self, got: &Answer) {
        let name = &self.name;
        assert_eq!(got.status, self.status, "{name}: {got:?}");
        for (header, wanted) in &self.headers {
            let found = got.header(header);
            match header.as_str() {
                "server" | "date" | "content-length" | "transfer-encoding" => {}
                "x-riak-vclock" | "etag" | "last-modified" | "expires" => {
                    assert!(found.is_some(), "{name}: no {header}: {got:?}");
                }
                "location" => {
                    let (wanted, found) = (parent(wanted), found.map(parent));
                    assert_eq!(found, Some(wanted), "{name}");
                }
                // Which of the siblings' types negotiation chose is told; Riak forgets to after a write.
                "vary" if self.status >= 400 => {}
                "vary" => assert!(found.is_some_and(|found| found.contains(wanted)), "{name}"),
                "allow" => assert_eq!(words(found.unwrap_or_default()), words(wanted), "{name}"),
                "content-type" if wanted.starts_with("multipart/mixed") => {
                    assert!(found.unwrap().starts_with("multipart/mixed"), "{name}");
                }
                // In any order.
                "link" => assert_eq!(words(found.unwrap_or_default()), words(wanted), "{name}"),
                _ => assert_eq!(found, Some(wanted.as_str()), "{name}: {header}"),
            }
        }
        self.compare_body(got);
    }

    fn compare_body(&self, got: &Answer) {
        let (name, kind) = (&self.name, self.headers.get("content-type").map(String::as_str));
        let wanted = String::from_utf8_lossy(&self.body).into_owned();
        match kind {
            Some("application/json") if !self.body.is_empty() => {
                let json: Value = serde_json::from_slice(&self.body).unwrap();
                assert_eq!(sorted(got.json()), sorted(json), "{name}");
            }
            Some(kind) if kind.starts_with("multipart/mixed") => {
                let parts = |text: &str| text.matches("\r\n--").count();
                assert_eq!(parts(&got.text()), parts(&wanted), "{name}");
            }
            Some("text/html") if self.status >= 400 => {}
            // The text names w and dw for a bad r.
            _ if wanted.contains("values invalid for bucket n value of 3") => {
                assert!(got.text().contains("values invalid for bucket n value of 3"), "{name}");
            }
            _ if wanted.starts_with("Siblings:\n") => {
                assert_eq!(got.text().lines().count(), wanted.lines().count(), "{name}");
            }
            _ => assert_eq!(got.body, self.body, "{name}"),
        }
    }

    fn learn(&self, got: &Answer, learned: &mut BTreeMap<String, String>) {
        for header in ["x-riak-vclock", "etag", "last-modified"] {
            if let (Some(theirs), Some(ours)) = (self.headers.get(header), got.header(header)) {
                learned.insert(theirs.clone(), ours.into());
            }
        }
        let theirs = String::from_utf8_lossy(&self.body).into_owned();
        if theirs.starts_with("Siblings:\n") {
            for (theirs, ours) in theirs.lines().zip(got.text().lines()).skip(1) {
                learned.insert(theirs.into(), ours.into());
            }
            // The exchange that asks for one by its tag wants the first that was written.
        }
    }
}

/// The corpus has bytes as code points.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u32 as u8).collect()
}

fn untyped(text: &str) -> String {
    text.replace("/types/plain/buckets/", "/types/default/buckets/plain-")
}

fn learned_in(learned: &BTreeMap<String, String>, text: &str) -> String {
    learned.iter().fold(text.into(), |text, (theirs, ours)| text.replace(theirs, ours))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn words(list: &str) -> BTreeSet<&str> {
    list.split(", ").collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            items.into()
        }
        other => other,
    }
}

#[test]
fn protocol_buffers_answers_are_riaks() {
    let node = start();
    let mut client = Client::of(&node);
    let mut learned = BTreeMap::new();
    for exchange in exchanges(PB) {
        let name = exchange["name"].as_str().unwrap();
        let code = exchange["code"].as_u64().unwrap() as u8;
        let body = unhex(&exchange["req_hex"]);
        match Request::decode(code, body.clone()) {
            Ok(request) => client.send(&[untyped_request(request, &learned)]),
            Err(_) => client.send_frame(code, &body),
        }
        for wanted in exchange["resp"].as_array().unwrap() {
            let code = wanted["code"].as_u64().unwrap() as u8;
            let wanted = Response::decode(code, unhex(&wanted["hex"])).unwrap();
            let got = client.receive();
            if let (Some(theirs), Some(ours)) = (context(&wanted), context(&got)) {
                learned.insert(theirs, ours);
            }
            assert_eq!(chosen(got), chosen(wanted), "{name}");
        }
    }
    node.stop().unwrap();
}

fn unhex(hex: &Value) -> Bytes {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn untyped_request(mut request: Request, learned: &BTreeMap<Bytes, Bytes>) -> Request {
    let plain = |bucket_type: &mut Option<Bytes>| {
        bucket_type.take_if(|name| **name == *b"plain");
    };
    let ours = |context: &mut Option<Bytes>| {
        if let Some(known) = context.as_ref().and_then(|context| learned.get(context)) {
            *context = Some(known.clone());
        }
    };
    match &mut request {
        Request::Get(get) => {
            plain(&mut get.bucket_type);
            ours(&mut get.if_modified);
        }
        Request::Put(put) => {
            plain(&mut put.bucket_type);
            ours(&mut put.vclock);
        }
        Request::Del(delete) => plain(&mut delete.bucket_type),
        Request::GetBucketKeyPreflist(preflist) => plain(&mut preflist.bucket_type),
        _ => {}
    }
    request
}

fn context(response: &Response) -> Option<Bytes> {
    match response {
        Response::Get(got) => got.vclock.clone(),
        Response::Put(put) => put.vclock.clone(),
        _ => None,
    }
}

/// Everything but what a server chooses: of that, whether it is there.
fn chosen(mut response: Response) -> Response {
    let same = |field: &mut Option<Bytes>| {
        if let Some(field) = field {
            *field = Bytes::from_static(b"chosen");
        }
    };
    let contents = |contents: &mut Vec<RpbContent>| {
        for content in contents.iter_mut() {
            same(&mut content.vtag);
            content.last_mod = content.last_mod.map(|_| 1);
            content.last_mod_usecs = content.last_mod_usecs.map(|_| 1);
        }
        contents.sort_by_key(|content| content.value.clone());
    };
    match &mut response {
        Response::Get(got) => {
            contents(&mut got.content);
            same(&mut got.vclock);
        }
        Response::Put(put) => {
            contents(&mut put.content);
            same(&mut put.vclock);
            same(&mut put.key);
        }
        // A typed bucket hashes otherwise: the first partition is the test's of `cluster`.
        Response::GetBucketKeyPreflist(preflist) => {
            let first = preflist.preflist[0].partition.unwrap();
            for item in &mut preflist.preflist {
                item.partition = item.partition.map(|partition| (partition - first + 16) % 16);
            }
        }
        _ => {}
    }
    response
}
