//! `ombak bench`: how much can a server do, and how long does it take?
//!
//! A load generator that speaks Riak's Protocol Buffers protocol, so it measures a real Riak as well as Ombak. Without
//! `--rate` it is a *closed loop*: each connection keeps `--depth` requests under way and sends the next when an answer arrives. That
//! finds the highest throughput at a given concurrency; the latencies are those at that throughput, and a server that
//! stops for a while is asked less meanwhile, so its pauses weigh less in the percentiles than an open loop would make
//! them. With `--rate` it is an *open loop* (`open_loop`): requests start when they are due, and latencies count from
//! then.
//!
//! With `--floor` the same messages are also exchanged without a server behind them, in turns (`floor`).
//!
//! It must not be what is measured. One thread waits on all sockets (epoll); requests are copied from prebuilt frames;
//! all that becomes due on a connection in one turn leaves in one write; answers are recognised in the read buffer,
//! without decoding values. Its own CPU time stands in the report: near one second per second, it was the limit.
//!
//! ```text
//!   options ─► probe ─► preload ─► warm-up ─► measured window ─► rest ─► report
//!                          └──────── Driver: poll, Connection… ────────┘
//!                                        │ ▲
//!                             what next? ▼ │ what came back
//!                                Load (Preload, Mix or Rest)
//! ```
//!
//! An operation counts if its answer arrives within the measured window. Not-found is an answer: it counts, and is
//! shown on a line of its own. After the window nothing more is asked, but what is under way may still be answered:
//! what is not, was forgotten by the server. A run in which something failed is reported like any other, and then ends
//! with an error.

mod chart;
mod compare;
mod connection;
mod driver;
mod error;
mod floor;
mod frames;
mod latest;
mod load;
mod meter;
mod mix;
mod open_loop;
mod options;
mod plot;
mod probe;
mod procstat;
mod progress;
mod report;
mod rng;
mod run;
mod spinner;
mod tally;
mod timeline;
mod zipf;

pub use error::BenchError;
pub use options::BenchArgs;
pub use run::run;

#[cfg(test)]
mod tests;
