//! Riak's HTTP interface, and the node's own under `/ombak`.
//!
//! One thread with a tokio runtime of its own speaks HTTP/1.1 and asks the shards through the runtime's
//! [`Handle`]; no `async` reaches them. HTTP is the convenient way in, Protocol Buffers the fast one.
//!
//! | file | subject |
//! |---|---|
//! | `server` | the thread, connections, and how they end |
//! | `route` | which resource a path names, and its methods |
//! | `ask` | questions to the shards, and the parts of a listing |
//! | `object`, `conditions`, `headers`, `links`, `siblings` | one key |
//! | `walk` | from one key to others, along links |
//! | `buckets`, `props` | listings and bucket properties |
//! | `about`, `admin` | ping, the list of resources; status, ring, repair, snapshot, recording |
//! | `locks` | sessions, what they lock, and who holds what |
//! | `measured` | stats, metrics, numbers |
//! | `named` | the request's id, for the answer |
//! | `query`, `accept`, `body`, `reply` | what all of them need |

mod about;
mod accept;
mod admin;
mod ask;
mod body;
mod buckets;
mod conditions;
pub mod fuzz;
mod headers;
mod links;
mod locks;
mod measured;
mod named;
mod object;
mod props;
mod query;
mod registers;
mod reply;
mod route;
mod server;
mod siblings;
mod walk;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use ombak_aries::OsDisk;
use ombak_base::NodeId;
use ombak_cluster::Topology;
use ombak_node::Shard;
use ombak_runtime::{Gauges, Handle};
use ombak_store::log::Recovered;
use tokio::sync::Semaphore;

use crate::Backend;
use crate::metrics::NodeFacts;
use crate::metrics::window::Window;
use crate::snapshots::Snapshots;
use crate::tapes::Tapes;
pub(crate) use body::ALL_BODIES_BYTES_MAX;
use body::Body;
use reply::{Outcome, html_error};
use route::{Resource, Route};
pub(crate) use server::HttpThread;

/// What every request may need.
pub(crate) struct Site {
    pub handle: Handle<Shard>,
    pub topology: Arc<Topology>,
    pub me: NodeId,
    pub shards: u16,
    pub backend: Backend,
    pub snapshots: Snapshots,
    pub tapes: Tapes,
    /// What data is kept on, if on anything.
    pub disk: Option<OsDisk>,
    pub recovered: Recovered,
    /// A client that is silent for so long within a request has gone away.
    pub patience: Duration,
    /// What the threads of the node count.
    pub gauges: Gauges,
    /// What they had counted, a minute back. Only this thread ever takes the lock.
    pub window: Mutex<Window>,
    pub start: Instant,
    pub facts: NodeFacts,
    /// Bytes of request bodies that may be in memory.
    pub body_room: Arc<Semaphore>,
}

impl Site {
    /// Answers a request. Nothing that a client sends makes it fail.
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let answer = async { self.route(request).await.unwrap_or_else(|refusal| *refusal.0) };
        named::showing(answer).await
    }

    async fn route(&self, request: Request<Incoming>) -> Outcome {
        let known = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];
        if !known.contains(request.method()) && *request.method() != Method::OPTIONS {
            return Ok(html_error(StatusCode::NOT_IMPLEMENTED));
        }
        let Some(route) = Route::of(request.uri().path())? else {
            return Ok(html_error(StatusCode::NOT_FOUND));
        };
        route.check_method(request.method())?;
        headers::check_referer(request.headers())?;
        match route.resource {
            Resource::Ping => Ok(about::ping()),
            Resource::Root => about::root(request.headers()),
            Resource::Stats => self.stats(request.headers()).await,
            Resource::Metrics => self.metrics().await,
            Resource::Numbers => self.numbers().await,
            Resource::Buckets => self.buckets(&route, &request).await,
            Resource::OldBucket => self.old_bucket(&route, request).await,
            Resource::Keys => self.keys(&route, request).await,
            Resource::Props => self.props(&route, request).await,
            Resource::TypeProps => self.type_props(&request).await,
            Resource::Object => self.object(&route, request).await,
            Resource::Walk => self.walk(&route, &request).await,
            Resource::Preflist => self.preflist(&route).await,
            Resource::Status => self.status().await,
            Resource::Ring => self.ring(),
            Resource::Repair => self.repair().await,
            Resource::Snapshot => self.snapshot(&request).await,
            Resource::Recording => self.recording().await,
            Resource::Locks => self.all_locks().await,
            Resource::Session => self.session(&route, &request).await,
            Resource::LockRequest => self.lock_request(&route, request).await,
            Resource::SessionEvents => self.session_events(&route, &request).await,
            Resource::Registers => self.list_registers(&request).await,
            Resource::Register => self.register(&route, request).await,
        }
    }
}

#[cfg(test)]
mod tests;
