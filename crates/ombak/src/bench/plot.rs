//! A run as a page: one HTML file that needs nothing else, not even a network.

use std::path::Path;

use hdrhistogram::Histogram;

use super::BenchError;
use super::chart::{Axis, Series, escape, svg};
use super::report::Report;
use super::timeline::Slice;

const STYLE: &str = "body { font-family: sans-serif; max-width: 900px; margin: 2em auto; color: #333 } \
                     pre { overflow-x: auto; font-size: 12px } figure { margin: 2em 0 }";

/// What the lines are drawn from.
#[derive(Clone, Debug, Default)]
pub(super) struct Curves {
    /// Through the window.
    pub slices: Vec<Slice>,
    /// For each kind that happened, latencies in microseconds and the share that is not slower.
    pub distributions: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// The distribution of latencies: finer near its end, where the few slow ones are.
pub(super) fn distribution(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    let body = (0..200).map(|i| f64::from(i) / 200.0);
    let tail = [0.996, 0.997, 0.998, 0.999, 0.9995, 0.9999, 1.0];
    let point = |share| (latencies.value_at_quantile(share) as f64, share);
    body.chain(tail).map(point).collect()
}

/// Writes the page.
pub(super) fn write(path: &Path, report: &Report) -> Result<(), BenchError> {
    std::fs::write(path, page(report)).map_err(|error| BenchError::Plot(path.to_owned(), error))
}

fn page(report: &Report) -> String {
    let text = escape(&report.to_string());
    let command = escape(&report.command.join(" "));
    let charts: String = [
        ("Throughput over time", throughput(&report.curves.slices)),
        ("Latency over time, all kinds", latency(&report.curves.slices)),
        ("Share of operations that are not slower", cumulative(&report.curves.distributions)),
    ]
    .map(|(title, chart)| format!("<figure>\n<figcaption>{title}</figcaption>\n{chart}</figure>\n"))
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>ombak bench</title>\n\
         <style>{STYLE}</style>\n<h1>ombak bench</h1>\n<pre>{command}\n\n{text}</pre>\n{charts}</html>\n"
    )
}

fn throughput(slices: &[Slice]) -> String {
    let points: Vec<_> = slices.iter().map(|slice| (slice.at, slice.per_second)).collect();
    let y = Axis::linear("operations/s", points.iter().map(|point| point.1));
    svg(&seconds(slices), &y, &[Series { name: "all".into(), points }])
}

fn latency(slices: &[Slice]) -> String {
    let line = |name: &str, of: fn(&Slice) -> Option<u64>| {
        let point = |slice: &Slice| of(slice).map(|us| (slice.at, us as f64));
        Series { name: name.into(), points: slices.iter().filter_map(point).collect() }
    };
    let lines = [line("p50", |slice| slice.p50_us), line("p99", |slice| slice.p99_us)];
    let all = lines.iter().flat_map(|line| &line.points);
    let y = Axis::latency("latency", all.map(|point| point.1));
    svg(&seconds(slices), &y, &lines)
}

fn seconds(slices: &[Slice]) -> Axis {
    Axis::linear("seconds", slices.iter().map(|slice| slice.at))
}

fn cumulative(distributions: &[(&'static str, Vec<(f64, f64)>)]) -> String {
    let line = |(name, points): &(&str, Vec<(f64, f64)>)| Series {
        name: (*name).to_owned(),
        points: points.clone(),
    };
    let lines: Vec<_> = distributions.iter().map(line).collect();
    let all = lines.iter().flat_map(|line| &line.points);
    let x = Axis::latency("latency", all.map(|point| point.0));
    svg(&x, &Axis::linear("share", std::iter::once(1.0)), &lines)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::frames::{Kind, Operation};
    use super::super::load::Answer;
    use super::super::tally::Tally;
    use super::super::tests::args;
    use super::*;

    fn report() -> Report {
        let (mut tally, length) = (Tally::new(), Duration::from_secs(2));
        for i in 1..=100 {
            for kind in [Kind::Get, Kind::Insert] {
                let operation = Operation { kind, key: 0 };
                tally.ended(operation, Duration::from_micros(i * 100), Answer::Done);
            }
            tally.timeline.tick(Duration::from_millis(i * 20), length);
        }
        Report::new(args("--bucket <b>"), tally, length)
    }

    #[test]
    fn a_page_has_all_lines_and_needs_nothing_from_elsewhere() {
        let page = page(&report());
        assert_eq!(page.matches("<svg").count(), 3);
        // Throughput, p50 and p99, and the two kinds that happened.
        assert_eq!(page.matches("<polyline").count(), 5);
        assert!(page.contains(">get</text>") && page.contains(">insert</text>"));
        for word in ["<script", "src=", "href=", "url(", "NaN", "inf,"] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_distribution_rises_to_all() {
        let distributions = report().curves.distributions;
        let names: Vec<_> = distributions.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["get", "insert"]);
        let points = &distributions[0].1;
        assert!(points.is_sorted_by_key(|point| point.0) && points.is_sorted_by_key(|it| it.1));
        assert_eq!(points.last().unwrap().1, 1.0);
        assert!((points[100].0 - 5000.0).abs() < 150.0, "{:?}", points[100]);
    }

    #[test]
    fn a_page_that_cannot_be_written_is_named() {
        let error = write(Path::new("/no/such/place"), &report()).unwrap_err().to_string();
        assert!(error.contains("/no/such/place") && error.contains("--plot"), "{error}");
    }
}
