use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ureq::http::Method;

use crate::nodes::{Nodes, Unanswered};

const WITHIN: Duration = Duration::from_secs(10);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Of each request what was read first, and how long its body was.
type Heard = JoinHandle<Vec<(String, usize)>>;

/// A node that accepts so many connections, and answers so many requests on each. It says when it has closed one.
fn node(connections: usize, requests: usize) -> (String, Heard, Receiver<()>) {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (closed, closings) = channel();
    let serve = move || {
        let mut heard = Vec::new();
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..requests {
                heard.push(hear(&mut stream));
                stream.write_all(ANSWER).unwrap();
            }
            drop(stream);
            // A test that has heard enough does not listen.
            let _ = closed.send(());
        }
        heard
    };
    (address, std::thread::spawn(serve), closings)
}

fn hear(stream: &mut impl Read) -> (String, usize) {
    let mut bytes = vec![0; 1 << 20];
    let first = stream.read(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..first]).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    stream.read_exact(&mut bytes[..length - body.len()]).unwrap();
    (text, length)
}

fn put(nodes: &Nodes, body: &[u8]) -> Result<Vec<u8>, Unanswered> {
    let deadline = Instant::now() + WITHIN;
    nodes.send(&Method::PUT, "/path", &[], body, WITHIN, deadline, false).map(|answer| answer.body)
}

#[test]
fn a_request_is_one_piece_and_the_connection_is_kept() {
    let (address, node, _) = node(1, 2);
    let nodes = Nodes::new([address]).unwrap();
    assert_eq!(put(&nodes, b"first").unwrap(), b"ok");
    assert_eq!(put(&nodes, b"second").unwrap(), b"ok");
    let heard = node.join().unwrap();
    assert!(heard[0].0.ends_with("\r\n\r\nfirst"), "{heard:?}");
    assert!(heard[1].0.ends_with("\r\n\r\nsecond"), "{heard:?}");
}

#[test]
fn a_long_body_arrives_whole() {
    let (address, node, _) = node(1, 1);
    let nodes = Nodes::new([address]).unwrap();
    let body = vec![b'x'; 5 * super::HELD_BYTES_MAX];
    assert_eq!(put(&nodes, &body).unwrap(), b"ok");
    assert_eq!(node.join().unwrap()[0].1, body.len());
}

#[test]
fn what_the_node_has_closed_is_not_used_again() {
    let (address, node, closings) = node(3, 1);
    let nodes = Nodes::new([address]).unwrap();
    for _ in 0..3 {
        assert_eq!(put(&nodes, b"body").unwrap(), b"ok");
        closings.recv().unwrap();
    }
    assert_eq!(node.join().unwrap().len(), 3);
}

#[test]
fn without_a_connection_nothing_was_sent() {
    let nodes = Nodes::new(["/nobody/listens/here"]).unwrap();
    let deadline = Instant::now();
    let sent = nodes.send(&Method::PUT, "/path", &[], b"", WITHIN, deadline, false);
    let Err(Unanswered::NotSent(why)) = sent else { panic!("{sent:?}") };
    assert!(why.contains("no connection"), "{why}");
}
