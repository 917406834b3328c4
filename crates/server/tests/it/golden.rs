//! Exchanges recorded from a real Riak 3.2.3, replayed against a node of ours. What a server chooses (contexts, tags,
//! times, made keys) is learned from the answers and put into later requests in place of what Riak had chosen.
//!
//! Bucket type `plain` does not exist here: its buckets become `plain-…` of the default type, with the properties that
//! the type had.
//!
//! | file in `tests/golden` | has |
//! |---|---|
//! | `http.jsonl`, `pb.jsonl` | what is replayed |
//! | `differences.jsonl` | of these, what we answer otherwise on purpose: both answers, and why |
//! | `pending.txt` | what is not replayed, because it asks for what does not exist yet |

mod about;
mod differences;
mod http;
mod listing;
mod pb;

use std::collections::BTreeSet;

use ombak_server::{Node, Options};
use serde_json::Value;

use crate::world::{Http, options};

const HTTP: &str = include_str!("../golden/http.jsonl");
const PB: &str = include_str!("../golden/pb.jsonl");
const PENDING: &str = include_str!("../golden/pending.txt");
/// So many are left of 231. Lower it with each that is replayed.
const PENDING_MAX: usize = 101;
/// Buckets of the type `plain`.
const PLAIN: [&str; 3] = ["plain-gold", "plain-idx", "pbg"];

fn start() -> Node {
    let node = Node::start(Options { name: "riakct@127.0.0.1".into(), ..options() }).unwrap();
    let mut http = Http::of(&node);
    for bucket in PLAIN {
        let body = br#"{"props":{"allow_mult":"true","r":2}}"#;
        let set = http.ask("PUT", &format!("/buckets/{bucket}/props"), &[], body);
        assert_eq!(set.status, 204);
    }
    node
}

fn exchanges(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_exchange_is_either_replayed_or_pending() {
    let lines = PENDING.lines().filter(|line| !line.starts_with('#'));
    let pending: BTreeSet<String> = lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").unwrap();
            assert!(reason.ends_with("exist yet"), "{name}: what exists is replayed");
            name.into()
        })
        .collect();
    assert!(pending.len() <= PENDING_MAX, "the list may only shrink");
    let mut replayed = 0;
    for (face, text) in [("http", HTTP), ("pb", PB)] {
        for exchange in exchanges(text) {
            let name = format!("{face} {}", exchange["name"].as_str().unwrap());
            assert!(!pending.contains(&name), "{name}");
            replayed += 1;
        }
    }
    assert_eq!(replayed + pending.len(), 231);
}
