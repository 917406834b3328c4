//! Changing the tree: what one store becomes, so that it is there whole or not at all.
//!
//! Each change of a row is a transaction of its own, and after a crash all are there up to some one. An entry is seen by its
//! row alone, so its row is changed last, and what the row pointed at goes after that. What is not pointed at, or will
//! soon not be, is *loose*: noted, with the key of the row that may point at it, before it is made, and until it is gone
//! or pointed at for good.

use ombak_aries::{Engine, Error, Lsn, Tree};
use ombak_base::Partition;

use super::commit::Change;
use super::counts::Counts;
use super::cursor::Cursor;
use super::rows::{
    PART_BYTES_MAX, PIECE_BYTES, Row, Rows, door_in, key_in, partition_of, piece_key, space_behind,
    space_of,
};

/// The note of the first number that may not have been given out.
const NEXT: &[u8] = b"next";
/// What a note of something loose begins with.
const LOOSE: &[u8] = b"loose";
/// So many numbers are set aside at once.
const NUMBERS: u64 = 1024;
/// So many pieces are removed between two looks at what is left.
const PIECES_AT_ONCE: usize = 1024;

/// The one who changes the rows.
pub(crate) struct Changer {
    rows: Rows,
    /// Numbers that may be given out.
    numbers: std::ops::Range<u64>,
    counts: Counts,
    /// Something loose may be left over from a change that was not finished.
    unfinished: bool,
    /// The last record that was logged.
    last: Lsn,
}

