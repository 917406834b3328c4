//! `ombak bucket`: which buckets there are, their keys and properties.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::alone::{start_alone, stop, wait_ready};
use crate::support::ports::Ports;
use crate::support::process::{Finished, run};

#[test]
fn buckets_are_listed_counted_and_changed() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    let http = ports.address(2).to_string();
    let ask = |line: &str| run(line.split(' ').chain(["--node", &http]));
    let done = |line: &str| {
        let finished = ask(line);
        assert_eq!(finished.code, Some(0), "{line}: {finished:?}");
        finished.out
    };
    let keys: BTreeSet<String> = (0..30).map(|n| format!("k/{n}")).collect();
    keys.iter().for_each(|key| drop(done(&format!("put users {key} value"))));
    done("put default/a/b key value");

    assert_eq!(done("bucket list"), "a/b\nusers\n");
    assert_eq!(
        serde_json::from_str::<Value>(&done("bucket list --json")).unwrap(),
        json!(["a/b", "users"])
    );
    assert_eq!(done("bucket count users"), "30\n");
    assert_eq!(done("bucket count nobody"), "0\n");
    let count: Value = serde_json::from_str(&done("bucket count --json default/a/b")).unwrap();
    assert_eq!(count, json!({ "type": "default", "bucket": "a/b", "keys": 1 }));
    assert_eq!(
        done("bucket keys users").lines().map(str::to_string).collect::<BTreeSet<_>>(),
        keys
    );

    let props = |line: &str| -> Value { serde_json::from_str(&done(line)).unwrap() };
    assert_eq!(props("bucket props users --json")["allow_mult"], false);
    let set = props("bucket props users --set allow_mult=true --set w=one --json");
    assert_eq!((&set["allow_mult"], &set["w"]), (&json!(true), &json!("one")));
    assert!(done("bucket props users").contains("allow_mult"));
    assert_eq!(props("bucket props users --reset --json")["allow_mult"], false);

    let refused = |line: &str, code: i32, says: &str| {
        let finished: Finished = ask(line);
        assert_eq!(finished.code, Some(code), "{line}: {finished:?}");
        assert!(finished.err.contains(says), "{line}: {finished:?}");
    };
    refused("bucket props users --set nonsense=1", 3, "nonsense");
    refused("bucket props users --set allow_mult", 2, "NAME=VALUE");
    refused("bucket count t/", 2, "cannot be empty");
    stop(node, Signal::TERM);
    refused("bucket list", 3, "cannot connect");
}
