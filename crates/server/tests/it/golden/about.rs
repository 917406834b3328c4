//! What a server says of itself: only what exists is listed.

use std::collections::{BTreeMap, BTreeSet};

use ombak_server::Node;
use serde_json::Value;

use crate::world::{Answer, Http};

type Resources = BTreeSet<(String, String)>;

/// The list of resources, in both forms that it has. `also` is listed by us alone.
pub fn compare_root(
    name: &str,
    riaks: &Answer,
    ours: &Answer,
    also: &BTreeSet<String>,
    node: &Node,
) {
    let mut http = Http::of(node);
    let (riaks, ours) = (resources(riaks), resources(ours));
    assert!(riaks.len() > 30 && ours.len() > 10, "{name}: {ours:?}");
    let not_riaks: BTreeSet<String> = (&ours - &riaks).into_iter().map(|(name, _)| name).collect();
    assert_eq!(not_riaks, *also, "{name}");
    http.put("/buckets/probe/keys/k", "v");
    for resource in riaks.union(&ours) {
        let exists = exists(resource, &mut http);
        assert_eq!(ours.contains(resource), exists, "{name}: {resource:?}");
    }
    assert_eq!(http.ask("DELETE", "/buckets/probe/keys/k", &[], b"").status, 204);
}

fn resources(answer: &Answer) -> Resources {
    let of = |text: &str, before: &str, between: &str, path_first: bool| -> Resources {
        let pieces = text.split(before).skip(1);
        let pair = |piece: &str| {
            let (first, rest) = piece.split_once(between).unwrap();
            let (first, second) =
                (first.to_owned(), rest.split(['"', '<']).next().unwrap().to_owned());
            if path_first { (second, first) } else { (first, second) }
        };
        pieces.map(pair).collect()
    };
    let in_body = match answer.header("content-type") {
        Some("application/json") => {
            of(&answer.text().replace("\",\"", "{\""), "{\"", "\":\"", false)
        }
        _ => of(&answer.text(), "<li><a href=\"", "\">", true),
    };
    let in_header = of(answer.header("link").unwrap(), "</", ">; rel=\"", true);
    let in_header = in_header.into_iter().map(|(name, path)| (name, format!("/{path}"))).collect();
    assert_eq!(in_body, in_header);
    in_body
}

/// Whether there is something behind a listed resource. An object `probe/k` is there.
fn exists((name, prefix): &(String, String), http: &mut Http) -> bool {
    let bucket = match prefix.as_str() {
        "/types" => "/types/default/buckets/probe",
        "/riak" => "/riak/probe",
        _ => "/buckets/probe",
    };
    let object =
        if prefix == "/riak" { "/riak/probe/k".into() } else { format!("{bucket}/keys/k") };
    let path = match name.trim_start_matches("riak_kv_wm_") {
        "bucket_type" => "/types/default/props".into(),
        "buckets" => bucket.trim_end_matches("/probe").into(),
        "counter" => format!("{bucket}/counters/k"),
        "crdt" => format!("{bucket}/datatypes/k"),
        "index" => format!("{bucket}/index/f_bin/a"),
        "keylist" => format!("{bucket}/keys?keys=true"),
        "link_walker" => format!("{object}/_,_,_"),
        "object" => object,
        "preflist" => format!("{object}/preflist"),
        "props" => format!("{bucket}/props"),
        "queue" if prefix == "/queuename" => "/queuename/q".into(),
        _ => prefix.clone(),
    };
    http.get(&path).status != 404
}

/// Riak's names with Riak's types, as text with a name on each line.
pub fn compare_stats(name: &str, riaks: &Answer, ours: &Answer) {
    let of = |answer: &Answer| -> BTreeMap<String, Value> {
        serde_json::from_slice(&answer.body).unwrap()
    };
    let text = ours.text();
    let riaks = of(riaks);
    for (stat, value) in of(ours) {
        let line = format!("\"{stat}\": ");
        assert_eq!(
            text.lines().filter(|it| it.trim_start().starts_with(&line)).count(),
            1,
            "{stat}"
        );
        if stat.starts_with("ombak_") {
            continue;
        }
        let riaks = riaks.get(&stat).unwrap_or_else(|| panic!("{name}: Riak has no {stat}"));
        // Riak's word for a number of which nothing has been counted yet.
        let unknown = *riaks == "undefined" && value.is_number();
        let same = std::mem::discriminant(riaks) == std::mem::discriminant(&value);
        assert!(same || unknown, "{name}: {stat} is {riaks} in Riak, {value} here");
    }
}
