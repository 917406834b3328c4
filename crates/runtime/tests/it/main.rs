//! Nodes of a toy machine over real sockets. No test sleeps: each waits, with a deadline, for what it is about.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod clients;
mod device;
mod lifecycle;
mod peers;
mod toy;
mod world;
