//! Records and restarts, for people.

use std::fmt::Write as _;

use ombak_base::Disk;

use super::{
    ENGINE_STREAM, Entry, Inspection, NoRecord, Passes, Record, RedoStep, State, TxnLine, UndoStep,
    UndoWhat, Verdict, Words,
};
use crate::error::Error;
use crate::log::Lsn;
use crate::txn::LockName;

impl Words {
    /// A record as a line: `lsn 17  update  txn 3  page 5  tree 2: insert "alice" = 10 bytes   (prev 15)`.
    pub fn line(&self, entry: &Entry<'_>) -> String {
        let record = (entry.stream == ENGINE_STREAM).then(|| Record::decode(entry.payload));
        match record {
            Some(Ok(record)) => format!("lsn {}  {}", entry.lsn.0, self.say(&record)),
            Some(Err(found)) => {
                let what = match found {
                    NoRecord::Newer { kind } => format!("of kind {kind}, by newer software"),
                    NoRecord::Malformed => "not what a record of its kind is".to_string(),
                };
                format!("lsn {}  {what}, {} bytes", entry.lsn.0, entry.payload.len())
            }
            None => plain_line(entry),
        }
    }

    /// A record of the engine in words, without its LSN.
    pub fn say(&self, record: &Record<'_>) -> String {
        let mut text = record.name().to_string();
        if let Some(link) = record.link() {
            text += &format!("  txn {}", link.txn.0);
        }
        if let Some(change) = record.change() {
            text += &format!("  page {}  {}", change.page.0, self.describe(&change));
        }
        match record {
            Record::Prepare { name, .. } => text += &format!("  \"{}\"", name.escape_ascii()),
            Record::Locked { names, .. } => {
                let key =
                    |name: LockName| format!("{} \"{}\"", name.space, name.key.escape_ascii());
                text += &format!("  {}", names.iter().map(key).collect::<Vec<_>>().join(", "));
            }
            Record::BeginCheckpoint { identity } => text += &format!("  database {identity}"),
            Record::EndCheckpoint(tables) => {
                text += &format!(
                    "  began at {}: {} transactions, {} dirty pages",
                    tables.begin.0,
                    tables.txns.len(),
                    tables.pages.len()
                );
            }
            _ => {}
        }
        text + &links(record)
    }
}

/// A record whose meaning is not known here.
fn plain_line(entry: &Entry<'_>) -> String {
    format!("lsn {}  stream {}  {} bytes", entry.lsn.0, entry.stream.0, entry.payload.len())
}

fn links(record: &Record<'_>) -> String {
    let Some(link) = record.link() else { return String::new() };
    match record {
        Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
            format!("   (prev {}, undo next {})", link.prev.0, undo_next.0)
        }
        _ => format!("   (prev {})", link.prev.0),
    }
}

/// Where the text goes; an error ends it.
type Out<'a> = dyn FnMut(&str) -> Result<(), Error> + 'a;

/// Prints the first lines of a pass, and counts the rest.
struct Lines<'a, 'o> {
    out: &'a mut Out<'o>,
    left: u64,
    more: u64,
}

impl Lines<'_, '_> {
    fn push(&mut self, line: &str) -> Result<(), Error> {
        if self.left == 0 {
            self.more += 1;
            return Ok(());
        }
        self.left -= 1;
        (self.out)(line)
    }

    fn end(self) -> Result<(), Error> {
        if self.more == 0 {
            return Ok(());
        }
        (self.out)(&format!("     ... and {} more", self.more))
    }
}

const ANALYSIS: &str = "\
1. Analysis: who had not finished, and which pages may be behind?

   Reads the log forward and keeps two tables up to date with every record. The transaction table has those that have
   begun and not ended. The dirty page table has the pages that may have changes which the page file has not, each with
   the first such change, its rec_lsn. A checkpoint is a copy of both, taken while everything went on, so that nothing
   before the last one need be believed.
";

const REDO: &str = "\
2. Redo: repeat history.

   Reads the log forward from the smallest rec_lsn and does every change again that its page lacks. A page knows what it
   has: its page LSN is that of the last change in it, so a change is done if its own LSN is above, and doing this twice
   does no harm. What losers did is done again as well. It is simpler to make everything as it was when the lights went
   out, and then to take back, than to know what to leave out.
";

const UNDO: &str = "\
3. Undo: take the losers back.

   Goes backward: of all that losers did, always what was done last. Each change that is taken back is logged as a
   compensation record (CLR), whose undo-next says what is to be taken back after it. So a crash in the middle of this
   repeats the CLRs, and goes on where it was: nothing is taken back twice, and undoing is never undone.
";

impl<D: Disk> Inspection<D> {
    /// Tells what a restart would do, pass by pass, line by line, to `out`; at most `lines_max` lines of each table and pass.
    pub fn dry_run(
        &self,
        lines_max: u64,
        mut out: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let out: &mut Out<'_> = &mut out;
        let passes = self.analysis()?;
        self.tell_log(out)?;
        self.tell_analysis(&passes, lines_max, out)?;
        if let Some(error) = self.refusal() {
            return out(&format!(
                "Here the restart would be refused, with nothing changed: {error}."
            ));
        }
        self.tell_redo(&passes, lines_max, out)?;
        self.tell_undo(&passes, lines_max, out)?;
        out(
            "Then it would take a checkpoint, so that the next restart has none of this to do, and serve.",
        )
    }

