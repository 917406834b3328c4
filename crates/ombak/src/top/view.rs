//! Rates as tables, or as a line of JSON.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table};
use serde_json::json;

use super::rates::{OperationRates, Rates};
use crate::output::table;

const QUEUES: [&str; 5] = ["requests", "held", "unsynced", "loading", "commits"];

/// What a measurement came to, by node; the error is one line.
type Measured = Result<Rates, String>;

/// All nodes on one page.
pub fn page(nodes: &[String], measured: &[Measured]) -> String {
    let all: Vec<&Rates> = measured.iter().filter_map(|rates| rates.as_ref().ok()).collect();
    let mut page = format!("{}\n{}\n{}\n", operations(&all), storage(&all), machine(&all));
    for (node, error) in nodes.iter().zip(measured) {
        match error {
            Err(error) => drop(writeln!(page, "{node}: {error}")),
            Ok(rates) if rates.log.failed => drop(writeln!(
                page,
                "{node}: storage has failed, no writes are taken: its log says why; then start it again"
            )),
            Ok(_) => {}
        }
    }
    page
}

/// One line.
pub fn json(nodes: &[String], measured: &[Measured]) -> String {
    let node = |(node, measured): (&String, &Measured)| match measured {
        Ok(rates) => json!({"address": node, "rates": rates}),
        Err(error) => json!({"address": node, "error": error}),
    };
    json!({"nodes": nodes.iter().zip(measured).map(node).collect::<Vec<_>>()}).to_string()
}

fn operations(all: &[&Rates]) -> Table {
    let mut list = numbers(&[
        "node", "get/s", "p50", "p99", "max", "put/s", "p50", "p99", "max", "other/s", "failed/s",
        "clients",
    ]);
    let idle = OperationRates::default();
    for rates in all {
        let of = |name: &str| rates.operations.get(name).unwrap_or(&idle);
        let times = |of: &OperationRates| {
            [count(of.per_second), micros(of.p50_us), micros(of.p99_us), micros(of.max_us)]
        };
        let mut row = vec![rates.node.clone()];
        row.extend(times(of("get")));
        row.extend(times(of("put")));
        // We ask how the shards are: not an operation of the node's clients.
        row.push(count(rates.others_per_second(&["get", "put", "admin"])));
        row.extend([count(rates.failed_per_second()), rates.connections.to_string()]);
        list.add_row(row);
    }
    list
}

fn storage(all: &[&Rates]) -> Table {
    let mut list = numbers(&[
        "node",
        "sync/s",
        "sync p99",
        "commits/sync",
        "log/s",
        "log used",
        "keys",
        "live",
        "disk",
        "compaction/s",
        "disk reads/s",
    ]);
    for rates in all {
        let (log, store) = (&rates.log, &rates.store);
        let used = match log.bytes_max {
            0 => "-".into(),
            max => format!("{} %", log.used_bytes * 100 / max),
        };
        list.add_row([
            rates.node.clone(),
            count(log.syncs_per_second),
            micros(log.sync_p99_us),
            format!("{:.1}", log.commits_per_sync),
            bytes(log.bytes_per_second),
            used,
            store.keys.to_string(),
            bytes(store.live_bytes as f64),
            bytes(store.file_bytes as f64),
            bytes(store.compacted_bytes_per_second),
            count(store.disk_reads_per_second),
        ]);
    }
    list
}

fn machine(all: &[&Rates]) -> Table {
    let mut header = vec!["node", "peers up", "cpu", "memory"];
    header.extend(QUEUES);
    let mut list = numbers(&header);
    for rates in all {
        let up = rates.peers_up.map_or("?".into(), |up| up.to_string());
        let mut row = vec![
            rates.node.clone(),
            format!("{up} of {}", rates.peers),
            rates.cpu_percent.map_or("-".into(), |percent| format!("{percent:.0} %")),
            rates.resident_bytes.map_or("-".into(), |resident| bytes(resident as f64)),
        ];
        let depth = |queue: &str| rates.queues.get(queue).map_or("?".into(), u64::to_string);
        row.extend(QUEUES.iter().map(|queue| depth(queue)));
        list.add_row(row);
    }
    list
}

/// A table whose columns are numbers, but for the first.
fn numbers(header: &[&str]) -> Table {
    let mut list = table(header);
    list.column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    list
}

fn count(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn bytes(n: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (n, 0);
    while n >= 1024.0 && unit + 1 < UNITS.len() {
        n /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n:.0} B") } else { format!("{n:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!([count(0.0), count(0.25), count(1234.6)], ["0", "0.2", "1235"]);
        assert_eq!([micros(999), micros(1_500), micros(2_000_000)], ["999 µs", "1.5 ms", "2.0 s"]);
        assert_eq!([bytes(0.0), bytes(1536.0), bytes(3e9)], ["0 B", "1.5 KiB", "2.8 GiB"]);
    }

    #[test]
    fn a_silent_node_has_its_line() {
        let page = page(&["a:1".into()], &[Err("it did not answer".into())]);
        assert!(page.ends_with("a:1: it did not answer\n"), "{page}");
        let line = json(&["a:1".into()], &[Err("gone".into())]);
        assert_eq!(line, r#"{"nodes":[{"address":"a:1","error":"gone"}]}"#);
    }
}
