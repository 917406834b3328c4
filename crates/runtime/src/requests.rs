//! Requests that are not over: whom they are for, since when, and what the log says of them.

use ombak_base::{Address, Device, Machine, Passing, RequestId, Tick};

use crate::face::Face;
use crate::handle::Sink;
use crate::host::Host;
use crate::meters::Outcome;
use crate::slab::Key;

/// Lines that follow one operation, by its request id, through all nodes: `--log info,ombak::request=debug`.
const FOLLOW: &str = "ombak::request";

/// Where the answer to a request goes.
pub(crate) enum Whom<R> {
    Client { connection: Key, slot: u64 },
    Local { id: u64, sink: Sink<R> },
}

/// A request that is not over. The key of its place in the slab is the machine's [`ClientId`](ombak_base::ClientId).
pub(crate) struct Origin<R> {
    pub whom: Whom<R>,
    /// The face's number for the kind of operation.
    operation: u8,
    since: Tick,
    /// What the machine calls it; 0 if it has not said.
    pub request: RequestId,
}

impl<R> Origin<R> {
    pub fn new(whom: Whom<R>, operation: u8) -> Origin<R> {
        Origin { whom, operation, since: Tick::default(), request: RequestId::default() }
    }
}

impl<M: Machine, D: Device, F: Face<M>> Host<M, D, F> {
    /// A request has come: it is under way from now on.
    pub fn begin(&mut self, origin: Origin<M::Reply>) -> Key {
        self.counted.requests += 1;
        self.board.meters.operation(origin.operation).begin();
        self.requests.insert(Origin { since: self.now.tick, ..origin })
    }

    /// The last of the answer has been given.
    pub fn finish(&mut self, request: Key, outcome: Outcome) -> Option<Whom<M::Reply>> {
        let Origin { whom, operation, since, request } = self.requests.remove(request)?;
        let us = self.now.tick.since(since);
        self.board.meters.operation(operation).finish(us, outcome);
        if request != RequestId::default() {
            let (shard, failed) = (self.own.shard, outcome.failed);
            tracing::debug!(target: FOLLOW, %request, node = %self.own.node, %shard, us, failed, "answered");
        }
        Some(whom)
    }

    /// Nobody waits for the answer any more.
    pub fn abandon(&mut self, request: Key) -> Option<Whom<M::Reply>> {
        let Origin { whom, operation, .. } = self.requests.remove(request)?;
        self.board.meters.operation(operation).abandon();
        Some(whom)
    }

    /// The machine says what it calls a request.
    pub fn name(&mut self, key: Key, request: RequestId) {
        let Some(origin) = self.requests.get_mut(key) else { return };
        origin.request = request;
        let operation = F::operation_name(origin.operation);
        tracing::debug!(target: FOLLOW, %request, node = %self.own.node, shard = %self.own.shard, "entered: {operation}");
    }

    /// Whoever follows an operation reads where it passes.
    pub fn follow(&self, passing: &Passing) {
        if tracing::enabled!(target: FOLLOW, tracing::Level::DEBUG) {
            self.log_passing(passing);
        }
    }

    #[cold]
    fn log_passing(&self, passing: &Passing) {
        let Passing { place, request, partition, peer, what } = passing;
        let (node, shard, place) = (self.own.node, self.own.shard, place.name);
        match peer {
            Some(Address { node: peer, shard: at }) => {
                tracing::debug!(target: FOLLOW, %request, %node, %shard, %partition, %peer, %at, "{place}: {what}");
            }
            None => {
                tracing::debug!(target: FOLLOW, %request, %node, %shard, %partition, "{place}: {what}");
            }
        }
    }
}
