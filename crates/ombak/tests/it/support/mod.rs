//! What the tests with real processes share.

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
