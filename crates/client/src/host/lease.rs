//! A connection in a caller's hands.

use std::sync::Arc;

use ombak_base::{ClientId, Event};

use super::Shared;
use crate::connection::Connection;
use crate::net::Net;
use crate::pool::{ConnId, Request, Returned};

/// A connection that is one caller's until this is dropped. What state it is in decides what becomes of it: a
/// connection on which an exchange is under way is closed.
pub(crate) struct Lease<N: Net> {
    shared: Arc<Shared<N>>,
    client: ClientId,
    conn: ConnId,
    /// `Some` until it is dropped.
    connection: Option<Connection<N::Stream>>,
    /// If it is not clean: whether the node is to blame.
    unclean: Returned,
}

impl<N: Net> Lease<N> {
    pub(super) fn new(
        shared: Arc<Shared<N>>,
        client: ClientId,
        conn: ConnId,
        connection: Connection<N::Stream>,
    ) -> Lease<N> {
        Lease { shared, client, conn, connection: Some(connection), unclean: Returned::Cut }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut Connection<N::Stream> {
        // Only `drop` takes it.
        self.connection.as_mut().expect("a lease has a connection")
    }

    /// Closes the connection without blaming the node.
    pub fn cut(self) {
        self.close(Returned::Cut);
    }

    /// Closes the connection: the node broke it, or did not answer.
    pub fn broken(self) {
        self.close(Returned::Broken);
    }

    fn close(mut self, how: Returned) {
        self.unclean = how;
        self.connection = None;
    }
}

impl<N: Net> Drop for Lease<N> {
    fn drop(&mut self) {
        let clean = self.connection.take().filter(|connection| connection.is_clean());
        let how = if clean.is_some() { Returned::Clean } else { self.unclean };
        let (client, conn) = (self.client, self.conn);
        self.shared.step_with(|state| {
            state.parked.extend(clean.map(|connection| (conn, connection)));
            Some(Event::Request { client, request: Request::CheckIn { conn, how } })
        });
    }
}
