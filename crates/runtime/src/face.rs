//! What a client protocol implements to be spoken by a node.

use std::fmt::Debug;

use bytes::BytesMut;
use ombak_base::Machine;

use crate::meters::Outcome;

/// A protocol that clients speak on a TCP connection, such as Riak's Protocol Buffers. Every shard has its own clone
/// and calls it on its own thread; a connection stays on the shard that it was given to.
///
/// # Who calls what, when
///
/// [`open`](Face::open) once per accepted connection. [`receive`](Face::receive) whenever bytes have arrived, and
/// again with what it left over once [`may_read`](Face::may_read) has become true. [`answer`](Face::answer) once per
/// [`Effects::reply`](ombak_base::Effects::reply) to a request of this connection, until it has said that the request
/// is over. `may_read` after each of both. When the client goes away the connection is dropped, and the machine
/// gets [`Event::Gone`](ombak_base::Event::Gone) for each request that was not over.
pub trait Face<M: Machine>: Clone + Send + 'static {
    /// What is remembered per connection: decoder, slots given out, answers that must wait for earlier ones.
    type Connection: Send + 'static;

    /// A client has connected.
    fn open(&self) -> Self::Connection;

    /// Takes whole frames from the front of `input` and says what to ask of the machine; may also answer at once
    /// through `out.bytes`. What it leaves in `input` is offered again with more behind it. It must bound what it
    /// waits for: it sees a frame's length first. After `Err(Close)` what is in the output is sent, then the
    /// connection closes; requests that are not over are [`Gone`](ombak_base::Event::Gone).
    fn receive(
        &self,
        connection: &mut Self::Connection,
        input: &mut BytesMut,
        out: &mut Requests<'_, M>,
    ) -> Result<(), Close>;

    /// Writes a part of the answer to the request that was given `slot`, or keeps it until earlier slots are
    /// answered where the protocol wants that order. May also release requests that `receive` held back.
    fn answer(
        &self,
        connection: &mut Self::Connection,
        slot: u64,
        reply: M::Reply,
        out: &mut Requests<'_, M>,
    ) -> Answer;

    /// Numbers the kind of operation, below [`OPERATIONS_MAX`](crate::OPERATIONS_MAX): each is measured apart.
    fn operation(request: &M::Request) -> u8 {
        let _ = request;
        0
    }

    /// What a log calls a kind of operation.
    fn operation_name(operation: u8) -> &'static str {
        let _ = operation;
        "request"
    }

    /// What is counted of an answer, or of the last part of one.
    fn outcome(reply: &M::Reply) -> Outcome {
        let _ = reply;
        Outcome::default()
    }

    /// The connection's input is given up, in the middle of a frame: says so in the protocol's way. As for
    /// [`receive`](Face::receive), after `Err(Close)` the connection closes; after `Ok` it is not read any more, and
    /// the face closes it with the last answer.
    fn refuse(
        &self,
        connection: &mut Self::Connection,
        why: Refusal,
        out: &mut Requests<'_, M>,
    ) -> Result<(), Close> {
        let _ = (connection, why, out);
        Err(Close)
    }

    /// Whether more may be read from this connection. Here a protocol bounds what is outstanding.
    fn may_read(&self, connection: &Self::Connection) -> bool {
        let _ = connection;
        true
    }
}

/// Why a connection's unfinished input is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// All connections of the shard together hold too much of it.
    TooMuch,
    /// The rest does not come.
    TooSlow,
}

/// The connection is to be closed once its output is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close;

/// How a request stands after a part of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is over.
    Last,
    /// More parts will come: the machine gets [`Event::More`](ombak_base::Event::More) once little output waits.
    More,
    /// It is over before its time: the machine gets [`Event::Gone`](ombak_base::Event::Gone).
    Stop,
    /// It is over, and so is the connection.
    Close,
}

/// Where a face writes.
#[derive(Debug)]
pub struct Requests<'a, M: Machine> {
    /// The connection's output. To be appended to, nothing else.
    pub bytes: &'a mut Vec<u8>,
    asked: &'a mut Vec<(u64, M::Request)>,
}

impl<'a, M: Machine> Requests<'a, M> {
    /// For the runtime, and for tests of a face without a runtime.
    pub fn new(bytes: &'a mut Vec<u8>, asked: &'a mut Vec<(u64, M::Request)>) -> Self {
        Requests { bytes, asked }
    }

    /// Asks the machine. `slot` is the face's own name for the request; its answers come with it.
    pub fn request(&mut self, slot: u64, request: M::Request) {
        self.asked.push((slot, request));
    }
}

/// For nodes that no client connects to over the runtime's sockets.
#[derive(Clone, Copy, Debug)]
pub enum NoFace {}

impl<M: Machine> Face<M> for NoFace {
    type Connection = ();

    fn open(&self) {}

    fn receive(&self, _: &mut (), _: &mut BytesMut, _: &mut Requests<'_, M>) -> Result<(), Close> {
        Err(Close)
    }

    fn answer(&self, _: &mut (), _: u64, _: M::Reply, _: &mut Requests<'_, M>) -> Answer {
        Answer::Close
    }
}
