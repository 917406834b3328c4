//! Disks without room, and room again.

use super::*;

const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

fn all() -> Quorums {
    Quorums { w: Quorum::All, ..Quorums::default() }
}

/// Others fill these disks, down to so many bytes. A node notices with its next write.
fn fill(w: &mut World<Cluster>, nodes: &[NodeId], left: u64) {
    nodes.iter().for_each(|node| w.disk(*node).fill_after(left));
    (0..8).for_each(|n| {
        put(w, A, key(1_000 + n));
    });
    w.run_for(SECOND / 2);
}

fn found(w: &mut World<Cluster>, node: NodeId, n: u64) -> bool {
    matches!(get(w, node, key(n)), Some(Answer::Object(_)))
}

/// Within a second, in the world's time.
#[track_caller]
fn at_once(w: &mut World<Cluster>, node: NodeId, operation: Operation) -> Answer {
    let before = w.now();
    let answer = ask(w, node, operation).expect("an answer");
    let took = w.now().0 - before.0;
    assert!(took < SECOND / 2, "{took} us: {answer:?}");
    answer
}

#[test]
fn with_one_full_disk_the_others_go_on_and_it_comes_back_by_itself() {
    for left in [0, 20_000] {
        let mut w = world(left);
        assert!((0..20).all(|n| put(&mut w, A, key(n))));
        fill(&mut w, &[B], left);
        // Through the full node, too: another primary names them.
        for n in 20..60 {
            assert!(put(&mut w, NodeId(n as u32 % 3), key(n)), "k{n}, {left} bytes left");
        }
        assert!(delete(&mut w, B, key(0)));
        for n in 1..60 {
            assert!(found(&mut w, NodeId(n as u32 % 3), n), "k{n}, {left} bytes left");
        }
        for node in [A, B, C] {
            let answer = at_once(&mut w, node, put_op(key(60), all()));
            let Answer::Failed(error) = &answer else { panic!("{node}: {answer:?}") };
            assert!(error.to_string().contains("the disk of n1 is full"), "{node}: {error}");
            assert!(error.to_string().starts_with("{w_val_unsatisfied,3,"), "{node}: {error}");
        }
        w.disk(B).set_capacity(None);
        w.run_for(SECOND / 2);
        for node in [A, B, C] {
            let answer = at_once(&mut w, node, put_op(key(61), all()));
            assert!(matches!(answer, Answer::Written(_)), "{node}: {answer:?}");
        }
        assert!(!w.is_failed(B));
        assert!((1..62).all(|n| found(&mut w, B, n)));
    }
}

#[test]
fn when_all_disks_are_full_writes_say_so_and_reads_go_on() {
    let mut w = world(1);
    assert!((0..20).all(|n| put(&mut w, A, key(n))));
    fill(&mut w, &[A, B, C], 20_000);
    for node in [A, B, C] {
        for operation in [put_op(key(0), Quorums::default()), delete_op(key(1))] {
            let answer = at_once(&mut w, node, operation);
            let is_full = matches!(answer, Answer::Failed(RequestError::DiskFull(_)));
            assert!(is_full, "{node}: {answer:?}");
        }
        let change = PropChange { name: "n_val".into(), value: Some(PropValue::Number(2)) };
        let answers = heard(&mut w, node, Request::SetProps(bucket(), vec![change]), |w| {
            w.run_for(SECOND);
        });
        let is_full = matches!(answers[..], [Answer::Failed(RequestError::DiskFull(_))]);
        assert!(is_full, "{node}: {answers:?}");
        assert!((0..20).all(|n| found(&mut w, node, n)));
    }
    [A, B, C].iter().for_each(|node| w.disk(*node).set_capacity(None));
    w.run_for(SECOND / 2);
    assert!((0..20).all(|n| put(&mut w, NodeId(n as u32 % 3), key(n))));
}

/// What had been handed over is acknowledged when there is room, and not before.
#[test]
fn a_write_that_waits_for_room_is_acknowledged_once_it_is_durable() {
    let mut w = world(1);
    [A, B, C].iter().for_each(|node| w.disk(*node).fill_after(0));
    // The log has room for some; then each waits.
    let clients: Vec<_> = (0..2_000)
        .map(|n| {
            let mut operation = put_op(key(n), Quorums::default());
            if let Operation::Put(put) = &mut operation {
                put.content.value = Bytes::from(vec![7; 1_500]);
                put.timeout_ms = Some(60_000);
            }
            w.request(A, S, ombak_node::Request::Kv(Request::Key(operation)))
        })
        .collect();
    w.run_for(2 * SECOND);
    let done = |w: &mut World<Cluster>| {
        let written =
            |heard: &Heard<Reply>| matches!(heard, Heard::Reply(Reply::Kv(Answer::Written(_))));
        let replies = w.take_replies().into_iter();
        replies.filter(|reply| clients.contains(&reply.client) && written(&reply.heard)).count()
    };
    let before = done(&mut w);
    assert!(before < clients.len(), "nothing had to wait");
    [A, B, C].iter().for_each(|node| w.disk(*node).set_capacity(None));
    w.run_for(SECOND);
    assert!(done(&mut w) > 0, "what waited is acknowledged");
    assert!([A, B, C].iter().all(|node| !w.is_failed(*node)));
}
