//! The thread that speaks HTTP.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ombak_runtime::{RuntimeError, Stopper};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Site;
use crate::socket::{self, Socket};

const THREAD: &str = "ombak-http";
/// Connections; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// All headers of a request, with the keys in its path.
const HEAD_BYTES_MAX: usize = 512 * 1024;
/// Connections that have not ended so long after a stop are cut.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often what the node counts is noted.
const READING_EVERY: Duration = Duration::from_secs(1);
/// After a failed accept (no more files, say), so that the thread does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The running thread. Dropping it stops it.
pub(crate) struct HttpThread {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<(), RuntimeError>>>,
}

impl HttpThread {
    /// Serves on a bound port. If the thread panics, the whole node is stopped: half a node would confuse everyone.
    pub fn start(
        listener: StdListener,
        socket: Option<Socket>,
        site: Site,
        node: Stopper,
    ) -> io::Result<HttpThread> {
        listener.set_nonblocking(true)?;
        if let Some(socket) = &socket {
            socket.listener.set_nonblocking(true)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let body = move || {
            let serving =
                AssertUnwindSafe(|| runtime.block_on(run(listener, socket, site, stopped)));
            let ended = catch_unwind(serving).unwrap_or_else(|panic| Err(panicked(&panic)));
            if let Err(error) = &ended {
                tracing::error!(%error, "the node goes down");
            }
            node.stop();
            ended
        };
        let thread = thread::Builder::new().name(THREAD.into()).spawn(body)?;
        Ok(HttpThread { stop, thread: Some(thread) })
    }

    /// Ends it, and says whether it had failed.
    pub fn end(mut self) -> Result<(), RuntimeError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), RuntimeError> {
        self.stop.send_replace(true);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| Err(panicked(&panic)))
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        // Its failure was logged when it happened.
        let _ = self.join();
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> RuntimeError {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = message.unwrap_or_else(|| "(no message)".into());
    RuntimeError::Panicked { thread: THREAD.into(), message }
}

async fn run(
    listener: StdListener,
    socket: Option<Socket>,
    site: Site,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), RuntimeError> {
    let listening = |source| RuntimeError::Io { what: "listening for HTTP", source };
    let doors = Doors::new(listener, socket).map_err(listening)?;
    let (site, room) = (Arc::new(site), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut connections = JoinSet::new();
    let mut seconds = tokio::time::interval(READING_EVERY);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            accepted = doors.accept(&room) => accepted,
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => continue,
            _ = seconds.tick() => {
                site.note();
                continue;
            }
        };
        if let Some((stream, permit)) = accepted {
            let (site, stopped) = (site.clone(), stopped.clone());
            connections.spawn(async move {
                match stream {
                    Stream::Tcp(stream) => connection(stream, site, stopped).await,
                    Stream::Unix(stream) => connection(stream, site, stopped).await,
                }
                drop(permit);
            });
        }
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Those that are left are cut when the set is dropped.
    let _ = tokio::time::timeout(STOP_TIMEOUT, all_ended).await;
    Ok(())
}

/// Waits for the stop, or for the end of whoever could have told of it.
async fn told(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Where clients come in.
struct Doors {
    tcp: TcpListener,
    unix: Option<UnixListener>,
    /// Its file is taken away when nobody listens any more.
    _socket: Option<Socket>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Doors {
    fn new(tcp: StdListener, socket: Option<Socket>) -> io::Result<Doors> {
        let unix = socket.as_ref().map(|socket| socket.listener.try_clone()).transpose()?;
        Ok(Doors {
            tcp: TcpListener::from_std(tcp)?,
            unix: unix.map(UnixListener::from_std).transpose()?,
            _socket: socket,
        })
    }

    async fn accept(&self, room: &Arc<Semaphore>) -> Option<(Stream, OwnedSemaphorePermit)> {
        let permit = room.clone().acquire_owned().await.ok()?;
        let accepted = tokio::select! {
            accepted = self.tcp.accept() => accepted.map(|(stream, _)| {
                // Without it, small answers wait for the client's acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }),
            accepted = accept_unix(self.unix.as_ref()) => accepted.map(Stream::Unix),
        };
        match accepted {
            Ok(stream) => Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Somebody who may speak. Without a socket: never.
async fn accept_unix(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        let (stream, _) = listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        if socket::may_speak(uid) {
            return Ok(stream);
        }
        tracing::warn!(uid, "another user was refused at the socket");
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Arc<Site>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.serve(request).await) }
    });
    let mut http = http1::Builder::new();
    // The time counts from the last answer, so a connection without requests ends by it as well.
    http.timer(TokioTimer::new()).header_read_timeout(site.patience).max_buf_size(HEAD_BYTES_MAX);
    // A client that has said all that it will say still wants its answers.
    http.title_case_headers(true).half_close(true);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}
