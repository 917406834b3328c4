//! Standard output: results and nothing else. What is said about them goes to standard error.

use std::io::{self, ErrorKind, Write};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use crate::error::CliError;

/// Prints bytes as they are. `ombak get … | head -c 1` ends us quietly.
pub fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(closed)
}

/// Prints a line.
pub fn print_line(line: &str) -> Result<(), CliError> {
    print_bytes(format!("{line}\n").as_bytes())
}

/// Prints JSON for a program, or for a person who is debugging one.
pub fn print_json(value: &Value) -> Result<(), CliError> {
    print_line(&format!("{value:#}"))
}

/// Prints a table.
pub fn print_table(table: &Table) -> Result<(), CliError> {
    print_line(&table.to_string())
}

/// An empty table with a header.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// What a failed write to standard output means.
pub fn closed(error: io::Error) -> CliError {
    match error.kind() {
        ErrorKind::BrokenPipe => CliError::StdoutClosed,
        _ => CliError::failed(format!("cannot write the output ({error}): is the disk full?")),
    }
}
