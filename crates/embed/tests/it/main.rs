//! Groups in one process, and the examples in three.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod examples;
mod group;
mod processes;
mod support;
