//! A caller that waits for a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ombak_base::{ClientId, Event, Tick, always, planted};

use super::{Caller, Lease, Shared, State};
use crate::net::Net;
use crate::pool::{Refusal, Reply, Request};

/// Where a checkout is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not asked yet: a future does nothing until it is polled.
    New,
    /// In line, or answered; the pool knows this client.
    Asked(ClientId),
    /// The answer was taken.
    Over,
}

/// A future that yields a lease. Dropped before, it leaves no trace.
pub(crate) struct Checkout<N: Net> {
    shared: Arc<Shared<N>>,
    deadline: Tick,
    stage: Stage,
}

impl<N: Net> Checkout<N> {
    pub(super) fn new(shared: Arc<Shared<N>>, deadline: Tick) -> Checkout<N> {
        Checkout { shared, deadline, stage: Stage::New }
    }

    fn ask(&mut self) -> ClientId {
        let within_ms = self.deadline.since(self.shared.net.now()).div_ceil(1_000);
        let mut asked = ClientId::default();
        self.shared.step_with(|state| {
            state.newest = ClientId(state.newest.0 + 1);
            asked = state.newest;
            state.callers.insert(asked, Caller::default());
            Some(Event::Request { client: asked, request: Request::Checkout { within_ms } })
        });
        self.stage = Stage::Asked(asked);
        asked
    }
}

impl<N: Net> Future for Checkout<N> {
    type Output = Result<Lease<N>, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let client = match self.stage {
            Stage::New => self.ask(),
            Stage::Asked(client) => client,
            Stage::Over => return Poll::Pending,
        };
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let Some(caller) = state.callers.get_mut(&client) else { return Poll::Pending };
        let Some(answer) = caller.answer.take() else {
            caller.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let taken = take(&mut state, client, answer);
        drop(state);
        if !planted!("double check-in") {
            self.stage = Stage::Over;
        }
        Poll::Ready(taken.map(|(conn, connection)| Lease::new(shared, client, conn, connection)))
    }
}

type Parked<N> = (crate::pool::ConnId, crate::connection::Connection<<N as Net>::Stream>);

/// Fetches what was granted.
fn take<N: Net>(
    state: &mut State<N>,
    client: ClientId,
    answer: Reply,
) -> Result<Parked<N>, Refusal> {
    state.callers.remove(&client);
    match answer {
        Reply::Refused(why) => Err(why),
        Reply::Granted(conn) => match state.parked.remove(&conn) {
            Some(connection) => Ok((conn, connection)),
            None => {
                always!(false, "what is granted is parked", "{conn:?}");
                Err(Refusal::Ended)
            }
        },
    }
}

impl<N: Net> Drop for Checkout<N> {
    fn drop(&mut self) {
        let Stage::Asked(client) = self.stage else { return };
        self.shared.step_with(|state| {
            state.callers.remove(&client);
            Some(Event::Gone(client))
        });
    }
}
