//! What a test does to a disk from outside: crashes, faults, damage, and looking at it.

use std::io::ErrorKind;

use super::faults::SyncFault;
use super::inode::Inode;
use super::names::{InodeId, Names};
use super::{SECTOR_BYTES, SimDisk, State};
use crate::Rng;
use std::collections::BTreeMap;

/// What was asked of a disk, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Calls of `read_at`.
    pub reads: u64,
    /// Calls of `write_at` and `set_len`.
    pub writes: u64,
    /// Calls of `sync` and `sync_dir`.
    pub syncs: u64,
    /// Bytes given to `write_at`.
    pub bytes_written: u64,
    /// Files created, removed and renamed.
    pub name_changes: u64,
}

impl Counters {
    /// Everything that [`SimDisk::cut_power`] counts.
    pub fn changes(&self) -> u64 {
        self.writes + self.syncs + self.name_changes
    }
}

/// Something that the next crash may keep or take back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Unsynced {
    /// Which file.
    pub path: String,
    /// What of it.
    pub part: Part,
}

/// The part of a file that is not durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// A creation, removal or rename; only kept when the earlier ones of its directory are.
    Name,
    /// The length.
    Length,
    /// The content of a sector, counted from 0.
    Sector(u64),
}

/// A copy of all files, as taken by [`SimDisk::snapshot`].
#[derive(Clone, Debug)]
pub struct DiskImage {
    inodes: BTreeMap<InodeId, Inode>,
    names: Names,
}

impl SimDisk {
    /// The power goes and comes back. Each unsynced part survives or not, by the toss of a coin.
    pub fn crash(&self, rng: &mut Rng) {
        self.crash_with(|_| rng.chance(1, 2));
    }

    /// As [`crash`](SimDisk::crash), but `keep` decides. It is asked once for everything that
    /// [`unsynced`](SimDisk::unsynced) lists, in that order.
    pub fn crash_with(&self, keep: impl FnMut(&Unsynced) -> bool) {
        let mut state = self.state();
        let unsynced = state.unsynced();
        let kept: Vec<bool> = unsynced.iter().map(|(_, what)| what).map(keep).collect();
        let names = unsynced.iter().filter(|(_, what)| what.part == Part::Name).count();
        state.crash_inodes(&unsynced[names..], &kept[names..]);
        state.names.crash(&kept[..names]);
        state.restart();
    }

    /// What a crash might take back: first changes of names, oldest first, then content by file.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.state().unsynced().into_iter().map(|(_, what)| what).collect()
    }

    /// The sectors among [`unsynced`](SimDisk::unsynced).
    pub fn unsynced_sectors(&self) -> Vec<(String, u64)> {
        let sectors = self.unsynced().into_iter().filter_map(|what| match what.part {
            Part::Sector(sector) => Some((what.path, sector)),
            Part::Name | Part::Length => None,
        });
        sectors.collect()
    }

    /// Copies every file as the running process sees it.
    pub fn snapshot(&self) -> DiskImage {
        let state = self.state();
        DiskImage { inodes: state.inodes.clone(), names: state.names.clone() }
    }

    /// An older disk comes back: the files are those of `image`, all synced. Kills every handle.
    pub fn restore(&self, image: &DiskImage) {
        let mut state = self.state();
        state.inodes = image.inodes.clone();
        state.names = image.names.clone();
        let unsynced = state.unsynced();
        let names = unsynced.iter().filter(|(_, what)| what.part == Part::Name).count();
        let kept = vec![true; unsynced.len()];
        state.crash_inodes(&unsynced[names..], &kept[names..]);
        state.names.crash(&kept[..names]);
        state.restart();
    }

    /// The disk is replaced by an empty one. Kills every handle.
    pub fn wipe(&self) {
        let mut state = self.state();
        state.inodes.clear();
        state.names = Names::default();
        state.restart();
    }

    /// The `n`-th write from now (1: the next) fails, half done.
    pub fn fail_write(&self, n: u64, kind: ErrorKind) {
        self.state().faults.fail_write(n, kind);
    }

    /// The `n`-th sync from now (of a file or a directory; 1: the next) fails.
    pub fn fail_sync(&self, n: u64, kind: ErrorKind, fault: SyncFault) {
        self.state().faults.fail_sync(n, kind, fault);
    }

    /// The `n`-th read from now (1: the next) fails.
    pub fn fail_read(&self, n: u64, kind: ErrorKind) {
        self.state().faults.fail_read(n, kind);
    }

    /// The `n`-th write from now (1: the next) to a file whose path begins with `below` goes astray and says that it is
    /// done: its bytes go over those of some file there, at the beginning of some sector, and what was where they belong
    /// stays. The file's length is the file system's and becomes what it should.
    pub fn misdirect_write(&self, below: &str, n: u64, seed: u64) {
        self.state().faults.misdirect_write(below, n, seed);
    }

    /// During the `n`-th change from now (write, cut, sync, creation, removal, rename; 1: the next)
    /// the power goes: that call and all after it fail until [`crash`](SimDisk::crash). Of a write,
    /// any sectors may have arrived; of a sync, any part.
    pub fn cut_power(&self, n: u64) {
        self.state().faults.cut_power(n);
    }

    /// Whether [`cut_power`](SimDisk::cut_power) has struck. The world crashes such a node.
    pub fn is_powerless(&self) -> bool {
        self.state().faults.powerless
    }

    /// What was planned with `fail_write`, `fail_sync`, `fail_read`, `misdirect_write` and `cut_power` and has not happened yet is off.
    pub fn call_off(&self) {
        self.state().faults.power_on();
    }

    /// Everything fails with this error from now on, crashes notwithstanding; `None` repairs the disk.
    pub fn set_broken(&self, kind: Option<ErrorKind>) {
        self.state().faults.set_broken(kind);
    }

    /// Files that would grow beyond so many bytes together fail with
    /// [`StorageFull`](ErrorKind::StorageFull). Overwriting goes on.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().faults.capacity_bytes = bytes;
    }

    /// The disk is full after so many bytes more.
    pub fn fill_after(&self, bytes: u64) {
        let mut state = self.state();
        state.faults.capacity_bytes = Some(state.used_bytes() + bytes);
    }

    /// Whether `read_cached_at` finds nothing in the page cache.
    pub fn set_cold(&self, cold: bool) {
        self.state().faults.cold = cold;
    }

    /// Damages one bit. `false`: there is no such file, or it ends before.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) -> bool {
        self.state().named(path).is_some_and(|inode| inode.flip_bit(offset, bit))
    }

    /// Bit rot: turns a bit, drawn from all, in each file whose path begins with `below` and that is not empty.
    pub fn rot(&self, below: &str, rng: &mut Rng) {
        for (path, len) in self.files().into_iter().filter(|(path, _)| path.starts_with(below)) {
            if len > 0 {
                self.flip_bit(&path, rng.below(len), rng.below(8) as u8);
            }
        }
    }

    /// Makes the sector at `offset` unreadable until it is written again. `false`: no such file.
    pub fn break_sector(&self, path: &str, offset: u64) -> bool {
        let mut state = self.state();
        state.named(path).map(|inode| inode.break_sector(offset)).is_some()
    }

    /// All files and their lengths, in order of their paths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let len = |inode| state.inodes.get(&inode).map_or(0, Inode::len);
        state.names.iter().map(|(path, inode)| (path.to_string(), len(inode))).collect()
    }

    /// A file's content as the running process sees it, whatever is broken.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.state().named(path).map(|inode| inode.contents())
    }

    /// Bytes in files, those that were removed but are still open included.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// What was asked of the disk so far.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }
}

