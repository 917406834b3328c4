//! Nodes, and the connections to them.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use ombak_base::Tick;
use ombak_sim::Rng;
use ombak_wire::{
    OmbakRow, OmbakRowsResp, Request, Response, RpbContent, RpbGetResp, RpbPutResp, split_frame,
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::Notify;

use super::rules::Rules;
use super::scheduler::{Handle, Sleep};
use crate::net::{Net, Seen};
use crate::pool::PoolOptions;

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mood {
    #[default]
    Well,
    /// Nobody listens.
    Down,
    /// Connections are accepted and nothing is answered.
    Silent,
    /// Answers end in the middle, and so do their connections.
    Torn,
    /// Everything is refused: `overload`.
    Busy,
    /// Connections are closed as soon as they are accepted.
    Full,
}

/// What becomes of the connections that a node has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// They are closed.
    Closed,
    /// The node forgets them, and nobody tells the client.
    Forgotten,
}

#[derive(Default)]
struct Server {
    mood: Mood,
    ending: Option<End>,
    /// Goes up when all connections of before end.
    generation: u64,
    ended: Arc<Notify>,
    live: usize,
    rules: Option<Rules>,
    /// How often each key was written.
    puts: BTreeMap<Bytes, u32>,
    /// Gets and puts that arrived.
    requests: u64,
}

struct World {
    rng: Rng,
    servers: BTreeMap<String, Server>,
}

/// The net of the model test.
#[derive(Clone)]
pub struct FakeNet {
    pub handle: Handle,
    world: Arc<Mutex<World>>,
}

impl FakeNet {
    pub fn new(rng: Rng) -> FakeNet {
        let world = World { rng, servers: BTreeMap::new() };
        FakeNet { handle: Handle::default(), world: Arc::new(Mutex::new(world)) }
    }

    fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn server<T>(&self, addr: &str, f: impl FnOnce(&mut Server) -> T) -> T {
        self.with(|world| f(world.servers.entry(addr.into()).or_default()))
    }

    /// From now on the pool of this node is compared with a model.
    pub fn watch(&self, addr: &str, options: PoolOptions) {
        self.server(addr, |server| server.rules = Some(Rules::new(options)));
    }

    pub fn set_mood(&self, addr: &str, mood: Mood) {
        self.server(addr, |server| server.mood = mood);
    }

    /// Ends all connections of a node.
    pub fn end(&self, addr: &str, how: End) {
        let ended = self.server(addr, |server| {
            server.ending = Some(how);
            server.generation += 1;
            server.ended.clone()
        });
        ended.notify_waiters();
    }

    /// The first rule that was broken.
    pub fn broken(&self) -> Option<(&'static str, String)> {
        self.with(|world| {
            let broken =
                |server: &Server| server.rules.as_ref().and_then(|rules| rules.broken.clone());
            world.servers.values().find_map(broken)
        })
    }

    pub fn time_passed(&self, now: Tick) {
        self.with(|world| {
            let rules = world.servers.values_mut().filter_map(|server| server.rules.as_mut());
            rules.for_each(|rules| rules.time_passed(now));
        });
    }

    /// Connections that the client has, those included that are being opened.
    pub fn live(&self, addr: &str) -> usize {
        self.server(addr, |server| server.live)
    }

    /// What the model holds to be lent or waiting.
    pub fn unsettled(&self, addr: &str) -> usize {
        self.server(addr, |server| server.rules.as_ref().map_or(0, Rules::unsettled))
    }

    /// How often the key was written, on all nodes.
    pub fn puts(&self, key: &[u8]) -> u32 {
        self.with(|world| world.servers.values().filter_map(|server| server.puts.get(key)).sum())
    }

    pub fn requests(&self) -> u64 {
        self.with(|world| world.servers.values().map(|server| server.requests).sum())
    }

    fn below(&self, n: u64) -> u64 {
        self.with(|world| world.rng.below(n))
    }

    async fn pause(&self, ms: u64) {
        self.handle.sleep_until(self.handle.now().plus_ms(ms)).await;
    }
}

impl Net for FakeNet {
    type Stream = FakeStream;

    fn connect(&self, addr: &str) -> impl Future<Output = io::Result<FakeStream>> + Send {
        let (net, addr) = (self.clone(), addr.to_string());
        let live = Live::new(&net, &addr);
        async move {
            net.pause(net.below(8)).await;
            match net.server(&addr, |server| server.mood) {
                Mood::Down => return Err(io::ErrorKind::ConnectionRefused.into()),
                // One that does not even accept.
                Mood::Silent if net.below(2) == 0 => pending().await,
                _ => {}
            }
            let (ours, theirs) = duplex(1 + net.below(64) as usize);
            let closed = Arc::new(AtomicBool::new(false));
            net.handle.spawn(serve(net.clone(), addr, theirs, closed.clone()));
            Ok(FakeStream { inner: ours, closed, _live: live })
        }
    }

