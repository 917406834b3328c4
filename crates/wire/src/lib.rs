//! Riak's Protocol Buffers protocol: messages and framing, for servers and for clients.
//!
//! A connection carries frames in both directions:
//!
//! ```text
//!   0        4      5                      4 + length
//!   ├────────┼──────┼──────────────────────┤
//!   │ length │ code │ body (Protocol       │    length: u32, big-endian, counts the code and the body
//!   │        │      │ Buffers, often empty)│    code:   what the body is
//!   └────────┴──────┴──────────────────────┘
//! ```
//!
//! A client may send several requests before it reads an answer; answers come in the order of the requests. A
//! request that lists things is answered by several frames, the last of which says `done`. Any request may be
//! answered by [`RpbErrorResp`], after which the connection goes on.
//!
//! Three steps, each of which can be used alone:
//!
//! 1. [`split_frame`] takes whole frames from the front of a read buffer, without copying. A length that no frame
//!    can have is an error as soon as its four bytes are there, before anything is allocated for it.
//! 2. [`Request::decode`] (servers) and [`Response::decode`] (clients) turn code and body into a message. All byte
//!    strings share the buffer that was read, so a stored value is not copied on its way in. The price: a message
//!    that is kept keeps the whole read buffer; copy what outlives the request.
//! 3. [`Request::encode_frame`] and [`Response::encode_frame`] append a whole frame to a write buffer, so that many
//!    frames leave in one write.
//!
//! # What a stranger can cost
//!
//! Decoding a request allocates nothing for byte strings, and a request of more than [`FIELDS_MAX`] fields is refused
//! before any of it is built: two bytes on the wire can be an empty link, which takes a hundred bytes here. A
//! client that decodes answers trusts its server that far and has no such bound.
//!
//! # proto2
//!
//! Riak's schema knows required fields. They are `Option` here and are checked after decoding, so that a missing
//! key is [`WireError::Missing`] and not an empty key; both are wrong, and clients are told which. Whoever has a
//! decoded message may take required fields with `unwrap_or_default()`. Fields that are not known are skipped, as the
//! protocol demands.

mod bound;
mod envelope;
mod error;
mod frame;
pub mod fuzz;
mod messages;
pub mod quorum;

pub use bound::FIELDS_MAX;
pub use envelope::{Request, Response};
pub use error::{FrameError, WireError};
pub use frame::{FRAME_HEADER_BYTES, answer_missing, split_answer, split_frame};
pub use messages::*;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
