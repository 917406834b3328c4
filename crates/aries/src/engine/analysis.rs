//! The first pass of a restart: what had not ended, and which pages may be behind.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use bytes::Bytes;
use ombak_base::Disk;

use super::dirty::DirtyPages;
use super::files::join;
use super::redo::AHEAD;
use super::unknown::Unknown;
use crate::error::Error;
use crate::log::{Lsn, Options as LogOptions, Place, ReadLog, Replayed};
use crate::page::PageId;
use crate::pool::InFile;
use crate::txn::TxnId;
use crate::txn::record::{NoRecord, Record, State, Tables, TxnLine};
use crate::wal::STREAM;

/// Bytes of records that one thread hands to the other at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What analysis knows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Analysis {
    /// Where the last whole checkpoint began; 0: none.
    pub checkpoint: Lsn,
    /// Of the database, if a checkpoint said so.
    pub identity: Option<u64>,
    /// Transactions that have not ended.
    pub txns: BTreeMap<TxnId, TxnLine>,
    /// Pages that may lack changes, from the first such change on.
    pub pages: DirtyPages,
    /// No transaction had this number, or one above.
    pub next_txn: u64,
    /// Transactions that ended since the checkpoint began.
    ended: BTreeSet<TxnId>,
    /// Every page may lack changes from here on, whatever checkpoints say: the page file is an older one, from a backup.
    pub all_from: Option<Lsn>,
}

impl Analysis {
    fn note(&mut self, lsn: Lsn, record: &Record<'_>) {
        if let Some(change) = record.change() {
            self.pages.note(change.page, lsn);
        }
        let Some(link) = record.link() else { return };
        self.next_txn = self.next_txn.max(link.txn.0.saturating_add(1));
        if matches!(record, Record::Commit(_) | Record::End(_)) {
            self.txns.remove(&link.txn);
            self.ended.insert(link.txn);
            return;
        }
        // What is not undone leads to the one before it.
        let new = TxnLine {
            txn: link.txn,
            state: State::Active,
            first: lsn,
            last: lsn,
            undo_next: link.prev,
        };
        let line = self.txns.entry(link.txn).or_insert(new);
        line.last = lsn;
        match record {
            Record::Update { .. } => line.undo_next = lsn,
            Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
                line.undo_next = *undo_next;
            }
            Record::Prepare { .. } => line.state = State::Prepared,
            Record::Rollback(_) => line.state = State::RollingBack,
            _ => {}
        }
    }

    /// What was seen since a checkpoint began, and what it found then.
    fn merge(&mut self, tables: Tables) {
        for line in tables.txns {
            if self.ended.contains(&line.txn) {
                continue;
            }
            match self.txns.get_mut(&line.txn) {
                // Seen since: only where it began is not known.
                Some(known) => known.first = known.first.min(line.first),
                None => drop(self.txns.insert(line.txn, line)),
            }
        }
        for (page, rec_lsn) in tables.pages {
            self.pages.note(page, rec_lsn);
        }
        self.next_txn = self.next_txn.max(tables.next_txn);
        self.checkpoint = tables.begin;
    }

    /// The first record that redo looks at.
    pub fn redo_from(&self) -> Option<Lsn> {
        self.all_from.or_else(|| self.pages.first())
    }

    /// Nothing below is needed by the restart; 0: everything is.
    pub fn needed_from(&self) -> Lsn {
        let firsts = self.txns.values().map(|line| line.first);
        firsts.chain(self.redo_from()).fold(self.checkpoint, Lsn::min)
    }

    /// Whether the page may lack the change.
    pub(super) fn may_lack(&self, page: PageId, lsn: Lsn) -> bool {
        self.all_from.is_some() || self.pages.get(page).is_some_and(|rec_lsn| lsn >= rec_lsn)
    }
}

/// Analysis while the log is read: what is known since the checkpoint before, and since the one that has begun.
#[derive(Clone, Default)]
pub struct Analyst {
    whole: Analysis,
    since: Option<(Lsn, Analysis)>,
    /// The first record that can't be understood, and where it stands.
    unread: Option<(Lsn, NoRecord, Place)>,
    /// Changes that nobody here can do.
    unknown: Unknown,
    /// The last change of each page.
    last: Option<Arc<InFile>>,
}

