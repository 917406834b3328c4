//! A copy of the store in a directory of its own, made while it is in use: for backups.
//!
//! # What is linked and what is copied
//!
//! A file that takes no more records is never written again, so the copy has it as a second name of the same file: that
//! takes no time and no space, and the copy keeps it when compaction gives it up here. The last file of each vnode
//! goes on growing, so what it holds is copied.
//!
//! # Of which moment
//!
//! Each vnode is as it was when its turn came: everything that was durable then is in it, and nothing in part. That is what
//! a crash at that moment would have left, and so a node that starts on the copy does what it does after a crash. The
//! node's own small state comes last.
//!
//! # Whole or not at all
//!
//! The file `format` is written last. Without it no store is opened, so what a crash has left of a copy is told from a whole
//! one.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::behind::Behind;
use super::format::{self, FORMAT_FILE};
use super::lister;
use super::manifest::{self, FIRSTS_FILE};
use super::read::read_full;
use super::room::Stop;
use super::strand::{Kind, VNODES, directory};
use super::tail::Position;
use super::write_whole;
use super::writer::{LogWriter, Notices};

/// So much is copied at once; commits wait meanwhile.
const COPIED_BYTES: u64 = 1024 * 1024;

/// What was asked for: see [`LogWriter::begin_snapshot`](super::LogWriter::begin_snapshot).
pub struct Snapshot {
    /// The directory, relative to the store's. It must be empty or not exist.
    pub dir: String,
    /// Other files to put there, by name.
    pub beside: Vec<(String, Vec<u8>)>,
    /// Hears how it went.
    pub done: Box<dyn FnOnce(Result<SnapshotReport, SnapshotError>) + Send>,
}

