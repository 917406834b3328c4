//! A report as people read it.

use std::fmt;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use super::Report;
use crate::bench::procstat::ProcessReport;

impl Report {
    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header([
            "",
            "count",
            "ops/s",
            "p50 µs",
            "p90 µs",
            "p99 µs",
            "p99.9 µs",
            "max µs",
        ]);
        for (name, of) in self.kinds() {
            if of.count > 0 {
                let rate = format!("{:.0}", of.per_second);
                let figures = [of.p50_us, of.p90_us, of.p99_us, of.p999_us, of.max_us];
                let mut row = vec![name.to_owned(), of.count.to_string(), rate];
                row.extend(figures.map(|figure| figure.to_string()));
                table.add_row(row);
            }
        }
        table.add_row([
            "all",
            &self.operations.to_string(),
            &format!("{:.0}", self.operations_per_second),
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Lines of a name and what there is to say; none where there is nothing.
    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = Vec::new();
        let mut fact = |name: &str, text: String| facts.push((name.to_owned(), text));
        if let Some(open_loop) = &self.open_loop {
            fact("rate", open_loop.text());
        }
        if self.not_found > 0 {
            fact("not found", self.not_found_text());
        }
        for (text, count) in &self.errors {
            fact("refused", format!("{count} × {text}"));
        }
        for (text, count) in &self.lost {
            fact("unanswered", format!("{count} × {text}"));
        }
        if self.disconnects > 0 {
            fact("disconnects", self.disconnects.to_string());
        }
        if self.not_connected > 0 {
            let (missing, all) = (self.not_connected, self.options.connections);
            fact("not connected", format!("{missing} of {all} connections at the end"));
        }
        if self.oldest_under_way_seconds >= 1.0 {
            let (count, oldest) = (self.under_way, self.oldest_under_way_seconds);
            fact("still waiting", format!("{count} requests, the oldest for {oldest:.1} s"));
        }
        if self.unanswered > 0 {
            fact("unanswered", format!("{} × no good answer after the window", self.unanswered));
        }
        for process in &self.processes {
            fact(&format!("process {}", process.pid), process_text(process));
        }
        if let (Some(cpu), Some(worth)) =
            (self.server_cpu_seconds, self.operations_per_server_cpu_second)
        {
            let all = self.operations_per_cpu_second.unwrap_or(worth);
            fact(
                "server",
                format!(
                    "{cpu:.2} CPU seconds, {worth:.0} operations per CPU second, {all:.0} with this program's"
                ),
            );
        }
        if let Some(floor) = &self.floor {
            fact("floor", floor.text());
        }
        fact("this program", self.bench_text());
        facts
    }

    fn not_found_text(&self) -> String {
        let gets = self.gets.count + self.read_modify_writes.count;
        let percent = 100.0 * self.not_found as f64 / gets.max(1) as f64;
        let text = format!("{} gets ({percent:.2} %)", self.not_found);
        if self.options.all_keys_are_there() {
            text + ", although every key was put before: DATA IS MISSING"
        } else {
            text
        }
    }

    fn bench_text(&self) -> String {
        let share = self.bench_cpu_seconds / self.seconds.max(0.001);
        let text = format!("{:.2} CPU seconds", self.bench_cpu_seconds);
        if share > 0.9 { text + ": it was the limit, run several at once" } else { text }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            writeln!(f, "{}: {}, version {}", server.address, server.node, server.version)?;
        }
        let options = &self.options;
        let early = if self.interrupted { " (interrupted)" } else { "" };
        writeln!(
            f,
            "{:.1} s{early}, {} connections × {} under way, {}, {} bytes, {} keys{}",
            self.seconds,
            options.connections,
            options.depth,
            options.mix_text(),
            options.value_bytes,
            options.keys,
            if options.spinner { ", one busy loop" } else { "" },
        )?;
        writeln!(f, "{}", self.latency_table())?;
        for (name, text) in self.facts() {
            writeln!(f, "{name:>14}  {text}")?;
        }
        Ok(())
    }
}

fn process_text(process: &ProcessReport) -> String {
    format!(
        "{:.2} CPU seconds, {:.1} MiB, at most {:.1} MiB since it began",
        process.cpu_seconds,
        mib(process.resident_bytes),
        mib(process.peak_bytes),
    )
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
