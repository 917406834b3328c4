//! What a node says of what it has done.

use serde_json::Value;

use crate::world::{Answer, Client, Http, get, node, put};

fn stats(http: &mut Http) -> Value {
    http.get("/stats").json()
}

#[test]
fn stats_are_true_after_known_operations() {
    let node = node();
    let (mut http, mut client) = (Http::of(&node), Client::of(&node));
    let props = br#"{"props":{"allow_mult":true}}"#;
    assert_eq!(http.ask("PUT", "/buckets/b/props", &[], props).status, 204);
    client.ask(put("b", "k", "one"));
    http.put("/buckets/b/keys/k", "three");
    client.ask(get("b", "k"));
    client.ask(get("b", "k"));
    assert_eq!(http.get("/buckets/b/keys/none").status, 404);
    assert_eq!(http.ask("DELETE", "/buckets/b/keys/other", &[], b"").status, 404);
    http.get("/buckets/b/keys?keys=true");

    let stats = stats(&mut http);
    for (name, value) in [
        ("node_gets", 3),
        ("node_puts", 3),
        ("list_fsm_create", 1),
        ("node_get_fsm_errors", 0),
        ("read_repairs", 0),
        ("pbc_connects", 1),
    ] {
        assert_eq!(stats[name], value, "{name} within the minute");
        assert_eq!(stats[format!("{name}_total")], value, "{name} since the start");
    }
    for (name, value) in [
        ("pbc_active", 1),
        ("node_get_fsm_active", 0),
        ("node_put_fsm_active", 0),
        ("coord_redirs_total", 0),
        ("node_get_fsm_siblings_mean", 2),
        ("node_get_fsm_siblings_100", 2),
        ("node_get_fsm_objsize_mean", 8),
        ("node_get_fsm_objsize_median", 8),
    ] {
        assert_eq!(stats[name], value, "{name}");
    }
    assert_eq!(stats["vnode_puts_total"], 2, "one replica each, and nothing to delete");
    assert_eq!(stats["vnode_gets_total"], 4, "those of gets and the one before the delete");
    assert!(stats["memory_total"].as_u64().unwrap() > 0);
    assert_eq!(stats["ring_ownership"], "[{'riak@127.0.0.1',16}]");
    assert_eq!(stats["connected_nodes"], serde_json::json!([]));
    node.stop().unwrap();
}

#[test]
fn every_name_is_one_of_riaks_or_says_whose_it_is() {
    let node = node();
    let known = include_str!("../golden/stats-names.txt");
    let known: std::collections::BTreeSet<&str> = known.lines().collect();
    let stats = stats(&mut Http::of(&node));
    for name in stats.as_object().unwrap().keys() {
        let ours = name.starts_with("ombak_") || name.ends_with("_version");
        assert!(ours || known.contains(name.as_str()), "{name}");
    }
    node.stop().unwrap();
}

/// A sample of a family, without its labels' order being looked at.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

fn samples(page: &str) -> Vec<Sample<'_>> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line| {
        let (series, value): (&str, &str) = str::rsplit_once(line, ' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        Sample { name, labels: labels.strip_suffix('}').unwrap(), value: value.parse().unwrap() }
    };
    lines.map(sample).collect()
}

fn page(http: &mut Http) -> Answer {
    http.get("/metrics")
}

#[test]
fn metrics_are_well_formed() {
    let node = node();
    let (mut http, mut client) = (Http::of(&node), Client::of(&node));
    for key in 0..20 {
        client.ask(put("b", &key.to_string(), "value"));
        client.ask(get("b", &key.to_string()));
    }
    let answer = page(&mut http);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let text = answer.text();
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);

    let types: std::collections::BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for family in types.keys() {
        assert!(text.contains(&format!("# HELP {family} ")), "{family}");
    }
    let samples = samples(&text);
    for sample in &samples {
        let is_of = |(family, kind): (&&str, &&str)| {
            let suffixes: &[&str] = match *kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let rest = sample.name.strip_prefix(*family);
            rest.is_some_and(|rest| suffixes.contains(&rest))
        };
        assert!(types.iter().any(is_of), "{} is of no family", sample.name);
    }
    check_histograms(&samples);
    let puts = |sample: &&Sample| {
        sample.name == "ombak_request_duration_seconds_count"
            && sample.labels == "operation=\"put\""
    };
    assert_eq!(samples.iter().find(puts).unwrap().value, 20.0);
    let vnodes =
        |sample: &&Sample| sample.name == "ombak_vnodes" && sample.labels.contains("complete");
    assert_eq!(samples.iter().find(vnodes).unwrap().value, 16.0);
    let refusals = samples.iter().filter(|sample| sample.name == "ombak_root_refused_total");
    let refusals: Vec<(&str, f64)> = refusals.map(|sample| (sample.labels, sample.value)).collect();
    assert!(refusals.contains(&("what=\"removed member\"", 0.0)), "{refusals:?}");
    node.stop().unwrap();
}

/// Buckets rise with their edges, in values too, and end at all that was counted.
fn check_histograms(samples: &[Sample<'_>]) {
    let edge = |sample: &Sample<'_>| {
        let (edges, others): (Vec<&str>, Vec<&str>) =
            sample.labels.split(',').partition(|label| label.starts_with("le="));
        let edge = edges[0].trim_start_matches("le=").trim_matches('"');
        (others.join(","), edge.parse::<f64>().unwrap())
    };
    let buckets: Vec<_> = samples.iter().filter(|s| s.name.ends_with("_bucket")).collect();
    assert!(buckets.len() > 100);
    for pair in buckets.windows(2) {
        let ((labels, at), (next_labels, next_at)) = (edge(pair[0]), edge(pair[1]));
        if pair[0].name == pair[1].name && labels == next_labels && at.is_finite() {
            assert!(at < next_at && pair[0].value <= pair[1].value, "{} {labels}", pair[0].name);
        }
    }
    for bucket in buckets.iter().filter(|bucket| edge(bucket).1.is_infinite()) {
        let count = bucket.name.replace("_bucket", "_count");
        let labels = edge(bucket).0;
        let total = samples.iter().find(|s| s.name == count && s.labels == labels).unwrap();
        assert_eq!(total.value, bucket.value, "{count} {labels}");
    }
}

#[test]
fn an_answer_about_a_key_says_what_its_request_is_called() {
    let node = node();
    let mut http = Http::of(&node);
    let id = |answer: &Answer| answer.header("x-ombak-request-id").map(str::to_string);
    let first = id(&http.put("/buckets/b/keys/k", "v")).unwrap();
    let second = id(&http.get("/buckets/b/keys/k")).unwrap();
    let missing = id(&http.get("/buckets/b/keys/none")).unwrap();
    assert!([&first, &second, &missing].iter().all(|id| id.len() == 33 && id.starts_with('r')));
    assert!(first != second && second != missing);
    assert_eq!(id(&http.get("/ping")), None);
    node.stop().unwrap();
}
