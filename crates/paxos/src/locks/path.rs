//! Names of resources, which lie under each other, and the few bytes that each of them carries.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX, VALUE_BYTES_MAX};

/// A name of any bytes under what it lies in, and so on: `accounts`, `accounts/17`. The slash is for people; names may
/// contain it.
///
/// Kept as each name with its length in front, so that a path is one small shared buffer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path(Bytes);

/// A name that cannot be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadPath {
    /// A name has at least one byte.
    Empty,
    /// All names together, and one byte more for each, have more than [`PATH_BYTES_MAX`] bytes.
    TooLong,
    /// More than [`PATH_DEPTH_MAX`] names.
    TooDeep,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPath::Empty => write!(f, "a name has no bytes: give it at least one"),
            BadPath::TooLong => write!(
                f,
                "a name and those above it have more than {PATH_BYTES_MAX} bytes, counting one more for each: hash long names"
            ),
            BadPath::TooDeep => {
                write!(f, "a name has more than {PATH_DEPTH_MAX} parts: join the lower ones")
            }
        }
    }
}

impl std::error::Error for BadPath {}

impl Path {
    /// From names, the topmost first.
    pub fn new<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Result<Path, BadPath> {
        let mut bytes = Vec::new();
        for (depth, name) in names.into_iter().enumerate() {
            let name = name.as_ref();
            if depth >= PATH_DEPTH_MAX {
                return Err(BadPath::TooDeep);
            }
            let len = u8::try_from(name.len()).map_err(|_| BadPath::TooLong)?;
            if len == 0 {
                return Err(BadPath::Empty);
            }
            bytes.push(len);
            bytes.extend_from_slice(name);
            if bytes.len() > PATH_BYTES_MAX {
                return Err(BadPath::TooLong);
            }
        }
        if bytes.is_empty() { Err(BadPath::Empty) } else { Ok(Path(bytes.into())) }
    }

    /// The names, the topmost first.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            let (name, below) = after.split_at_checked(usize::from(len))?;
            rest = below;
            Some(name)
        })
    }

    /// What it lies under.
    pub fn parent(&self) -> Option<Path> {
        let last = self.names().last()?;
        let above = self.0.len().checked_sub(last.len() + 1)?;
        (above > 0).then(|| Path(self.0.slice(..above)))
    }

    /// As it is encoded.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the encoding, which nobody has looked at yet.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Result<Path, BadPath> {
        let mut names = Vec::new();
        while let Some((&len, after)) = bytes.split_first() {
            let (name, below) = after.split_at_checked(usize::from(len)).ok_or(BadPath::TooLong)?;
            names.push(name);
            bytes = below;
        }
        Path::new(names)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names().enumerate() {
            let slash = if i > 0 { "/" } else { "" };
            write!(f, "{slash}{}", name.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a value block holds: at most [`VALUE_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Value(Bytes);

/// More than [`VALUE_BYTES_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a value block holds {VALUE_BYTES_MAX} bytes: keep the data elsewhere, its version here"
        )
    }
}

impl std::error::Error for TooLarge {}

impl Value {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Value, TooLarge> {
        let fits = bytes.len() <= VALUE_BYTES_MAX;
        // A copy, because a slice of what arrived would keep all of that alive.
        fits.then(|| Value(Bytes::copy_from_slice(bytes))).ok_or(TooLarge)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A few bytes that travel with the locks of a resource: its holders tell each other by them, without a disk, what they
/// would else have to look up (a version, a length, where the newest copy is).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ValueBlock {
    /// What was written last.
    pub value: Value,
    /// `false`: who could have changed it died, so what it describes may be newer. Written again, it is valid again.
    pub valid: bool,
}

impl Default for ValueBlock {
    fn default() -> ValueBlock {
        ValueBlock { value: Value::default(), valid: true }
    }
}
