//! Nodes on ports of their own in this process, spoken to over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod golden;
mod http;
mod http_walk;
mod http_wire;
mod locks;
mod measured;
mod pb;
mod registers;
mod start;
mod world;
