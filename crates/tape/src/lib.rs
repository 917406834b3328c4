//! Records what passes between a machine and its host, and plays it again.
//!
//! A machine that runs in production goes through states that no test has thought of. Since it decides by what it is
//! given, and by nothing else, it is enough to write that down: the same code, given the same, must do the same. What
//! a node did last Tuesday can then be looked at step by step, and compared with what the code says.
//!
//! ```text
//!   host ──event──▶ Tap ──event──▶ machine            Recording ──event──▶ machine
//!        ◀─effects─     ◀─effects─                               ◀─effects─  compared, one by one
//!                 │
//!               Tape: a ring of reels ──▶ Recording, a file
//! ```
//!
//! - [`Tap`] stands between any host and its machine, and tells a [`Recorder`] what passes.
//! - [`tape`] makes one that keeps the last so many bytes in memory: a [`Tape`] for the host's thread, and
//!   [`Reels`] with which another thread takes what is there. A *reel* is a stretch of steps that begins with the whole
//!   state of the machine, so that it can be played without those before it.
//! - [`Recording`] is the file: reels of one shard or of many.
//! - [`Player`] plays the reels of one shard. Each effect must be what it was, byte for byte, and so must the state at
//!   the end of each reel; the first [`Difference`] is named.
//!
//! Of each step are kept the time, the event, what the host returned (whether a message was taken, what was chosen, what
//! a peek saw, which stamp a store got), and eight bytes of fingerprint for each effect.
//!
//! ```
//! use ombak_base::*;
//! use ombak_tape::*;
//! use serde::{Deserialize, Serialize};
//!
//! /// Adds up what it is asked to.
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
//! struct Tally(u64);
//!
//! # #[derive(Clone, Debug, Serialize, Deserialize)]
//! # enum Nothing {}
//! # impl Wire for Nothing {
//! #     fn encode(&self, _: &mut Vec<u8>) {}
//! #     fn decode(_: bytes::Bytes) -> Result<Nothing, DecodeError> { Err(DecodeError::Invalid("message")) }
//! # }
//! impl Machine for Tally {
//! #   type Message = Nothing;
//! #   type Request = u64;
//! #   type Reply = u64;
//! #   type Timer = ();
//!     fn step<E: Effects<Tally>>(&mut self, _: Now, event: Event<Tally>, fx: &mut E) {
//!         if let Event::Request { client, request } = event {
//!             self.0 += request;
//!             fx.reply(client, self.0, Stamp::NONE);
//!         }
//!     }
//! }
//!
//! let at = Address::default();
//! let (mut tape, reels) = tape::<Tally>(at, 1 << 20);
//! let mut machine = Tally(5);
//! # struct Host;
//! # impl Effects<Tally> for Host {
//! #   fn send(&mut self, _: Address, _: Nothing, _: Stamp) -> Result<(), Refused> { Ok(()) }
//! #   fn reply(&mut self, _: ClientId, _: u64, _: Stamp) {}
//! #   fn arm(&mut self, _: (), _: Tick) {}
//! #   fn disarm(&mut self, _: ()) {}
//! #   fn choose(&mut self, _: u64) -> u64 { 0 }
//! #   fn load(&mut self, _: Ticket, _: Partition, _: &bytes::Bytes) {}
//! #   fn peek(&mut self, _: Partition, _: &bytes::Bytes) -> Peek { Peek::Unknown }
//! #   fn store(&mut self, _: Partition, _: &bytes::Bytes, _: Option<Entry>) -> Stamp { Stamp::NONE }
//! #   fn await_durable(&mut self, _: Stamp) {}
//! #   fn scan(&mut self, _: Ticket, _: Scan) {}
//! #   fn probe(&mut self, _: &'static str) {}
//! # }
//! # let mut host = Host;
//! for request in 1..10 {
//!     let event = Event::Request { client: ClientId(request), request };
//!     step(&mut machine, Now::default(), event, &mut host, &mut tape);
//! }
//! let kept = tape.reels(&machine);
//! let file = Recording::new("a node", kept).to_bytes();
//!
//! let recording = Recording::read(file.into()).unwrap();
//! let mut player = Player::<Tally>::new(recording.of(at));
//! while let Some(played) = player.step() {
//!     assert_eq!(played.unwrap().effects.len(), 1);
//! }
//! # drop(reels);
//! ```
//!
//! # What it costs, and what leaks
//!
//! Nothing while it is off. While it is on, each event is encoded once more, each effect is encoded and hashed, and the
//! whole state is encoded once a reel. A recording has the data of clients in it: keys, values, names. It can be
//! played by the code that recorded it, or by code that does the same. What a machine reads of its storage comes with
//! the events; the storage itself is not recorded.

mod effect;
mod file;
mod play;
mod ring;
mod tap;

pub use effect::{Answer, Effect, Recordable};
pub use file::{Recording, RecordingError};
pub use play::{Difference, Played, Player, Where};
pub use ring::{Reel, Reels, TakeError, Tape, tape};
pub use tap::{Recorder, Tap, step};
