//! Rebuilding one vnode from its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::behind::Behind;
use super::commit::GivenUp;
use super::damage::{Damage, Flaw};
use super::header::HEADER_BYTES;
use super::index::{Index, Location};
use super::keys::Section;
use super::large::Larges;
use super::lister::{Lister, Lists, listed};
use super::manifest::FIRSTS_FILE;
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
    /// Its first file of records.
    pub(crate) first: u32,
    pub(crate) vnode: Vnode<F>,
    pub(crate) behind: Behind<F>,
    pub(crate) damage: Vec<Damage>,
    /// Files that were given up, and are still there.
    pub(crate) leftovers: Vec<GivenUp>,
}

struct Revival<F> {
    partition: Partition,
    /// The first file of records.
    first: u32,
    index: Index,
    larges: Larges,
    damage: Vec<Damage>,
    /// Keys whose latest record is damaged.
    flawed: BTreeMap<Bytes, Damage>,
    large: Lengths<F>,
    /// Where the last large value of each file ends that a record points at. What lies behind was never announced.
    large_ends: BTreeMap<u32, u64>,
}

/// Reads all files of a vnode, or the lists of their keys. `dirty` are those that the replay wrote to; `reached`, how far the log says it went.
pub(crate) fn revive<D: Disk>(
    disk: &D,
    partition: Partition,
    first: Option<u32>,
    dirty: BTreeMap<u32, Arc<D::File>>,
    reached: Position,
) -> Result<Revived<D::File>, StoreError> {
    let mut revival = Revival {
        partition,
        first: 0,
        index: Index::default(),
        larges: Larges::default(),
        damage: Vec::new(),
        flawed: BTreeMap::new(),
        large: open_all(disk, partition, Kind::Large, &BTreeMap::new())?,
        large_ends: BTreeMap::new(),
    };
    let mut files = open_all(disk, partition, Kind::Data, &dirty)?;
    let mut leftovers = revival.begin(first, &mut files);
    let mut lengths = BTreeMap::new();
    let mut ends_clean = true;
    let last = files.last_key_value().map(|(number, _)| *number);
    let mut lists = Lists::read(disk, partition).map_err(StoreError::io(directory(partition)))?;
    let mut unfinished = None;
    for (number, (file, len)) in &files {
        let (found, section) = revival.read(*number, file, *len, &mut lists);
        ends_clean = found.ends_clean;
        revival.judge(*number, &found, &lengths);
        lengths.insert(*number, *len);
        match last == Some(*number) {
            true => unfinished = Some(section),
            false => lists.add(disk, section).map_err(StoreError::io(directory(partition)))?,
        }
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
    leftovers.extend(revival.unknown_larges());
    let large = Strand::reopen(handles(&revival.large), &revival.large_ends);
    let Revival { first, index, larges, mut damage, flawed, .. } = revival;
    damage.extend(flawed.into_values());
    let vnode = Vnode::reopen(partition, index, larges, data, large);
    let lister = match unfinished {
        Some(section) => lists.lister(section),
        None => Lister::new(partition),
    };
    let behind = Behind::reopen(partition, end, dirty, lister);
    Ok(Revived { first, vnode, behind, damage, leftovers })
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
    /// Passes over the files before the first, and reports if that is not there.
    fn begin(&mut self, first: Option<u32>, files: &mut Lengths<F>) -> Vec<GivenUp> {
        let lowest = files.first_key_value().map(|(number, _)| *number);
        self.first = first.or(lowest).unwrap_or(0);
        if first.is_none() && self.first > 0 {
            // Files before this one may have been given up, or may be lost.
            let (partition, file) = (Some(self.partition), FIRSTS_FILE.into());
            let flaw = Flaw::Missing;
            self.damage.push(Damage { partition, file, offset: 0, bytes: 0, key: None, flaw });
        }
        let needed = files.split_off(&self.first);
        let given_up = std::mem::replace(files, needed);
        if files.is_empty() && self.first > 0 {
            self.report(self.first, 0, 0, Flaw::Missing);
        }
        if given_up.is_empty() { Vec::new() } else { vec![GivenUp::Before(self.first)] }
    }

    /// Files of large values that no record knows, before the one that is written to; and of those that records know,
    /// the ones that are gone are passed over: nothing alive is in them.
    fn unknown_larges(&mut self) -> Vec<GivenUp> {
        let last = self.large_ends.last_key_value().map_or(0, |(number, _)| *number);
        let large = &self.large;
        self.large_ends.retain(|number, _| *number == last || large.contains_key(number));
        let unknown =
            large.keys().filter(|number| **number < last && !self.large_ends.contains_key(number));
        unknown.map(|number| GivenUp::Large(*number)).collect()
    }

    /// Takes what is listed of a file of records, and reads the rest: that is to be listed.
    fn read(&mut self, number: u32, file: &F, len: u64, lists: &mut Lists) -> (Found, Section) {
        let known = lists.take(number, len, |seen| self.visit(seen));
        let from = u64::from(known.to);
        let mut rest = Section::behind(known);
        let mut found = scan(self.partition, number, file, len, from, |seen| {
            match listed(&seen) {
                Some(record) => rest.push(record),
                None => rest.give_up(),
            }
            self.visit(seen);
        });
        if from > HEADER_BYTES as u64 {
            found.previous_len = Some(known.previous_len);
        }
        match found.previous_len {
            Some(previous_len) if found.gaps.is_empty() && found.ends_clean => {
                rest.is_of(previous_len);
            }
            _ => rest.give_up(),
        }
        (found, rest)
    }

    fn visit(&mut self, seen: Seen) {
        if seen.is_removed {
            self.index.remove(&seen.key);
            self.larges.remove(&seen.key);
            self.flawed.remove(&seen.key);
            return;
        }
        let location = Location::new(seen.place, seen.len, seen.tag, seen.is_pointer);
        self.larges.remove(&seen.key);
        let is_there = match seen.value {
            Some(Value::Inline) => true,
            Some(Value::Pointer(pointer)) => self.has_large(&seen.key, pointer),
            None => false,
        };
        if is_there {
            self.index.insert(&seen.key, location);
            self.flawed.remove(&seen.key);
        } else {
            self.index.insert(&seen.key, location.flawed());
            // Copied: what was read shares its memory with a whole piece of the file.
            let key = Bytes::copy_from_slice(&seen.key);
            let damage = self.flaw_of(&seen, key.clone());
            self.flawed.insert(key, damage);
        }
    }

    /// Whether the file of a large value is long enough. The value itself is checked when it is read.
    fn has_large(&mut self, key: &[u8], pointer: Pointer) -> bool {
        let end = self.large_ends.entry(pointer.file).or_insert(0);
        *end = (*end).max(pointer.end());
        let is_there = self.large.get(&pointer.file).is_some_and(|(_, len)| *len >= pointer.end());
        if is_there {
            self.larges.insert(key, pointer);
        }
        is_there
    }

    fn flaw_of(&self, seen: &Seen, key: Bytes) -> Damage {
        Damage {
            partition: Some(self.partition),
            file: Kind::Data.path(self.partition, seen.place.file),
            offset: seen.place.offset.into(),
            bytes: seen.len as u64,
            key: Some(key),
            flaw: Flaw::Value,
        }
    }

    /// Reports what one file lacks. `lengths` are those of the files before it.
    fn judge(&mut self, number: u32, found: &Found, lengths: &BTreeMap<u32, u64>) {
        let previous = number.wrapping_sub(1);
        let len = lengths.get(&previous).copied().unwrap_or(0);
        let expected = u64::from(found.previous_len.unwrap_or(0));
        if len < expected && number > self.first {
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
