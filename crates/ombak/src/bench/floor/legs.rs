//! How long the messages of an operation are.

use super::super::frames::{Frames, Kind, Operation};
use super::super::options::BenchArgs;
use super::pipe::HEADER_BYTES;

/// Kinds of frames. What a client asks is passed on to the other replicas under the same kind.
pub(super) const PUT: u8 = 0;
pub(super) const GET: u8 = 1;
/// An acknowledgement, or an answer to a client.
pub(super) const DONE: u8 = 2;

/// What Ombak's nodes say to each other and to clients, in bytes beyond those of a value, as counted on their
/// connections.
const COPY_MORE_BYTES: usize = 205;
const ASK_BYTES: usize = 100;
const ACK_BYTES: usize = 20;
const VALUE_MORE_BYTES: usize = 120;

/// Bytes of what a node sends: to each other replica, back to the coordinator, and to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Legs {
    pub copy: usize,
    pub ack: usize,
    pub answer: usize,
}

impl Legs {
    /// Of an operation of `kind`.
    pub(super) fn of(kind: u8, value_bytes: usize) -> Legs {
        match kind {
            PUT => {
                Legs { copy: value_bytes + COPY_MORE_BYTES, ack: ACK_BYTES, answer: HEADER_BYTES }
            }
            // The coordinator has the value; the others say that theirs is the same.
            _ => Legs { copy: ASK_BYTES, ack: ACK_BYTES, answer: value_bytes + VALUE_MORE_BYTES },
        }
    }
}

/// A client's requests in the proportion of the options, each as long as the real one.
pub(super) fn requests(args: &BenchArgs) -> Vec<Vec<u8>> {
    let mut frames = Frames::new(args);
    let mut frame = |kind, code| {
        let mut frame = Vec::new();
        frames.append(Operation { kind, key: 0 }, &mut frame);
        frame[HEADER_BYTES - 1] = code;
        frame
    };
    let (get, put) = (frame(Kind::Get, GET), frame(Kind::Put, PUT));
    let gets = usize::from(args.gets);
    // Spread evenly: 50 % is one after the other.
    let is_get = |at: usize| (at + 1) * gets / 100 > at * gets / 100;
    (0..100).map(|at| if is_get(at) { get.clone() } else { put.clone() }).collect()
}
