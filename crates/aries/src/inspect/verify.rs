//! Whether everything that means something can be read, and fits together.

use std::collections::BTreeSet;

use ombak_base::Disk;

use super::pages::{FoundPage, PageFile};
use super::{Inspection, LogView, NoRecord, Record, Verdict, path};
use crate::engine::page_count;
use crate::error::Error;
use crate::log::Lsn;
use crate::manager::ResourceManager;
use crate::named::offset_of;
use crate::page::{Page, PageId};
use crate::physical::Physical;
use crate::pool::PAGES_FILE;
use crate::wal::STREAM;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// In bytes that mean nothing: a spare segment, a page that was never used. Or: something that was not checked.
    Harmless,
    /// A restart puts it right by itself. If nothing crashed, it is damage all the same: a batch or a page that was torn
    /// by a crash can't be told from one that has rotted.
    Mended,
    /// Something durable can't be read, or contradicts something else.
    Damage,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// The file's path. In brackets: none there is.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// What is lost by it.
    pub lost: String,
}

/// What a verification has read and found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Segments in use.
    pub segments: u64,
    /// Writes in them.
    pub batches: u64,
    /// Records whose checksums match.
    pub records: u64,
    /// Pages that are used.
    pub pages: u64,
    /// Trees that are whole, after a restart that was tried in memory; `None`: none was tried, or it was refused.
    pub trees: Option<u64>,
    /// Queues that are.
    pub queues: Option<u64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Whether nothing is damaged. What a restart puts right does not count.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Damage)
    }

    pub(super) fn find(
        &mut self,
        severity: Severity,
        (file, offset): (&str, u64),
        what: impl Into<String>,
        lost: impl Into<String>,
    ) {
        let (file, what, lost) = (file.to_string(), what.into(), lost.into());
        self.findings.push(Finding { severity, file, offset, what, lost });
    }
}

/// Verifies a log alone. Opening it has compared every checksum; this says what came of it.
pub fn verify_log<D: Disk>(log: &LogView<D>) -> Verification {
    let segments = log.segments();
    let live = segments.iter().filter(|segment| !segment.is_spare);
    let mut report = Verification {
        segments: live.clone().count() as u64,
        batches: live.map(|segment| segment.batches as u64).sum(),
        records: log.recovery().records,
        ..Verification::default()
    };
    for lost in &log.recovery().damaged {
        let place = (lost.file.as_str(), lost.offset);
        let spare = segments.iter().any(|segment| segment.is_spare && segment.file == lost.file);
        let records = lost.next_lsn.0 - lost.first_lsn.0;
        match (spare, records) {
            (true, _) => {
                let what = "the header of a spare segment can't be read";
                report.find(Severity::Harmless, place, what, "nothing");
            }
            (false, 0) => {
                let what = "the segment's header can't be read; its batches say what it was";
                report.find(Severity::Damage, place, what, "nothing");
            }
            (false, _) => {
                let range = format!("records {} up to {}", lost.first_lsn.0, lost.next_lsn.0 - 1);
                report.find(Severity::Damage, place, "its checksums do not match", range);
            }
        }
    }
    if let Some(torn) = &log.recovery().torn_tail {
        let what = "the last batch is torn";
        let lost = format!(
            "what stood from lsn {} on, of which nobody had been told that it is durable, if the last write did not end",
            log.recovery().end.0
        );
        report.find(Severity::Mended, (&torn.file, torn.offset), what, lost);
    }
    report
}

impl<D: Disk> Inspection<D> {
    /// Reads everything that means something, then tries a restart in memory and walks every tree and every queue.
    pub fn verify(&self) -> Result<Verification, Error> {
        let mut report = self.verify_files()?;
        self.try_restart(&mut report);
        Ok(report)
    }

    /// Compares every checksum: of segment headers, batches and records ([`LogView::live_bytes`]), and of every page that is
    /// used: its number is below the count in page 0, as it is after redo, or a record in the log names it. Every record must be of a kind
    /// that is known, no page may be of an LSN that the log has not, and no used page may be blank without a
    /// record that makes it, or contradict itself. Of `pages.double`, everything that a restart would look at. An error is the
    /// disk's.
    pub fn verify_files(&self) -> Result<Verification, Error> {
        let mut report = verify_log(&self.log);
        match self.pages() {
            Ok(pages) => {
                let used = self.used(&pages, Some(&mut report))?;
                self.verify_pages(&pages, &used, &mut report)?;
                self.verify_copies(&pages, &mut report)?;
            }
            Err(Error::Foreign { file, offset, why }) => {
                report.find(Severity::Damage, (&file, offset), why, "all pages");
            }
            Err(error) => return Err(error),
        }
        Ok(report)
    }

