//! What takes time: opening a connection, checking one, and timers.

use std::future::pending;
use std::sync::{Arc, Weak};

use ombak_base::{Event, Tick};
use ombak_wire::{Request, Response};
use tokio::sync::Notify;

use super::Shared;
use crate::connection::Connection;
use crate::net::{Net, within};
use crate::pool::{CONNECTOR, ConnId, Message};

/// Opens a connection, and parks it.
pub(super) fn connect<N: Net>(shared: &Arc<Shared<N>>, conn: ConnId, within_ms: u64) {
    let (pool, net, addr) = (Arc::downgrade(shared), shared.net.clone(), shared.addr.clone());
    let deadline = net.now().plus_ms(within_ms);
    shared.net.spawn(async move {
        let stream = within(&net, deadline, net.connect(&addr)).await;
        let connection = stream.and_then(Result::ok).map(Connection::new);
        tell(&pool, conn, connection, |opened| match opened {
            true => Message::Connected(conn),
            false => Message::Failed(conn),
        });
    });
}

/// Asks the node whether it is there.
pub(super) fn check<N: Net>(
    shared: &Arc<Shared<N>>,
    conn: ConnId,
    within_ms: u64,
    mut connection: Connection<N::Stream>,
) {
    let (pool, net) = (Arc::downgrade(shared), shared.net.clone());
    let deadline = net.now().plus_ms(within_ms);
    shared.net.spawn(async move {
        let answer = within(&net, deadline, connection.ask(&Request::Ping)).await;
        let alive = matches!(answer, Some(Ok(Response::Ping)));
        if alive {
            connection.close_exchange();
        }
        let connection = (alive && connection.is_clean()).then_some(connection);
        tell(&pool, conn, connection, |alive| Message::Checked(conn, alive));
    });
}

/// Parks what there is and tells the machine. A connection of a pool that is gone is closed.
fn tell<N: Net>(
    pool: &Weak<Shared<N>>,
    conn: ConnId,
    connection: Option<Connection<N::Stream>>,
    message: impl FnOnce(bool) -> Message,
) {
    let Some(shared) = pool.upgrade() else { return };
    shared.step_with(|state| {
        let message = message(connection.is_some());
        state.parked.extend(connection.map(|connection| (conn, connection)));
        Some(Event::Message { from: CONNECTOR, message })
    });
}

/// Starts the task that brings due timers to the machine. It ends with the pool.
pub(super) fn start_keeper<N: Net>(shared: &Arc<Shared<N>>) {
    let (pool, net) = (Arc::downgrade(shared), shared.net.clone());
    shared.net.spawn(keep(pool, net, shared.timers_changed.clone()));
}

async fn keep<N: Net>(pool: Weak<Shared<N>>, net: N, timers_changed: Arc<Notify>) {
    while let Some(next) = pool.upgrade().map(|shared| shared.fire_due()) {
        let due = async {
            match next {
                Some(at) => net.sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = timers_changed.notified() => {}
            () = due => {}
        }
    }
}

impl<N: Net> Shared<N> {
    /// Brings what is due; says when the next will be.
    fn fire_due(self: &Arc<Self>) -> Option<Tick> {
        loop {
            let mut fired = false;
            self.step_with(|state| {
                let now = self.net.now();
                let due = state.timers.iter().find(|(_, at)| **at <= now).map(|(timer, _)| *timer);
                due.inspect(|timer| {
                    fired = true;
                    state.timers.remove(timer);
                })
                .map(Event::Timer)
            });
            if !fired {
                return self.lock().next_due();
            }
        }
    }
}
