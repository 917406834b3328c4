//! `ombak wal stat`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use ombak_aries::inspect::{Passes, SegmentInfo};
use ombak_aries::{Lsn, Recovery};
use serde_json::{Value, json};

use super::entry::Reader;
use super::place::{Log, Place, failed};
use crate::error::CliError;
use crate::output::{print_json, print_line, print_table, table};

/// Records and bytes of a stream and kind.
#[derive(Default)]
struct Count {
    records: u64,
    bytes: u64,
}

type Counts = BTreeMap<(u32, &'static str), Count>;

pub fn run(dir: &Path, json: bool) -> Result<(), CliError> {
    let place = Place::open(dir)?;
    let reader = Reader::of(&place.log);
    let counts = count(&place.log, reader);
    let passes = match &place.log {
        Log::Engine(inspection) => {
            Some(inspection.analysis().map_err(|error| failed(&place.dir, error))?)
        }
        Log::Node(_) | Log::Alone(_) => None,
    };
    match json {
        true => print_json(&to_json(&place, &counts, passes.as_ref())),
        false => show(&place, reader, &counts, passes.as_ref()),
    }
}

fn count(log: &Log, reader: Reader) -> Counts {
    let mut counts = Counts::new();
    let scanned = log.view().scan(Lsn(0), |entry| {
        let kind = reader.read(&entry).name();
        let count = counts.entry((entry.stream.0, kind)).or_default();
        count.records += 1;
        count.bytes += entry.payload.len() as u64;
        Ok::<(), Infallible>(())
    });
    scanned.unwrap_or_else(|never| match never {});
    counts
}

fn show(
    place: &Place,
    reader: Reader,
    counts: &Counts,
    passes: Option<&Passes>,
) -> Result<(), CliError> {
    let view = place.log.view();
    let found = view.recovery();
    print_line(&format!("{}: {}", place.dir.display(), place.log.name()))?;
    show_segments(&view.segments())?;
    show_counts(reader, counts)?;
    print_line(&format!(
        "lsn {} to {}; the next is {}; opened {}",
        view.first_lsn().0,
        found.end.0.saturating_sub(1),
        found.end.0,
        many(view.incarnation(), "time")
    ))?;
    if let Some(passes) = passes {
        show_passes(passes)?;
    }
    show_faults(found)
}

fn show_segments(segments: &[SegmentInfo]) -> Result<(), CliError> {
    let mut rows = table(&["segment", "sequence", "records", "writes", "used", "size"]);
    for segment in segments {
        let records = match segment.is_spare {
            true => "spare".to_string(),
            false if segment.next_lsn <= segment.first_lsn => "none".to_string(),
            false => format!("{} to {}", segment.first_lsn.0, segment.next_lsn.0 - 1),
        };
        rows.add_row([
            segment.file.clone(),
            segment.sequence.to_string(),
            records,
            segment.batches.to_string(),
            human(segment.used_bytes),
            human(segment.bytes),
        ]);
    }
    print_table(&rows)
}

fn show_counts(reader: Reader, counts: &Counts) -> Result<(), CliError> {
    let mut rows = table(&["stream", "of", "kind", "records", "bytes"]);
    for ((stream, kind), count) in counts {
        rows.add_row([
            stream.to_string(),
            reader.stream(*stream),
            kind.to_string(),
            count.records.to_string(),
            human(count.bytes),
        ]);
    }
    print_table(&rows)
}

fn show_passes(passes: &Passes) -> Result<(), CliError> {
    match passes.checkpoint {
        Lsn(0) => print_line("no whole checkpoint")?,
        begin => print_line(&format!(
            "the last whole checkpoint is lsn {} to {}",
            begin.0, passes.checkpoint_end.0
        ))?,
    }
    print_line(&format!(
        "a restart needs nothing below lsn {}: {} had not ended, {} may be behind",
        passes.needed_from.0,
        many(passes.txns.len() as u64, "transaction"),
        many(passes.pages.len() as u64, "page")
    ))
}

fn show_faults(found: &Recovery) -> Result<(), CliError> {
    if let Some(torn) = &found.torn_tail {
        print_line(&format!("torn: the last write, at {}, offset {}", torn.file, torn.offset))?;
    }
    for lost in &found.damaged {
        print_line(&format!(
            "damaged: {}, offset {}: {} records lost",
            lost.file,
            lost.offset,
            lost.next_lsn.0 - lost.first_lsn.0
        ))?;
    }
    Ok(())
}

fn many(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn human(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

fn to_json(place: &Place, counts: &Counts, passes: Option<&Passes>) -> Value {
    let view = place.log.view();
    let found = view.recovery();
    let streams = counts.iter().map(|((stream, kind), count)| {
        json!({ "stream": stream, "kind": kind, "records": count.records, "bytes": count.bytes })
    });
    json!({
        "dir": place.dir.display().to_string(),
        "is": place.log.name(),
        "first_lsn": view.first_lsn().0,
        "next_lsn": found.end.0,
        "opened": view.incarnation(),
        "records": found.records,
        "bytes": found.bytes,
        "segments": view.segments().iter().map(segment_json).collect::<Vec<_>>(),
        "streams": streams.collect::<Vec<_>>(),
        "checkpoint": passes.map(|passes| json!({
            "begin": passes.checkpoint.0,
            "end": passes.checkpoint_end.0,
            "needed_from": passes.needed_from.0,
        })),
        "torn_tail": found.torn_tail.as_ref().map(|torn| json!({ "file": torn.file, "offset": torn.offset })),
        "damaged": found.damaged.iter().map(|lost| json!({
            "file": lost.file,
            "offset": lost.offset,
            "first_lsn": lost.first_lsn.0,
            "next_lsn": lost.next_lsn.0,
        })).collect::<Vec<_>>(),
    })
}

fn segment_json(segment: &SegmentInfo) -> Value {
    json!({
        "file": segment.file,
        "sequence": segment.sequence,
        "first_lsn": segment.first_lsn.0,
        "next_lsn": segment.next_lsn.0,
        "writes": segment.batches,
        "used_bytes": segment.used_bytes,
        "bytes": segment.bytes,
        "spare": segment.is_spare,
    })
}
