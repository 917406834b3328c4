//! How entries of any size become rows of at most 2 KB, with keys of at most 1 KB, in the order of the entries' keys.
//!
//! # Keys
//!
//! A *space* is a prefix of the tree's keys: each partition has one, and more are given out by number.
//!
//! ```text
//!   0 partition(4)            the space of a partition
//!   1 number(8)               one more space
//! ```
//!
//! A key of up to 512 bytes is its space's prefix and itself. Of a longer one the first 512 bytes and a zero lead to a row
//! that names another space, the *door*, in which the rest is found in the same way. A door's key is longer than any other
//! in its space, so it is taken for none; and it stands right behind the key of the same 512 bytes and before all
//! others that are greater. So to read rows in order and to go through each door when it comes is to read entries in the
//! order of their keys, whatever their length. A door stays when all behind it is gone, and is used again.
//!
//! # Values
//!
//! ```text
//!   1 tag(8) value            a value that fits
//!   2 tag(8) number(8) len(8) one in pieces, in the tree `pieces`, under number(8) piece(4)
//!   3 number(8)               a door
//! ```
//!
//! Numbers are big-endian where they are keys, little-endian in values. None is ever given twice.

use bytes::{BufMut, Bytes, BytesMut};
use ombak_aries::{Engine, Error, ROW_BYTES_MAX, Tree};
use ombak_base::{DeviceError, Entry, Partition};

/// A longer key goes on in a space of its own.
pub(crate) const PART_BYTES_MAX: usize = 512;
/// Bytes of a piece's key.
const PIECE_KEY_BYTES: usize = 12;
/// Bytes of a piece.
pub(crate) const PIECE_BYTES: usize = ROW_BYTES_MAX - PIECE_KEY_BYTES;
/// Bytes in front of a value in its row.
const HEAD_BYTES: usize = 9;

const PARTITION: u8 = 0;
const NUMBERED: u8 = 1;

const INLINE: u8 = 1;
const PIECES: u8 = 2;
const DOOR: u8 = 3;

/// What a row says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Row {
    Inline(Entry),
    Pieces { tag: u64, number: u64, len: u64 },
    Door(u64),
}

impl Row {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Row::Inline(entry) => {
                out.put_u8(INLINE);
                out.put_u64_le(entry.tag);
                out.put_slice(&entry.bytes);
            }
            Row::Pieces { tag, number, len } => {
                out.put_u8(PIECES);
                [tag, number, len].into_iter().for_each(|word| out.put_u64_le(*word));
            }
            Row::Door(number) => {
                out.put_u8(DOOR);
                out.put_u64_le(*number);
            }
        }
        out.freeze()
    }

    /// `None`: no version writes this.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Row> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        match *bytes.first()? {
            INLINE => Some(Row::Inline(Entry { tag: word(1)?, bytes: bytes.slice(HEAD_BYTES..) })),
            PIECES => Some(Row::Pieces { tag: word(1)?, number: word(9)?, len: word(17)? }),
            DOOR => Some(Row::Door(word(1)?)),
            _ => None,
        }
    }

    /// Whether a value fits into the row of this key.
    pub(crate) fn holds(row_key: &[u8], value: &[u8]) -> bool {
        row_key.len() + HEAD_BYTES + value.len() <= ROW_BYTES_MAX
    }

    /// The number of its pieces, if it has any.
    pub(crate) fn pieces(&self) -> Option<u64> {
        match self {
            Row::Pieces { number, .. } => Some(*number),
            _ => None,
        }
    }
}

/// The prefix of a partition's keys.
pub(crate) fn space_of(partition: Partition) -> Vec<u8> {
    let mut prefix = vec![PARTITION];
    prefix.extend(partition.0.to_be_bytes());
    prefix
}

/// The partition of a row, if it is in a partition's own space.
pub(crate) fn partition_of(row_key: &[u8]) -> Option<Partition> {
    let number = row_key.strip_prefix(&[PARTITION])?.first_chunk()?;
    Some(Partition(u32::from_be_bytes(*number)))
}

/// The prefix of a space that is behind a door.
pub(crate) fn space_behind(number: u64) -> Vec<u8> {
    let mut prefix = vec![NUMBERED];
    prefix.extend(number.to_be_bytes());
    prefix
}

/// The first key behind everything that begins with `prefix`; `None`: nothing is.
pub(crate) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix[..=kept].to_vec();
    behind[kept] += 1;
    Some(behind)
}

/// A part of a key in its space.
pub(crate) fn key_in(space: &[u8], part: &[u8]) -> Vec<u8> {
    [space, part].concat()
}

/// The door of all keys that are longer than `part`, and begin with it.
pub(crate) fn door_in(space: &[u8], part: &[u8]) -> Vec<u8> {
    [space, part, &[0]].concat()
}

/// The key of a piece of a value.
pub(crate) fn piece_key(number: u64, piece: u32) -> [u8; PIECE_KEY_BYTES] {
    let mut key = [0; PIECE_KEY_BYTES];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(&piece.to_be_bytes());
    key
}

/// The store's trees, for any number of threads.
#[derive(Clone)]
pub(crate) struct Rows {
    pub(crate) engine: Engine,
    pub(crate) rows: Tree,
    pub(crate) pieces: Tree,
    /// What the store keeps for itself: see `change.rs`.
    pub(crate) notes: Tree,
}

