//! HTTP over a socket.

use ombak_base::limits::{KEY_BYTES_MAX, OBJECT_BYTES_MAX};
use serde_json::json;

use crate::world::{Client, Http, bytes, get, node, values};

/// Method, path, headers, and the status that they get.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16);

pub const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[test]
fn metadata_comes_back_as_it_went() {
    let node = node();
    let mut http = Http::of(&node);
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Encoding", "identity"),
        ("X-Riak-Meta-Color", "sea green"),
        ("x-riak-index-f_bin", "a, b"),
        ("x-riak-index-n_int", "-5"),
        ("Link", "</riak/other/k%20k>; riaktag=\"next one\", </buckets/b>; rel=\"up\""),
    ];
    assert_eq!(http.ask("PUT", "/buckets/b/keys/k", &headers, b"v").status, 204);
    for (path, link) in [
        (
            "/buckets/b/keys/k",
            "</buckets/other/keys/k%20k>; riaktag=\"next%20one\", </buckets/b>; rel=\"up\"",
        ),
        ("/riak/b/k", "</riak/other/k%20k>; riaktag=\"next%20one\", </riak/b>; rel=\"up\""),
    ] {
        let got = http.get(path);
        assert_eq!(got.text(), "v");
        assert_eq!(got.header("link"), Some(link));
        for (name, value) in &headers[..5] {
            assert_eq!(got.header(name), Some(*value));
        }
        let head = http.ask("HEAD", path, &[], b"");
        assert_eq!((head.status, head.header("content-length")), (200, Some("1")));
    }
    assert_eq!(values(&Client::of(&node).ask(get("b", "k"))), ["v"], "both faces show one object");
    node.stop().unwrap();
}

/// Two siblings under `/buckets/b/keys/k`.
pub fn put_siblings(http: &mut Http) {
    let props = br#"{"props":{"allow_mult":true}}"#;
    assert_eq!(http.ask("PUT", "/buckets/b/props", &[], props).status, 204);
    http.put("/buckets/b/keys/k", "one");
    http.put("/buckets/b/keys/k", "two");
}

#[test]
fn a_conflict_is_shown_and_resolved() {
    let node = node();
    let mut http = Http::of(&node);
    put_siblings(&mut http);
    let got = http.get("/buckets/b/keys/k");
    assert_eq!(got.status, 300);
    let body = got.text();
    let tags: Vec<&str> = body.lines().skip(1).collect();
    assert_eq!((body.lines().next(), tags.len()), (Some("Siblings:"), 2));
    let mut found: Vec<String> =
        tags.iter().map(|tag| http.get(&format!("/buckets/b/keys/k?vtag={tag}")).text()).collect();
    found.sort();
    assert_eq!(found, ["one", "two"]);
    assert_eq!(http.get("/buckets/b/keys/k?vtag=none").status, 404);
    let accept = [("Accept", "multipart/mixed, */*;q=0.5")];
    let parts = http.ask("GET", "/buckets/b/keys/k", &accept, b"");
    assert!(parts.header("content-type").unwrap().starts_with("multipart/mixed; boundary="));
    assert!(parts.text().contains("\r\n\r\none\r\n") && parts.text().contains("\r\n\r\ntwo\r\n"));

    let context = got.header("x-riak-vclock").unwrap();
    let headers = [TEXT, ("X-Riak-Vclock", context)];
    let resolved = http.ask("PUT", "/buckets/b/keys/k?returnbody=true", &headers, b"both");
    assert_eq!((resolved.status, resolved.text()), (200, "both".into()));
    node.stop().unwrap();
}

#[test]
fn a_new_object_gets_a_key() {
    let node = node();
    let mut http = Http::of(&node);
    for (path, prefix) in [("/buckets/b/keys", "/buckets/b/keys/"), ("/riak/b", "/riak/b/")] {
        let made = http.ask("POST", path, &[TEXT], b"new");
        assert_eq!(made.status, 201);
        let place = made.header("location").unwrap();
        assert!(place.starts_with(prefix), "{place}");
        assert_eq!(http.get(place).text(), "new");
    }
    node.stop().unwrap();
}

