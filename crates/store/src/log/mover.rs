//! The device's part in giving space back: see [`compact`](super::compact).

use bytes::Bytes;
use ombak_base::{Disk, Partition, UpkeepJob};

use super::commit::{GivenUp, LogNotice, Notice};
use super::compact::{LargeMove, Moving, Piece, Then, read_piece, read_value};
use super::device::LogDevice;
use super::strand::Kind;

/// Nothing is moved while so much is on its way to the disk: clients come first.
const PENDING_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One file that is being given up.
pub(super) struct Move {
    partition: Partition,
    source: Source,
    /// Whether a job is out.
    reading: bool,
}

enum Source {
    /// A file of records, from here on.
    Records { file: u32, from: u64 },
    /// A file of large values, with the keys that are left.
    Large { file: u32, keys: Vec<Bytes> },
}

/// A job, as the host runs it.
type Job<D> = UpkeepJob<LogNotice<<D as Disk>::File>>;

impl<D: Disk> LogDevice<D> {
    /// The next piece to be read, if space is to be given back and there is time for it.
    pub(super) fn next_job(&mut self) -> Option<Job<D>> {
        if self.pending_bytes > PENDING_BYTES_MAX {
            return None;
        }
        loop {
            if self.moving.is_none() {
                self.moving = Some(self.choose()?);
            }
            let moving = self.moving.as_mut()?;
            if moving.reading {
                return None;
            }
            moving.reading = true;
            match self.job() {
                Some(job) => return Some(job),
                None => self.moving = None,
            }
        }
    }

    /// A file that should be given up.
    fn choose(&mut self) -> Option<Move> {
        while let Some(partition) = self.bloated.first().copied() {
            let vnode = self.vnodes.get(&partition);
            if let Some((file, ..)) = vnode.and_then(|vnode| vnode.bloated(self.bounds)) {
                let source = Source::Records { file, from: 0 };
                return Some(Move { partition, source, reading: false });
            }
            if let Some((file, keys)) = vnode.and_then(|vnode| {
                let file = vnode.bloated_large(self.bounds)?;
                Some((file, vnode.keys_in_large(file)))
            }) {
                let source = Source::Large { file, keys };
                return Some(Move { partition, source, reading: false });
            }
            self.bloated.pop_first();
        }
        None
    }

    /// What is to be read next of the file that is being given up; `None` when that is over.
    fn job(&mut self) -> Option<Job<D>> {
        let Move { partition, source, .. } = self.moving.as_mut()?;
        let partition = *partition;
        let vnode = self.vnodes.get_mut(&partition)?;
        match source {
            Source::Records { file, from } => {
                let (number, len, handle) = vnode.closed_file(*file)?;
                let from = *from;
                Some(Box::new(move || {
                    let piece = read_piece(partition, number, &handle, len, from);
                    LogNotice(Notice::Read(partition, Moving::Piece(piece)))
                }))
            }
            Source::Large { file, keys } => loop {
                let Some(key) = keys.pop() else {
                    let file = *file;
                    if vnode.is_dead_large(file) {
                        let drop = vnode.give_up(Kind::Large, file);
                        self.drops.push((partition, drop));
                    }
                    return None;
                };
                // What was overwritten meanwhile need not be read.
                let Some((pointer, files)) = vnode.large_of(&key).filter(|(p, _)| p.file == *file)
                else {
                    continue;
                };
                return Some(Box::new(move || {
                    let moved = read_value(partition, &files, key, pointer);
                    LogNotice(Notice::Read(partition, Moving::Large(moved)))
                }));
            },
        }
    }

    /// A job has read something.
    pub(super) fn moved(&mut self, partition: Partition, moving: Moving) {
        if let Some(moving) = &mut self.moving {
            moving.reading = false;
        }
        match moving {
            Moving::Piece(piece) => self.piece_moved(partition, piece),
            Moving::Large(moved) => self.large_moved(partition, moved),
        }
    }

    fn piece_moved(&mut self, partition: Partition, piece: Piece) {
        let mut then = piece.then;
        for moved in piece.records {
            self.renew_chunk(moved.key.len());
            let Some(vnode) = self.vnodes.get_mut(&partition) else { return };
            match vnode.relocate(moved, self.bounds, &mut self.chunk) {
                Ok(append) => append.into_iter().for_each(|append| self.take_moved(append)),
                Err(_) => then = Then::Damage,
            }
        }
        match (then, self.moving.as_mut().map(|moving| &mut moving.source)) {
            (Then::Next(next), Some(Source::Records { from, .. })) => *from = next,
            (Then::Damage, _) => self.stop_moving(partition, Kind::Data, piece.file),
            (Then::End, _) => {
                let drop =
                    self.vnodes.get_mut(&partition).map(|v| v.give_up(Kind::Data, piece.file));
                self.drops.extend(drop.map(|drop: GivenUp| (partition, drop)));
                self.moving = None;
            }
            (Then::Next(_), _) => self.moving = None,
        }
    }

    fn large_moved(&mut self, partition: Partition, moved: LargeMove) {
        let file = moved.pointer.file;
        self.renew_chunk(moved.key.len());
        let Some(vnode) = self.vnodes.get_mut(&partition) else { return };
        match vnode.relocate_large(moved, self.bounds, &mut self.chunk) {
            Ok(append) => append.into_iter().for_each(|append| self.take_moved(append)),
            Err(_) => self.stop_moving(partition, Kind::Large, file),
        }
    }

    /// Something alive cannot be read: the file stays, and the machine is told.
    fn stop_moving(&mut self, partition: Partition, kind: Kind, file: u32) {
        self.moving = None;
        self.damaged.insert(partition);
        if let Some(vnode) = self.vnodes.get_mut(&partition) {
            vnode.keep(kind, file);
        }
    }
}
