//! Protocol Buffers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_wire::{Request, Response, RpbContent};
use serde_json::Value;

use super::differences::Differences;
use super::listing::{self, Written};
use super::{PB, exchanges, start};
use crate::world::Client;

/// In place of what Riak chose, what our node chose.
type Learned = BTreeMap<Bytes, Bytes>;

#[test]
fn protocol_buffers_answers_are_riaks() {
    let node = start();
    let mut client = Client::of(&node);
    let mut differences = Differences::load();
    let (mut learned, mut written) = (Learned::new(), Written::default());
    for exchange in exchanges(PB) {
        let name = exchange["name"].as_str().unwrap();
        let riaks: Vec<Response> =
            exchange["resp"].as_array().unwrap().iter().map(recorded).collect();
        let sent = send(&mut client, &exchange, &learned);
        let mut ours = vec![client.receive()];
        while !is_last(&riaks[0], ours.last().unwrap(), ours.len() == riaks.len()) {
            ours.push(client.receive());
        }
        if let (Some(theirs), Some(got)) = (context(&riaks[0]), context(&ours[0])) {
            learned.insert(theirs, got);
        }
        if let (Some(theirs), Some(got)) = (made_key(&riaks[0]), made_key(&ours[0])) {
            learned.insert(theirs, got);
        }
        if let Some((bucket, key)) = put_to(&sent, &ours[0]) {
            written.note(&bucket, &key);
        }
        if differences.compare(("pb", name), said(&riaks), said(&ours)) {
            continue;
        }
        match &riaks[0] {
            Response::ListBuckets(_) => {
                let buckets = written.buckets();
                listing::compare(name, &names(&riaks, &learned), &names(&ours, &learned), &buckets);
            }
            Response::ListKeys(_) => {
                let keys = written.keys("pbg");
                listing::compare(name, &names(&riaks, &learned), &names(&ours, &learned), &keys);
            }
            _ => {
                let chosen = |responses: Vec<Response>| -> Vec<_> {
                    responses.into_iter().map(chosen).collect()
                };
                assert_eq!(chosen(ours), chosen(riaks), "{name}");
            }
        }
    }
    differences.check_all_seen("pb");
    node.stop().unwrap();
}

fn recorded(response: &Value) -> Response {
    let code = response["code"].as_u64().unwrap() as u8;
    Response::decode(code, unhex(&response["hex"])).unwrap()
}

/// Sends the request of an exchange; `None` if it is none that can be decoded.
fn send(client: &mut Client, exchange: &Value, learned: &Learned) -> Option<Request> {
    let code = exchange["code"].as_u64().unwrap() as u8;
    let body = unhex(&exchange["req_hex"]);
    match Request::decode(code, body.clone()) {
        Ok(request) => {
            let request = untyped_request(request, learned);
            client.send(std::slice::from_ref(&request));
            Some(request)
        }
        Err(_) => {
            client.send_frame(code, &body);
            None
        }
    }
}

/// Whether an answer has no further parts. Keys always come as a stream, buckets if they were asked for as one.
fn is_last(riaks_first: &Response, ours: &Response, as_many: bool) -> bool {
    match (riaks_first, ours) {
        (Response::ListKeys(_), Response::ListKeys(part)) => part.done == Some(true),
        (Response::ListBuckets(_), Response::ListBuckets(part)) => {
            as_many || part.done == Some(true)
        }
        _ => as_many,
    }
}

/// Where a put that was carried out has written.
fn put_to(sent: &Option<Request>, answer: &Response) -> Option<(String, String)> {
    let (Some(Request::Put(put)), Response::Put(_)) = (sent, answer) else { return None };
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let key = put.key.clone().or_else(|| made_key(answer)).unwrap();
    Some((text(put.bucket.as_ref().unwrap()), text(&key)))
}

/// All names of a listing, by our names.
fn names(parts: &[Response], learned: &Learned) -> BTreeSet<String> {
    let of = |part: &Response| match part {
        Response::ListBuckets(part) => part.buckets.clone(),
        Response::ListKeys(part) => part.keys.clone(),
        other => panic!("no listing: {other:?}"),
    };
    let ours = |name: Bytes| learned.get(&name).cloned().unwrap_or(name);
    let all: Vec<Bytes> = parts.iter().flat_map(of).map(ours).collect();
    let set: BTreeSet<_> =
        all.iter().map(|name| String::from_utf8(name.to_vec()).unwrap()).collect();
    assert_eq!(set.len(), all.len(), "something is listed twice");
    set
}

fn said(responses: &[Response]) -> (u64, String) {
    let mut frame = Vec::new();
    responses[0].encode_frame(&mut frame);
    let text = match &responses[0] {
        Response::Error(error) => error.errmsg.clone().unwrap_or_default(),
        _ => Bytes::copy_from_slice(&frame[5..]),
    };
    (frame[4].into(), String::from_utf8_lossy(&text).into_owned())
}

fn unhex(hex: &Value) -> Bytes {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn untyped_request(mut request: Request, learned: &Learned) -> Request {
    let plain = |bucket_type: &mut Option<Bytes>| {
        bucket_type.take_if(|name| **name == *b"plain");
    };
    let ours = |context: &mut Option<Bytes>| {
        // One that Riak never gave out, but would take, stands for any.
        let known = |context: &Bytes| learned.get(context).or_else(|| learned.values().next());
        if let Some(known) = context.as_ref().and_then(known) {
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
        Request::ListBuckets(list) => plain(&mut list.bucket_type),
        Request::ListKeys(list) => plain(&mut list.bucket_type),
        Request::GetBucket(get) => plain(&mut get.bucket_type),
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

fn made_key(response: &Response) -> Option<Bytes> {
    match response {
        Response::Put(put) => put.key.clone(),
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
        // Riak gives it to buckets of the default type alone.
        Response::GetBucket(got) => got.props.iter_mut().for_each(|props| props.repl = None),
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
