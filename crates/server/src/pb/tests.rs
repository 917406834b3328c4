//! The face without a runtime: what it asks, and in which order it writes.

use ombak_kv::{
    Answer as KvAnswer, Content, ObjectAnswer, Operation, Quorum, Request as KvRequest,
};
use ombak_node::Request as ShardRequest;
use ombak_wire::{RpbContent, RpbGetReq, RpbLink, RpbListKeysReq, RpbPair, RpbPutReq, quorum};

use super::*;

fn face() -> PbFace {
    let topology = Topology::fixed(&["riak@127.0.0.1".into()], 16).unwrap();
    PbFace::new(Arc::new(topology), NodeId(0))
}

/// A connection, and what has come of it.
struct Line {
    face: PbFace,
    queue: Queue,
    written: Vec<u8>,
    asked: Vec<(u64, ShardRequest)>,
}

impl Line {
    fn new() -> Line {
        let (face, written, asked) = (face(), Vec::new(), Vec::new());
        Line { queue: face.open(), face, written, asked }
    }

    /// The slots that are asked now.
    fn send(&mut self, requests: &[Request]) -> Vec<u64> {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| request.encode_frame(&mut bytes));
        let mut input = BytesMut::from(&bytes[..]);
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        self.face.receive(&mut self.queue, &mut input, &mut out).unwrap();
        self.slots()
    }

    /// The slots that are asked in consequence.
    fn answer(&mut self, slot: u64, answer: KvAnswer) -> Vec<u64> {
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        self.face.answer(&mut self.queue, slot, Reply::Kv(answer), &mut out);
        self.slots()
    }

    fn slots(&mut self) -> Vec<u64> {
        self.asked.drain(..).map(|(slot, _)| slot).collect()
    }

    fn codes(&mut self) -> Vec<u8> {
        let mut bytes = BytesMut::from(&self.written[..]);
        self.written.clear();
        std::iter::from_fn(|| split_frame(&mut bytes).unwrap()).map(|(code, _)| code).collect()
    }
}

fn get(key: &'static str) -> Request {
    Request::Get(RpbGetReq {
        bucket: Some(Bytes::from_static(b"b")),
        key: Some(Bytes::from_static(key.as_bytes())),
        ..RpbGetReq::default()
    })
}

fn put(key: &'static str) -> Request {
    Request::Put(RpbPutReq {
        bucket: Some(Bytes::from_static(b"b")),
        key: Some(Bytes::from_static(key.as_bytes())),
        content: Some(RpbContent { value: Some(Bytes::new()), ..RpbContent::default() }),
        ..RpbPutReq::default()
    })
}

fn list() -> Request {
    let bucket = Some(Bytes::from_static(b"b"));
    Request::ListKeys(RpbListKeysReq { bucket, ..RpbListKeysReq::default() })
}

const NOTHING: KvAnswer = KvAnswer::NotFound(None);
const DONE: KvAnswer = KvAnswer::Written(None);

#[test]
fn answers_wait_for_earlier_ones() {
    let mut line = Line::new();
    assert_eq!(line.send(&[get("j"), put("k"), Request::Ping, get("l")]), [0, 1, 3]);
    line.answer(3, NOTHING);
    line.answer(1, DONE);
    assert_eq!(line.codes(), [0; 0], "nothing may overtake the first");
    line.answer(0, NOTHING);
    assert_eq!(line.codes(), [10, 12, 2, 10]);
    assert_eq!(line.send(&[get("m")]), [4], "slots are never used again");
}

#[test]
fn what_touches_a_written_key_is_held_back() {
    let mut line = Line::new();
    assert_eq!(line.send(&[put("k"), get("k"), get("j"), put("k"), get("k")]), [0, 2]);
    assert_eq!(line.answer(2, NOTHING), [0; 0]);
    assert_eq!(line.answer(0, DONE), [1]);
    assert_eq!(line.answer(1, NOTHING), [3]);
    assert_eq!(line.answer(3, DONE), [4]);
    line.answer(4, NOTHING);
    assert_eq!(line.codes(), [12, 10, 10, 12, 10]);
}

#[test]
fn reads_of_one_key_run_together() {
    let mut line = Line::new();
    assert_eq!(line.send(&[get("k"), get("k"), put("k")]), [0, 1]);
    assert_eq!(line.answer(1, NOTHING), [0; 0], "the other read is still out");
    assert_eq!(line.answer(0, NOTHING), [2]);
}

#[test]
fn a_listing_stands_alone() {
    let mut line = Line::new();
    assert_eq!(line.send(&[get("j"), list(), get("k")]), [0]);
    assert_eq!(line.answer(0, NOTHING), [1]);
    assert_eq!(line.answer(1, KvAnswer::Listed(vec![Bytes::new()], false)), [0; 0]);
    assert_eq!(line.answer(1, KvAnswer::Listed(Vec::new(), true)), [2]);
    assert_eq!(line.codes(), [10, 18, 18]);
}