#[test]
fn conditions_decide_and_bad_dates_are_passed_over() {
    let node = node();
    let mut http = Http::of(&node);
    let path = "/buckets/b/keys/k";
    http.put(path, "v");
    let etag = http.get(path).header("etag").unwrap().to_string();
    let mut status = |method: &str, name: &str, value: &str| {
        http.ask(method, path, &[TEXT, (name, value)], b"").status
    };
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    let past = "Thu, 01 Jan 1970 00:00:01 GMT";
    assert_eq!(status("GET", "If-None-Match", &etag), 304);
    assert_eq!(status("GET", "If-None-Match", "\"other\""), 200);
    assert_eq!(status("GET", "If-Match", "\"other\""), 412);
    assert_eq!(status("GET", "If-Modified-Since", future), 304);
    assert_eq!(status("GET", "If-Modified-Since", past), 200);
    assert_eq!(status("GET", "If-Unmodified-Since", past), 412);
    for bad in ["yesterday", "", "Fri, 99 Foo 2100 00:00:00 GMT", "-1"] {
        assert_eq!(status("GET", "If-Modified-Since", bad), 200, "{bad:?}");
        assert_eq!(status("GET", "If-Unmodified-Since", bad), 200, "{bad:?}");
    }
    assert_eq!(status("PUT", "If-None-Match", "*"), 412);
    assert_eq!(status("PUT", "If-Match", "\"other\""), 412);
    assert_eq!(status("DELETE", "If-Match", "\"other\""), 412);
    assert_eq!(status("PUT", "If-Match", &etag), 204);
    assert_eq!(
        http.ask("PUT", "/buckets/b/keys/none", &[TEXT, ("If-Match", "*")], b"").status,
        412
    );
    node.stop().unwrap();
}

#[test]
fn listings_come_whole_or_in_parts() {
    let node = node();
    let mut http = Http::of(&node);
    for key in ["a", "b b", "c"] {
        http.put(&format!("/buckets/list/keys/{}", key.replace(' ', "%20")), "v");
    }
    let sorted = |mut keys: serde_json::Value| {
        let mut keys: Vec<String> = serde_json::from_value(keys["keys"].take()).unwrap();
        keys.sort();
        keys
    };
    let all = ["a", "b b", "c"];
    assert_eq!(sorted(http.get("/buckets/list/keys?keys=true").json()), all);
    assert_eq!(sorted(http.get("/types/default/buckets/list/keys?keys=true").json()), all);
    let old = http.get("/riak/list?keys=true&props=false").json();
    assert_eq!((old.get("props"), sorted(old.clone())), (None, all.map(String::from).to_vec()));
    assert_eq!(http.get("/riak/list").json()["props"]["name"], "list");
    let parts = http.get("/buckets/list/keys?keys=stream");
    let mut streamed: Vec<String> = Vec::new();
    for part in &parts.chunks {
        let part: serde_json::Value = serde_json::from_slice(part).unwrap();
        streamed.extend(serde_json::from_value::<Vec<String>>(part["keys"].clone()).unwrap());
    }
    streamed.sort();
    assert_eq!(streamed, all);
    assert_eq!(http.get("/buckets?buckets=true").json(), json!({ "buckets": ["list"] }));
    assert_eq!(http.get("/buckets?buckets=stream").chunks.len(), 2);
    assert_eq!(http.get("/buckets").json(), json!({}));
    node.stop().unwrap();
}

