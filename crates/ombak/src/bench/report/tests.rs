use super::super::frames::{Kind, Operation};
use super::super::load::Answer;
use super::super::tests::args;
use super::*;

fn report(line: &str, answers: &[Answer]) -> Report {
    let mut tally = Tally::new();
    for (i, answer) in answers.iter().enumerate() {
        let operation = Operation { kind: Kind::Get, key: 0 };
        tally.ended(operation, Duration::from_micros(100 + i as u64), answer.clone());
    }
    Report::new(args(line), tally, Duration::from_secs(2))
}

fn process(cpu_seconds: f64) -> ProcessReport {
    ProcessReport { pid: 7, cpu_seconds, peak_bytes: 2 << 20, resident_bytes: 1 << 20 }
}

#[test]
fn rates_are_per_second_of_the_window() {
    let report =
        report("", &[Answer::Done, Answer::Done, Answer::NotFound, Answer::Error("no".into())]);
    assert_eq!((report.operations, report.operations_per_second), (3, 1.5));
    assert_eq!((report.gets.count, report.gets.p50_us, report.gets.max_us), (3, 101, 102));
    assert_eq!((report.puts.count, report.not_found), (0, 1));
}

#[test]
fn people_see_what_went_wrong_and_no_empty_lines() {
    let fine = report("", &[Answer::Done]).to_string();
    for word in ["refused", "unanswered", "not found", "disconnects", "server", "put"] {
        assert!(!fine.contains(word), "{word} in {fine}");
    }
    let bad = [
        Answer::NotFound,
        Answer::Error("{n_val_violation,3}".into()),
        Answer::Lost("reset".into()),
    ];
    let bad = report("--preload", &bad).with_usage(vec![process(0.5)], 0.0, None).to_string();
    for word in
        ["1 × {n_val_violation,3}", "1 × reset", "DATA IS MISSING", "2 operations per CPU second"]
    {
        assert!(bad.contains(word), "no {word} in {bad}");
    }
}

#[test]
fn a_run_in_which_something_failed_says_what() {
    assert_eq!(report("--preload", &[Answer::Done]).failure(), None);
    assert_eq!(report("", &[Answer::NotFound]).failure(), None, "not every key was put");
    assert_eq!(report("--preload --deletes 1", &[Answer::NotFound]).failure(), None, "deleted");
    let failure = |line, answers: &[Answer]| report(line, answers).failure().unwrap();
    assert!(failure("--preload", &[Answer::NotFound]).starts_with("1 gets found nothing"));
    let bad = [Answer::Error("no".into()), Answer::Error("never".into()), Answer::Lost("x".into())];
    assert_eq!(failure("", &bad), "2 requests were refused, 1 requests were not answered");
    let silent = Report { unanswered: 3, not_connected: 2, ..report("", &[Answer::Done]) };
    let failure = silent.failure().unwrap();
    assert!(failure.starts_with("3 requests were not answered, 2 connections"), "{failure}");
    assert!(silent.to_string().contains("3 × no good answer"), "{silent}");
}

#[test]
fn a_server_that_used_no_time_has_no_rate() {
    let report = report("", &[Answer::Done]).with_usage(vec![process(0.0)], 0.0, None);
    assert_eq!(
        (report.server_cpu_seconds, report.operations_per_server_cpu_second),
        (Some(0.0), None)
    );
}

#[test]
fn json_has_the_options_and_the_figures() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bench.json");
    report("--type t --duration 500ms", &[Answer::Done]).write_json(&path).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["options"]["type"], "t");
    assert_eq!(json["options"]["duration"], 0.5);
    assert_eq!(json["gets"]["p99_us"], 100);
    assert!(json["command"].is_array());
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let error = report("", &[]).write_json(Path::new("/no/such/place")).unwrap_err();
    assert!(error.to_string().contains("/no/such/place"), "{error}");
}
