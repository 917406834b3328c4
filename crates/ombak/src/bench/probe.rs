//! A word with each server before the load: does it speak Riak's protocol, and what does it say of itself?

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ombak_wire::{Request, Response, RpbGetBucketReq, answer_missing, split_answer};
use serde::Serialize;

use super::BenchError;
use super::options::BenchArgs;

const PATIENCE: Duration = Duration::from_secs(5);
/// Answers here are short; a large buffer is not taken on a stranger's word.
const READ_BYTES: usize = 4096;

/// What a server says of itself and of the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ServerFacts {
    /// The address that was asked.
    pub address: String,
    /// Its node name.
    pub node: String,
    /// Its version.
    pub version: String,
    /// Replicas of the bucket, if the server tells.
    pub n_val: Option<u32>,
    /// Whether concurrent puts pile up as siblings. Puts of this benchmark carry no causal context.
    pub allow_mult: Option<bool>,
}

/// The first address that a name stands for.
pub(super) fn resolve(name: &str) -> Result<SocketAddr, BenchError> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
    name.to_socket_addrs()
        .and_then(|mut found| found.next().ok_or_else(none))
        .map_err(|error| BenchError::Address(name.to_owned(), error))
}

/// Asks one server.
pub(super) fn ask(address: SocketAddr, args: &BenchArgs) -> Result<ServerFacts, BenchError> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .map_err(|error| BenchError::Connect(address.to_string(), error))?;
    let mut line = Line { address, stream, input: BytesMut::new() };
    let info = line.call(&Request::GetServerInfo)?;
    let Response::GetServerInfo(info) = info else {
        return Err(line.strange("no server info"));
    };
    let mut facts = ServerFacts {
        address: address.to_string(),
        node: text(info.node),
        version: text(info.server_version),
        ..ServerFacts::default()
    };
    match line.call(&bucket_request(args))? {
        Response::GetBucket(answer) => {
            let props = answer.props.unwrap_or_default();
            (facts.n_val, facts.allow_mult) = (props.n_val, props.allow_mult);
        }
        // Without a type there is always a bucket; a server that does not tell its properties may still be measured.
        Response::Error(error) if args.bucket_type.is_some() => {
            return Err(BenchError::Refused(address.to_string(), text(error.errmsg)));
        }
        _ => {}
    }
    Ok(facts)
}

fn bucket_request(args: &BenchArgs) -> Request {
    Request::GetBucket(RpbGetBucketReq {
        bucket: Some(Bytes::from(args.bucket.clone())),
        bucket_type: args.bucket_type.clone().map(Bytes::from),
    })
}

fn text(bytes: Option<Bytes>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// A blocking connection for a question or two.
struct Line {
    address: SocketAddr,
    stream: TcpStream,
    input: BytesMut,
}

impl Line {
    fn strange(&self, what: impl ToString) -> BenchError {
        BenchError::NotRiak(self.address.to_string(), what.to_string())
    }

    fn call(&mut self, request: &Request) -> Result<Response, BenchError> {
        let (code, body) = self.exchange(request).map_err(|error| self.strange(error))?;
        Response::decode(code, body).map_err(|error| self.strange(error))
    }

    fn exchange(&mut self, request: &Request) -> io::Result<(u8, Bytes)> {
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let mut out = Vec::new();
        request.encode_frame(&mut out);
        self.stream.write_all(&out)?;
        let mut piece = [0; READ_BYTES];
        loop {
            if let Some(frame) = split_answer(&mut self.input).map_err(io::Error::other)? {
                return Ok(frame);
            }
            let wanted = answer_missing(&self.input).map_err(io::Error::other)?.min(READ_BYTES);
            match self.stream.read(&mut piece[..wanted])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.input.extend_from_slice(&piece[..read]),
            }
        }
    }
}
