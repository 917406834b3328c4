use ombak_base::{ActorId, DirectoryId};
use ombak_cluster::Role;
use ombak_kv::{
    BucketId, Content, DeleteOp, GetOp, ObjectAnswer, PutOp, Quorum, Quorums, RequestError, Return,
};
use ombak_paxos::Group;
use ombak_paxos::register::Era;
use proptest::prelude::*;

use super::*;

fn header() -> Header {
    Header {
        partition: Partition(52),
        epoch: Epoch(1),
        role: Role::Primary,
        fence: Fence { boot: 3, deadline: Tick(4) },
        class: 0,
        tenant: 0,
        request: RequestId(7),
    }
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn content() -> Content {
    Content {
        value: text("v"),
        content_type: Some(text("text/plain")),
        user_meta: vec![(text("m"), None)],
        indexes: vec![(text("i_bin"), Some(text("x")))],
        last_modified_us: 5,
        ..Content::default()
    }
}

fn put() -> Operation {
    let quorums =
        Quorums { w: Quorum::Count(2), dw: Quorum::All, n_val: Some(3), ..Quorums::default() };
    Operation::Put(PutOp {
        bucket: BucketId::default_type("b"),
        key: Some(text("k")),
        context: text("ctx"),
        content: content(),
        quorums,
        returns: Return::Head,
        if_none_match: true,
        if_not_modified: false,
        timeout_ms: Some(100),
    })
}

fn get() -> Operation {
    Operation::Get(GetOp {
        bucket: BucketId { bucket_type: text("t"), name: text("b") },
        key: text("k"),
        quorums: Quorums { r: Quorum::One, pr: Quorum::Quorum, ..Quorums::default() },
        basic_quorum: Some(true),
        notfound_ok: Some(false),
        timeout_ms: None,
    })
}

fn delete() -> Operation {
    Operation::Delete(DeleteOp {
        bucket: BucketId::default_type("b"),
        key: text("k"),
        context: Some(text("c")),
        quorums: Quorums::default(),
        timeout_ms: None,
    })
}

fn confirmed(mut operation: Operation) -> Operation {
    operation.quorums_mut().node_confirms = Some(2);
    operation
}

/// One of every kind.
fn messages() -> Vec<Message> {
    let claim = Claim { generation: 1, actor: ActorId(2), lease: 3 };
    let mut lineage = Lineage::default();
    lineage.push(ActorId(4), 300);
    let forward = |operation| Message::Forward {
        id: 1,
        request: RequestId(2),
        retried: true,
        fence: Fence { boot: 3, deadline: Tick(4) },
        operation: Box::new(operation),
    };
    let forwarded = |answer| Message::Forwarded(1, Some(Box::new(answer)));
    let ask = |ask| Message::Ask(1, header(), 9, ask);
    let told = |told| Message::Told(1, told);
    let fewer = Box::new(RequestError::WUnsatisfied { need: 3, got: 2 });
    let fewer = RequestError::FewerForFullDisk(fewer, "n2".into());
    vec![
        Message::Greeting(Greeting { boot: 1, tick: Tick(2), link: 4 }, 3),
        ask(Ask::Get(text("k"), None)),
        ask(Ask::Get(text("k"), Some(7))),
        ask(Ask::Merge(text("k"), text("o"), Acks::Taken, None)),
        ask(Ask::Merge(text("k"), text("o"), Acks::Durable, Some(7))),
        ask(Ask::Merge(text("k"), text("o"), Acks::Both, Some(7))),
        ask(Ask::Reap(text("k"), text("o"))),
        ask(Ask::List { from: text("a"), to: text("b"), buckets: false }),
        ask(Ask::List { from: text("a"), to: text("b"), buckets: true }),
        ask(Ask::Export(text("a"))),
        told(Told::Value(text("o"), true)),
        told(Told::Same(true)),
        told(Told::Absent(true)),
        told(Told::Taken),
        told(Told::Durable(7)),
        told(Told::Reaped(false)),
        told(Told::Listed {
            keys: vec![text("a"), text("b")],
            next: Some(text("c")),
            complete: true,
        }),
        told(Told::Exported { entries: vec![(text("a"), text("o"))], next: None, complete: false }),
        told(Told::Fenced(Fencing::WrongPartition)),
        told(Told::Fenced(Fencing::StaleEpoch(Epoch(2)))),
        told(Told::Fenced(Fencing::Expired)),
        told(Told::PropsDiffer(text("p"))),
        told(Told::Overload),
        told(Told::Failed),
        forward(put()),
        forward(get()),
        forward(delete()),
        Message::Forwarded(1, None),
        forwarded(Answer::Written(Some(text("k")))),
        forwarded(Answer::NotFound(Some(text("c")))),
        forwarded(Answer::Failed(RequestError::WUnsatisfied { need: 2, got: 1 })),
        forwarded(Answer::Object(ObjectAnswer {
            siblings: vec![(text("tag"), content())],
            context: text("c"),
            key: None,
        })),
        Message::Props(1, vec![text("p")]),
        Message::PropsTaken(1),
        told(Told::Value(text("o"), false)),
        told(Told::Same(false)),
        forward(confirmed(put())),
        forward(confirmed(get())),
        forward(confirmed(delete())),
        forwarded(Answer::Failed(RequestError::NodesUnsatisfied { need: 2, got: 1 })),
        told(Told::Full),
        forwarded(Answer::Failed(RequestError::DiskFull("n2".into()))),
        forwarded(Answer::Failed(fewer)),
        Message::Claims(vec![
            (Partition(1), claim, Lineage::default()),
            (Partition(2), claim, lineage),
        ]),
        Message::Verdicts(vec![
            (Partition(1), claim, Verdict::Fits),
            (Partition(300), claim, Verdict::Older(0)),
        ]),
        Message::Root(Telling::Return { group: Group(0), disk: DirectoryId(7) }),
        Message::Registers(RegisterTelling::Copy { era: Era(7), from: Bytes::new() }),
    ]
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

#[test]
fn every_message_reads_back() {
    for message in messages() {
        assert_eq!(Message::decode(Bytes::from(encoded(&message))), Ok(message));
    }
}

/// The messages since protocol version 1, as one hexadecimal line each. Tag 3 was given up with version 3.
#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = messages().iter().map(|message| hex(encoded(message))).collect();
    let mut golden: Vec<&str> = include_str!("golden-1.txt").lines().collect();
    let claims = golden.remove(1);
    assert_eq!(lines, golden, "a changed message needs a new protocol version");
    // Sent up to protocol version 2.
    let claim = Claim { generation: 1, actor: ActorId(2), lease: 3 };
    let (first, second) = (Partition(1), Partition(2));
    let read = Message::Claims(vec![
        (first, claim, Lineage::default()),
        (second, claim, Lineage::default()),
    ]);
    let bytes: Vec<u8> = (0..claims.len() / 2)
        .map(|at| u8::from_str_radix(&claims[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    assert_eq!(Message::decode(Bytes::from(bytes)), Ok(read));
}

#[test]
fn errors_that_only_an_entry_gives_travel_as_their_text() {
    let message =
        Message::Forwarded(1, Some(Box::new(Answer::Failed(RequestError::NoCoordinator))));
    let back = Message::decode(Bytes::from(encoded(&message)));
    let text = RequestError::Elsewhere("all_nodes_down".into());
    assert_eq!(back, Ok(Message::Forwarded(1, Some(Box::new(Answer::Failed(text))))));
}

proptest! {
    #[test]
    fn damaged_messages_never_panic(at in 0..45usize, cut in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = encoded(&messages()[at]);
        let cut = cut.index(bytes.len());
        bytes[cut] = byte;
        let _ = Message::decode(Bytes::from(bytes.clone()));
        bytes.truncate(cut);
        let _ = Message::decode(Bytes::from(bytes));
    }

    #[test]
    fn any_bytes_are_a_message_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Message::decode(Bytes::from(bytes));
    }
}
