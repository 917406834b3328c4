//! Medians of runs, as a table in Markdown, or the runs themselves as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use crate::contenders::Kind;
use crate::job::{Job, Measured};
use crate::os;

/// What one run found.
#[derive(Serialize)]
pub struct Found {
    bytes: usize,
    window: usize,
    contender: Kind,
    run: usize,
    /// The machine's load after it.
    load: f64,
    measured: Measured,
}

/// All runs.
#[derive(Serialize)]
pub struct Report {
    spinner: bool,
    synced: bool,
    load_before: f64,
    runs: Vec<Found>,
}

impl Found {
    pub fn new(job: &Job, run: usize, load: f64, measured: Measured) -> Found {
        let Job { contender, bytes, window, .. } = *job;
        Found { bytes, window, contender, run, load, measured }
    }
}

impl Report {
    pub fn new(spinner: bool, synced: bool) -> Result<Report> {
        Ok(Report { spinner, synced, load_before: os::load()?, runs: Vec::new() })
    }

    pub fn add(&mut self, found: Found) {
        self.runs.push(found);
    }

    pub fn print(&self, json: bool) -> Result<()> {
        let text = if json { serde_json::to_string_pretty(self)? } else { self.table() };
        println!("{text}");
        Ok(())
    }

    fn table(&self) -> String {
        let (title, rule) =
            if self.synced { (" commands a sync |", "---|") } else { Default::default() };
        let mut text =
            format!("| bytes | window | | CPU ns a command, of all three | commands/s |{title}\n");
        let _ = writeln!(text, "|---|---|---|---|---|{rule}");
        for ((bytes, window, contender), runs) in self.cases() {
            let cpu = cell(&runs, |run| run.cpu_seconds * 1e9 / run.commands as f64);
            let rate = cell(&runs, |run| run.commands as f64 / run.seconds);
            let name = contender.name();
            let _ = write!(text, "| {bytes} | {window} | `{name}` | {cpu} | {rate} |");
            if self.synced {
                let each = cell(&runs, |run| run.commands as f64 / run.syncs as f64);
                let _ = write!(text, " {each} |");
            }
            text.push('\n');
        }
        text + "\n" + &beside(self.spinner, self.load_before, self.runs.iter().map(|run| run.load))
    }

    fn cases(&self) -> BTreeMap<(usize, usize, Kind), Vec<&Measured>> {
        let mut cases = BTreeMap::<_, Vec<_>>::new();
        for found in &self.runs {
            let case = (found.bytes, found.window, found.contender);
            cases.entry(case).or_default().push(&found.measured);
        }
        cases
    }
}

/// What was going on beside the runs.
pub fn beside(spinner: bool, load_before: f64, loads: impl Iterator<Item = f64>) -> String {
    let loop_ = if spinner { "one busy loop of the lowest priority" } else { "no busy loop" };
    let highest = loads.fold(load_before, f64::max);
    format!(
        "Median (lowest–highest). Beside it {loop_}; load of the machine {load_before} before, {highest} at most."
    )
}

/// The median of what is found in each run, with the lowest and the highest.
pub fn cell<T>(runs: &[&T], value: impl Fn(&T) -> f64) -> String {
    let mut values: Vec<f64> = runs.iter().map(|run| value(run)).collect();
    values.sort_by(f64::total_cmp);
    let Some((lowest, highest)) = values.first().zip(values.last()) else {
        return "–".to_string();
    };
    let median = number(median(&values));
    if values.len() == 1 {
        return median;
    }
    format!("{median} ({}–{})", number(*lowest), number(*highest))
}

/// The middle one of sorted values; of two, their mean.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Three digits or all before the point, with commas.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests;
