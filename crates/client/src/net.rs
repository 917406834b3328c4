//! What the client asks of the world: connections, time, tasks, chance. Production is tokio; the model test is a
//! scheduler with a clock of its own.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ombak_base::{ClientId, Event, Tick};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::pool::{Message, Pool, Reply};

/// What a pool was told, and what it has said, in this order.
#[cfg_attr(not(test), expect(dead_code, reason = "production does not look"))]
#[derive(Clone, Debug)]
pub(crate) enum Seen<'a> {
    Event(&'a Event<Pool>),
    Reply(ClientId, Reply),
    Message(Message),
}

/// The world. A clone is the same world.
pub(crate) trait Net: Clone + Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a connection to `addr`, a host and a port.
    fn connect(&self, addr: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// The time.
    fn now(&self) -> Tick;
    /// Waits.
    fn sleep_until(&self, at: Tick) -> impl Future<Output = ()> + Send;
    /// Runs a task of the client's own until it ends.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
    /// A number below `n`, which is at least 1.
    fn choose(&self, n: u64) -> u64;
    /// For a test that compares with a model.
    fn saw(&self, _addr: &str, _now: Tick, _seen: Seen<'_>) {}
}

/// Waits for `future` until `at`; `None` if it took longer.
pub(crate) async fn within<T>(
    net: &impl Net,
    at: Tick,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = net.sleep_until(at) => None,
    }
}

/// tokio's sockets, timers and tasks.
#[derive(Clone)]
pub(crate) struct TokioNet {
    /// Kept, because a lease may be dropped on a thread that has no runtime.
    runtime: Handle,
    start: Instant,
    random: Arc<AtomicU64>,
}

impl TokioNet {
    /// The world of the runtime that this is called in. Panics outside of one.
    pub fn new() -> TokioNet {
        let seed = RandomState::new().build_hasher().finish();
        let random = Arc::new(AtomicU64::new(seed));
        TokioNet { runtime: Handle::current(), start: Instant::now(), random }
    }
}

impl Net for TokioNet {
    type Stream = TcpStream;

    async fn connect(&self, addr: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn now(&self) -> Tick {
        Tick(self.start.elapsed().as_micros() as u64)
    }

    async fn sleep_until(&self, at: Tick) {
        tokio::time::sleep_until(self.start + Duration::from_micros(at.0)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Splitmix64: good enough to keep clients out of step.
    fn choose(&self, n: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}