#[test]
fn a_stream_that_nobody_reads_on_is_given_up() {
    let node = node();
    let mut http = Http::of(&node);
    for n in 0..50 {
        http.put(&format!("/buckets/b/keys/{n}"), "v");
    }
    for _ in 0..5 {
        let mut gone = Http::of(&node);
        gone.say(b"GET /buckets/b/keys?keys=stream HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    assert_eq!(http.get("/buckets/b/keys/7").text(), "v");
    node.stop().unwrap();
}

#[test]
fn properties_are_json() {
    let node = node();
    let mut http = Http::of(&node);
    let mut put = |body: &str| http.ask("PUT", "/buckets/b/props", &[], body.as_bytes());
    assert_eq!(put(r#"{"props":{"allow_mult":"true","n_val":2,"r":"one","w":1}}"#).status, 204);
    let bad = put(r#"{"props":{"n_val":"x","allow_mult":7,"r":"most","foo":1}}"#);
    assert_eq!(bad.status, 400);
    let reasons = json!({
        "n_val": "not_integer",
        "allow_mult": "not_boolean",
        "r": "not_valid_quorum",
        "foo": "unknown property",
    });
    assert_eq!(bad.json(), reasons);
    for bad in ["", "{", "[]", "{\"props\":1}"] {
        assert_eq!(put(bad).status, 400, "{bad:?}");
    }
    let props = http.get("/buckets/b/props").json()["props"].take();
    assert_eq!(
        (&props["allow_mult"], &props["n_val"], &props["r"], &props["w"]),
        (&json!(true), &json!(2), &json!("one"), &json!(1))
    );
    let back = json!({ "props": props }).to_string();
    assert_eq!(http.ask("PUT", "/riak/b", &[], back.as_bytes()).status, 204, "what was read");
    assert_eq!(http.ask("DELETE", "/buckets/b/props", &[], b"").status, 204);
    assert_eq!(http.get("/buckets/b/props").json()["props"]["n_val"], 3);
    assert_eq!(http.get("/types/default/props").json()["props"]["n_val"], 3);
    node.stop().unwrap();
}

#[test]
fn a_bucket_may_ask_for_more_nodes_than_there_are() {
    let node = node();
    let mut http = Http::of(&node);
    let mut set = |confirms: u32| {
        let body = json!({ "props": { "node_confirms": confirms } }).to_string();
        http.ask("PUT", "/buckets/b/props", &[], body.as_bytes()).status
    };
    assert_eq!((set(6), set(2)), (400, 204));
    let mut http = Http::of(&node);
    for answer in [http.put("/buckets/b/keys/k", "v"), http.get("/buckets/b/keys/k")] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.text(), "node_confirms-value unsatisfied: 1/2\n");
    }
    assert_eq!(http.put("/buckets/b/keys/k?node_confirms=1", "v").status, 204);
    assert_eq!(http.get("/buckets/b/keys/k?node_confirms=0").text(), "v");
    let request = ombak_wire::RpbGetReq {
        bucket: Some(bytes("b")),
        key: Some(bytes("k")),
        node_confirms: Some(3),
        ..Default::default()
    };
    let mut client = Client::of(&node);
    client.send(&[ombak_wire::Request::Get(request)]);
    assert_eq!(client.error(), "{node_confirms_val_unsatisfied,3,1}");
    node.stop().unwrap();
}

#[test]
fn bad_requests_say_what_is_bad_and_the_connection_goes_on() {
    let node = node();
    let mut http = Http::of(&node);
    let long = format!("/buckets/b/keys/{}", "k".repeat(KEY_BYTES_MAX + 1));
    let cases: &[Case<'_>] = &[
        ("GET", "/buckets/b/keys/%zz", &[], 400),
        ("GET", "/buckets/b/keys/%4", &[], 400),
        ("GET", "/buckets/%/keys/k", &[], 400),
        ("GET", "/buckets/b/keys/k?r=%g0", &[], 400),
        ("GET", "/buckets//keys/k", &[], 400),
        ("GET", &long, &[], 400),
        ("GET", "/buckets/b/keys/k?node_confirms=4", &[], 400),
        ("GET", "/buckets/b/keys/k?node_confirms=3", &[], 503),
        ("GET", "/buckets/b/keys/k?node_confirms=x", &[], 400),
        ("PUT", "/buckets/b/keys/k?node_confirms=2", &[TEXT], 503),
        ("GET", "/buckets/b/keys/k?r=-1", &[], 400),
        ("GET", "/buckets/b/keys/k?notfound_ok=maybe", &[], 400),
        ("GET", "/buckets/b/keys/k?timeout=-1", &[], 400),
        ("PUT", "/buckets/b/keys/k", &[], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("X-Riak-Vclock", "!")], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("X-Riak-Vclock", "bm9uZSBvZiBvdXJz")], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("Link", "nonsense; riaktag=\"x\"")], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("Link", "</elsewhere>; riaktag=\"x\"")], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("x-riak-index-n_int", "x")], 400),
        ("PUT", "/buckets/b/keys/k", &[TEXT, ("x-riak-index-n", "x")], 400),
        ("GET", "/types/nope/buckets/b/keys/k", &[], 404),
        ("GET", "/types/default/buckets/b/keys/k", &[], 404),
        ("GET", "/nothing", &[], 404),
        ("GET", "/buckets/b/keys/k", &[("Referer", "http://evil.example/")], 403),
        ("GET", "/buckets/b/keys/k", &[("Referer", "http://test/page")], 404),
        ("GET", "/ping?%", &[], 200),
        ("POST", "/ping", &[], 405),
        ("GET", "/ombak/repair", &[], 405),
        ("PATCH", "/ping", &[], 501),
    ];
    for (method, path, headers, status) in cases {
        let got = http.ask(method, path, headers, b"");
        assert_eq!(got.status, *status, "{method} {path} {headers:?}: {got:?}");
    }
    assert_eq!(http.get("/ping").text(), "OK");
    node.stop().unwrap();
}

