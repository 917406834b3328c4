//! One request, through as many nodes as it takes.
//!
//! A key's request goes to the key's first owner that is up: that node answers for it without passing it on. Other requests
//! go to the nodes in turn. When an attempt fails, what may be done next depends on what is known of it:
//!
//! | what happened | a read, or what may be repeated | a write |
//! |---|---|---|
//! | no connection: the node is down, or all connections are in use | next node, at once and for free | the same |
//! | the node has said that it had not begun | again, if the retry budget allows | the same |
//! | the connection broke before all of it was sent | again, if the budget allows | the same |
//! | it broke later, or no answer came | again, if the budget allows | [`Error::Unknown`] |
//! | any other answer | it is the answer | the same |

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use ombak_base::Tick;
use ombak_base::limits::FRAME_BYTES_MAX;
use ombak_cluster::hash::Point;
use ombak_wire::{Request, Response};

use crate::budget::RetryBudget;
use crate::error::{Failure, Next, refused};
use crate::host::{Lease, PoolHost};
use crate::net::{Net, within};
use crate::rows::{Rows, arrange};
use crate::{Error, Options};

#[expect(clippy::disallowed_types, reason = "callers share it; it is never held across an await")]
type Lock<T> = std::sync::Mutex<T>;

/// After a failure, who owns what is asked again, but not more often than this.
const ROWS_MS_MIN: u64 = 1_000;

/// A request, and what may be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub request: Request,
    /// The key's place on the ring, if it concerns one key.
    pub point: Option<Point>,
    /// Doing it twice is as good as once.
    pub repeatable: bool,
    /// Whether it may change anything.
    pub is_write: bool,
    /// A node may be silent for as long as there is time, and still be at it.
    pub is_slow: bool,
    pub timeout_ms: Option<u32>,
}

impl Ask {
    /// A request that changes nothing and concerns no key.
    pub fn read(request: Request) -> Ask {
        let (point, timeout_ms) = (None, None);
        Ask { request, point, repeatable: true, is_write: false, is_slow: false, timeout_ms }
    }

    /// A request that changes something.
    pub fn write(request: Request) -> Ask {
        Ask { repeatable: false, is_write: true, ..Ask::read(request) }
    }
}

/// The first frame of an answer, and the connection on which more may come.
pub(crate) type Answer<N> = (Response, Lease<N>);

/// What all clones of a client share.
pub(crate) struct Core<N: Net> {
    pub net: N,
    options: Options,
    addrs: Vec<String>,
    pools: Vec<PoolHost<N>>,
    rows: Lock<Rows>,
    budget: Lock<RetryBudget>,
    turn: AtomicUsize,
    /// When to ask for rows again, in ticks.
    rows_at: AtomicU64,
}

impl<N: Net> Core<N> {
    pub fn new(net: N, addrs: Vec<String>, options: Options) -> Arc<Core<N>> {
        let pool = |addr: &String| PoolHost::new(net.clone(), addr, options.pool);
        Arc::new(Core {
            pools: addrs.iter().map(pool).collect(),
            rows: Lock::default(),
            budget: Lock::new(RetryBudget::new(options.retries_max, options.retries_per_thousand)),
            turn: AtomicUsize::new(net.choose(addrs.len() as u64) as usize),
            rows_at: AtomicU64::new(net.now().plus_ms(options.rows_ms).0),
            net,
            options,
            addrs,
        })
    }

    /// The whole answer to a request that is answered by one frame, if `wanted` finds in it what it should have.
    pub async fn call<T>(
        self: &Arc<Self>,
        ask: Ask,
        wanted: impl FnOnce(Response) -> Result<T, Response>,
    ) -> Result<T, Error> {
        let (response, mut lease) = self.open(&ask).await?;
        match wanted(response) {
            Ok(wanted) => {
                lease.connection().close_exchange();
                Ok(wanted)
            }
            // Whose answer comes next on this connection is anybody's guess.
            Err(other) => {
                lease.broken();
                Err(unexpected(&other))
            }
        }
    }

