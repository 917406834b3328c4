//! An async client.
mod budget;
mod connection;
mod host;
#[cfg(test)]
mod model;
mod net;
pub mod pool;
