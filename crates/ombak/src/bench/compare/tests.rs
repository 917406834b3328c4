//! Results side by side.

use std::time::Duration;

use super::super::frames::{Kind, Operation};
use super::super::load::Answer;
use super::super::report::Report;
use super::super::tally::Tally;
use super::super::tests::args;
use super::*;

/// Two results of one get each.
fn compared(a: (&str, u64), b: (&str, u64)) -> (Comparison, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, (line, latency_us): (&str, u64)| {
        let mut tally = Tally::new();
        let operation = Operation { kind: Kind::Get, key: 0 };
        tally.ended(operation, Duration::from_micros(latency_us), Answer::Done);
        let path = directory.path().join(name);
        Report::new(args(line), tally, Duration::from_secs(1)).write_json(&path).unwrap();
        path
    };
    let args = CompareArgs { a: write("a.json", a), b: write("b.json", b), json: false };
    (compare(&args).unwrap(), directory)
}

#[test]
fn figures_have_ratios_and_what_did_not_happen_has_none() {
    let (comparison, _directory) = compared(("", 100), ("--addr b:1 --pid 7", 250));
    let p99 = comparison.figures.iter().find(|figure| figure.name == "get p99 µs").unwrap();
    assert_eq!((p99.a, p99.b, p99.ratio), (Some(100.0), Some(250.0), Some(2.5)));
    assert!(!comparison.figures.iter().any(|figure| figure.name.starts_with("put")));
    let unanswered = comparison.figures.iter().find(|figure| figure.name == "unanswered");
    assert_eq!(unanswered.unwrap().ratio, None);
    assert!(comparison.same_options, "{:?}", comparison.different_options);
    let text = comparison.text();
    assert!(text.contains("2.500") && text.contains("the same options."), "{text}");
}

#[test]
fn a_kind_of_one_result_alone_has_no_ratio_and_no_zeros() {
    let result = |kind: &str| {
        let mut result = serde_json::json!({"operations_per_second": 1});
        for name in ["gets", "puts"] {
            let count = u32::from(name == kind);
            result[name] = serde_json::json!({"count": count, "p50_us": count});
        }
        result
    };
    let figures = figures(&result("gets"), &result("puts"));
    let get = figures.iter().find(|figure| figure.name == "get p50 µs").unwrap();
    assert_eq!((get.a, get.b, get.ratio), (Some(1.0), None, None));
}

#[test]
fn options_that_differ_are_named() {
    let (comparison, _directory) =
        compared(("--depth 2", 1), ("--depth 16 --rate 5 --addr a:1,b:1", 1));
    let names: Vec<_> = comparison.different_options.iter().map(|it| &it.option[..]).collect();
    assert_eq!(names, ["addr", "depth", "rate"]);
    let text = comparison.text();
    assert!(text.contains("NOT RUN WITH THE SAME") && text.contains("depth: 2 and 16"), "{text}");
}

#[test]
fn an_option_that_an_earlier_version_did_not_have_has_its_default() {
    let result = |options: &str| serde_json::from_str(&format!(r#"{{"options": {options}}}"#));
    let old = result(r#"{"gets": 50}"#).unwrap();
    let same = result(r#"{"gets": 50, "deletes": 0, "keys_distribution": "uniform"}"#).unwrap();
    let other = result(r#"{"gets": 50, "deletes": 1}"#).unwrap();
    assert!(differences(&old, &same).is_empty(), "{:?}", differences(&old, &same));
    assert_eq!(differences(&old, &other)[0].option, "deletes");
}

#[test]
fn files_that_are_no_results_are_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("text", "hello"), ("empty", "{}"), ("array", "[1]")] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("--json FILE"), "{error}");
    }
    assert!(load(Path::new("/no/such/file")).is_err());
}
