//! What any bytes at all from a node must satisfy.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use ombak_cluster::hash::key_point;
use ombak_wire::{Request, Response, RpbGetReq};

use crate::client::read_object;
use crate::connection::Connection;
use crate::rows::Rows;

/// Any bytes as the table of who owns what. Whatever is taken yields owners that are addresses.
pub fn rows(input: &[u8]) {
    let Ok(Response::Rows(said)) = Response::decode(241, Bytes::copy_from_slice(input)) else {
        return;
    };
    let mut rows = Rows::default();
    rows.learn(0, said.clone());
    rows.learn(1, said);
    for key in 0u8..32 {
        let owners = rows.owners(&key_point(b"", b"b", &[key]));
        assert!(owners.iter().all(|owner| *owner < 2));
    }
}

/// Any bytes as the answers on a connection. Each frame is an answer or an error; after an error nothing is read, and with
/// something left over the connection is not used again.
pub fn answers(input: &[u8]) {
    let mut connection = Connection::new(tokio::io::join(input, tokio::io::sink()));
    let request = Request::Get(RpbGetReq::default());
    let (key, mut frames) = (Bytes::from_static(b"k"), 0);
    while let Ok(response) = at_once(connection.ask(&request)) {
        frames += 1;
        assert!(!connection.is_clean());
        connection.close_exchange();
        if let Response::Get(got) = response {
            let object = read_object("b".into(), key.clone(), got);
            assert!(object.is_none_or(|object| !object.values().is_empty()));
        }
    }
    assert!(!connection.is_clean());
    assert!(frames <= input.len() / ombak_wire::FRAME_HEADER_BYTES);
}

/// What never waits: reading from memory.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("reading from memory waits"),
    }
}

#[cfg(test)]
mod tests;