    fn now(&self) -> Tick {
        self.handle.now()
    }

    fn sleep_until(&self, at: Tick) -> impl Future<Output = ()> + Send {
        let sleep: Sleep = self.handle.sleep_until(at);
        sleep
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    fn choose(&self, n: u64) -> u64 {
        self.below(n)
    }

    fn saw(&self, addr: &str, now: Tick, seen: Seen<'_>) {
        self.server(addr, |server| {
            if let Some(rules) = &mut server.rules {
                rules.saw(now, seen);
            }
        });
    }
}

/// Counts a connection for as long as the client holds it.
struct Live {
    net: FakeNet,
    addr: String,
}

impl Live {
    fn new(net: &FakeNet, addr: &str) -> Live {
        net.server(addr, |server| {
            server.live += 1;
            let live = server.live;
            if let Some(rules) = &mut server.rules {
                rules.count_sockets(live);
            }
        });
        Live { net: net.clone(), addr: addr.into() }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.net.server(&self.addr, |server| server.live -= 1);
    }
}

/// The client's end of a connection.
pub struct FakeStream {
    inner: DuplexStream,
    closed: Arc<AtomicBool>,
    _live: Live,
}

impl FakeStream {
    /// Whether the node has closed it.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl AsyncRead for FakeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for FakeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A node's end of a connection, until either side ends it.
async fn serve(net: FakeNet, addr: String, mut stream: DuplexStream, closed: Arc<AtomicBool>) {
    let (generation, ended) = net.server(&addr, |server| (server.generation, server.ended.clone()));
    let over = ended.notified();
    if net.server(&addr, |server| server.generation) == generation {
        tokio::select! {
            biased;
            () = over => {}
            () = answer_all(&net, &addr, &mut stream) => return closed.store(true, Ordering::Relaxed),
        }
    }
    if net.server(&addr, |server| server.ending) == Some(End::Forgotten) {
        pending::<()>().await;
    }
    closed.store(true, Ordering::Relaxed);
}

async fn answer_all(net: &FakeNet, addr: &str, stream: &mut DuplexStream) {
    if net.server(addr, |server| server.mood) == Mood::Full {
        return;
    }
    let mut input = BytesMut::new();
    loop {
        while let Ok(Some((code, body))) = split_frame(&mut input) {
            let Ok(request) = Request::decode(code, body) else { return };
            let names: Vec<String> = net.with(|world| world.servers.keys().cloned().collect());
            net.pause(net.below(6)).await;
            let mood = net.server(addr, |server| server.mood);
            let mut frame = Vec::new();
            net.server(addr, |server| server.answer(request, addr, &names))
                .encode_frame(&mut frame);
            match mood {
                Mood::Silent => pending().await,
                Mood::Torn => {
                    let part = net.below(frame.len() as u64) as usize;
                    let _ = stream.write_all(&frame[..part]).await;
                    return;
                }
                _ if stream.write_all(&frame).await.is_err() => return,
                _ => {}
            }
        }
        if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

impl Server {
    /// A key's value is the key, so that each answer tells whose it is.
    fn answer(&mut self, request: Request, addr: &str, names: &[String]) -> Response {
        self.requests += u64::from(matches!(request, Request::Get(_) | Request::Put(_)));
        match request {
            Request::Ping => Response::Ping,
            _ if self.mood == Mood::Busy => Response::error("overload"),
            Request::Get(get) => {
                let content = RpbContent { value: get.key, ..RpbContent::default() };
                Response::Get(RpbGetResp { content: vec![content], ..RpbGetResp::default() })
            }
            Request::Put(put) => {
                *self.puts.entry(put.key.unwrap_or_default()).or_default() += 1;
                Response::Put(RpbPutResp::default())
            }
            Request::Rows => Response::Rows(rows(addr, names)),
            other => Response::error(format!("Unknown message code: {}", other.code())),
        }
    }
}

/// Every node owns every partition, and is the first owner of some.
fn rows(addr: &str, names: &[String]) -> OmbakRowsResp {
    let nodes = names.len() as u32;
    let row = |first: u32| (0..nodes).map(|at| (first + at) % nodes).collect();
    OmbakRowsResp {
        epoch: Some(1),
        ring_size: Some(4),
        members: names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect(),
        node: names.iter().position(|name| name == addr).map(|at| at as u32),
        rows: (0..4).map(|first| OmbakRow { owners: row(first) }).collect(),
    }
}
