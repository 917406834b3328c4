use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ombak_base::ShardId;
use ombak_runtime::{AskError, Flow, Limits};

use crate::toy::{Ask, Gate, OUTSTANDING_MAX, Told};
use crate::world::{Client, DEADLINE, Plan, text};

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let node = Plan::new(0).alone();
    let mut client = node.client();
    client.say("after 30\necho one\nafter 1\necho two\n");
    let heard: Vec<_> = (0..4).map(|_| client.hear()).collect();
    assert_eq!(heard, ["time", "one", "time", "two"]);
    node.running.stop().unwrap();
    assert_eq!(client.hear(), "", "a stopped node closes its connections");
}

#[test]
fn requests_may_arrive_in_pieces() {
    let node = Plan::new(0).alone();
    let mut client = node.client();
    client.say("echo in ");
    node.client().say("echo another\n");
    node.wait_for("the first piece", |c| c.shards[0].client_bytes_in >= 8);
    client.say("pieces\necho");
    assert_eq!(client.hear(), "in pieces");
    client.say(" rest\n");
    assert_eq!(client.hear(), "rest");
}

#[test]
fn more_requests_than_a_connection_may_have_outstanding() {
    let node = Plan::new(0).alone();
    let mut client = node.client();
    let many = 100 * OUTSTANDING_MAX;
    let lines: String = (0..many).map(|i| format!("after 1\necho {i}\n")).collect();
    client.say(&lines);
    for i in 0..many {
        assert_eq!(client.hear(), "time");
        assert_eq!(client.hear(), i.to_string());
    }
}

#[test]
fn garbage_on_the_face_port_harms_nobody_else() {
    let node = Plan::new(0).alone();
    let mut other = node.client();
    let mut client = node.client();
    client.say("echo fine\n");
    assert_eq!(client.hear(), "fine");
    client.say("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.hear(), "what?");
    assert_eq!(client.hear(), "");
    other.say("echo still here\n");
    assert_eq!(other.hear(), "still here");
    node.wait_for("the connection to be forgotten", |c| c.shards[0].clients == 1);
}

#[test]
fn the_machine_hears_of_clients_that_go() {
    let node = Plan::new(0).alone();
    let watch = node.watch();
    let mut client = node.client();
    client.say("never\n");
    node.wait_for("the request", |c| c.shards[0].outstanding == 2);
    drop(client);
    watch.until("gone");
    node.wait_for("the request to be forgotten", |c| c.shards[0].outstanding == 1);

    let asked = node.handle.send(ShardId(0), Ask::Never, Box::new(|_, _| Flow::Last)).unwrap();
    node.handle.gone(asked);
    watch.until("gone");
}

#[test]
fn a_streamed_answer_asks_for_each_part() {
    let node = Plan::new(0).alone();
    let mut client = node.client();
    client.say("stream 1000\necho after\n");
    for part in 1..=1000 {
        assert_eq!(client.hear(), format!("part {part}"));
    }
    assert_eq!(client.hear(), "after");
}

#[test]
fn a_local_stream_goes_on_when_its_client_says_so() {
    let node = Plan::new(0).alone();
    for flow in [Flow::More, Flow::Wait] {
        let (sender, parts) = mpsc::channel();
        let sink = move |told, _| {
            let last = matches!(told, Told::Part(_, true));
            sender.send(told).unwrap();
            if last { Flow::Last } else { flow }
        };
        let asked = node.handle.send(ShardId(0), Ask::Stream(3), Box::new(sink)).unwrap();
        for part in 1..=3 {
            let told = parts.recv_timeout(DEADLINE).unwrap();
            assert_eq!(told, Told::Part(part, part == 3));
            if flow == Flow::Wait {
                assert!(parts.try_recv().is_err(), "no part comes unasked");
                node.handle.more(asked);
            }
        }
        assert!(parts.recv_timeout(DEADLINE).is_err(), "the sink is dropped at the end");
    }
}

#[test]
fn a_local_stream_can_be_stopped() {
    let node = Plan::new(0).alone();
    let watch = node.watch();
    let sink = |_, _| Flow::Stop;
    node.handle.send(ShardId(0), Ask::Stream(1000), Box::new(sink)).unwrap();
    watch.until("gone");
    node.wait_for("the stream to be forgotten", |c| c.shards[0].outstanding == 1);
}

/// Several are taken in one turn. What a lease allows at a moment is not allowed to who asks after it.
#[test]
fn no_moment_is_older_than_what_is_asked_in_it() {
    let node = Plan::new(0).alone();
    let when = |told: Told| match told {
        Told::Text(text) => Duration::from_micros(text.parse().unwrap()),
        part @ Told::Part(..) => panic!("{part:?}"),
    };
    let (sender, answers) = mpsc::channel();
    let first = when(node.call(Ask::When));
    let answered = Instant::now();
    let (gate, (blocking, blocked)) = (Gate::default(), mpsc::channel());
    node.ask_into(Ask::Block(blocking, gate.clone()), "block", &sender);
    blocked.recv_timeout(DEADLINE).unwrap();
    // The turn has begun, and its beginning is to be a while ago.
    while answered.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let asked = answered.elapsed();
    node.ask_into(Ask::When, "when", &sender);
    gate.open();
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap().0, "block");
    let second = when(answers.recv_timeout(DEADLINE).unwrap().1);
    let passed = second - first + Duration::from_micros(1);
    assert!(passed >= asked, "{passed:?} by its clock, and {asked:?} had passed");
}

