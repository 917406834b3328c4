//! `ombak wal verify`.

use std::path::Path;

use ombak_aries::inspect::{Finding, Severity, Verification, verify_log};
use serde_json::{Value, json};

use super::place::{Log, Place, failed};
use crate::error::CliError;
use crate::output::{print_json, print_line};

pub fn run(dir: &Path, json: bool) -> Result<(), CliError> {
    let place = Place::open(dir)?;
    let report = match &place.log {
        Log::Engine(inspection) => {
            inspection.verify().map_err(|error| failed(&place.dir, error))?
        }
        Log::Node(view) | Log::Alone(view) => verify_log(view),
    };
    match json {
        true => print_json(&to_json(&place, &report))?,
        false => show(&place, &report)?,
    }
    outcome(&report)
}

fn show(place: &Place, report: &Verification) -> Result<(), CliError> {
    print_line(&format!("{}: {}", place.dir.display(), place.log.name()))?;
    for Finding { severity, file, offset, what, lost } in &report.findings {
        let severity = name(*severity);
        print_line(&format!("{severity}: {file}, offset {offset}: {what}. Lost: {lost}"))?;
    }
    print_line(&format!(
        "{} records in {} writes in {} segments match their checksums",
        report.records, report.batches, report.segments
    ))?;
    if let Log::Engine(_) = place.log {
        print_line(&format!("{} pages are used and were read", report.pages))?;
    }
    if let (Some(trees), Some(queues)) = (report.trees, report.queues) {
        print_line(&format!(
            "a restart, tried in memory, succeeds; {trees} trees are whole then, and {queues} queues"
        ))?;
    }
    Ok(())
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Harmless => "harmless",
        Severity::Mended => "a restart mends",
        Severity::Damage => "damaged",
    }
}

fn outcome(report: &Verification) -> Result<(), CliError> {
    let damaged = |finding: &&Finding| finding.severity == Severity::Damage;
    match report.findings.iter().filter(damaged).count() {
        0 => Ok(()),
        1 => Err(CliError::Damaged("something is damaged: restore it from a copy".to_string())),
        places => {
            Err(CliError::Damaged(format!("{places} things are damaged: restore them from a copy")))
        }
    }
}

fn to_json(place: &Place, report: &Verification) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "severity": format!("{:?}", finding.severity).to_lowercase(),
            "file": finding.file,
            "offset": finding.offset,
            "what": finding.what,
            "lost": finding.lost,
        })
    };
    json!({
        "dir": place.dir.display().to_string(),
        "is": place.log.name(),
        "sound": report.is_sound(),
        "segments": report.segments,
        "writes": report.batches,
        "records": report.records,
        "pages": report.pages,
        "trees": report.trees,
        "queues": report.queues,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
