//! HTTP.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::differences::Differences;
use super::listing::{self, Written};
use super::{HTTP, about, exchanges, start};
use crate::world::{Answer, Http};

/// In place of what Riak chose, what our node chose.
type Learned = BTreeMap<String, String>;

#[test]
fn http_answers_are_riaks() {
    let node = start();
    let mut http = Http::of(&node);
    let mut differences = Differences::load();
    let (mut learned, mut written) = (Learned::new(), Written::default());
    for exchange in exchanges(HTTP) {
        let wanted = Recorded::of(&exchange);
        let name = wanted.name.as_str();
        let request = &exchange["req"];
        let put = |text: &str| learned_in(&learned, &untyped(text));
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), put(value.as_str().unwrap())))
            .collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = request["method"].as_str().unwrap();
        let path = put(request["path"].as_str().unwrap());
        let body = latin1(request["body"].as_str().unwrap());
        let got = http.ask(method, &path, &headers, &body);
        let said = |answer: &Answer| (answer.status.into(), answer.text());
        if !differences.compare(("http", name), said(&wanted.answer), said(&got)) {
            match name {
                "root-json" | "root-html" => {
                    wanted.compare_head(&got, &["link"]);
                    let also = differences.also_ours("http", name);
                    about::compare_root(name, &wanted.answer, &got, &also, &node);
                }
                "stats-text" => {
                    wanted.compare_head(&got, &[]);
                    about::compare_stats(name, &wanted.answer, &got);
                }
                "keys-true" | "keys-stream" => {
                    let written = written.keys("plain-idx");
                    wanted.compare_keys(&got, &learned, &BTreeSet::new(), &written);
                }
                "old-keys" => {
                    let also = differences.also_ours("http", name);
                    wanted.compare_keys(&got, &learned, &also, &written.keys("gold"));
                    assert_eq!(got.json()["props"], wanted.answer.json()["props"]);
                }
                "buckets-true" | "buckets-stream" => {
                    wanted.compare_buckets(&got, &written.buckets());
                }
                _ => {
                    wanted.compare_head(&got, &[]);
                    wanted.compare_body(&got);
                }
            }
        }
        wanted.learn(&got, &mut learned);
        if matches!(method, "PUT" | "POST") && got.status < 400 {
            written.note_path(&path, got.header("location"));
        }
    }
    differences.check_all_seen("http");
    node.stop().unwrap();
}

/// What Riak answered.
struct Recorded {
    name: String,
    answer: Answer,
}

impl Recorded {
    fn of(exchange: &Value) -> Recorded {
        let is_typed = exchange["req"]["path"].as_str().unwrap().contains("/types/plain/");
        let header = |line: &Value| {
            let (name, value) = line.as_str().unwrap().split_once(": ").unwrap();
            let (name, mut value) = (name.to_ascii_lowercase(), untyped(value));
            if is_typed && name == "link" {
                value = value.replace("</buckets/", "</buckets/plain-");
            }
            (name, value)
        };
        let headers: Vec<_> = exchange["headers"].as_array().unwrap().iter().map(header).collect();
        let body = latin1(exchange["body"].as_str().unwrap());
        let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let chunks = if is_chunked { listing::chunks(&body) } else { Vec::new() };
        Recorded {
            name: exchange["name"].as_str().unwrap().into(),
            answer: Answer {
                status: exchange["status"].as_str().unwrap()[9..12].parse().unwrap(),
                headers,
                body: if is_chunked { chunks.concat() } else { body },
                chunks,
            },
        }
    }

    /// Status and headers.
    fn compare_head(&self, got: &Answer, except: &[&str]) {
        let name = &self.name;
        assert_eq!(got.status, self.answer.status, "{name}: {got:?}");
        for (header, wanted) in &self.answer.headers {
            let found = got.header(header);
            match header.as_str() {
                header if except.contains(&header) => {}
                "server" | "date" | "content-length" | "transfer-encoding" => {}
                "x-riak-vclock" | "etag" | "last-modified" | "expires" => {
                    assert!(found.is_some(), "{name}: no {header}: {got:?}");
                }
                "location" => {
                    let (wanted, found) = (parent(wanted), found.map(parent));
                    assert_eq!(found, Some(wanted), "{name}");
                }
                // Which of the siblings' types negotiation chose is told; Riak forgets to after a write.
                "vary" if got.status >= 400 => {}
                "vary" => assert!(found.is_some_and(|found| found.contains(wanted)), "{name}"),
                "allow" => assert_eq!(words(found.unwrap_or_default()), words(wanted), "{name}"),
                "content-type" if wanted.starts_with("multipart/mixed") => {
                    assert!(found.unwrap().starts_with("multipart/mixed"), "{name}");
                }
                // In any order.
                "link" => assert_eq!(words(found.unwrap_or_default()), words(wanted), "{name}"),
                _ => assert_eq!(found, Some(wanted.as_str()), "{name}: {header}"),
            }
        }
    }