    /// The first frame of an answer that is not an error.
    pub async fn open(self: &Arc<Self>, ask: &Ask) -> Result<Answer<N>, Error> {
        let timeout_ms = ask.timeout_ms.unwrap_or(self.options.timeout_ms);
        let deadline = self.net.now().plus_ms(timeout_ms.into());
        let frame = frame(&ask.request)?;
        self.lock_budget().earn();
        self.rows_when_due();
        let order = self.order(ask);
        let mut without_connection = BTreeSet::new();
        for &node in order.iter().cycle() {
            let failure = match self.attempt(node, ask, &frame, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure.next(ask.repeatable) {
                Next::Stop(error) => return Err(error),
                Next::Elsewhere(error) => {
                    self.rows_soon();
                    without_connection.insert(node);
                    if without_connection.len() == order.len() || self.net.now() >= deadline {
                        return Err(error);
                    }
                }
                Next::Again(error) => {
                    self.rows_soon();
                    if self.net.now() >= deadline || !self.lock_budget().spend() {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::NoAddress)
    }

    /// Asks one node once.
    async fn attempt(
        &self,
        node: usize,
        ask: &Ask,
        frame: &[u8],
        deadline: Tick,
    ) -> Result<Answer<N>, Failure> {
        let soon = |ms: u32| deadline.min(self.net.now().plus_ms(ms.into()));
        let leased = self.pools[node].lease(soon(self.options.checkout_ms)).await;
        let mut lease = leased.map_err(Failure::NoConnection)?;
        // A write is waited for as long as there is time: to ask another node for it is out of the question.
        let elsewhere = ask.repeatable && !ask.is_slow;
        let until = if elsewhere { soon(self.options.attempt_ms) } else { deadline };
        match within(&self.net, until, lease.connection().ask_frame(frame)).await {
            Some(Ok(Response::Error(error))) => {
                lease.connection().close_exchange();
                let text = error.errmsg.unwrap_or_default();
                Err(refused(String::from_utf8_lossy(&text).into_owned(), ask.is_write))
            }
            Some(Ok(response)) => Ok((response, lease)),
            Some(Err(cut)) => {
                lease.broken();
                Err(Failure::Lost { sent: cut.sent, why: cut.why.to_string() })
            }
            None => {
                lease.broken();
                Err(Failure::Lost { sent: true, why: "no answer within the time".into() })
            }
        }
    }

    fn order(&self, ask: &Ask) -> Vec<usize> {
        let owners = ask.point.map(|point| self.lock_rows().owners(&point)).unwrap_or_default();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        arrange(self.pools.len(), &owners, turn, |node| self.pools[node].is_down())
    }

    /// Asks every node who owns what. Says whether one of them has answered anything at all.
    pub async fn learn_rows(self: &Arc<Self>) -> bool {
        let next = self.net.now().plus_ms(self.options.rows_ms);
        self.rows_at.store(next.0, Ordering::Relaxed);
        all((0..self.pools.len()).map(|node| self.learn_from(node))).await.contains(&true)
    }

    async fn learn_from(&self, node: usize) -> bool {
        let deadline = self.net.now().plus_ms(self.options.attempt_ms.into());
        let ask = Ask::read(Request::Rows);
        let Ok(frame) = frame(&ask.request) else { return false };
        match self.attempt(node, &ask, &frame, deadline).await {
            Ok((Response::Rows(rows), mut lease)) => {
                lease.connection().close_exchange();
                self.lock_rows().learn(node, rows);
                true
            }
            Ok((_, lease)) => {
                lease.broken();
                false
            }
            // A Riak, which knows no such message.
            Err(failure) => matches!(failure, Failure::Answered(_)),
        }
    }

    fn rows_when_due(self: &Arc<Self>) {
        let (now, due) = (self.net.now(), self.rows_at.load(Ordering::Relaxed));
        if now.0 < due {
            return;
        }
        let next = now.plus_ms(self.options.rows_ms).0;
        let ours = self.rows_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if ours.is_ok() {
            let core = Arc::downgrade(self);
            self.net.spawn(async move {
                if let Some(core) = core.upgrade() {
                    core.learn_rows().await;
                }
            });
        }
    }

    fn rows_soon(&self) {
        let soon = self.net.now().plus_ms(ROWS_MS_MIN);
        self.rows_at.fetch_min(soon.0, Ordering::Relaxed);
    }

    /// Ends all pools.
    pub fn end(&self) {
        self.pools.iter().for_each(PoolHost::end);
    }

    /// How each node is doing.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let rows = self.lock_rows();
        let status = |(node, addr): (usize, &String)| {
            let name = rows.name(node).map(|name| String::from_utf8_lossy(name).into_owned());
            let pool = &self.pools[node];
            let (connections, lent, waiting) =
                pool.look(|pool| (pool.connections(), pool.lent(), pool.waiting()));
            let is_down = pool.is_down();
            NodeStatus { addr: addr.clone(), name, is_down, connections, lent, waiting }
        };
        self.addrs.iter().enumerate().map(status).collect()
    }

    fn lock_rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_budget(&self) -> std::sync::MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node, as its pool sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// Its address, as it was given.
    pub addr: String,
    /// What it calls itself, once it has said.
    pub name: Option<String>,
    /// Whether it has failed lately and is left alone for now.
    pub is_down: bool,
    /// Connections to it, those included that are being opened.
    pub connections: usize,
    /// Those that are in use.
    pub lent: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

pub(crate) fn unexpected(response: &Response) -> Error {
    Error::Protocol(format!("message {} is none that answers it", response.code()))
}

/// A request as bytes. One that no node would take to its end is not sent to any.
fn frame(request: &Request) -> Result<Vec<u8>, Error> {
    let mut frame = Vec::new();
    request.encode_frame(&mut frame);
    if frame.len() > FRAME_BYTES_MAX {
        let text = format!("a request of {} bytes is longer than {FRAME_BYTES_MAX}", frame.len());
        return Err(Error::Refused(text));
    }
    Ok(frame)
}

/// Waits for all of them at once.
async fn all<T: Unpin>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        for (future, done) in futures.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(value) = Pin::new(future).poll(cx) {
                *done = Some(value);
            }
        }
        let all_done = futures.iter().all(|(_, done)| done.is_some());
        if all_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}
