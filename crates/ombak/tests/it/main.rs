//! The program in processes of its own, with real sockets and disks; and its shard on threads beside the same shard in the simulator.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod both_hosts;
mod bucket;
mod cli;
mod client;
mod cluster;
mod lock;
mod lock_command;
mod planted;
mod record;
mod register;
mod snapshot;
mod store;
mod support;
mod unit_file;
mod wal;
mod watch;