    fn compare_body(&self, got: &Answer) {
        let (name, wanted) = (&self.name, self.answer.text());
        match self.answer.header("content-type") {
            Some("application/json") if !wanted.is_empty() => {
                assert_eq!(sorted(got.json()), sorted(self.answer.json()), "{name}");
            }
            Some(kind) if kind.starts_with("multipart/mixed") => {
                let parts = |text: &str| text.matches("\r\n--").count();
                assert_eq!(parts(&got.text()), parts(&wanted), "{name}");
            }
            Some("text/html") if got.status >= 400 => {}
            // The text names w and dw for a bad r.
            _ if wanted.contains("values invalid for bucket n value of 3") => {
                assert!(got.text().contains("values invalid for bucket n value of 3"), "{name}");
            }
            _ if wanted.starts_with("Siblings:\n") => {
                assert_eq!(got.text().lines().count(), wanted.lines().count(), "{name}");
            }
            _ => assert_eq!(got.body, self.answer.body, "{name}"),
        }
    }

    /// A listing of keys, of which `written` have been written. `also` is there with us alone.
    fn compare_keys(
        &self,
        got: &Answer,
        learned: &Learned,
        also: &BTreeSet<String>,
        written: &BTreeSet<String>,
    ) {
        self.compare_head(got, &[]);
        let riaks = listing::names(&self.answer, "keys");
        assert!(riaks.is_disjoint(also), "{}", self.name);
        let riaks = riaks.union(also).map(|key| learned_in(learned, key)).collect();
        listing::compare(&self.name, &riaks, &listing::names(got, "keys"), written);
    }

    /// A listing of the type `plain`; ours has the other buckets too.
    fn compare_buckets(&self, got: &Answer, written: &BTreeSet<String>) {
        self.compare_head(got, &[]);
        let ours = listing::names(got, "buckets");
        assert!(ours.is_subset(written), "{}: {ours:?}", self.name);
        let riaks = listing::names(&self.answer, "buckets");
        let riaks = riaks.iter().map(|bucket| format!("plain-{bucket}")).collect();
        let ours = ours.into_iter().filter(|bucket| bucket.starts_with("plain-")).collect();
        listing::compare(&self.name, &riaks, &ours, written);
    }

    fn learn(&self, got: &Answer, learned: &mut Learned) {
        for header in ["x-riak-vclock", "etag", "last-modified", "location"] {
            if let (Some(theirs), Some(ours)) = (self.answer.header(header), got.header(header)) {
                learned.insert(last(theirs).into(), last(ours).into());
            }
        }
        let theirs = self.answer.text();
        if theirs.starts_with("Siblings:\n") {
            for (theirs, ours) in theirs.lines().zip(got.text().lines()).skip(1) {
                learned.insert(theirs.into(), ours.into());
            }
            // The exchange that asks for one by its tag wants the first that was written.
        }
    }
}

/// The corpus has bytes as code points.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u32 as u8).collect()
}

fn untyped(text: &str) -> String {
    text.replace("/types/plain/buckets/", "/types/default/buckets/plain-")
        .replace("/types/plain/buckets?", "/types/default/buckets?")
}

fn learned_in(learned: &Learned, text: &str) -> String {
    learned.iter().fold(text.into(), |text, (theirs, ours)| text.replace(theirs, ours))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The made key of a location; anything else as it is.
fn last(text: &str) -> &str {
    if text.starts_with('/') { text.rsplit('/').next().unwrap_or(text) } else { text }
}

fn words(list: &str) -> BTreeSet<&str> {
    list.split(", ").collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            items.into()
        }
        other => other,
    }
}
