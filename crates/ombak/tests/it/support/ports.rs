//! Ports that nobody else takes while a test runs.
//!
//! A node must know its ports and its peers' before any of them runs, so port 0 does not do. Ports are taken in blocks
//! below the range that systems give out by themselves; the first port of a block is held bound as long as the test
//! runs, which keeps other test processes away from the rest.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU16, Ordering};

use super::process::FORKS;

const FIRST: u16 = 12_000;
const BLOCK: u16 = 50;
const BLOCKS: u16 = 400;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A block of ports; ours until it is dropped.
pub struct Ports {
    base: u16,
    _guard: TcpListener,
}

impl Ports {
    /// A block of which every port is free now.
    pub fn take() -> Ports {
        let offset = (std::process::id() as u16).wrapping_mul(7);
        for _ in 0..BLOCKS {
            let block = offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
            if let Some(ports) = Ports::try_block(FIRST + block * BLOCK) {
                return ports;
            }
        }
        panic!("no block of {BLOCK} ports is free");
    }

    /// Takes one of the ports.
    pub fn hold(&self, number: u16) -> TcpListener {
        TcpListener::bind(self.address(number)).unwrap()
    }

    /// What is tried here is free again when this returns: no child that is just starting holds it.
    fn try_block(base: u16) -> Option<Ports> {
        let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = TcpListener::bind(local(base)).ok()?;
        let all: Result<Vec<_>, _> =
            (base + 1..base + BLOCK).map(|port| TcpListener::bind(local(port))).collect();
        all.ok().map(|_| Ports { base, _guard: guard })
    }

    /// The port with this number, from 1.
    pub fn port(&self, number: u16) -> u16 {
        assert!((1..BLOCK).contains(&number));
        self.base + number
    }

    /// Its address.
    pub fn address(&self, number: u16) -> SocketAddr {
        local(self.port(number))
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