impl Changer {
    /// Reads what was noted. What a crash has left loose is still there: see [`sweep`](Changer::sweep).
    pub(crate) fn new(rows: Rows) -> Result<Changer, Error> {
        let next = rows.notes.get_latest(&rows.engine, NEXT)?;
        let next = next.and_then(|next| Some(u64::from_le_bytes(*next.first_chunk()?)));
        let numbers = next.unwrap_or(0)..next.unwrap_or(0);
        let counts = Counts::read(&rows)?;
        Ok(Changer { rows, numbers, counts, unfinished: true, last: Lsn(0) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.rows.engine
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What has to be durable for every change so far to be.
    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// Does one store. After an error it is not there, and may be tried again.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), Error> {
        let partition = change.partition;
        let Some(row_key) = self.row_key(change)? else { return Ok(()) };
        let old = self.rows.row(&row_key)?;
        let Some(entry) = &change.entry else {
            return self.replace(partition, &row_key, None, old.as_ref());
        };
        if Row::holds(&row_key, &entry.bytes) {
            let row = Row::Inline(entry.clone());
            return self.replace(partition, &row_key, Some(&row), old.as_ref());
        }
        let number = self.number()?;
        self.loosen(number, &row_key)?;
        for (piece, bytes) in entry.bytes.chunks(PIECE_BYTES).enumerate() {
            self.put(self.rows.pieces, &piece_key(number, piece as u32), bytes)?;
        }
        let row = Row::Pieces { tag: entry.tag, number, len: entry.bytes.len() as u64 };
        self.replace(partition, &row_key, Some(&row), old.as_ref())?;
        self.tighten(number)
    }

    /// Everything that was begun is finished: there is nothing loose.
    pub(crate) fn done(&mut self) {
        self.unfinished = false;
    }

    /// Removes what is loose, unless a row points at it. What can't be read stays for a later start.
    pub(crate) fn sweep(&mut self) -> Result<(), Error> {
        if !self.unfinished {
            return Ok(());
        }
        for (number, row_key) in self.loose()? {
            unless_damaged(self.sweep_one(number, &row_key))?;
        }
        self.unfinished = false;
        Ok(())
    }

    fn sweep_one(&mut self, number: u64, row_key: &[u8]) -> Result<(), Error> {
        let row = self.rows.row(row_key)?;
        if row.and_then(|row| row.pieces()) != Some(number) {
            self.remove_pieces(number)?;
        }
        self.tighten(number)
    }

    /// Counts all keys, as if none had ever been noted.
    pub(crate) fn count_anew(&mut self) -> Result<(), Error> {
        self.counts.forget();
        let mut from = space_of(Partition(0));
        loop {
            let rows = &self.rows;
            let mut next = rows.rows.range_latest(&rows.engine, &from, None);
            let Some(partition) = next.next()?.and_then(|(key, _)| partition_of(key)) else {
                break;
            };
            let mut cursor = Cursor::new(&self.rows, partition, &[])?;
            while cursor.next()?.is_some() {
                self.counts.change(partition, true);
            }
            let Some(behind) = partition.0.checked_add(1) else { break };
            from = space_of(Partition(behind));
        }
        for (key, count) in self.counts.notes() {
            self.put(self.rows.notes, &key, &count)?;
        }
        Ok(())
    }

    /// The key of the entry's row, with every door on the way made; `None`: it is to be removed, and is not there.
    fn row_key(&mut self, change: &Change) -> Result<Option<Vec<u8>>, Error> {
        let (mut space, mut rest) = (space_of(change.partition), &change.key[..]);
        while rest.len() > PART_BYTES_MAX {
            let (part, after) = rest.split_at(PART_BYTES_MAX);
            let door = door_in(&space, part);
            let number = match self.rows.row(&door)? {
                Some(Row::Door(number)) => number,
                _ if change.entry.is_none() => return Ok(None),
                _ => {
                    let number = self.number()?;
                    self.put(self.rows.rows, &door, &Row::Door(number).encode())?;
                    number
                }
            };
            (space, rest) = (space_behind(number), after);
        }
        Ok(Some(key_in(&space, rest)))
    }

    /// Changes the row, then removes the pieces that it pointed at.
    fn replace(
        &mut self,
        partition: Partition,
        row_key: &[u8],
        row: Option<&Row>,
        old: Option<&Row>,
    ) -> Result<(), Error> {
        let (was, is) = (old.is_some(), row.is_some());
        let old = old.and_then(Row::pieces);
        if let Some(old) = old {
            self.loosen(old, row_key)?;
        }
        if was != is {
            let (key, note) = self.counts.note(partition, is, row_key);
            unless_damaged(self.put(self.rows.notes, &key, &note))?;
        }
        match row {
            Some(row) => self.put(self.rows.rows, row_key, &row.encode())?,
            None => self.delete(self.rows.rows, row_key)?,
        }
        if was != is {
            self.counts.change(partition, is);
        }
        if let Some(old) = old {
            self.remove_pieces(old)?;
            self.tighten(old)?;
        }
        Ok(())
    }

    fn remove_pieces(&mut self, number: u64) -> Result<(), Error> {
        let to = number.saturating_add(1).to_be_bytes();
        loop {
            let mut keys = Vec::new();
            let engine = &self.rows.engine;
            let mut rows = self.rows.pieces.range_latest(engine, &number.to_be_bytes(), Some(&to));
            while keys.len() < PIECES_AT_ONCE
                && let Some((key, _)) = rows.next()?
            {
                keys.push(key.to_vec());
            }
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                self.delete(self.rows.pieces, &key)?;
            }
        }
    }

    /// A number that was never given.
    fn number(&mut self) -> Result<u64, Error> {
        if self.numbers.is_empty() {
            let next = self.numbers.start;
            self.put(self.rows.notes, NEXT, &(next + NUMBERS).to_le_bytes())?;
            self.numbers = next..next + NUMBERS;
        }
        self.numbers.start += 1;
        Ok(self.numbers.start - 1)
    }

    /// Notes that pieces may be pointed at by nothing, or by this row.
    fn loosen(&mut self, number: u64, row_key: &[u8]) -> Result<(), Error> {
        self.unfinished = true;
        self.put(self.rows.notes, &note(number), row_key)
    }

    /// Takes the note away.
    fn tighten(&mut self, number: u64) -> Result<(), Error> {
        self.delete(self.rows.notes, &note(number))
    }

    fn loose(&self) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let rows = &self.rows;
        let mut notes = rows.notes.range_latest(&rows.engine, LOOSE, None);
        let mut loose = Vec::new();
        while let Some((key, row_key)) = notes.next()? {
            let number = key.strip_prefix(LOOSE).and_then(|number| number.first_chunk());
            let Some(number) = number else { break };
            loose.push((u64::from_be_bytes(*number), row_key.to_vec()));
        }
        Ok(loose)
    }

    fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.last = self.last.max(tree.put_now(&self.rows.engine, key, value)?);
        Ok(())
    }

    fn delete(&mut self, tree: Tree, key: &[u8]) -> Result<(), Error> {
        let lsn = tree.delete_now(&self.rows.engine, key)?;
        self.last = self.last.max(lsn.unwrap_or_default());
        Ok(())
    }
}

/// Whether an error says that a page, or what is on it, can't be read: nothing was changed by it, and other pages can be.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Corrupt { .. })
}

fn unless_damaged(done: Result<(), Error>) -> Result<(), Error> {
    done.or_else(|error| if is_damage(&error) { Ok(()) } else { Err(error) })
}

fn note(number: u64) -> Vec<u8> {
    [LOOSE, &number.to_be_bytes()].concat()
}
