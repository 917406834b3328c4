//! Rebuilding one vnode from its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::behind::Behind;
use super::damage::{Damage, Flaw};
use super::index::{Index, Location};
use super::record::Pointer;
use super::scan::{Found, Seen, Value, scan};
use super::strand::{Kind, Strand, directory};
use super::tail::Position;
use super::vnode::Vnode;
use crate::error::StoreError;

/// Files by number, with their lengths.
type Lengths<F> = BTreeMap<u32, (Arc<F>, u64)>;

/// A vnode as it comes out of recovery.
pub(crate) struct Revived<F> {
    pub(crate) vnode: Vnode<F>,
    pub(crate) behind: Behind<F>,
    pub(crate) damage: Vec<Damage>,
}

struct Revival<F> {
    partition: Partition,
    index: Index,
    damage: Vec<Damage>,
    /// Keys whose latest record is damaged.
    flawed: BTreeMap<Bytes, Damage>,
    large: Lengths<F>,
    /// Where the last large value of each file ends that a record points at. What lies behind was never announced.
    large_ends: BTreeMap<u32, u64>,
}

/// Reads all files of a vnode. `dirty` are those that the replay wrote to; `reached`, how far the log says it went.
pub(crate) fn revive<D: Disk>(
    disk: &D,
    partition: Partition,
    dirty: BTreeMap<u32, Arc<D::File>>,
    reached: Position,
) -> Result<Revived<D::File>, StoreError> {
    let mut revival = Revival {
        partition,
        index: Index::default(),
        damage: Vec::new(),
        flawed: BTreeMap::new(),
        large: open_all(disk, partition, Kind::Large, &BTreeMap::new())?,
        large_ends: BTreeMap::new(),
    };
    let files = open_all(disk, partition, Kind::Data, &dirty)?;
    let mut lengths = BTreeMap::new();
    let mut ends_clean = true;
    for (number, (file, len)) in &files {
        let found = scan(partition, *number, &**file, *len, |seen| revival.visit(seen));
        ends_clean = found.ends_clean;
        revival.judge(*number, &found, &lengths);
        lengths.insert(*number, *len);
    }
    let end = lengths.last_key_value().map_or((0, 0), |(number, len)| (*number, *len));
    if reached > end {
        revival.report(reached.0, end.1, 0, Flaw::Missing);
        lengths.entry(reached.0).or_insert(0);
        ends_clean = false;
    }
    let mut data = Strand::reopen(handles(&files), &lengths);
    if !ends_clean {
        // The damaged end stays as it is, to be seen again by the next start; nothing is written over it.
        data.roll();
    }
    let large = Strand::reopen(handles(&revival.large), &revival.large_ends);
    let Revival { index, mut damage, flawed, .. } = revival;
    damage.extend(flawed.into_values());
    let vnode = Vnode::reopen(partition, index, data, large);
    Ok(Revived { vnode, behind: Behind::reopen(partition, end, dirty), damage })
}

fn handles<F>(files: &Lengths<F>) -> BTreeMap<u32, Arc<F>> {
    files.iter().map(|(number, (file, _))| (*number, file.clone())).collect()
}

/// All files of one kind with their lengths; those in `open` are not opened again.
fn open_all<D: Disk>(
    disk: &D,
    partition: Partition,
    kind: Kind,
    open: &BTreeMap<u32, Arc<D::File>>,
) -> Result<Lengths<D::File>, StoreError> {
    let dir = directory(partition);
    let mut files = BTreeMap::new();
    for name in disk.list(&dir).map_err(StoreError::io(&dir))? {
        let Some((number, suffix)) = name.split_once('.') else { continue };
        let Ok(number) = number.parse() else { continue };
        let path = kind.path(partition, number);
        if suffix != kind.suffix() || !path.ends_with(&name) {
            continue;
        }
        let file = match open.get(&number) {
            Some(file) => file.clone(),
            None => Arc::new(disk.open(&path, OpenMode::Read).map_err(StoreError::io(&path))?),
        };
        let len = file.len().map_err(StoreError::io(&path))?;
        files.insert(number, (file, len));
    }
    Ok(files)
}

impl<F: DiskFile> Revival<F> {
    fn visit(&mut self, seen: Seen) {
        if seen.is_removed {
            self.index.remove(&seen.key);
            self.flawed.remove(&seen.key);
            return;
        }
        let location = Location::new(seen.place, seen.len, seen.tag, seen.is_pointer);
        let is_there = match seen.value {
            Some(Value::Inline) => true,
            Some(Value::Pointer(pointer)) => self.has_large(pointer),
            None => false,
        };
        if is_there {
            self.index.insert(&seen.key, location);
            self.flawed.remove(&seen.key);
        } else {
            self.index.insert(&seen.key, location.flawed());
            let damage = self.flaw_of(&seen);
            self.flawed.insert(seen.key, damage);
        }
    }

    /// Whether the file of a large value is long enough. The value itself is checked when it is read.
    fn has_large(&mut self, pointer: Pointer) -> bool {
        let end = self.large_ends.entry(pointer.file).or_insert(0);
        *end = (*end).max(pointer.end());
        self.large.get(&pointer.file).is_some_and(|(_, len)| *len >= pointer.end())
    }

    fn flaw_of(&self, seen: &Seen) -> Damage {
        Damage {
            partition: Some(self.partition),
            file: Kind::Data.path(self.partition, seen.place.file),
            offset: seen.place.offset.into(),
            bytes: seen.len as u64,
            key: Some(seen.key.clone()),
            flaw: Flaw::Value,
        }
    }

    /// Reports what one file lacks. `lengths` are those of the files before it.
    fn judge(&mut self, number: u32, found: &Found, lengths: &BTreeMap<u32, u64>) {
        let previous = number.wrapping_sub(1);
        let len = lengths.get(&previous).copied().unwrap_or(0);
        let expected = u64::from(found.previous_len.unwrap_or(0));
        if len < expected {
            self.report(previous, len, expected - len, Flaw::Missing);
        }
        for (from, to) in &found.gaps {
            self.report(number, *from, to - from, Flaw::Records);
        }
    }

    fn report(&mut self, file: u32, offset: u64, bytes: u64, flaw: Flaw) {
        let file = Kind::Data.path(self.partition, file);
        let partition = Some(self.partition);
        self.damage.push(Damage { partition, file, offset, bytes, key: None, flaw });
    }
}
