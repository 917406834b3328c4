use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;

/// A node that opens a session, hears of it once more, and is gone.
fn node() -> (Nodes, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nodes = Nodes::new([listener.local_addr().unwrap().to_string()]).unwrap();
    let (gone, is_gone) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let live = r#"{"session":"live"}"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{live}", live.len()).unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        drop(stream);
        gone.send(()).unwrap();
    });
    (nodes, is_gone)
}

/// Who goes does not wait for a lease that nobody renews any more.
#[test]
fn a_session_ends_though_no_node_answers() {
    let lease = Duration::from_secs(9);
    let (nodes, is_gone) = node();
    let session = Session::open(nodes, "a test", lease).unwrap();
    is_gone.recv().unwrap();
    let began = Instant::now();
    drop(session);
    let took = began.elapsed();
    assert!(took < lease / 2, "to go took {took:?}");
}