#[test]
fn a_full_queue_is_an_overload_and_passes() {
    let mut plan = Plan::new(0);
    plan.limits.asks_max = 4;
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    let (gate, (blocking, blocked)) = (Gate::default(), mpsc::channel());
    node.ask_into(Ask::Block(blocking, gate.clone()), "block", &sender);
    blocked.recv_timeout(DEADLINE).unwrap();
    let ask = || node.handle.send(ShardId(0), Ask::Echo("x".into()), Box::new(|_, _| Flow::Last));
    let taken = (0..10).filter(|_| ask().is_ok()).count();
    assert_eq!(taken, 4);
    assert_eq!(ask().unwrap_err(), AskError::Overload);
    gate.open();
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap().0, "block");
    node.wait_for("the queue to drain", |c| c.shards[0].requests == 5);
    assert_eq!(node.call(Ask::Echo("y".into())), text("y"));
    let nowhere = node.handle.call(ShardId(9), Ask::Never, DEADLINE);
    assert_eq!(nowhere, Err(AskError::NoShard));
    let late = node.handle.call(ShardId(0), Ask::Never, Duration::from_millis(1));
    assert_eq!(late, Err(AskError::Late));
}

#[test]
fn a_slow_reader_is_not_read_from() {
    const ANSWER: usize = 64 * 1024;
    const ASKED: usize = 1000;
    let mut plan = Plan::new(0);
    plan.limits.client_output_bytes_max = 256 * 1024;
    let (face, bound) = (plan.face.clone(), plan.limits.client_output_bytes_max);
    let node = plan.alone();
    let mut client = node.client();
    let mut writing = client.stream.try_clone().unwrap();
    let request = format!("big {ANSWER:0>1000}\n");
    let writer = std::thread::spawn(move || {
        (0..ASKED)
            .for_each(|_| std::io::Write::write_all(&mut writing, request.as_bytes()).unwrap());
    });
    node.wait_for("the output to fill up", |_| face.output_max.load(Ordering::Relaxed) >= bound);
    let mut line = vec![0; ANSWER + 1];
    for _ in 0..ASKED {
        client.stream.read_exact(&mut line).unwrap();
        assert!(line[..ANSWER].iter().all(|byte| *byte == b'x') && line[ANSWER] == b'\n');
    }
    writer.join().unwrap();
    let most = face.output_max.load(Ordering::Relaxed);
    // The buffer may hold what was sent already in front of what was not.
    let allowed = 2 * (bound + OUTSTANDING_MAX as usize * (ANSWER + 1));
    assert!(most <= allowed, "{most} bytes waited, {allowed} may");
}

#[test]
fn too_many_connections_are_closed() {
    let mut plan = Plan::new(0);
    plan.limits = Limits { client_connections_max: 2, ..plan.limits };
    let node = plan.alone();
    let mut clients = [node.client(), node.client()];
    for client in &mut clients {
        client.say("echo in\n");
        assert_eq!(client.hear(), "in");
    }
    let mut third = node.client().stream;
    assert!(matches!(third.read(&mut [0; 8]), Ok(0) | Err(_)));
    drop(clients);
    node.wait_for("room", |c| c.shards[0].clients == 0);
    let mut fourth = node.client();
    fourth.say("echo in\n");
    assert_eq!(fourth.hear(), "in");
}

#[test]
fn clients_are_spread_over_the_shards() {
    let mut plan = Plan::new(0);
    plan.shards = 3;
    let node = plan.alone();
    let mut clients: Vec<Client> = (0..6).map(|_| node.client()).collect();
    for client in &mut clients {
        client.say("echo hello\n");
        assert_eq!(client.hear(), "hello");
    }
    node.wait_for("the count", |c| c.shards.iter().all(|shard| shard.clients == 2));
}
