//! The pool's host: does what the machine [`Pool`] decides, and brings callers and connections to it.
//!
//! Connections that nobody uses are *parked* here, by their id. A grant is no more than the id: the caller fetches its
//! connection when it is polled. So a caller that is dropped between the two holds nothing that could be lost; it says
//! that it is gone, and the machine gives the parked connection to the next.
//!
//! | who | calls |
//! |---|---|
//! | a caller | [`Checkout`]: polled until it has a [`Lease`]; dropped at any moment |
//! | a lease, when it is dropped | checks its connection in, or closes it |
//! | a task for each connection that is opened or checked | tells the machine how it went |
//! | one task for each pool, the keeper | brings due timers |
//!
//! All of them step the machine under one lock, which is never held across an await. What a step says is done after it:
//! wakers are called and streams closed when the lock is free again.

mod checkout;
mod effects;
mod lease;
mod tasks;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use ombak_base::{ClientId, Event, Machine, Now, Tick};
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::net::{Net, Seen};
use crate::pool::{ConnId, Pool, PoolOptions, Refusal, Reply, Request, Timer};
use effects::{Effect, PoolEffects};

pub(crate) use checkout::Checkout;
pub(crate) use lease::Lease;

#[expect(
    clippy::disallowed_types,
    reason = "a host: the callers of a pool share it, and it is never held across an await"
)]
type Lock<T> = std::sync::Mutex<T>;

/// The pool of one node. A clone is the same pool.
pub(crate) struct PoolHost<N: Net> {
    shared: Arc<Shared<N>>,
}

impl<N: Net> Clone for PoolHost<N> {
    fn clone(&self) -> PoolHost<N> {
        PoolHost { shared: self.shared.clone() }
    }
}

/// What callers, leases and tasks hold on to.
struct Shared<N: Net> {
    net: N,
    addr: Arc<str>,
    state: Lock<State<N>>,
    /// The next timer is another one now.
    timers_changed: Arc<Notify>,
}

struct State<N: Net> {
    machine: Pool,
    parked: BTreeMap<ConnId, Connection<N::Stream>>,
    callers: BTreeMap<ClientId, Caller>,
    timers: BTreeMap<Timer, Tick>,
    newest: ClientId,
}

/// A checkout that is not over.
#[derive(Default)]
struct Caller {
    answer: Option<Reply>,
    waker: Option<Waker>,
}

impl<N: Net> PoolHost<N> {
    /// A pool of connections to `addr`, all of them still to be opened.
    pub fn new(net: N, addr: &str, options: PoolOptions) -> PoolHost<N> {
        let state = State {
            machine: Pool::new(options),
            parked: BTreeMap::new(),
            callers: BTreeMap::new(),
            timers: BTreeMap::new(),
            newest: ClientId::default(),
        };
        let timers_changed = Arc::new(Notify::new());
        let (addr, state) = (addr.into(), Lock::new(state));
        let shared = Arc::new(Shared { net, addr, state, timers_changed });
        tasks::start_keeper(&shared);
        PoolHost { shared }
    }

    /// A connection that works as far as can be known, or why there is none by `deadline`.
    ///
    /// Can be dropped at any moment; nothing is lost then.
    pub async fn lease(&self, deadline: Tick) -> Result<Lease<N>, Refusal> {
        loop {
            let mut lease = Checkout::new(self.shared.clone(), deadline).await?;
            if lease.connection().is_quiet().await {
                return Ok(lease);
            }
            // The node has closed it while it was parked. One that closes what it has just accepted is not well, and to try
            // again at once would do it no good.
            if lease.connection().has_worked() { lease.cut() } else { lease.broken() }
        }
    }

    /// Refuses everybody from now on, and closes all connections, those that are lent when they come back.
    pub fn end(&self) {
        self.shared.step(Event::Request { client: ClientId::default(), request: Request::End });
    }

    /// Looks at the machine.
    pub fn look<T>(&self, at: impl FnOnce(&Pool) -> T) -> T {
        at(&self.shared.lock().machine)
    }

    /// Whether the node has failed lately and is left alone for now.
    pub fn is_down(&self) -> bool {
        let now = self.shared.net.now();
        self.look(|pool| pool.is_down(now))
    }
}

impl<N: Net> Shared<N> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<N>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the machine one event and does what it says.
    fn step(self: &Arc<Self>, event: Event<Pool>) {
        self.step_with(|_| Some(event));
    }

    /// The same with an event, if there is one, that is made under the lock.
    fn step_with(self: &Arc<Self>, event: impl FnOnce(&mut State<N>) -> Option<Event<Pool>>) {
        let mut guard = self.lock();
        let Some(event) = event(&mut guard) else { return };
        let now = self.net.now();
        self.net.saw(&self.addr, now, Seen::Event(&event));
        let first = guard.next_due();
        let State { machine, callers, timers, .. } = &mut *guard;
        let mut fx = PoolEffects { shared: self, now, callers, timers, said: Vec::new() };
        machine.step(Now { tick: now, wall_us: 0 }, event, &mut fx);
        let said = fx.said;
        if cfg!(debug_assertions) {
            machine.check();
        }
        let timers_changed = guard.next_due() != first;
        let done: Vec<Effect<N>> = said.into_iter().map(|said| said.begin(&mut guard)).collect();
        drop(guard);
        if timers_changed {
            self.timers_changed.notify_one();
        }
        done.into_iter().for_each(|effect| effect.finish(self));
    }
}

impl<N: Net> State<N> {
    fn next_due(&self) -> Option<Tick> {
        self.timers.values().min().copied()
    }
}

impl<N: Net> Drop for Shared<N> {
    /// The keeper looks, and finds that there is nothing to keep.
    fn drop(&mut self) {
        self.timers_changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
