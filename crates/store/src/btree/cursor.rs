//! A partition's entries in the tree, in the order of their keys, through every door.

use ombak_aries::{Error, Rows as TreeRows};
use ombak_base::Partition;

use super::rows::{PART_BYTES_MAX, Row, Rows, behind, door_in, key_in, space_behind, space_of};

/// The rows of one space.
struct Level<'a> {
    rows: TreeRows<'a>,
    space_bytes: usize,
    /// What the keys of its entries begin with.
    prefix: Vec<u8>,
}

/// See the module.
pub(crate) struct Cursor<'a> {
    store: &'a Rows,
    /// From the partition's own space to the one that is being read.
    levels: Vec<Level<'a>>,
}

impl<'a> Cursor<'a> {
    /// Stands at the first entry that is not before `from`.
    pub(crate) fn new(
        store: &'a Rows,
        partition: Partition,
        from: &[u8],
    ) -> Result<Cursor<'a>, Error> {
        let mut cursor = Cursor { store, levels: Vec::new() };
        let (mut space, mut at) = (space_of(partition), 0);
        loop {
            let (prefix, rest) = from.split_at(at);
            if rest.len() <= PART_BYTES_MAX {
                cursor.enter(&space, &key_in(&space, rest), prefix);
                return Ok(cursor);
            }
            let door = door_in(&space, &rest[..PART_BYTES_MAX]);
            let found = store.row(&door)?;
            let Some(Row::Door(number)) = found else {
                cursor.enter(&space, &door, prefix);
                return Ok(cursor);
            };
            // Behind the door now, and after it later.
            cursor.enter(&space, &[&door[..], &[0]].concat(), prefix);
            (space, at) = (space_behind(number), at + PART_BYTES_MAX);
        }
    }

    fn enter(&mut self, space: &[u8], from: &[u8], prefix: &[u8]) {
        let store = self.store;
        let rows = store.rows.range_latest(&store.engine, from, behind(space).as_deref());
        self.levels.push(Level { rows, space_bytes: space.len(), prefix: prefix.to_vec() });
    }

    /// The next entry's key, and its row.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Row)>, Error> {
        while let Some(level) = self.levels.last_mut() {
            let Some((row_key, bytes)) = level.rows.next()? else {
                self.levels.pop();
                continue;
            };
            let row = self.store.decode(&bytes.to_vec().into())?;
            let mut key = [&level.prefix, &row_key[level.space_bytes..]].concat();
            let Row::Door(number) = row else { return Ok(Some((key, row))) };
            key.pop(); // A door's own zero.
            let space = space_behind(number);
            self.enter(&space, &space, &key);
        }
        Ok(None)
    }
}
