//! A small blocking client of Riak's Protocol Buffers protocol.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ombak_wire::{
    Request, Response, RpbBucketProps, RpbContent, RpbDelReq, RpbGetReq, RpbGetResp,
    RpbListKeysReq, RpbPutReq, RpbPutResp, RpbSetBucketReq, answer_missing, split_answer,
};

/// No answer may take longer than this by far; a hang fails the test instead of stopping it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub enum PbError {
    /// The connection broke: whether the request was done is not known.
    Broken(io::Error),
    /// The server says no.
    Refused(String),
}

impl PbError {
    /// The server's words; panics if there are none.
    pub fn text(&self) -> &str {
        match self {
            PbError::Refused(text) => text,
            PbError::Broken(error) => panic!("the connection broke: {error}"),
        }
    }
}

/// One connection.
pub struct Pb {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Pb {
    pub fn connect(address: SocketAddr) -> io::Result<Pb> {
        Pb::connect_patient(address, PATIENCE)
    }

    /// A connection on which no answer may take longer than `patience`.
    pub fn connect_patient(address: SocketAddr, patience: Duration) -> io::Result<Pb> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Pb { stream, buffer: BytesMut::new() })
    }

    /// Sends requests back to back.
    pub fn send(&mut self, requests: &[Request]) -> Result<(), PbError> {
        let mut out = Vec::new();
        requests.iter().for_each(|request| request.encode_frame(&mut out));
        self.stream.write_all(&out).map_err(PbError::Broken)
    }

    /// The next answer.
    pub fn receive(&mut self) -> Result<Response, PbError> {
        let bad = |error: String| PbError::Broken(io::Error::other(error));
        loop {
            if let Some((code, body)) =
                split_answer(&mut self.buffer).map_err(|e| bad(e.to_string()))?
            {
                return match Response::decode(code, body).map_err(|e| bad(e.to_string()))? {
                    Response::Error(error) => Err(PbError::Refused(
                        String::from_utf8_lossy(&error.errmsg.unwrap_or_default()).into_owned(),
                    )),
                    response => Ok(response),
                };
            }
            let missing = answer_missing(&self.buffer).map_err(|e| bad(e.to_string()))?;
            let mut chunk = vec![0; missing.clamp(4096, 1 << 20)];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(PbError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                // A machine that was stopped for a moment ends a read that has a timeout.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PbError::Broken(error)),
            }
        }
    }

    pub fn call(&mut self, request: Request) -> Result<Response, PbError> {
        self.send(&[request])?;
        self.receive()
    }

    /// Sends all, at most `depth` at once under way, and takes the answers in their order.
    pub fn pipeline(
        &mut self,
        requests: &[Request],
        depth: usize,
    ) -> Result<Vec<Result<Response, PbError>>, PbError> {
        let mut answers = Vec::with_capacity(requests.len());
        for some in requests.chunks(depth) {
            self.send(some)?;
            for _ in some {
                match self.receive() {
                    Err(PbError::Broken(error)) => return Err(PbError::Broken(error)),
                    answer => answers.push(answer),
                }
            }
        }
        Ok(answers)
    }

    pub fn get(&mut self, request: RpbGetReq) -> Result<RpbGetResp, PbError> {
        self.call(Request::Get(request)).map(found)
    }

    pub fn put(&mut self, request: RpbPutReq) -> Result<RpbPutResp, PbError> {
        match self.call(Request::Put(request))? {
            Response::Put(response) => Ok(response),
            other => panic!("a put was answered with {other:?}"),
        }
    }

    pub fn del(&mut self, request: RpbDelReq) -> Result<(), PbError> {
        match self.call(Request::Del(request))? {
            Response::Del => Ok(()),
            other => panic!("a delete was answered with {other:?}"),
        }
    }

    pub fn allow_mult(&mut self, bucket: &str, allow_mult: bool) -> Result<(), PbError> {
        let props = RpbBucketProps { allow_mult: Some(allow_mult), ..Default::default() };
        let request = RpbSetBucketReq {
            bucket: Some(bytes(bucket)),
            props: Some(Box::new(props)),
            ..Default::default()
        };
        self.call(Request::SetBucket(request)).map(drop)
    }

    /// All keys of a bucket.
    pub fn keys(&mut self, bucket: &str) -> Result<Vec<String>, PbError> {
        let request = RpbListKeysReq { bucket: Some(bytes(bucket)), ..Default::default() };
        self.send(&[Request::ListKeys(request)])?;
        let mut keys = Vec::new();
        loop {
            let Response::ListKeys(part) = self.receive()? else { panic!("no list of keys") };
            keys.extend(part.keys.iter().map(|key| text(key)));
            if part.done == Some(true) {
                return Ok(keys);
            }
        }
    }
}

/// A get's answer.
pub fn found(response: Response) -> RpbGetResp {
    match response {
        Response::Get(response) => response,
        other => panic!("a get was answered with {other:?}"),
    }
}

/// The values of an answer, in no order.
pub fn values(response: &RpbGetResp) -> Vec<String> {
    let values = response.content.iter().filter(|content| content.deleted != Some(true));
    let mut values: Vec<String> =
        values.map(|content| text(content.value.as_deref().unwrap_or_default())).collect();
    values.sort();
    values
}

pub fn get_req(bucket: &str, key: &str) -> RpbGetReq {
    RpbGetReq { bucket: Some(bytes(bucket)), key: Some(bytes(key)), ..Default::default() }
}

pub fn put_req(bucket: &str, key: &str, value: &str) -> RpbPutReq {
    let content = RpbContent { value: Some(bytes(value)), ..Default::default() };
    RpbPutReq {
        bucket: Some(bytes(bucket)),
        key: Some(bytes(key)),
        content: Some(content),
        ..Default::default()
    }
}

pub fn del_req(bucket: &str, key: &str) -> RpbDelReq {
    RpbDelReq { bucket: Some(bytes(bucket)), key: Some(bytes(key)), ..Default::default() }
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
