//! Connections from peers, incoming half: what other nodes send to this shard, or through it to its neighbours.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use ombak_base::Address;

use crate::frames::Assembler;
use crate::slab::{Key, Slab};
use crate::sockets::{self, Kind, Readiness};

struct Peer {
    stream: TcpStream,
    /// Who is at the other end; every frame must come from there.
    origin: Address,
    assembler: Assembler,
    closed: bool,
    queued: bool,
}

/// What a read brought.
pub(crate) enum Arrived {
    Nothing,
    /// So many bytes in the scratch buffer, to be cut by [`Peers::take_assembler`].
    Bytes(usize),
    /// The end, and why.
    End(String),
}

#[derive(Default)]
pub(crate) struct Peers {
    slab: Slab<Peer>,
    by_origin: HashMap<Address, Key>,
    ready: VecDeque<Key>,
}

impl Peers {
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Takes an admitted connection. An older one from the same shard of the same node is closed first, with whatever
    /// lies unread in it: nothing that it carried can arrive after something that the new one carries.
    pub fn adopt(
        &mut self,
        stream: TcpStream,
        origin: Address,
        registry: &Registry,
    ) -> io::Result<()> {
        if let Some(old) = self.by_origin.remove(&origin) {
            self.slab.remove(old);
        }
        let assembler = Assembler::default();
        let key = self.slab.insert(Peer { stream, origin, assembler, closed: false, queued: true });
        self.by_origin.insert(origin, key);
        self.ready.push_back(key);
        let token = Token(sockets::token(Kind::Peer, key.bits()));
        let Some(peer) = self.slab.get_mut(key) else { return Ok(()) };
        registry.register(&mut peer.stream, token, Interest::READABLE)
    }

    pub fn note(&mut self, name: u64, readiness: Readiness) {
        let Some(key) = sockets::find(&self.slab, name) else { return };
        let Some(peer) = self.slab.get_mut(key) else { return };
        peer.closed |= readiness.closed;
        queue(&mut self.ready, peer, key);
    }

    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    pub fn next_ready(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        if let Some(peer) = self.slab.get_mut(key) {
            peer.queued = false;
        }
        Some(key)
    }

    /// One read. More that is there waits for the next turn.
    pub fn read(&mut self, key: Key, scratch: &mut [u8]) -> Arrived {
        let Some(peer) = self.slab.get_mut(key) else { return Arrived::Nothing };
        match peer.stream.read(scratch) {
            Ok(0) => Arrived::End("it closed the connection".into()),
            Ok(n) => {
                // A short read emptied the socket; what comes later is a new edge.
                if n == scratch.len() || peer.closed {
                    queue(&mut self.ready, peer, key);
                }
                Arrived::Bytes(n)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Arrived::Nothing,
            Err(e) if e.kind() == ErrorKind::Interrupted => {
                queue(&mut self.ready, peer, key);
                Arrived::Nothing
            }
            Err(e) => Arrived::End(e.to_string()),
        }
    }

    pub fn take_assembler(&mut self, key: Key) -> Option<(Address, Assembler)> {
        let peer = self.slab.get_mut(key)?;
        Some((peer.origin, std::mem::take(&mut peer.assembler)))
    }

    pub fn put_assembler(&mut self, key: Key, assembler: Assembler) {
        if let Some(peer) = self.slab.get_mut(key) {
            peer.assembler = assembler;
        }
    }

    /// Closes a connection; returns who was at its other end.
    pub fn close(&mut self, key: Key) -> Option<Address> {
        let peer = self.slab.remove(key)?;
        if self.by_origin.get(&peer.origin) == Some(&key) {
            self.by_origin.remove(&peer.origin);
        }
        Some(peer.origin)
    }
}

fn queue(ready: &mut VecDeque<Key>, peer: &mut Peer, key: Key) {
    if !peer.queued {
        peer.queued = true;
        ready.push_back(key);
    }
}