#[test]
fn bytes_that_are_no_http_end_their_connection_alone() {
    let node = node();
    let mut other = Http::of(&node);
    let bad: [&[u8]; 3] = [
        b"\x16\x03\x01 not HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ];
    for bytes in bad {
        let mut http = Http::of(&node);
        http.say(bytes);
        assert_eq!(http.answer(false).status, 400);
        assert!(http.is_closed());
        assert_eq!(other.get("/ping").text(), "OK");
    }
    node.stop().unwrap();
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_sent() {
    let node = node();
    let mut http = Http::of(&node);
    let head = format!(
        "PUT /buckets/b/keys/k HTTP/1.1\r\nHost: test\r\nContent-Type: a/b\r\nContent-Length: {}\r\n\r\n",
        OBJECT_BYTES_MAX + 1
    );
    http.say(head.as_bytes());
    let answer = http.answer(false);
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert!(http.is_closed());
    node.stop().unwrap();
}

#[test]
fn a_large_object_passes() {
    let node = node();
    let mut http = Http::of(&node);
    let value = vec![b'x'; 5 * 1024 * 1024];
    assert_eq!(http.ask("PUT", "/buckets/b/keys/k", &[TEXT], &value).status, 204);
    assert!(http.get("/buckets/b/keys/k").body == value);
    node.stop().unwrap();
}

#[test]
fn the_server_tells_of_itself() {
    let node = node();
    let mut http = Http::of(&node);
    let resources = http.ask("GET", "/", &[("Accept", "application/json")], b"").json();
    assert_eq!(resources["riak_kv_wm_ping"], "/ping");
    assert!(http.get("/").text().starts_with("<html>"));
    http.put("/buckets/b/keys/k", "v");
    let stats = http.get("/stats").json();
    assert_eq!(
        (&stats["riak_kv_version"], &stats["nodename"]),
        (&json!("3.2.3"), &json!("riak@127.0.0.1"))
    );
    assert_eq!(stats["node_puts_total"], 1);
    let text = http.ask("GET", "/stats", &[("Accept", "text/plain")], b"");
    assert_eq!(text.header("content-type"), Some("text/plain"));
    let preflist = http.get("/buckets/b/keys/f/preflist").json();
    assert_eq!(preflist["preflist"].as_array().unwrap().len(), 3);
    node.stop().unwrap();
}

#[test]
fn operators_see_members_vnodes_and_the_ring() {
    let node = node();
    let mut http = Http::of(&node);
    let status: ombak_server::report::Status =
        serde_json::from_slice(&http.get("/ombak/status").body).unwrap();
    assert_eq!((status.vnodes.len(), status.shards.len(), status.members.len()), (16, 2, 1));
    assert!(status.vnodes.iter().all(|vnode| vnode.complete));
    let ring: ombak_server::report::RingReport =
        serde_json::from_slice(&http.get("/ombak/ring").body).unwrap();
    assert_eq!(ring.rows, vec![vec!["riak@127.0.0.1".to_string()]; 16]);
    let repair = http.ask("POST", "/ombak/repair", &[], b"");
    let repair: ombak_server::report::RepairReport = serde_json::from_slice(&repair.body).unwrap();
    assert!(repair.refused.is_empty() && repair.incomplete.is_empty());
    node.stop().unwrap();
}
