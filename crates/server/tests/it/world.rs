//! A node to test, and a Protocol Buffers client that says exactly what it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ombak_runtime::Limits;
use ombak_server::{Backend, Node, Options};
use ombak_wire::{Request, Response, RpbContent, RpbGetReq, RpbPutReq, split_answer};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node alone, in memory, on ports that the system chooses.
pub fn options() -> Options {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Options {
        backend: Backend::Memory,
        peer_addr: any,
        pb_addr: any,
        http_addr: any,
        ring_size: 16,
        shards: Some(2),
        ..Options::default()
    }
}

pub fn node() -> Node {
    Node::start(options()).unwrap()
}

/// A node of one shard, with other bounds.
pub fn node_with(change: impl FnOnce(&mut Limits)) -> Node {
    let mut options = Options { shards: Some(1), ..options() };
    change(&mut options.limits);
    Node::start(options).unwrap()
}

/// Waits until the node, which has one shard, has read so many bytes from its clients.
pub fn wait_until_read(node: &Node, bytes: u64) {
    let start = Instant::now();
    while node.counters().shards[0].client_bytes_in < bytes {
        assert!(start.elapsed() < PATIENCE, "waited too long for {bytes} bytes to be read");
        std::thread::yield_now();
    }
}

/// A connection of a client.
pub struct Client {
    stream: TcpStream,
    input: BytesMut,
}

impl Client {
    pub fn of(node: &Node) -> Client {
        let stream = TcpStream::connect(node.addresses().pb).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, input: BytesMut::new() }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends requests in one write.
    pub fn send(&mut self, requests: &[Request]) {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| request.encode_frame(&mut bytes));
        self.say(&bytes);
    }

    /// Sends a frame with any code and body.
    pub fn send_frame(&mut self, code: u8, body: &[u8]) {
        let mut bytes = (body.len() as u32 + 1).to_be_bytes().to_vec();
        bytes.push(code);
        bytes.extend_from_slice(body);
        self.say(&bytes);
    }

    /// The next frame; `None` when the node has closed the connection.
    pub fn frame(&mut self) -> Option<(u8, Bytes)> {
        loop {
            if let Some(frame) = split_answer(&mut self.input).unwrap() {
                return Some(frame);
            }
            let mut buffer = [0; 65_536];
            let read = self.stream.read(&mut buffer).unwrap();
            if read == 0 {
                return None;
            }
            self.input.extend_from_slice(&buffer[..read]);
        }
    }

    pub fn receive(&mut self) -> Response {
        let (code, body) = self.frame().expect("an answer");
        Response::decode(code, body).unwrap()
    }

    pub fn ask(&mut self, request: Request) -> Response {
        self.send(&[request]);
        self.receive()
    }

    /// The text of an error.
    pub fn error(&mut self) -> String {
        match self.receive() {
            Response::Error(error) => {
                assert_eq!(error.errcode, Some(0));
                String::from_utf8(error.errmsg.unwrap().to_vec()).unwrap()
            }
            other => panic!("not an error: {other:?}"),
        }
    }

    pub fn is_closed(&mut self) -> bool {
        self.frame().is_none()
    }
}

pub fn get(bucket: &str, key: &str) -> Request {
    Request::Get(RpbGetReq {
        bucket: Some(bytes(bucket)),
        key: Some(bytes(key)),
        ..RpbGetReq::default()
    })
}

pub fn put(bucket: &str, key: &str, value: &str) -> Request {
    Request::Put(put_req(bucket, Some(key), value))
}

pub fn put_req(bucket: &str, key: Option<&str>, value: &str) -> RpbPutReq {
    let content = RpbContent {
        value: Some(bytes(value)),
        content_type: Some(bytes("text/plain")),
        ..RpbContent::default()
    };
    RpbPutReq {
        bucket: Some(bytes(bucket)),
        key: key.map(bytes),
        content: Some(content),
        ..RpbPutReq::default()
    }
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The values that a get found.
pub fn values(response: &Response) -> Vec<Bytes> {
    match response {
        Response::Get(got) => got.content.iter().filter_map(|c| c.value.clone()).collect(),
        other => panic!("not the answer to a get: {other:?}"),
    }
}

/// What an HTTP server said.
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Of a chunked body.
    pub chunks: Vec<Vec<u8>>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f, "{:?}", self.text())
    }
}

/// An HTTP connection that sends exactly what it is told and is kept open.
pub struct Http {
    stream: std::io::BufReader<TcpStream>,
}

impl Http {
    pub fn of(node: &Node) -> Http {
        let stream = TcpStream::connect(node.addresses().http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Http { stream: std::io::BufReader::new(stream) }
    }

    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "PUT" | "POST") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.say(&[head.as_bytes(), body].concat());
        self.answer(method == "HEAD")
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn put(&mut self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[("Content-Type", "text/plain")], body.as_bytes())
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The same to a server that may have closed the connection.
    pub fn try_say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub fn shut(&mut self, how: std::net::Shutdown) {
        self.stream.get_mut().shutdown(how).unwrap();
    }

    /// All that comes until the server closes the connection.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0]).is_ok_and(|read| read == 0)
    }

    pub fn answer(&mut self, head_only: bool) -> Answer {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer =
            Answer { status, headers: Vec::new(), body: Vec::new(), chunks: Vec::new() };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            answer.headers.push((name.to_ascii_lowercase(), value.into()));
        }
        if head_only || status == 204 || status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let length = usize::from_str_radix(&self.line(), 16).unwrap();
                let chunk = self.exactly(length);
                assert_eq!(self.line(), "");
                if length == 0 {
                    answer.body = answer.chunks.concat();
                    return answer;
                }
                answer.chunks.push(chunk);
            }
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = self.exactly(length);
        answer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.stream, &mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the connection has ended in {line:?}");
        line.trim_end().into()
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}
