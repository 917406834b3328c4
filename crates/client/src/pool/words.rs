//! What the pool hears and says. See [`Pool`](super::Pool).

use bytes::Bytes;
use ombak_base::{Address, ClientId, DecodeError, NodeId, Reader, ShardId, Tick, Wire, put_varint};

/// The other end of the pool's messages: whoever opens, checks and closes connections.
pub const CONNECTOR: Address = Address { node: NodeId(0), shard: ShardId(0) };

/// One connection, from the attempt to open it on. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ConnId(pub u64);

/// What a caller asks of the pool. Each checkout has a [`ClientId`] of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// A connection, please. [`Event::Gone`](ombak_base::Event::Gone) takes it back, also when it is granted already.
    Checkout {
        /// How long the caller waits.
        within_ms: u64,
    },
    /// Here is the connection that was granted to this client.
    CheckIn {
        /// Which.
        conn: ConnId,
        /// In which state.
        how: Returned,
    },
    /// No more of this: everything is closed, what is lent as it comes back.
    End,
}

/// The state in which a connection comes back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Returned {
    /// Every answer was read to its end. The next may have it. It also says that the node is alive.
    Clean,
    /// The caller left in the middle of an exchange, or the connection was found closed before it was used. It cannot be
    /// used again, and the node is not to blame.
    Cut,
    /// The node broke the connection, or did not answer.
    Broken,
}

/// The pool's answer to a checkout. Exactly one comes, unless the caller leaves before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// The connection is the caller's until it is checked in.
    Granted(ConnId),
    /// There is none.
    Refused(Refusal),
}

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// None became free within the time.
    TimedOut,
    /// Too many callers wait already.
    Full,
    /// The node cannot be reached. The pool tries again at this time, when somebody asks.
    Down(Tick),
    /// The pool has ended.
    Ended,
}

/// What the pool says to the connector, and hears from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// Open a connection; answer with `Connected` or `Failed` within that time.
    Connect(ConnId, u64),
    /// Ask the node on this connection whether it is there; answer with `Checked` within that time.
    Check(ConnId, u64),
    /// Close it. There is no answer.
    Close(ConnId),
    /// It is open.
    Connected(ConnId),
    /// It could not be opened.
    Failed(ConnId),
    /// Whether the node has answered. If not, the connector has closed it.
    Checked(ConnId, bool),
}

/// The pool's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// A caller has waited long enough.
    Checkout(ClientId),
    /// The node may be tried again.
    Retry,
    /// A connection has idled long enough.
    Idle,
}

/// A pool and its connector live in one process. The encoding is here because a machine's messages must be able to
/// travel: a simulator may put the two on different nodes.
impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, conn, number) = match *self {
            Message::Connect(conn, within_ms) => (0, conn, within_ms),
            Message::Check(conn, within_ms) => (1, conn, within_ms),
            Message::Close(conn) => (2, conn, 0),
            Message::Connected(conn) => (3, conn, 0),
            Message::Failed(conn) => (4, conn, 0),
            Message::Checked(conn, alive) => (5, conn, u64::from(alive)),
        };
        out.push(tag);
        put_varint(out, conn.0);
        put_varint(out, number);
    }

    fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (tag, conn, number) = (reader.u8()?, ConnId(reader.varint()?), reader.varint()?);
        reader.finish()?;
        match (tag, number) {
            (0, within_ms) => Ok(Message::Connect(conn, within_ms)),
            (1, within_ms) => Ok(Message::Check(conn, within_ms)),
            (2, 0) => Ok(Message::Close(conn)),
            (3, 0) => Ok(Message::Connected(conn)),
            (4, 0) => Ok(Message::Failed(conn)),
            (5, alive @ (0 | 1)) => Ok(Message::Checked(conn, alive == 1)),
            _ => Err(DecodeError::Invalid("message of a pool")),
        }
    }
}