/// Why a row could not be had.
enum Miss {
    /// One would have to wait.
    Waits,
    Failed(DeviceError),
}

impl Rows {
    /// What is under a row's key.
    pub(crate) fn row(&self, row_key: &[u8]) -> Result<Option<Row>, Error> {
        let found = self.rows.get_latest(&self.engine, row_key)?;
        found.map(|bytes| self.decode(&bytes)).transpose()
    }

    /// A row that makes no sense, with its page's checksum in order, is damage.
    pub(crate) fn decode(&self, bytes: &Bytes) -> Result<Row, Error> {
        let why = "a row of the tree that begins here is no row";
        Row::decode(bytes).ok_or_else(|| self.engine.corrupt(self.rows.root(), why))
    }

    /// The key of the row of an entry; `None`: a door on the way is not there, so the entry is not, either.
    fn locate(
        partition: Partition,
        key: &[u8],
        get: impl Fn(&[u8]) -> Result<Option<Row>, Miss>,
    ) -> Result<Option<Vec<u8>>, Miss> {
        let (mut space, mut rest) = (space_of(partition), key);
        while rest.len() > PART_BYTES_MAX {
            let (part, after) = rest.split_at(PART_BYTES_MAX);
            let Some(Row::Door(number)) = get(&door_in(&space, part))? else { return Ok(None) };
            (space, rest) = (space_behind(number), after);
        }
        Ok(Some(key_in(&space, rest)))
    }

    /// The row of an entry, and its key.
    fn find_by(
        partition: Partition,
        key: &[u8],
        get: impl Fn(&[u8]) -> Result<Option<Row>, Miss>,
    ) -> Result<Option<(Vec<u8>, Row)>, Miss> {
        let Some(row_key) = Rows::locate(partition, key, &get)? else { return Ok(None) };
        Ok(get(&row_key)?.map(|row| (row_key, row)))
    }

    /// The row of an entry, as far as memory has it; `None`: to tell would be to wait, or has failed.
    pub(crate) fn find_cached(&self, partition: Partition, key: &[u8]) -> Option<Option<Row>> {
        let cached = |row_key: &[u8]| {
            let found = self.rows.get_resident(&self.engine, row_key).ok_or(Miss::Waits)?;
            found.map(|bytes| Row::decode(&bytes).ok_or(Miss::Waits)).transpose()
        };
        let found = Rows::find_by(partition, key, cached).ok()?;
        Some(found.map(|(_, row)| row))
    }

    /// The row of an entry, and its key.
    pub(crate) fn find(
        &self,
        partition: Partition,
        key: &[u8],
    ) -> Result<Option<(Vec<u8>, Row)>, DeviceError> {
        let get = |row_key: &[u8]| self.row(row_key).map_err(|error| Miss::Failed(told(&error)));
        Rows::find_by(partition, key, get).map_err(|miss| match miss {
            Miss::Failed(error) => error,
            Miss::Waits => DeviceError::Io("a read waited".to_string()), // `get` never says so.
        })
    }

    /// Reads an entry. Others may store it meanwhile: then it is an older one or theirs, and whole.
    pub(crate) fn load(
        &self,
        partition: Partition,
        key: &[u8],
    ) -> Result<Option<Entry>, DeviceError> {
        let mut before = None;
        loop {
            let Some((_, row)) = self.find(partition, key)? else { return Ok(None) };
            if let Some(entry) = self.entry(&row)? {
                return Ok(Some(entry));
            }
            // Its pieces are not there: it was replaced since the row was read, or they are lost.
            if before.as_ref() == Some(&row) {
                return Err(self.lacks_pieces(key));
            }
            before = Some(row);
        }
    }

    /// A row points at pieces that are not there.
    pub(crate) fn lacks_pieces(&self, key: &[u8]) -> DeviceError {
        let why = "the tree that begins here lacks pieces of a value";
        let error = self.engine.corrupt(self.pieces.root(), why);
        DeviceError::Damaged(format!("{error}; the value of \"{}\" is lost", key.escape_ascii()))
    }

    /// The entry of a row; `None`: pieces are not there.
    pub(crate) fn entry(&self, row: &Row) -> Result<Option<Entry>, DeviceError> {
        match row {
            Row::Inline(entry) => Ok(Some(entry.clone())),
            Row::Door(_) => Ok(None),
            Row::Pieces { tag, number, len } => {
                let bytes = self.gather(*number, *len).map_err(|error| told(&error))?;
                Ok(bytes.map(|bytes| Entry { tag: *tag, bytes }))
            }
        }
    }

    fn gather(&self, number: u64, len: u64) -> Result<Option<Bytes>, Error> {
        let to = number.saturating_add(1).to_be_bytes();
        let mut pieces = self.pieces.range_latest(&self.engine, &number.to_be_bytes(), Some(&to));
        let mut bytes = BytesMut::new();
        while let Some((_, piece)) = pieces.next()? {
            bytes.put_slice(piece);
        }
        Ok((bytes.len() as u64 == len).then(|| bytes.freeze()))
    }
}

/// An error of the engine, for a machine.
pub(crate) fn told(error: &Error) -> DeviceError {
    match error {
        Error::Damaged { .. }
        | Error::LogDamaged { .. }
        | Error::Malformed { .. }
        | Error::Newer { .. }
        | Error::Corrupt { .. } => DeviceError::Damaged(error.to_string()),
        error => DeviceError::Io(error.to_string()),
    }
}
