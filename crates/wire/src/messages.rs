//! The messages by name, in Riak's own words and with its field numbers.
//!
//! A field that Riak's schema calls *required* is an `Option` here, like any other, because prost would read a
//! missing required field as its default. [`Required`] looks afterwards.

mod bucket;
mod kv;
mod object;
mod props;
mod rows;
mod server;

pub use bucket::*;
pub use kv::*;
pub use object::*;
pub use props::*;
pub use rows::*;
pub use server::*;

use crate::WireError;

/// What must be there once a message is decoded.
pub(crate) trait Required {
    /// Names the first required field that is missing, in this message or in one inside it.
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }
}

fn required<T>(field: &Option<T>, name: &'static str) -> Result<(), WireError> {
    if field.is_some() { Ok(()) } else { Err(WireError::Missing(name)) }
}