impl Analyst {
    /// The next record of the engine's stream.
    pub fn read(&mut self, lsn: Lsn, bytes: &[u8], place: impl FnOnce() -> Place) {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(found) => {
                self.unread.get_or_insert_with(|| (lsn, found, place()));
                return;
            }
        };
        match record {
            Record::BeginCheckpoint { identity } => {
                self.whole.identity = Some(identity);
                let since = Analysis { identity: Some(identity), ..Analysis::default() };
                self.since = Some((lsn, since));
            }
            Record::EndCheckpoint(tables) => {
                if let Some((begin, mut since)) =
                    self.since.take_if(|(begin, _)| *begin == tables.begin)
                {
                    since.merge(tables);
                    since.checkpoint = begin;
                    self.whole = since;
                }
            }
            record => {
                self.unknown.note(lsn, &record, place);
                if let (Some(last), Some(change)) = (&self.last, record.change()) {
                    last.note(change.page, lsn);
                }
                self.whole.note(lsn, &record);
                if let Some((_, since)) = &mut self.since {
                    since.note(lsn, &record);
                }
            }
        }
    }

    /// What it comes to.
    pub fn done(self) -> Result<Analysis, Error> {
        match self.unread {
            Some((lsn, found, place)) => Err(Error::unread(place, lsn, found)),
            None => Ok(self.whole),
        }
    }
}

/// The first pass. The log is as it was. With more threads than one, one reads and another notes what it says.
pub fn analyse<D: Disk>(
    disk: &D,
    dir: &str,
    options: LogOptions,
    restored: Option<Lsn>,
    unknown: Unknown,
    threads: NonZeroU32,
) -> Result<(Analysis, ReadLog<D>, Arc<InFile>), Error> {
    let read = |each: &mut dyn FnMut(Replayed<'_>)| {
        ReadLog::read(disk.clone(), &join(dir, "wal"), options, threads, each)
    };
    let in_file = Arc::new(InFile::new());
    let analyst = Analyst { unknown, last: Some(in_file.clone()), ..Analyst::default() };
    let (mut analyst, log) =
        if threads.get() == 1 { alone(analyst, read) } else { together(analyst, read) };
    let log = log?;
    let unknown = mem::take(&mut analyst.unknown);
    let analysis = Analysis { all_from: restored, ..analyst.done()? };
    unknown.check(&analysis)?;
    // A page that was clean at the checkpoint, and was not changed since, has all its changes.
    analysis.pages.iter().for_each(|(page, _)| in_file.forget(page));
    let in_file = if restored.is_none() { in_file } else { Arc::new(InFile::new()) };
    Ok((analysis, log, in_file))
}

/// Whoever reads the log.
fn alone<L>(
    mut analyst: Analyst,
    read: impl FnOnce(&mut dyn FnMut(Replayed<'_>)) -> L,
) -> (Analyst, L) {
    let log = read(&mut |record| {
        if record.stream == STREAM {
            let place = || Place { file: record.file.to_string(), offset: record.offset };
            analyst.read(record.lsn, &record.payload, place);
        }
    });
    (analyst, log)
}

fn together<L>(
    mut analyst: Analyst,
    read: impl FnOnce(&mut dyn FnMut(Replayed<'_>)) -> L,
) -> (Analyst, L) {
    thread::scope(|scope| {
        let (reader, pieces) = sync_channel::<Piece>(AHEAD);
        let worker = scope.spawn(move || {
            pieces.iter().for_each(|piece| piece.show(&mut analyst));
            analyst
        });
        // Whoever does not listen any more has panicked, and does so again below.
        let send = |piece: &mut Piece| drop(reader.send(mem::take(piece)));
        let mut piece = Piece::default();
        let log = read(&mut |record| {
            if record.stream == STREAM {
                if !piece.takes(&record) {
                    send(&mut piece);
                }
                piece.push(record);
            }
        });
        send(&mut piece);
        drop(reader);
        (worker.join().unwrap_or_else(|panic| resume_unwind(panic)), log)
    })
}

/// Records of the engine's stream that stand one after the other in a file of the log.
#[derive(Default)]
struct Piece {
    file: String,
    /// Of each its number, what it says, and where it begins in the file.
    records: Vec<(Lsn, Bytes, u64)>,
    bytes: usize,
}

impl Piece {
    fn takes(&self, record: &Replayed<'_>) -> bool {
        self.records.is_empty() || (self.file == record.file && self.bytes < PIECE_BYTES)
    }

    fn push(&mut self, record: Replayed<'_>) {
        if self.records.is_empty() {
            self.file = record.file.to_string();
        }
        self.bytes += record.payload.len();
        self.records.push((record.lsn, record.payload, record.offset));
    }

    fn show(&self, analyst: &mut Analyst) {
        for (lsn, payload, offset) in &self.records {
            analyst.read(*lsn, payload, || Place { file: self.file.clone(), offset: *offset });
        }
    }
}
