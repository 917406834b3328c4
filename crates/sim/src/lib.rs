//! Runs a cluster of state machines from one seed, in one thread, in virtual time.
//!
//! A [`Machine`](ombak_base::Machine) asks its host for everything: messages, timers, storage, choices. A
//! [`World`] is a host that draws all of that from a seed. It runs the very machine that production runs, at
//! a microsecond an event beside what machine and storage take, and lets go wrong what can go wrong; the same seed
//! gives the same run in every process, so that what went wrong once can be looked at as often as one likes.
//!
//! # What is simulated
//!
//! - **Time.** A queue of what is going to happen; the clock jumps from one thing to the next. Each node's
//!   tick counts from its boot; its wall clock can be wrong and jump ([`World::set_skew`]), both clocks can
//!   be too fast or too slow ([`World::set_rate`]), timers can be late.
//! - **Turns.** One event, the step, the loads that are answered within the turn; then the device's commit
//!   goes to the writer. Effects leave after the step; what names a stamp leaves when the device says that it
//!   is durable. [`check`](ombak_base::Machine::check) is called after every step.
//! - **Storage.** Your own device and writer, over a [`SimDisk`] that forgets unsynced sectors, names and
//!   lengths in a crash (so writes are torn), and fails, fills up, rots, misdirects a write or loses power on request. The writer runs as on a thread of
//!   its own: what is committed while it waits is written together, devices hear of it later, and after an
//!   error it is not called again: every shard gets `DeviceFailed`, and nothing more is released. Of a full disk every
//!   shard hears, and of room again; meanwhile the writer looks five times a second.
//! - **Network.** Connections of which both sides hear, each at its time. Messages are encoded and decoded, and
//!   keep their order between two shards; with [`Faults`], they are dropped, doubled and disordered. Links can be
//!   [slow](World::slow). By [`Order`], each message takes its own time, or links are lanes of different speed for a while, or
//!   have priorities that change a few times, or messages of some kinds come as late as they can. Partitions, of both directions or one, stall what they meet (or lose it) and tell nobody. Resets lose what is in flight.
//!   What a crashing node had sent may still arrive.
//! - **Processes.** [`crash`](World::crash), [`restart`](World::restart), [`pause`](World::pause),
//!   [`wipe`](World::wipe), an older disk ([`World::put_older_disk`], [`SimDisk::restore`]), and a power cut during the n-th change of the
//!   disk ([`SimDisk::cut_power`]), which the world turns into a crash.
//!
//! - **Schedules.** [`record`](World::record) writes down what chance decided, [`follow`](World::follow) decides so again,
//!   and [`shrink`] leaves out what does not matter.
//!
//! # What is not
//!
//! Threads, and thus data races; the cost of anything (a step takes no time, a queue never overflows by itself);
//! real sockets and files; bytes damaged in transit. A sector that was written twice
//! before a crash has its first or its last content, never the one in between.
//!
//! # How to read a trace
//!
//! Every event goes into [`World::trace_hash`]. After [`World::keep_lines`] the last ones are kept as text, and
//! printed with the seed when a test panics:
//!
//! ```text
//!      0.010214s n0.s0  request   (c1, Add(5))
//!      0.010298s n0     write     (1, true)
//!      0.010381s n0.s0  reply     (c1, Total(5))
//!      0.010381s n0.s0  durable   stamp1
//! ```
//!
//! Time since the world began, node and shard (no shard: the node as a whole), kind, detail. Events are traced
//! where they are stepped: `start request more gone message up down timer loaded scanned durable full failed`. The
//! host adds `reply` (released to a client), `dropped`, `stalled` and `lost` (a message that did not arrive; `lost`
//! for want of a connection), `refused` (a connection), `write` (commits, success), `tidy`, and what the
//! scenario did: `boot crash pause resume wipe older block slow reset clock rate`. To find where two runs part, print both and compare.
//!
//! # How to see a run
//!
//! After [`World::keep_diagram`], [`World::diagram`] gives the last events as a page of HTML that needs nothing else, to be
//! opened in a browser: nodes are columns, shards lines on which time runs down, messages arrows under the names that
//! they have in a schedule ([`Decisions`]), with what each step changed in its machine. It shows what a trace does, and
//! beside it `sent`, `unsent` (refused for a full queue), `heal` and `weather` ([`World::set_faults`]).
//!
//! # Hosting a machine of one's own
//!
//! A machine, and a [`System`] that boots it. [`open_log`] is storage enough for a test.
//!
//! ```
//! use bytes::Bytes;
//! use ombak_base::*;
//! use ombak_sim::*;
//!
//! /// Adds up. What it has answered, it remembers.
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
//! struct Tally {
//!     total: u64,
//! }
//!
//! /// It says nothing to other tallies.
//! #[derive(Clone, Debug)]
//! enum Nothing {}
//!
//! impl Wire for Nothing {
//!     fn encode(&self, _: &mut Vec<u8>) {}
//!     fn decode(_: Bytes) -> Result<Nothing, DecodeError> {
//!         Err(DecodeError::Invalid("message"))
//!     }
//! }
//!
//! const KEY: Bytes = Bytes::from_static(b"total");
//!
//! impl Machine for Tally {
//!     type Message = Nothing;
//!     type Request = u64;
//!     type Reply = u64;
//!     type Timer = ();
//!
//!     fn step<E: Effects<Tally>>(&mut self, _: Now, event: Event<Tally>, fx: &mut E) {
//!         match event {
//!             Event::Start => fx.load(Ticket(0), Partition(0), &KEY),
//!             Event::Loaded { entry: Ok(Some(entry)), .. } => {
//!                 self.total = Reader::new(entry.bytes).u64().unwrap_or(0);
//!             }
//!             Event::Request { client, request } => {
//!                 self.total += request;
//!                 let bytes = Bytes::copy_from_slice(&self.total.to_le_bytes());
//!                 let stamp = fx.store(Partition(0), &KEY, Some(Entry { tag: 0, bytes }));
//!                 fx.reply(client, self.total, stamp); // Stamp::NONE here is a bug that the loop below finds.
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! struct Tallies;
//!
//! impl System for Tallies {
//!     type Machine = Tally;
//!     type Device = LogDevice;
//!     type Writer = LogWriter<SimFile>;
//!
//!     fn boot(&mut self, _: NodeId, disk: &SimDisk, _: u64, _: &mut Rng) -> Result<Booted<Tallies>, String> {
//!         let (devices, writer) = open_log(disk, 1).map_err(|error| error.to_string())?;
//!         let shards = devices.into_iter().map(|device| (Tally::default(), device)).collect();
//!         Ok(Booted { shards, writer })
//!     }
//! }
//!
//! const A: NodeId = NodeId(0);
//!
//! for seed in 0..50 {
//!     let mut w = World::new(Tallies, 1, seed).unwrap();
//!     w.disk(A).cut_power(1 + seed % 10);
//!     let mut answered = 0;
//!     for _ in 0..20 {
//!         if let Some(Heard::Reply(total)) = w.ask(A, ShardId(0), 5, 1_000_000) {
//!             answered = total;
//!         }
//!         w.run_for(100);
//!     }
//!     assert!(!w.is_up(A), "the power was cut");
//!     w.restart(A).unwrap();
//!     w.run_for(1_000_000);
//!     assert!(w.machine(A, ShardId(0)).unwrap().total >= answered, "seed {seed}");
//! }
//! ```

mod chances;
mod diagram;
mod disk;
pub mod explore;
mod faults;
pub mod linear;
mod memory;
mod network;
mod order;
mod queue;
mod rng;
mod shrink;
mod trace;
mod world;

pub use chances::{Decisions, Point, What};
pub use disk::{Counters, DiskImage, Part, SECTOR_BYTES, SimDisk, SimFile, SyncFault, Unsynced};
pub use faults::Faults;
pub use memory::{LogCommit, LogDevice, LogNotice, LogWriter, open_log};
pub use order::Order;
pub use rng::Rng;
pub use shrink::{shrink, shrink_number};
pub use trace::{Fingerprint, Trace};
pub use world::{Booted, Heard, Reply, System, WALL_START_US, World};