impl State {
    /// Writes elsewhere, if this is the write that goes astray.
    pub(super) fn misdirect(&mut self, id: InodeId, data: &[u8], offset: u64) -> bool {
        if !self.faults.misdirects() {
            return false;
        }
        let files = self.names.known();
        let Some(path) = files.get(&id) else { return false };
        let Some(seed) = self.faults.on_write_to(path) else { return false };
        let below = self.faults.stray_below();
        let targets = files.iter().filter(|(_, path)| path.starts_with(below));
        let targets: Vec<InodeId> = targets.map(|(id, _)| *id).collect();
        self.write_astray(id, data, offset, &targets, &mut Rng::new(seed));
        true
    }

    fn write_astray(
        &mut self,
        id: InodeId,
        data: &[u8],
        offset: u64,
        targets: &[InodeId],
        rng: &mut Rng,
    ) {
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.set_len(inode.len().max(offset + data.len() as u64));
        }
        let target = rng.pick(targets).and_then(|target| self.inodes.get_mut(target));
        let Some(target) = target.filter(|target| target.len() > 0) else { return };
        let at = rng.below(target.len()) / SECTOR_BYTES as u64 * SECTOR_BYTES as u64;
        let fits = (target.len() - at).min(data.len() as u64) as usize;
        target.write(&data[..fits], at);
    }

    fn named(&mut self, path: &str) -> Option<&mut Inode> {
        let inode = self.names.find(path)?;
        self.inodes.get_mut(&inode)
    }

    /// Names first, with a meaningless inode; then each file's length and sectors.
    fn unsynced(&self) -> Vec<(InodeId, Unsynced)> {
        let what = |path: &str, part| Unsynced { path: path.to_string(), part };
        let mut all: Vec<_> =
            self.names.unsynced().map(|path| (0, what(path, Part::Name))).collect();
        for (id, path) in self.names.known() {
            let Some(inode) = self.inodes.get(&id) else { continue };
            if inode.is_len_unsynced() {
                all.push((id, what(path, Part::Length)));
            }
            let sectors = inode.unsynced_sectors();
            all.extend(sectors.map(|sector| (id, what(path, Part::Sector(sector)))));
        }
        all
    }

    fn crash_inodes(&mut self, unsynced: &[(InodeId, Unsynced)], kept: &[bool]) {
        let mut lengths = BTreeMap::new();
        let mut sectors: BTreeMap<InodeId, Vec<u64>> = BTreeMap::new();
        for ((id, what), _) in unsynced.iter().zip(kept).filter(|(_, kept)| **kept) {
            match what.part {
                Part::Sector(sector) => sectors.entry(*id).or_default().push(sector),
                Part::Length => drop(lengths.insert(*id, true)),
                Part::Name => {}
            }
        }
        for (id, inode) in &mut self.inodes {
            let sectors = sectors.get(id).map_or(&[][..], Vec::as_slice);
            inode.crash(sectors, lengths.contains_key(id));
        }
    }

    /// Another process starts: the old one's handles are dead.
    fn restart(&mut self) {
        self.boot += 1;
        self.faults.power_on();
        self.collect();
    }
}