    /// Which pages are used. Tells of records that can't be understood on the way.
    pub(super) fn used(
        &self,
        pages: &PageFile,
        mut report: Option<&mut Verification>,
    ) -> Result<Used, Error> {
        let mut named = BTreeSet::new();
        let mut first = pages.first()?;
        let file = path(&self.dir, PAGES_FILE);
        self.log.scan(Lsn(0), |entry| {
            if entry.stream != STREAM {
                return Ok(());
            }
            let record = match Record::decode(entry.payload) {
                Ok(record) => record,
                Err(found) => {
                    if let Some(report) = report.as_deref_mut() {
                        let (what, lost) = unread(entry.lsn, found);
                        report.find(Severity::Damage, (entry.file, entry.offset), what, lost);
                    }
                    return Ok(());
                }
            };
            let Some(change) = record.change() else { return Ok(()) };
            named.insert(change.page);
            let lacks = |first: &&mut Page| change.page == first.id() && first.lsn() < entry.lsn;
            let redone = first.as_mut().filter(lacks).map(|first| {
                let redone = Physical.redo(first, change.bytes);
                first.set_lsn(entry.lsn);
                redone
            });
            if let Some(Err(why)) = redone {
                first = None;
                if let Some(report) = report.as_deref_mut() {
                    let what = format!("page 0: record {} does not fit it: {why}", entry.lsn.0);
                    let lost = "which pages are used: the restart is refused";
                    report.find(Severity::Damage, (&file, 0), what, lost);
                }
            }
            Ok::<(), Error>(())
        })?;
        Ok(Used { count: first.map(|first| page_count(&first)), named })
    }

    fn verify_pages(
        &self,
        pages: &PageFile,
        used: &Used,
        report: &mut Verification,
    ) -> Result<(), Error> {
        let file = path(&self.dir, PAGES_FILE);
        if let Ok(analysis) = self.tables()
            && let Err(Error::Foreign { offset, why, .. }) = pages.check(&analysis)
        {
            report.find(Severity::Damage, (&file, offset), why, "the restart is refused");
        }
        let remade = self.remade()?;
        // Without page 0 it is not known which pages are used: all, but for blank ones.
        let count = used.count.unwrap_or(pages.places());
        for id in (0..count.max(pages.places())).map(PageId) {
            let found = pages.read(id)?;
            let is_used = used.has(id) && !(used.count.is_none() && found.is_blank());
            report.pages += u64::from(is_used);
            let Some((severity, what, lost)) = self.judge(id, &found, is_used, &remade) else {
                continue;
            };
            report.find(severity, (&file, offset_of(id)), format!("page {}: {what}", id.0), lost);
        }
        Ok(())
    }

    fn judge(
        &self,
        id: PageId,
        found: &FoundPage,
        used: bool,
        remade: &Remade,
    ) -> Option<(Severity, String, String)> {
        let end = self.log.recovery().end;
        if let Some(fault) = found.fault {
            return Some(match () {
                () if !used => (
                    Severity::Harmless,
                    format!("{fault}, and it was never used"),
                    "nothing".into(),
                ),
                () if found.is_copy => (
                    Severity::Mended,
                    format!("{fault}"),
                    "nothing: it has a copy in pages.double".into(),
                ),
                () if remade.by_redo.contains(&id) => {
                    (Severity::Mended, format!("{fault}"), "nothing: redo makes it anew".into())
                }
                () => (Severity::Damage, format!("{fault}"), "what was on it".into()),
            });
        }
        if let Some(lsn) = found.lsn().filter(|lsn| *lsn >= end) {
            let what =
                format!("it has changes up to lsn {}, and the log ends before {}", lsn.0, end.0);
            return Some((Severity::Damage, what, "the end of the log".into()));
        }
        if used && found.is_blank() && !remade.dirty.contains(&id) {
            let what = "it was used, and is blank: its write went elsewhere, or nowhere";
            return Some((Severity::Damage, what.to_string(), "what was on it".to_string()));
        }
        let why = self.words.managers.check(&found.page(id)).err()?;
        used.then(|| (Severity::Damage, why.to_string(), "what is on it".to_string()))
    }

    /// What redo would do about pages; nothing, if the log can't be understood.
    fn remade(&self) -> Result<Remade, Error> {
        let mut remade = Remade::default();
        let Ok(analysis) = self.tables() else { return Ok(remade) };
        remade.dirty.extend(analysis.pages.iter().map(|(page, _)| page));
        let mut unreadable = BTreeSet::new();
        self.redo(|step| {
            match step.verdict {
                Verdict::Unreadable => drop(unreadable.insert(step.page)),
                Verdict::Redone => drop(remade.by_redo.insert(step.page)),
                _ => {}
            }
            Ok(())
        })?;
        remade.by_redo.retain(|page| !unreadable.contains(page));
        Ok(remade)
    }
}

/// What to say of a record that can't be understood, and of what is lost by it.
fn unread(lsn: Lsn, found: NoRecord) -> (String, String) {
    let Lsn(lsn) = lsn;
    match found {
        NoRecord::Newer { kind } => (
            format!("record {lsn} was written by newer software: kind {kind}"),
            "nothing, for newer software; this one refuses the restart".to_string(),
        ),
        NoRecord::Malformed => (
            "its checksum holds, and it is not what a record of its kind is".to_string(),
            format!("record {lsn}: the restart is refused"),
        ),
    }
}

/// Pages that are used.
pub(super) struct Used {
    /// Those below are, for page 0 counts them; `None`: it can't be read, so all are that are not blank.
    count: Option<u32>,
    /// Records in the log name these.
    named: BTreeSet<PageId>,
}

impl Used {
    pub fn has(&self, id: PageId) -> bool {
        self.count.is_none_or(|count| id.0 < count) || self.named.contains(&id)
    }
}

/// Pages that redo has to do with.
#[derive(Default)]
struct Remade {
    /// In the dirty page table.
    dirty: BTreeSet<PageId>,
    /// Whole after redo.
    by_redo: BTreeSet<PageId>,
}