#[test]
fn no_more_is_read_than_is_bounded() {
    let mut line = Line::new();
    let many = vec![get("k"); queue::REQUESTS_MAX + 10];
    assert_eq!(line.send(&many).len(), queue::REQUESTS_MAX);
    assert!(!line.face.may_read(&line.queue));
    line.answer(0, NOTHING);
    assert!(line.face.may_read(&line.queue));
}

#[test]
fn quorums_have_names_and_numbers() {
    let read = |field| request::quorum_of(field);
    assert_eq!(read(None), Quorum::Default);
    assert_eq!(read(Some(quorum::DEFAULT)), Quorum::Default);
    assert_eq!(read(Some(quorum::ONE)), Quorum::One);
    assert_eq!(read(Some(quorum::QUORUM)), Quorum::Quorum);
    assert_eq!(read(Some(quorum::ALL)), Quorum::All);
    assert_eq!(read(Some(2)), Quorum::Count(2));
}

#[test]
fn the_default_type_has_two_names() {
    for name in ["", "default"] {
        let Request::Get(mut request) = get("k") else { panic!() };
        request.bucket_type = Some(Bytes::from_static(name.as_bytes()));
        let Plan::Ask { request, .. } = face().common.plan(Request::Get(request)) else { panic!() };
        let ShardRequest::Kv(KvRequest::Key(Operation::Get(op))) = request else { panic!() };
        assert!(op.bucket.bucket_type.is_empty());
    }
}

#[test]
fn content_keeps_all_its_metadata() {
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let wire = RpbContent {
        value: text("v"),
        content_type: text("text/plain"),
        charset: text("utf-8"),
        content_encoding: text("gzip"),
        links: vec![RpbLink { bucket: text("b"), key: text("k"), tag: text("t") }],
        usermeta: vec![RpbPair { key: text("m"), value: None }],
        indexes: vec![RpbPair { key: text("f_bin"), value: text("x") }],
        ..RpbContent::default()
    };
    let content = content::from_wire(wire.clone());
    let content = Content { last_modified_us: 3_000_007, ..content };
    let shown = content::to_wire((Bytes::from_static(b"tag"), content.clone()), false);
    let expected =
        RpbContent { vtag: text("tag"), last_mod: Some(3), last_mod_usecs: Some(7), ..wire };
    assert_eq!(shown, expected);
    let head = content::to_wire((Bytes::from_static(b"tag"), content), true);
    assert_eq!(head, RpbContent { value: text(""), ..expected });
}

#[test]
fn properties_survive_the_way_to_the_wire_and_back() {
    let props = ombak_kv::props::BucketProps::default();
    let wire = props::to_wire(&props);
    assert_eq!((wire.n_val, wire.r, wire.pr), (Some(3), Some(quorum::QUORUM), Some(0)));
    assert_eq!((wire.has_precommit, wire.search.is_none()), (Some(true), true));
    for change in props::changes(&wire) {
        ombak_kv::props::validate(&change).unwrap();
        let default = props.iter().find(|(name, _)| *name == change.name);
        assert_eq!(change.value.as_ref(), default.map(|(_, value)| value), "{}", change.name);
    }
}

#[test]
fn an_unchanged_object_is_not_sent() {
    let mut line = Line::new();
    let Request::Get(mut request) = get("k") else { panic!() };
    request.if_modified = Some(Bytes::from_static(b"context"));
    let object = |context: &'static str| {
        KvAnswer::Object(ObjectAnswer {
            siblings: vec![(Bytes::new(), Content::default())],
            context: Bytes::from_static(context.as_bytes()),
            key: None,
        })
    };
    for (slot, context, unchanged) in [(0, "context", Some(true)), (1, "newer", None)] {
        line.send(&[Request::Get(request.clone())]);
        line.answer(slot, object(context));
        let mut bytes = BytesMut::from(&line.written[..]);
        line.written.clear();
        let (code, body) = split_frame(&mut bytes).unwrap().unwrap();
        let Response::Get(got) = Response::decode(code, body).unwrap() else { panic!() };
        assert_eq!((got.unchanged, got.content.is_empty()), (unchanged, unchanged.is_some()));
    }
}

#[test]
fn rows_are_those_of_the_topology() {
    let names = ["c@h", "a@h", "b@h"].map(String::from);
    let topology = Arc::new(Topology::fixed(&names, 8).unwrap());
    let face = PbFace::new(topology.clone(), NodeId(2));
    let Plan::Say(Response::Rows(rows)) = face.common.plan(Request::Rows) else { panic!() };
    assert_eq!((rows.epoch, rows.ring_size, rows.node), (Some(1), Some(8), Some(2)));
    assert_eq!(rows.members, ["a@h", "b@h", "c@h"]);
    for (row, partition) in rows.rows.iter().zip((0..).map(ombak_base::Partition)) {
        let owners: Vec<NodeId> = row.owners.iter().map(|owner| NodeId(*owner)).collect();
        assert_eq!(owners, topology.ring.row(partition));
    }
}
