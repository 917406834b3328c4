//! `ombak bench compare`: two results side by side.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{BenchArgs, BenchError};

/// A result is a few kilobytes; what is longer than this is something else.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// These say where results go and which processes were looked at, not what was measured.
const OPTIONS_THAT_CHANGE_NOTHING: [&str; 3] = ["json", "plot", "pid"];
const KINDS: [(&str, &str); 5] = [
    ("get", "gets"),
    ("put", "puts"),
    ("delete", "deletes"),
    ("insert", "inserts"),
    ("read-modify-write", "read_modify_writes"),
];
const OF_A_KIND: [(&str, &str); 7] = [
    ("ops/s", "per_second"),
    ("mean µs", "mean_us"),
    ("p50 µs", "p50_us"),
    ("p90 µs", "p90_us"),
    ("p99 µs", "p99_us"),
    ("p99.9 µs", "p999_us"),
    ("max µs", "max_us"),
];
const OF_A_RUN: [(&str, &str); 6] = [
    ("ops per server CPU second", "operations_per_server_cpu_second"),
    ("ops per CPU second of all", "operations_per_cpu_second"),
    ("floor's ops per CPU second", "floor/operations_per_cpu_second"),
    ("not found", "not_found"),
    ("unanswered", "unanswered"),
    ("disconnects", "disconnects"),
];

const EXAMPLES: &str = "\
Examples:
  ombak bench --preload --json before.json
  ombak bench --preload --json after.json           after a change, with the same options
  ombak bench compare before.json after.json        a ratio above 1: the second is larger";

/// Shows two results of `ombak bench --json` side by side, with the ratio of each figure.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// A result.
    pub a: PathBuf,
    /// Another; ratios are its figures divided by those of the first.
    pub b: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints the comparison.
pub(super) fn run(args: &CompareArgs) -> Result<(), BenchError> {
    let comparison = compare(args)?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&comparison)
            .map_err(|error| BenchError::System("cannot make JSON", error.into()))?,
        false => comparison.text(),
    };
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| BenchError::System("cannot print the comparison", error))
}

/// What two results have to say together.
#[derive(Debug, Serialize)]
struct Comparison {
    a: String,
    b: String,
    same_options: bool,
    different_options: Vec<Difference>,
    figures: Vec<Figure>,
}

/// An option that was not the same.
#[derive(Debug, Serialize)]
struct Difference {
    option: String,
    a: Value,
    b: Value,
}

/// A number of each; absent where a result does not have it.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    a: Option<f64>,
    b: Option<f64>,
    /// b / a, where that is a number.
    ratio: Option<f64>,
}

fn compare(args: &CompareArgs) -> Result<Comparison, BenchError> {
    let (a, b) = (load(&args.a)?, load(&args.b)?);
    let different_options = differences(&a, &b);
    Ok(Comparison {
        a: args.a.display().to_string(),
        b: args.b.display().to_string(),
        same_options: different_options.is_empty(),
        different_options,
        figures: figures(&a, &b),
    })
}

fn load(path: &Path) -> Result<Value, BenchError> {
    let failed = |what: String| BenchError::Compare(path.to_owned(), what);
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    let result: Value =
        serde_json::from_str(&text).map_err(|error| failed(format!("not JSON: {error}")))?;
    match result["operations_per_second"].is_number() && result["options"].is_object() {
        true => Ok(result),
        false => Err(failed("no result of a benchmark".into())),
    }
}

fn differences(a: &Value, b: &Value) -> Vec<Difference> {
    let (a, b) = (options(a), options(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |options: &Map<String, Value>, name| options.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .filter(|name| !OPTIONS_THAT_CHANGE_NOTHING.contains(&name.as_str()))
        .map(|name| Difference { option: name.clone(), a: of(&a, name), b: of(&b, name) })
        .filter(|difference| difference.a != difference.b)
        .collect()
}

/// The options of a result. One of an earlier version lacks some: they have their defaults. Which servers were asked
/// is what is compared; only how many they were has to be the same.
fn options(result: &Value) -> Map<String, Value> {
    let mut options = default_options();
    options.extend(result["options"].as_object().cloned().unwrap_or_default());
    let servers = options.get("addr").and_then(Value::as_array).map_or(0, Vec::len);
    options.insert("addr".into(), format!("{servers} servers").into());
    options
}

fn default_options() -> Map<String, Value> {
    let command = BenchArgs::augment_args(clap::Command::new("bench"));
    let defaults = command
        .try_get_matches_from(["bench"])
        .and_then(|matches| BenchArgs::from_arg_matches(&matches));
    let defaults = defaults.ok().and_then(|defaults| serde_json::to_value(defaults).ok());
    defaults.and_then(|defaults| defaults.as_object().cloned()).unwrap_or_default()
}

fn figures(a: &Value, b: &Value) -> Vec<Figure> {
    let figure = |kind: Option<&str>, name: String, pointer: String| {
        let number = |of: &Value| {
            of.pointer(&pointer).filter(|_| happened(of, kind)).and_then(Value::as_f64)
        };
        let (a, b) = (number(a), number(b));
        let ratio = a.zip(b).map(|(a, b)| b / a).filter(|ratio| ratio.is_finite());
        Figure { name, a, b, ratio }
    };
    let mut figures = vec![figure(None, "all ops/s".into(), "/operations_per_second".into())];
    for (name, kind) in KINDS {
        figures.extend(OF_A_KIND.map(|(what, field)| {
            figure(Some(kind), format!("{name} {what}"), format!("/{kind}/{field}"))
        }));
    }
    figures.extend(OF_A_RUN.map(|(name, field)| figure(None, name.into(), format!("/{field}"))));
    figures.retain(|figure| figure.a.or(figure.b).is_some());
    figures
}

/// A kind that did not happen has latencies of 0, which would mislead.
fn happened(result: &Value, kind: Option<&str>) -> bool {
    kind.is_none_or(|kind| result[kind]["count"].as_u64() > Some(0))
}

impl Comparison {
    fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header(["", &self.a, &self.b, "ratio"]);
        for figure in &self.figures {
            let ratio = figure.ratio.map_or("–".into(), |ratio| format!("{ratio:.3}"));
            table.add_row([figure.name.clone(), number(figure.a), number(figure.b), ratio]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{table}\n{}", self.options_text())
    }

    fn options_text(&self) -> String {
        if self.same_options {
            return String::from("Both were run with the same options.");
        }
        let mut text = String::from(
            "NOT RUN WITH THE SAME OPTIONS, so the ratios tell of these as well (run one of them again):",
        );
        for Difference { option, a, b } in &self.different_options {
            text += &format!("\n  {option}: {a} and {b}");
        }
        text
    }
}

fn number(figure: Option<f64>) -> String {
    figure.map_or("–".into(), |figure| format!("{figure:.0}"))
}

#[cfg(test)]
mod tests;
