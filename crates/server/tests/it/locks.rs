//! Locks over HTTP, on the port and on the socket.

use std::fs::{Permissions, set_permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use ombak_locks::wire::Locks;
use ombak_locks::{How, LockError, Mode, Nodes, Session};
use ombak_server::{Node, Options};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use crate::world::{Http, PATIENCE, node, options};

const SESSION: &str = "/ombak/sessions/000102030405060708090a0b0c0d0e0f";

/// A node whose root group leads, so that the answers of these tests do not depend on when it began to.
fn locking() -> Node {
    let node = node();
    let deadline = Instant::now() + PATIENCE;
    while Http::of(&node).get("/ombak/locks").status != 200 {
        assert!(Instant::now() < deadline, "nobody leads");
    }
    node
}

fn text(http: &mut Http, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer = http.ask(method, path, &[], body.as_bytes());
    (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
}

/// What a client in any language sees.
#[test]
fn a_session_locks_once_however_often_it_asks() {
    let node = locking();
    let mut http = Http::of(&node);
    let open = format!("{SESSION}?lease_ms=60000&about=a%20test");
    assert_eq!(text(&mut http, "PUT", &open, ""), (200, r#"{"session":"live"}"#.into()));
    let lock = r#"{"do":"lock","path":["printer"],"mode":"EX","wait_ms":0}"#;
    let first = format!("{SESSION}/requests/1");
    let granted = (
        200,
        r#"{"answer":"granted","mode":"EX","token":1,"value":"","value_valid":true}"#.to_string(),
    );
    assert_eq!(text(&mut http, "PUT", &first, lock), granted);
    assert_eq!(text(&mut http, "PUT", &first, lock), granted, "the same, not a second one");
    let again = text(&mut http, "PUT", &format!("{SESSION}/requests/2"), lock);
    assert_eq!(again.0, 409, "{}", again.1);
    assert!(again.1.contains("would-wait"), "{}", again.1);

    let locks = text(&mut http, "GET", "/ombak/locks", "").1;
    assert!(locks.contains(r#""about":"a test""#) && locks.contains(r#""token":1"#), "{locks}");
    assert_eq!(text(&mut http, "DELETE", SESSION, "").0, 200);
    let gone = text(&mut http, "POST", SESSION, "");
    assert_eq!(gone.0, 410, "{}", gone.1);
    node.stop().unwrap();
}

#[test]
fn what_cannot_be_meant_is_refused_and_says_why() {
    let node = locking();
    let mut http = Http::of(&node);
    let first = format!("{SESSION}/requests/1");
    for (method, path, body, status, says) in [
        ("PUT", "/ombak/sessions/me", "", 400, "32 hexadecimal digits"),
        ("PUT", &format!("{SESSION}?lease_ms=soon"), "", 400, "lease_ms"),
        ("PUT", &format!("{SESSION}?lease_ms=1"), "", 409, "a lease lasts from"),
        ("PUT", &format!("{SESSION}?about={}", "x".repeat(65)), "", 400, "64 bytes"),
        ("PUT", &first, "lock it", 400, "the body is no request"),
        ("PUT", &first, r#"{"do":"lock","path":[],"mode":"EX"}"#, 400, "the path is none"),
        ("PUT", &format!("{SESSION}/requests/x"), "", 400, "decimal"),
        ("PUT", &first, r#"{"do":"lock","path":["a"],"mode":"EX"}"#, 410, "the session is over"),
        ("POST", "/ombak/locks", "", 405, ""),
        ("GET", "/ombak/sessions", "", 404, ""),
    ] {
        let (got, said) = text(&mut http, method, path, body);
        assert_eq!(got, status, "{method} {path}: {said}");
        assert!(said.contains(says), "{method} {path}: {said}");
    }
    node.stop().unwrap();
}

#[test]
fn who_waits_is_answered_when_it_waits_no_more() {
    let node = locking();
    let nodes = || Nodes::new([node.addresses().http.to_string()]).unwrap();
    let (one, two) = (open(nodes()), open(nodes()));
    let held = one.lock(&["printer"], How { notify: true, ..How::default() }).unwrap();
    let now = How { wait: Some(Duration::ZERO), ..How::default() };
    assert!(matches!(two.lock(&["printer"], now), Err(LockError::NotGranted(_))));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| two.lock(&["printer"], How::default()).unwrap());
        let told = one.next_event(PATIENCE).unwrap();
        let lock = held.number();
        assert_eq!(
            told,
            Some(ombak_locks::wire::Event::Blocking { lock, wanted: Mode::EX }),
            "it is in the way"
        );
        let first = held.token();
        held.unlock(Some(b"page 7")).unwrap();
        let mut lock = waiter.join().unwrap();
        assert!(lock.token() > first);
        assert_eq!(lock.value(), Some(&b"page 7"[..]));
        lock.convert(Mode::PR, None, Some(b"page 8")).unwrap();
        assert_eq!(lock.mode(), Mode::PR);
    });
    one.close().unwrap();
    node.stop().unwrap();
}

#[test]
fn nothing_that_happened_is_nothing_and_not_an_error() {
    let node = locking();
    let session = open(Nodes::new([node.addresses().http.to_string()]).unwrap());
    assert_eq!(session.next_event(Duration::from_millis(50)).unwrap(), None);
    node.stop().unwrap();
}

/// What a node does not understand was never a request of the session: numbers of those do not add up to its bound.
#[test]
fn what_is_refused_as_meaningless_does_not_use_up_the_session() {
    let node = locking();
    let session = open(Nodes::new([node.addresses().http.to_string()]).unwrap());
    for _ in 0..70 {
        let refused = session.lock(&[], How::default());
        assert!(matches!(refused, Err(LockError::Refused { .. })), "{refused:?}");
    }
    session.lock(&["printer"], How::default()).unwrap();
    node.stop().unwrap();
}

fn listed(node: &Node) -> Locks {
    serde_json::from_slice(&Http::of(node).get("/ombak/locks").body).unwrap()
}

fn wait_for(node: &Node, fits: impl Fn(&Locks) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fits(&listed(node)) {
        assert!(Instant::now() < deadline, "{:?}", listed(node));
    }
}

fn wait_for_candidate(node: &Node) {
    wait_for(node, |locks| locks.resources.iter().any(|resource| !resource.waiters.is_empty()));
}

/// However long a request waits, and however much is asked meanwhile on the same session.
#[test]
fn a_request_that_waits_does_not_use_up_its_session() {
    let node = locking();
    let nodes = || Nodes::new([node.addresses().http.to_string()]).unwrap();
    let (one, two) = (open(nodes()), open(nodes()));
    let held = one.lock(&["printer"], How::default()).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| two.lock(&["printer"], How::default()).unwrap().token());
        wait_for_candidate(&node);
        for at in 0..100 {
            let lock = two.lock(&["paper"], How::default());
            lock.and_then(|lock| lock.unlock(None)).unwrap_or_else(|error| panic!("{at}: {error}"));
        }
        let first = held.token();
        held.unlock(None).unwrap();
        assert!(waiter.join().unwrap() > first);
    });
    node.stop().unwrap();
}

/// Who waits can be called back by another thread, and leaves nothing behind.
#[test]
fn what_waits_can_be_cancelled() {
    let node = locking();
    let nodes = || Nodes::new([node.addresses().http.to_string()]).unwrap();
    let (one, two) = (open(nodes()), open(nodes()));
    let held = one.lock(&["printer"], How::default()).unwrap();
    let mut other = two.lock(&["paper"], How { mode: Mode::CR, ..How::default() }).unwrap();
    let reader = one.lock(&["paper"], How { mode: Mode::CR, ..How::default() }).unwrap();
    two.cancel().unwrap();
    std::thread::scope(|scope| {
        let lock = scope.spawn(|| two.lock(&["printer"], How::default()).map(drop));
        let convert = scope.spawn(|| other.convert(Mode::EX, None, None));
        let both = |locks: &Locks| {
            let waiters = locks.resources.iter().map(|resource| resource.waiters.len());
            waiters.sum::<usize>() == 2
        };
        wait_for(&node, both);
        two.cancel().unwrap();
        for cancelled in [lock.join().unwrap(), convert.join().unwrap()] {
            assert!(matches!(cancelled, Err(LockError::Cancelled)), "{cancelled:?}");
        }
    });
    assert_eq!(other.mode(), Mode::CR, "it is held as before");
    drop(reader);
    other.convert(Mode::EX, None, None).unwrap();
    assert!(listed(&node).resources.iter().all(|resource| resource.waiters.is_empty()));
    drop((held, other, one, two));
    node.stop().unwrap();
}

/// Times are those of now, not of when something was last asked of the lock manager.
#[test]
fn time_passes_between_two_listings() {
    let node = locking();
    let session = open(Nodes::new([node.addresses().http.to_string()]).unwrap());
    let held = session.lock(&["printer"], How::default()).unwrap();
    let first = listed(&node);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let later = listed(&node);
        let held_longer =
            later.resources[0].holders[0].for_ms > first.resources[0].holders[0].for_ms;
        if held_longer && later.sessions[0].left_ms < first.sessions[0].left_ms {
            break;
        }
        assert!(Instant::now() < deadline, "{first:?}, and much later {later:?}");
    }
    drop(held);
    node.stop().unwrap();
}

/// Whoever asks stands in no line: the candidates may wait for ever.
#[test]
fn one_leads_and_everybody_hears_who_while_others_wait() {
    let node = locking();
    let nodes = || Nodes::new([node.addresses().http.to_string()]).unwrap();
    let (one, two, asks) = (open(nodes()), open(nodes()), open(nodes()));
    let leader = || asks.leader(&["billing"]).unwrap();
    assert_eq!(leader(), None);
    let nameless = one.lead(&["billing"], b"", None);
    assert!(matches!(nameless, Err(LockError::Refused { .. })), "{nameless:?}");
    let first = one.lead(&["billing"], b"one", None).unwrap();
    let now = two.lead(&["billing"], b"two", Some(Duration::ZERO));
    assert!(matches!(now, Err(LockError::NotGranted(_))), "{now:?}");
    std::thread::scope(|scope| {
        let candidate = scope.spawn(|| two.lead(&["billing"], b"two", None).unwrap());
        wait_for_candidate(&node);
        assert_eq!(leader().as_deref(), Some(&b"one"[..]));
        let token = first.token();
        first.resign().unwrap();
        let second = candidate.join().unwrap();
        assert!(second.token() > token);
        assert_eq!(leader().as_deref(), Some(&b"two"[..]));
        // As after a crash: the session ends, and nobody has said anything.
        std::mem::forget(second);
    });
    two.close().unwrap();
    assert_eq!(leader(), None);
    node.stop().unwrap();
}

fn open(nodes: Nodes) -> Session {
    Session::open(nodes, "a test", Duration::from_secs(60)).unwrap()
}

/// What a node says on a socket. Nothing, if it hangs up.
fn ping(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    let mut said = String::new();
    // A node that hangs up may do so before all is written, or read.
    let _ = stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let _ = stream.read_to_string(&mut said);
    said
}

#[test]
fn the_same_is_served_on_a_socket_which_goes_with_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let node = Node::start(Options { socket: Some(path.clone()), ..options() }).unwrap();
    let said = ping(&path);
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("OK"), "{said}");
    let session = open(Nodes::new([path.to_str().unwrap()]).unwrap());
    let lock = session.lock(&["printer"], How::default()).unwrap();
    assert_eq!(lock.token(), 1);
    drop(lock);
    session.close().unwrap();

    let other = Node::start(Options { socket: Some(path.clone()), ..options() });
    let error = other.err().expect("the socket is taken").to_string();
    assert!(error.contains("--socket") && error.contains("another process"), "{error}");
    node.stop().unwrap();
    assert!(!path.exists());
}

/// Whatever the modes of the file say, the node looks at who connects.
#[test]
fn another_user_is_refused_at_the_socket() {
    if !rustix::process::geteuid().is_root() {
        let told =
            "\nSKIPPED: to be another user one has to be root; this test shows nothing here\n";
        let _ = std::io::stderr().lock().write_all(told.as_bytes());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let node = Node::start(Options { socket: Some(path.clone()), ..options() }).unwrap();
    set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let nobody = Uid::from_raw(65534);
    let refused = std::thread::scope(|scope| {
        let as_nobody = || {
            // Of this thread alone.
            set_thread_res_uid(nobody, nobody, nobody).unwrap();
            ping(&path)
        };
        scope.spawn(as_nobody).join().unwrap()
    });
    assert_eq!(refused, "");
    assert!(ping(&path).starts_with("HTTP/1.1 200"), "its own user is served");
    node.stop().unwrap();
}
