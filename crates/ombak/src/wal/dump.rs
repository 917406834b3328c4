//! `ombak wal dump`.

use std::io::{self, BufWriter, Write};

use ombak_aries::Lsn;
use ombak_aries::inspect::{Entry, Words};

use super::DumpArgs;
use super::entry::{Kinded, Reader};
use super::place::Place;
use crate::error::CliError;
use crate::output::closed;

pub fn run(args: &DumpArgs) -> Result<(), CliError> {
    let place = Place::open(&args.dir)?;
    let reader = Reader::of(&place.log);
    check_kinds(args, reader)?;
    let words = Words::new(Vec::new());
    let mut out = BufWriter::new(io::stdout().lock());
    place.log.view().scan(Lsn(args.from), |entry| {
        let record = reader.read(&entry);
        if !is_wanted(args, &entry, &record) {
            return Ok(());
        }
        let line = match args.json {
            true => record.json(&entry, &words).to_string(),
            false => record.line(reader, &entry, &words),
        };
        writeln!(out, "{line}").map_err(closed)
    })?;
    out.flush().map_err(closed)
}

fn check_kinds(args: &DumpArgs, reader: Reader) -> Result<(), CliError> {
    let kinds = reader.kinds();
    match args.kind.iter().find(|kind| !kinds.contains(&kind.as_str())) {
        Some(kind) => Err(CliError::usage(format!(
            "--kind {kind}: this log has no such kind, but {}",
            kinds.join(", ")
        ))),
        None => Ok(()),
    }
}

fn is_wanted(args: &DumpArgs, entry: &Entry<'_>, record: &Kinded<'_>) -> bool {
    entry.lsn <= Lsn(args.to)
        && args.stream.is_none_or(|stream| entry.stream.0 == stream)
        && args.txn.is_none_or(|txn| record.txn() == Some(txn))
        && (args.kind.is_empty() || args.kind.iter().any(|kind| kind == record.name()))
}
