//! What the tests with real processes share.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

pub mod alone;
pub mod cluster;
pub mod demo;
pub mod hosts;
pub mod load;
pub mod many;
pub mod pb;
pub mod ports;
pub mod process;
pub mod proxy;
