//! What any bytes at all must satisfy where a member reads what another process, or a hand, has written.
//!
//! The fuzz targets in `fuzz/` and the property tests here call the same functions. They panic where a promise is broken.

pub use crate::directory::fuzz::identity;
pub use crate::handshake::fuzz::hello;