    fn tell_log(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let (log, found) = (self.log(), self.log().recovery());
        let files = log.segments().iter().filter(|segment| !segment.is_spare).count();
        out(&format!(
            "A restart, tried dry: nothing is written.\n\nThe log has {} records in {files} {}; the next one would be lsn {}.",
            found.records,
            if files == 1 { "segment" } else { "segments" },
            found.end.0
        ))?;
        if let Some(torn) = &found.torn_tail {
            out(&format!(
                "Its last batch is torn at {}, offset {}: the lights went out during the last write. Nobody had been told that \
                 it is durable, so its rest is cut off.",
                torn.file, torn.offset
            ))?;
        }
        for lost in &found.damaged {
            out(&format!(
                "{} is damaged at offset {}: the records from {} up to {} are lost.",
                lost.file, lost.offset, lost.first_lsn.0, lost.next_lsn.0
            ))?;
        }
        out("")
    }

    fn tell_analysis(
        &self,
        passes: &Passes,
        lines_max: u64,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        out(ANALYSIS)?;
        match passes.checkpoint {
            Lsn(0) => out(
                "   No whole checkpoint is in the log: the tables begin empty, with its first record.",
            )?,
            begin => out(&format!(
                "   The last whole checkpoint began at lsn {} and ended at lsn {}.",
                begin.0, passes.checkpoint_end.0
            ))?,
        }
        out(&heading("transaction table", passes.txns.len()))?;
        let mut lines = Lines { out, left: lines_max, more: 0 };
        passes.txns.iter().try_for_each(|line| lines.push(&say_txn(line)))?;
        lines.end()?;
        out(&heading("dirty page table", passes.pages.len()))?;
        let mut lines = Lines { out, left: lines_max, more: 0 };
        for (page, rec_lsn) in &passes.pages {
            lines.push(&format!("     page {:<6} rec_lsn {}", page.0, rec_lsn.0))?;
        }
        lines.end()?;
        out("")
    }

    fn tell_redo(&self, passes: &Passes, lines_max: u64, out: &mut Out<'_>) -> Result<(), Error> {
        out(REDO)?;
        match passes.redo_from {
            None => out("   No page is dirty: nothing to do.")?,
            Some(from) => out(&format!("   The smallest rec_lsn is {}: from there on.", from.0))?,
        }
        let mut lines = Lines { out, left: lines_max, more: 0 };
        let totals = self.redo(|step| lines.push(&self.say_redo(&step)))?;
        lines.end()?;
        for page in &totals.mended {
            out(&format!(
                "   Before that, page {} is put right from its copy in pages.double: its last write was torn.",
                page.0
            ))?;
        }
        let mut text = format!(
            "   {} done again, {} were there already",
            count(totals.redone, "change"),
            totals.skipped
        );
        if totals.passed_over > 0 {
            let _ = write!(text, ", {} of pages that need not be looked at", totals.passed_over);
        }
        if totals.unreadable > 0 {
            let _ = write!(
                text,
                "; {} of pages that can't be read: the restart would be refused",
                totals.unreadable
            );
        }
        out(&format!("{text}.\n"))
    }

    fn say_redo(&self, step: &RedoStep<'_>) -> String {
        let (lsn, page_lsn) = (step.lsn.0, step.page_lsn.0);
        let why = match step.verdict {
            Verdict::Redone if page_lsn == 0 => "done: the page is blank".to_string(),
            Verdict::Redone => format!("done: the page is of lsn {page_lsn}"),
            Verdict::Skipped => format!("skipped: the page is of lsn {page_lsn}"),
            Verdict::NotDirty => "passed over: the page is not dirty".to_string(),
            Verdict::BelowRecLsn(rec_lsn) => format!("passed over: rec_lsn is {}", rec_lsn.0),
            Verdict::Unreadable => "REFUSED: the page can't be read".to_string(),
        };
        format!("     lsn {lsn:<6} {why:<38} {}", self.words.say(step.record))
    }

    fn tell_undo(&self, passes: &Passes, lines_max: u64, out: &mut Out<'_>) -> Result<(), Error> {
        out(UNDO)?;
        if passes.losers().next().is_none() {
            out("   There are no losers: nothing to do.")?;
        }
        let mut lines = Lines { out, left: lines_max, more: 0 };
        let totals = self.undo(|step| lines.push(&self.say_undo(&step)))?;
        lines.end()?;
        for line in passes.prepared() {
            out(&format!(
                "   txn {} is prepared: it keeps its changes and its locks until it is told.",
                line.txn.0
            ))?;
        }
        out(&format!(
            "   {} taken back, {} ended.\n",
            count(totals.taken_back, "change"),
            count(totals.losers.len() as u64, "loser")
        ))
    }

    fn say_undo(&self, step: &UndoStep<'_>) -> String {
        let next = match step.next {
            Lsn(0) => "nothing is left".to_string(),
            next => format!("next is {}", next.0),
        };
        let said = step.record.map(|record| self.words.say(record)).unwrap_or_default();
        let what = match step.what {
            UndoWhat::TakeBack => "taken back by a CLR",
            UndoWhat::Jump => "jumped over",
            UndoWhat::PassOver => "changed nothing",
            UndoWhat::End => {
                return format!("     txn {:<6} is taken back: an end record says so", step.txn.0);
            }
        };
        let what = format!("{what}; {next}");
        format!("     lsn {:<6} {what:<38} {said}", step.lsn.0)
    }
}

fn heading(what: &str, lines: usize) -> String {
    if lines == 0 { format!("   The {what} is empty.") } else { format!("   The {what}:") }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn say_txn(line: &TxnLine) -> String {
    let (state, fate) = match line.state {
        State::Active => ("active", "a loser: it never committed"),
        State::RollingBack => ("rolling back", "a loser: it had begun to take itself back"),
        State::Prepared => ("prepared", "not a loser: it waits to be told"),
    };
    format!(
        "     txn {:<6} {state:<12} last lsn {}, undo next {}: {fate}",
        line.txn.0, line.last.0, line.undo_next.0
    )
}
