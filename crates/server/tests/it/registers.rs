//! Registers over HTTP.

use std::time::Instant;

use ombak_locks::{Nodes, RegisterError, Registers, Versioned};
use ombak_server::Node;

use crate::world::{Answer, Http, PATIENCE, node};

const REGISTER: &str = "/ombak/registers/in%20charge";

/// A node whose registers answer.
fn keeping() -> Node {
    let node = node();
    let deadline = Instant::now() + PATIENCE;
    while Http::of(&node).get("/ombak/registers/any").status != 404 {
        assert!(Instant::now() < deadline, "registers do not answer");
    }
    node
}

fn ask(http: &mut Http, method: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer: Answer = http.ask(method, REGISTER, headers, body.as_bytes());
    (answer.status, answer.header("etag").unwrap_or_default().to_string())
}

/// What a client in any language sees.
#[test]
fn the_version_is_the_etag_and_conditions_hold() {
    let node = keeping();
    let mut http = Http::of(&node);
    let tag = |version: u64| format!("\"{version}\"");
    assert_eq!(ask(&mut http, "GET", &[], ""), (404, tag(0)));
    let absent = [("If-None-Match", "*")];
    assert_eq!(ask(&mut http, "PUT", &absent, "db1"), (204, tag(1)));
    assert_eq!(ask(&mut http, "PUT", &absent, "db2"), (412, tag(1)));
    assert_eq!(ask(&mut http, "PUT", &[("If-Match", "\"7\"")], "db2"), (412, tag(1)));
    assert_eq!(ask(&mut http, "PUT", &[("If-Match", "\"1\"")], "db2"), (204, tag(2)));
    let read = http.get(REGISTER);
    assert_eq!((read.status, &read.body[..]), (200, &b"db2"[..]));
    assert_eq!(ask(&mut http, "HEAD", &[], ""), (200, tag(2)));
    assert_eq!(ask(&mut http, "DELETE", &[("If-Match", "\"1\"")], ""), (412, tag(2)));
    assert_eq!(ask(&mut http, "DELETE", &[], ""), (204, tag(3)));
    assert_eq!(ask(&mut http, "PUT", &absent, "db1"), (204, tag(4)), "removed is absent");
    node.stop().unwrap();
}

#[test]
fn what_cannot_be_meant_is_refused_and_says_why() {
    let node = keeping();
    let mut http = Http::of(&node);
    for headers in [[("If-Match", "7")], [("If-None-Match", "\"7\"")], [("If-Match", "*")]] {
        let answer = http.ask("PUT", REGISTER, &headers, b"v");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 400 && text.contains("Match"), "{headers:?}: {text}");
    }
    let large = vec![b'v'; 64 * 1024 + 1];
    let answer = http.ask("PUT", REGISTER, &[], &large);
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("65536"));
    assert_eq!(http.ask("POST", REGISTER, &[], b"v").status, 405);
    assert_eq!(http.ask("PUT", REGISTER, &[], &large[1..]).status, 204);
    node.stop().unwrap();
}

fn page(http: &mut Http, from: &str) -> serde_json::Value {
    let answer = http.get(&format!("/ombak/registers{from}"));
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

/// Names are bytes; what is behind `from` is what was in `next`.
#[test]
fn registers_are_listed_in_the_order_of_their_names() {
    let node = keeping();
    let mut http = Http::of(&node);
    assert_eq!(page(&mut http, ""), serde_json::json!({ "registers": [], "next": null }));
    for name in ["b", "%FF%20a", "a"] {
        let set = http.ask("PUT", &format!("/ombak/registers/{name}"), &[], b"abc");
        assert_eq!(set.status, 204);
    }
    assert_eq!(http.ask("DELETE", "/ombak/registers/a", &[], b"").status, 204);
    let of = |name: &str, version: u64, bytes: Option<u64>| serde_json::json!({ "name": name, "version": version, "value_bytes": bytes });
    let all = [of("a", 2, None), of("b", 1, Some(3)), of("\u{FFFD} a", 1, Some(3))];
    let told =
        |listed: &[serde_json::Value]| serde_json::json!({ "registers": listed, "next": null });
    assert_eq!(page(&mut http, ""), told(&all));
    assert_eq!(page(&mut http, "?from=a%00"), told(&all[1..]));
    assert_eq!(
        page(&mut http, "?from=%FF%20a"),
        told(&all[2..]),
        "no name is mistaken for another"
    );
    let long = format!("/ombak/registers?from={}", "n".repeat(1025));
    assert_eq!(http.get(&long).status, 400);
    assert_eq!(http.get("/ombak/registers?from=%F").status, 400);
    assert_eq!(http.ask("PUT", "/ombak/registers", &[], b"v").status, 405);
    node.stop().unwrap();
}

#[test]
fn the_client_reads_page_after_page() {
    let node = keeping();
    let registers = Registers::new(Nodes::new([node.addresses().http.to_string()]).unwrap());
    let names: Vec<String> = (0..300).map(|n| format!("n {n:03}")).collect();
    names.iter().for_each(|name| assert_eq!(registers.set(name, b"v").unwrap(), 1));
    let (mut listed, mut lengths) = (Vec::new(), Vec::new());
    let mut page = Some(registers.list(None).unwrap());
    while let Some(read) = page {
        lengths.push(read.registers.len());
        page = read.next.as_ref().map(|_| registers.list(Some(&read)).unwrap());
        listed.extend(read.registers.into_iter().map(|each| each.name));
    }
    assert_eq!((listed, lengths), (names, vec![256, 44]));
    node.stop().unwrap();
}

#[test]
fn the_client_sees_the_same() {
    let node = keeping();
    let registers = Registers::new(Nodes::new([node.addresses().http.to_string()]).unwrap());
    let name = "über/alles?";
    assert_eq!(registers.get(name).unwrap(), Versioned { version: 0, value: None });
    assert_eq!(registers.create(name, b"a").unwrap(), 1);
    assert!(matches!(registers.create(name, b"b"), Err(RegisterError::Differs(1))));
    assert_eq!(registers.compare_and_set(name, 1, Some(b"b")).unwrap(), 2);
    assert!(matches!(registers.compare_and_set(name, 1, None), Err(RegisterError::Differs(2))));
    assert_eq!(registers.get(name).unwrap().value.as_deref(), Some(&b"b"[..]));
    assert_eq!(registers.set(name, b"").unwrap(), 3);
    assert_eq!(registers.get(name).unwrap(), Versioned { version: 3, value: Some(vec![]) });
    assert_eq!(registers.remove(name).unwrap(), 4);
    let refused = registers.set("", b"");
    assert!(refused.is_err(), "{refused:?}");
    let large = vec![0; 64 * 1024 + 1];
    assert!(matches!(registers.set(name, &large), Err(RegisterError::Refused(_))));
    node.stop().unwrap();
    assert!(matches!(registers.set(name, b"c"), Err(RegisterError::Unreachable(_))));
}
