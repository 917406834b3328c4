//! What all sockets of an event loop share: tokens, readiness, options.

use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use crate::slab::{Key, Slab};

/// What a token names. It fits the top byte of a token; the rest is an index and 24 bits of its generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Bell,
    Client,
    Peer,
    Link,
    Greeting,
    FaceDoor,
    PeerDoor,
}

const KINDS: [Kind; 7] = [
    Kind::Bell,
    Kind::Client,
    Kind::Peer,
    Kind::Link,
    Kind::Greeting,
    Kind::FaceDoor,
    Kind::PeerDoor,
];
const GENERATION_MASK: u64 = 0xff_ffff;
const NAME_MASK: u64 = (1 << 56) - 1;

pub(crate) fn token(kind: Kind, name: u64) -> usize {
    ((kind as u64) << 56 | name & NAME_MASK) as usize
}

pub(crate) fn parse_token(token: usize) -> Option<(Kind, u64)> {
    let token = token as u64;
    let kind = *KINDS.get((token >> 56) as usize)?;
    Some((kind, token & NAME_MASK))
}

/// Finds what a token's name stands for, unless that has gone and something else has taken its place.
pub(crate) fn find<T>(slab: &Slab<T>, name: u64) -> Option<Key> {
    let key = slab.current(name as u32)?;
    (u64::from(key.generation) & GENERATION_MASK == name >> 32).then_some(key)
}

/// What a poll said about one socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness {
    pub readable: bool,
    pub writable: bool,
    /// The other side has closed, or the connection broke: read to the end, however short the reads.
    pub closed: bool,
}

impl Readiness {
    pub fn of(event: &Event) -> Readiness {
        let closed = event.is_read_closed() || event.is_error();
        Readiness { readable: event.is_readable() || closed, writable: event.is_writable(), closed }
    }
}

/// Small frames leave at once: a turn's frames are written together already.
pub(crate) fn tune(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
}

/// For peers, also find out soon that the network between us swallows everything: neither side would ever hear of
/// it otherwise, and retransmission would back off for minutes.
pub(crate) fn tune_peer(stream: &TcpStream, silence_ms: u64) {
    tune(stream);
    let silence = Duration::from_millis(silence_ms);
    let socket = SockRef::from(stream);
    let probe = (silence / 4).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(silence / 2).with_interval(probe).with_retries(2);
    let set = socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_user_timeout(Some(silence)));
    if let Err(error) = set {
        tracing::debug!(%error, "keepalive was refused");
    }
}
