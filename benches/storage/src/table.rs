//! Medians of runs, as a table in Markdown, or the runs themselves as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use crate::engines::Kind;
use crate::os;
use crate::workloads::{Job, Measures};

/// What one run found.
#[derive(Serialize)]
pub struct Found {
    engine: Kind,
    threads: usize,
    run: usize,
    /// The machine's load after it.
    load: f64,
    measures: Measures,
}

/// All runs of a workload.
#[derive(Serialize)]
pub struct Report {
    spinner: bool,
    load_before: f64,
    runs: Vec<Found>,
}

impl Found {
    pub fn new(job: &Job, run: usize, load: f64, measures: Measures) -> Found {
        Found { engine: job.engine, threads: job.threads, run, load, measures }
    }
}

impl Report {
    pub fn new(spinner: bool) -> Result<Report> {
        Ok(Report { spinner, load_before: os::load()?, runs: Vec::new() })
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
        let names = self.names();
        let mut text = format!("| engine | threads | runs | {} |\n", names.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(names.len() + 3));
        for ((threads, engine), runs) in self.cases() {
            let _ = write!(text, "| {} | {threads} | {} |", engine.name(), runs.len());
            for name in &names {
                let _ = write!(text, " {} |", cell(&runs, name));
            }
            text.push('\n');
        }
        let beside =
            if self.spinner { "one busy loop of the lowest priority" } else { "no busy loop" };
        let highest = self.runs.iter().map(|found| found.load).fold(self.load_before, f64::max);
        let _ = write!(
            text,
            "\nMedian (lowest–highest). Beside it {beside}; load of the machine {} before, {highest} at most.",
            self.load_before
        );
        text
    }

    /// The columns: what any run measured, in the order in which it first appears.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for measure in self.runs.iter().flat_map(|found| &found.measures) {
            if !names.contains(&measure.name.as_str()) {
                names.push(measure.name.as_str());
            }
        }
        names
    }

    fn cases(&self) -> BTreeMap<(usize, Kind), Vec<&Found>> {
        let mut cases = BTreeMap::<_, Vec<_>>::new();
        for found in &self.runs {
            cases.entry((found.threads, found.engine)).or_default().push(found);
        }
        cases
    }
}

fn cell(runs: &[&Found], name: &str) -> String {
    let measures = runs.iter().flat_map(|found| &found.measures);
    let mut values: Vec<f64> =
        measures.filter(|measure| measure.name == name).map(|measure| measure.value).collect();
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
