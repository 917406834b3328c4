//! The client against nodes that run.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod cluster;
mod one;
mod world;
