//! One file: what is synced, and which writes since are not.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Content, SECTOR_BYTES, page_of, sectors};

/// A file's two contents. `dirty` names every sector in which they may differ; the lengths may differ
/// as well.
#[derive(Clone, Default, Debug)]
pub struct Inode {
    /// What the running process reads.
    now: Content,
    /// What a crash cannot take away.
    synced: Content,
    /// Sectors written since the last sync. `true`: a failed sync has dropped the write, as Linux
    /// does: it can still be read, and no later sync brings it to the disk.
    dirty: BTreeMap<u64, bool>,
    /// Sectors that cannot be read until they are written again.
    bad: BTreeSet<u64>,
    /// Open handles of the present boot.
    pub handles: u32,
}

impl Inode {
    pub fn len(&self) -> u64 {
        self.now.len()
    }

    pub fn contents(&self) -> Vec<u8> {
        let mut all = vec![0; self.now.len() as usize];
        self.now.read(&mut all, 0);
        all
    }

    /// `None`: there is an unreadable sector in the range.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let touched = sectors(offset, buffer.len() as u64);
        let broken = self.bad.range(touched).next().is_some();
        (!broken).then(|| self.now.read(buffer, offset))
    }

    pub fn write(&mut self, data: &[u8], offset: u64) {
        self.now.write(data, offset);
        for sector in sectors(offset, data.len() as u64) {
            self.dirty.insert(sector, false);
            self.bad.remove(&sector);
        }
    }

    /// Cut sectors become dirty, so that growing again does not bring back what was cut.
    pub fn set_len(&mut self, len: u64) {
        let old = self.now.len().max(self.synced.len());
        for sector in sectors(len, old.saturating_sub(len)) {
            if self.now.has_sector(sector) || self.synced.has_sector(sector) {
                self.dirty.insert(sector, false);
            }
        }
        self.now.set_len(len);
    }

    pub fn sync(&mut self) {
        self.synced.set_len(self.now.len());
        let mut done_below = 0;
        for (&sector, _) in self.dirty.iter().filter(|(_, dropped)| !**dropped) {
            if sector < done_below {
                continue; // With another of its page.
            }
            let (page, sectors) = page_of(sector);
            if self.dirty.range(sectors.clone()).any(|(_, dropped)| *dropped) {
                self.synced.copy_sector(&self.now, sector);
            } else {
                self.synced.share_page(&self.now, page);
                done_below = sectors.end;
            }
        }
        self.dirty.retain(|_, dropped| *dropped);
    }

    /// A sync has failed in the way that loses the writes.
    pub fn drop_unsynced(&mut self) {
        self.dirty.values_mut().for_each(|dropped| *dropped = true);
    }

    pub fn unsynced_sectors(&self) -> impl Iterator<Item = u64> {
        self.dirty.iter().filter(|(_, dropped)| !**dropped).map(|(&sector, _)| sector)
    }

    pub fn is_len_unsynced(&self) -> bool {
        self.now.len() != self.synced.len()
    }

    /// Keeps of the unsynced changes those that are named; everything is synced afterwards.
    pub fn crash(&mut self, kept: &[u64], keep_len: bool) {
        let len = if keep_len { self.now.len() } else { self.synced.len() };
        for &sector in kept {
            self.synced.copy_sector(&self.now, sector);
        }
        self.synced.set_len(len);
        self.now = self.synced.clone();
        self.dirty.clear();
        self.handles = 0;
    }

    /// Damages one bit of both contents, where they reach so far.
    pub fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        let flipped = [&mut self.now, &mut self.synced].map(|content| {
            let mut byte = [0];
            let there = content.read(&mut byte, offset) == 1;
            if there {
                content.write(&[byte[0] ^ (1 << (bit % 8))], offset);
            }
            there
        });
        flipped != [false, false]
    }

    pub fn break_sector(&mut self, offset: u64) {
        self.bad.insert(offset / SECTOR_BYTES as u64);
    }
}
