//! `ombak wal recover --dry-run`.

use std::io;
use std::path::Path;

use ombak_aries::inspect::{
    Inspection, Passes, Record, RedoStep, RedoTotals, TxnLine, UndoStep, UndoTotals, Verdict,
};
use ombak_aries::{Error, OsDisk};
use serde_json::{Value, json};

use super::RecoverArgs;
use super::place::{Log, Place, failed};
use crate::error::CliError;
use crate::output::{print_json, print_line};

pub fn run(args: &RecoverArgs) -> Result<(), CliError> {
    let place = Place::open(&args.dir)?;
    let inspection = match &place.log {
        Log::Engine(inspection) => inspection,
        Log::Node(_) => return Err(own_replay(&args.dir)),
        Log::Alone(_) => {
            return Err(CliError::failed(format!(
                "{} is a log without its pages: give the directory that has both, `wal` and `pages`",
                args.dir.display()
            )));
        }
    };
    match args.json {
        true => print_json(&to_json(inspection).map_err(|error| failed(&place.dir, error))?),
        false => tell(inspection, args.lines, &place.dir),
    }
}

fn own_replay(dir: &Path) -> CliError {
    CliError::failed(format!(
        "the `log` backend has its own replay, without transactions: each record is bytes at an offset of a vnode's file, \
         and a start writes again those that the file lacks. `ombak store stat {0}` does that; `ombak wal dump {0}` shows \
         the records",
        dir.display()
    ))
}

/// Prints the text. That nobody reads it any more is no error.
fn tell(inspection: &Inspection<OsDisk>, lines: u64, dir: &Path) -> Result<(), CliError> {
    let mut output = Ok(());
    let told = inspection.dry_run(lines, |line| {
        output = print_line(line);
        match output {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Io {
                place: "the output".to_string(),
                source: io::ErrorKind::BrokenPipe.into(),
            }),
        }
    });
    output?;
    told.map_err(|error| failed(dir, error))
}

fn to_json(inspection: &Inspection<OsDisk>) -> Result<Value, Error> {
    let passes = inspection.analysis()?;
    let (mut redo, mut undo) = (Vec::new(), Vec::new());
    let redone = inspection.redo(|step| {
        redo.push(redo_json(inspection, &step));
        Ok(())
    })?;
    let undone = inspection.undo(|step| {
        undo.push(undo_json(inspection, &step));
        Ok(())
    })?;
    Ok(json!({
        "analysis": analysis_json(&passes),
        "redo": { "steps": redo, "totals": redo_totals(&redone) },
        "undo": { "steps": undo, "totals": undo_totals(&undone) },
    }))
}

fn analysis_json(passes: &Passes) -> Value {
    let txn = |line: &TxnLine| {
        json!({
            "txn": line.txn.0,
            "state": format!("{:?}", line.state),
            "first": line.first.0,
            "last": line.last.0,
            "undo_next": line.undo_next.0,
        })
    };
    json!({
        "checkpoint": passes.checkpoint.0,
        "redo_from": passes.redo_from.map(|lsn| lsn.0),
        "needed_from": passes.needed_from.0,
        "transaction_table": passes.txns.iter().map(txn).collect::<Vec<_>>(),
        "dirty_page_table": passes.pages.iter().map(|(page, rec_lsn)| {
            json!({ "page": page.0, "rec_lsn": rec_lsn.0 })
        }).collect::<Vec<_>>(),
    })
}

fn say(inspection: &Inspection<OsDisk>, record: &Record<'_>) -> String {
    inspection.words().say(record)
}

fn redo_json(inspection: &Inspection<OsDisk>, step: &RedoStep<'_>) -> Value {
    let verdict = match step.verdict {
        Verdict::Redone => "redone",
        Verdict::Skipped => "skipped",
        Verdict::NotDirty => "not dirty",
        Verdict::BelowRecLsn(_) => "below rec_lsn",
        Verdict::Unreadable => "unreadable",
    };
    json!({
        "lsn": step.lsn.0,
        "page": step.page.0,
        "page_lsn": step.page_lsn.0,
        "verdict": verdict,
        "record": say(inspection, step.record),
    })
}

fn undo_json(inspection: &Inspection<OsDisk>, step: &UndoStep<'_>) -> Value {
    json!({
        "txn": step.txn.0,
        "lsn": step.lsn.0,
        "what": format!("{:?}", step.what),
        "next": step.next.0,
        "record": step.record.map(|record| say(inspection, record)),
    })
}

fn redo_totals(totals: &RedoTotals) -> Value {
    json!({
        "redone": totals.redone,
        "skipped": totals.skipped,
        "passed_over": totals.passed_over,
        "unreadable": totals.unreadable,
        "mended": totals.mended.iter().map(|page| page.0).collect::<Vec<_>>(),
    })
}

fn undo_totals(totals: &UndoTotals) -> Value {
    json!({
        "taken_back": totals.taken_back,
        "losers": totals.losers.iter().map(|txn| txn.0).collect::<Vec<_>>(),
        "prepared": totals.prepared.iter().map(|txn| txn.0).collect::<Vec<_>>(),
    })
}
