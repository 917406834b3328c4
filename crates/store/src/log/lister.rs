//! The device's part in listing the keys of files that take no more records: see [`keys`](super::keys).

use std::collections::BTreeSet;
use std::sync::Arc;

use ombak_base::{Disk, DiskFile, Partition};

use super::commit::{LogNotice, Notice};
use super::device::LogDevice;
use super::header::{HEADER_BYTES, Header};
use super::keys::{KeyList, ListOf};
use super::mover::Job;
use super::record::Place;
use super::scan::examine;
use super::window::Window;

/// What one job reads at most.
const PIECE_BYTES: u64 = 256 * 1024;

/// Which file is being listed, and which vnodes may have more.
#[derive(Debug, Default)]
pub(super) struct Lister {
    vnodes: BTreeSet<Partition>,
    listing: Option<Listing>,
    /// Whether a job is out.
    is_out: bool,
}

/// How far one file is.
#[derive(Debug)]
pub(crate) struct Listing {
    of: ListOf,
    from: u64,
    list: KeyList,
}

impl Lister {
    /// Files of this vnode may have ended.
    pub(super) fn look_at(&mut self, partition: Partition) {
        self.vnodes.insert(partition);
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_out
    }

    /// A job has come back.
    pub(super) fn listed(&mut self, listing: Listing) {
        self.is_out = false;
        self.listing = Some(listing).filter(|listing| !listing.is_over());
    }
}

impl Listing {
    fn new(partition: Partition, file: u32, len: u64) -> Listing {
        let of = ListOf { partition, file, len, previous_len: 0 };
        Listing { of, from: 0, list: KeyList::default() }
    }

    fn is_over(&self) -> bool {
        self.list.is_vain() || self.from >= self.of.len
    }

    /// Lists a piece. What cannot be read is left for the next start to find.
    fn read<F: DiskFile>(&mut self, file: &Arc<F>) {
        let mut window = Window::sized(&**file, self.of.len, PIECE_BYTES as usize);
        if self.from == 0 {
            let header = Header::decode(window.get(0, HEADER_BYTES));
            let Some(header) = header else { return self.list.give_up() };
            self.of.previous_len = header.previous_len;
            self.from = HEADER_BYTES as u64;
        }
        let end = self.of.len.min(self.from + PIECE_BYTES);
        while self.from < end && !self.list.is_vain() {
            let ListOf { partition, file, .. } = self.of;
            let place = Place { partition, file, offset: self.from as u32 };
            match examine(&mut window, place) {
                Some(seen) => {
                    self.from += seen.len as u64;
                    self.list.push(&seen);
                }
                None => self.list.give_up(),
            }
        }
    }
}

impl<D: Disk> LogDevice<D> {
    /// The next piece of a file to be listed, if there is one.
    pub(super) fn list_job(&mut self) -> Option<Job<D>> {
        let mut listing = match self.lister.listing.take() {
            Some(listing) => listing,
            None => self.next_unlisted()?,
        };
        let ListOf { partition, file, .. } = listing.of;
        // It may have been given up meanwhile.
        let (.., handle) = self.vnodes.get(&partition)?.closed_file(file)?;
        self.lister.is_out = true;
        let disk = self.disk.clone();
        Some(Box::new(move || {
            listing.read(&handle);
            if listing.is_over() {
                // Without it, the next start reads the records. A disk that fails shows with the next commit.
                let _ = listing.list.write(&disk, listing.of);
            }
            LogNotice(Notice::Listed(listing))
        }))
    }

    fn next_unlisted(&mut self) -> Option<Listing> {
        while let Some(partition) = self.lister.vnodes.first().copied() {
            let vnode = self.vnodes.get_mut(&partition);
            if let Some((file, len, _)) = vnode.and_then(|vnode| vnode.take_unlisted()) {
                return Some(Listing::new(partition, file, len));
            }
            self.lister.vnodes.pop_first();
        }
        None
    }
}