/// What a snapshot consists of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SnapshotReport {
    /// Files that it shares with the store.
    pub linked_files: u64,
    /// Their bytes.
    pub linked_bytes: u64,
    /// Files that were copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// One at a time.
    #[error("another snapshot is being made: wait until it is there")]
    Busy,
    /// Nothing is ever written over.
    #[error("{0} exists already: choose another name")]
    Exists(String),
    /// The `memory` backend, or storage that has failed.
    #[error("{0}")]
    Impossible(&'static str),
    /// The operating system refused. What is there of the directory is of no use.
    #[error("making the snapshot failed: {0}")]
    Io(#[from] io::Error),
}

/// A snapshot that is being made.
pub(crate) struct Making<D: Disk> {
    wanted: Snapshot,
    /// The vnode that comes next.
    next: Option<Partition>,
    copies: VecDeque<Copying<D::File>>,
    /// The first file of each vnode when its turn came.
    firsts: BTreeMap<Partition, u32>,
    /// Directories whose names are not durable.
    dirs: Vec<String>,
    report: SnapshotReport,
}

/// The beginning of a file, on its way into the copy.
struct Copying<F> {
    from: F,
    to: F,
    len: u64,
    at: u64,
}

impl<D: Disk> Making<D> {
    /// Begins. Every vnode from `first` on is to be taken.
    pub(crate) fn begin(
        disk: &D,
        wanted: Snapshot,
        first: Option<Partition>,
    ) -> Result<Making<D>, (Snapshot, SnapshotError)> {
        match disk.list(&wanted.dir) {
            Ok(names) if names.is_empty() => Ok(Making {
                wanted,
                next: first,
                copies: VecDeque::new(),
                firsts: BTreeMap::new(),
                dirs: Vec::new(),
                report: SnapshotReport::default(),
            }),
            Ok(_) => {
                let dir = wanted.dir.clone();
                Err((wanted, SnapshotError::Exists(dir)))
            }
            Err(error) => Err((wanted, error.into())),
        }
    }

    /// The vnode that is to be settled and taken next, if copies do not come first.
    pub(crate) fn due(&self) -> Option<Partition> {
        self.next.filter(|_| self.copies.is_empty())
    }

    /// Takes a vnode, whose files hold everything up to `end` and begin with `first`.
    pub(crate) fn take(
        &mut self,
        disk: &D,
        partition: Partition,
        first: u32,
        end: Position,
        next: Option<Partition>,
    ) -> io::Result<()> {
        self.next = next;
        if first > 0 {
            self.firsts.insert(partition, first);
        }
        let dir = directory(partition);
        let names = disk.list(&dir)?;
        let last_large = names.iter().filter_map(|name| number(name, Kind::Large.suffix())).max();
        for name in &names {
            if let Some(file) = number(name, Kind::Data.suffix()).filter(|file| *file >= first) {
                let cut_at = (file >= end.0).then_some(if file == end.0 { end.1 } else { 0 });
                self.add(disk, &dir, name, cut_at)?;
            } else if let Some(file) = number(name, Kind::Large.suffix()) {
                let is_last = Some(file) == last_large;
                let len = |name| disk.open(&format!("{dir}/{name}"), OpenMode::Read)?.len();
                let cut_at = if is_last { Some(len(name)?) } else { None };
                self.add(disk, &dir, name, cut_at)?;
            } else if number(name, lister::SUFFIX).is_some() {
                // It goes on growing. What it lists beyond the files is passed over.
                let len = disk.open(&format!("{dir}/{name}"), OpenMode::Read)?.len()?;
                self.add(disk, &dir, name, Some(len))?;
            }
        }
        self.dirs.push(dir);
        Ok(())
    }

    /// Adds a file: a link, or of one that is still written to, a copy of what stands before `cut_at`.
    fn add(&mut self, disk: &D, dir: &str, name: &str, cut_at: Option<u64>) -> io::Result<()> {
        let path = format!("{dir}/{name}");
        let to = format!("{}/{path}", self.wanted.dir);
        let from = disk.open(&path, OpenMode::Read)?;
        let Some(len) = cut_at else {
            self.report.linked_files += 1;
            self.report.linked_bytes += from.len()?;
            return disk.link(&path, &to);
        };
        if len > 0 {
            self.report.copied_files += 1;
            self.report.copied_bytes += len;
            let to = disk.open(&to, OpenMode::Cached)?;
            self.copies.push_back(Copying { from, to, len, at: 0 });
        }
        Ok(())
    }

    /// Copies a piece, or finishes. `true`: nothing is left to do.
    pub(crate) fn go_on(&mut self, disk: &D) -> io::Result<bool> {
        match self.copies.front_mut() {
            Some(copy) => {
                if copy.go_on()? {
                    self.copies.pop_front();
                }
                Ok(false)
            }
            None if self.next.is_some() => Ok(false),
            None => self.finish(disk).map(|()| true),
        }
    }

    fn finish(&self, disk: &D) -> io::Result<()> {
        let dir = &self.wanted.dir;
        let path = |name: &str| format!("{dir}/{name}");
        for taken in &self.dirs {
            // One that holds nothing was not made.
            if !disk.list(&path(taken))?.is_empty() {
                disk.sync_dir(&path(taken))?;
            }
        }
        if !disk.list(&path(VNODES))?.is_empty() {
            disk.sync_dir(&path(VNODES))?;
        }
        disk.sync_dir(dir)?;
        for (at, _) in dir.match_indices('/') {
            disk.sync_dir(&dir[..at])?;
        }
        disk.sync_dir("")?;
        for (name, bytes) in &self.wanted.beside {
            write_whole(disk, &path(name), bytes)?;
        }
        write_whole(disk, &path(FIRSTS_FILE), &manifest::encode(&self.firsts))?;
        disk.sync_dir(dir)?;
        write_whole(disk, &path(FORMAT_FILE), format::text().as_bytes())?;
        disk.sync_dir(dir)
    }

    /// Tells whoever asked.
    pub(crate) fn end(self, result: io::Result<()>) {
        let Making { wanted, report, .. } = self;
        (wanted.done)(result.map(|()| report).map_err(SnapshotError::Io));
    }
}

impl<D: Disk> LogWriter<D> {
    /// Begins to copy everything that is durable into a directory of its own, which another node can be started on.
    /// [`tidy`](ombak_base::Writer::tidy) goes on with it. A failure of the copy is told, and is none of the store.
    pub fn begin_snapshot(&mut self, wanted: Snapshot) {
        if self.poisoned {
            let why = "storage has failed: a copy of it would lack what was acknowledged";
            return (wanted.done)(Err(SnapshotError::Impossible(why)));
        }
        if self.snapshot.is_some() {
            return (wanted.done)(Err(SnapshotError::Busy));
        }
        let first = self.vnodes.first_key_value().map(|(partition, _)| *partition);
        match Making::begin(&self.disk, wanted, first) {
            Ok(making) => self.snapshot = Some(Box::new(making)),
            Err((wanted, error)) => (wanted.done)(Err(error)),
        }
    }

    /// Goes on with a snapshot. What fails of the copy ends it; what fails of the store is an error.
    pub(super) fn snapshot_some(
        &mut self,
        mut making: Box<Making<D>>,
        notices: &mut Notices<D>,
    ) -> Result<(), Stop> {
        let step = match making.due() {
            Some(partition) => match self.settle(partition, notices) {
                Ok(()) => self.take_into(&mut making, partition),
                Err(Stop::Full) => Err(ErrorKind::StorageFull.into()),
                Err(failed) => return Err(failed),
            },
            None => making.go_on(&self.disk),
        };
        match step {
            Ok(false) => self.snapshot = Some(making),
            Ok(true) => making.end(Ok(())),
            Err(error) => making.end(Err(error)),
        }
        Ok(())
    }

    /// Takes a settled vnode.
    fn take_into(&self, making: &mut Making<D>, partition: Partition) -> io::Result<bool> {
        let end = self.vnodes.get(&partition).map_or((0, 0), Behind::end);
        let first = self.firsts.get(&partition).copied().unwrap_or(0);
        let next = self.vnode_behind(partition);
        making.take(&self.disk, partition, first, end, next).map(|()| false)
    }

    /// The store has failed: nothing will come of a snapshot.
    pub(super) fn end_snapshot(&mut self) {
        if let Some(making) = self.snapshot.take() {
            making.end(Err(io::Error::other("storage has failed meanwhile")));
        }
    }
}

impl<F: DiskFile> Copying<F> {
    /// Copies a piece. `true`: all of it is there, and synced.
    fn go_on(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; (self.len - self.at).min(COPIED_BYTES) as usize];
        let read = read_full(&mut piece, self.at, |part, at| self.from.read_at(part, at))?;
        if read < piece.len() {
            return Err(io::Error::other("a file is shorter than it was"));
        }
        self.to.write_at(&[IoSlice::new(&piece)], self.at)?;
        self.at += piece.len() as u64;
        if self.at < self.len {
            return Ok(false);
        }
        self.to.sync().map(|()| true)
    }
}

/// The number of a file, if its name has this end.
fn number(name: &str, suffix: &str) -> Option<u32> {
    let (number, end) = name.split_once('.')?;
    number.parse().ok().filter(|_| end == suffix)
}
