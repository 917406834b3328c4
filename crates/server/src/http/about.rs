//! What the server says of itself to Riak's clients.

use hyper::header::{HeaderMap, HeaderValue, LINK};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Site;
use super::accept::quality;
use super::body::Body;
use super::reply::{Outcome, html_error, reply, vary};
use crate::Backend;
use crate::pb::RIAK_VERSION;

/// Resources by Riak's names, which clients look up here; only those that there are.
const RESOURCES: &[(&str, &str)] = &[
    ("riak_kv_wm_bucket_type", "/types"),
    ("riak_kv_wm_buckets", "/buckets"),
    ("riak_kv_wm_buckets", "/riak"),
    ("riak_kv_wm_buckets", "/types"),
    ("riak_kv_wm_keylist", "/buckets"),
    ("riak_kv_wm_keylist", "/types"),
    ("riak_kv_wm_link_walker", "/buckets"),
    ("riak_kv_wm_link_walker", "/riak"),
    ("riak_kv_wm_link_walker", "/types"),
    ("riak_kv_wm_object", "/buckets"),
    ("riak_kv_wm_object", "/riak"),
    ("riak_kv_wm_object", "/types"),
    ("riak_kv_wm_ping", "/ping"),
    ("riak_kv_wm_preflist", "/buckets"),
    ("riak_kv_wm_preflist", "/types"),
    ("riak_kv_wm_props", "/buckets"),
    ("riak_kv_wm_props", "/types"),
    ("riak_kv_wm_stats", "/stats"),
];

pub(crate) fn ping() -> Response<Body> {
    reply(StatusCode::OK, "text/html", "OK")
}

/// The list of resources. A name that stands for several prefixes is repeated, as in Riak.
pub(crate) fn root(headers: &HeaderMap) -> Outcome {
    let (html, json) = (quality(headers, "text/html"), quality(headers, "application/json"));
    if html == 0 && json == 0 {
        return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
    }
    let list = |item: fn(&(&str, &str)) -> String, between: &str| {
        RESOURCES.iter().map(item).collect::<Vec<_>>().join(between)
    };
    let mut response = if html >= json {
        let items = list(|(name, path)| format!("<li><a href=\"{path}\">{name}</a></li>"), "");
        let page = format!("<html><body><ul>{items}</ul></body></html>");
        reply(StatusCode::OK, "text/html", page)
    } else {
        let items = list(|(name, path)| format!("\"{name}\":\"{path}\""), ",");
        reply(StatusCode::OK, "application/json", format!("{{{items}}}"))
    };
    let links = list(|(name, path)| format!("<{path}>; rel=\"{name}\""), ",");
    if let Ok(links) = HeaderValue::from_str(&links) {
        response.headers_mut().insert(LINK, links);
    }
    vary(&mut response, "Accept");
    Ok(response)
}

/// Numbers for monitoring, by Riak's names where Riak has them.
pub(crate) fn stats(site: &Site, headers: &HeaderMap) -> Outcome {
    let (json, plain) = (quality(headers, "application/json"), quality(headers, "text/plain"));
    if json == 0 && plain == 0 {
        return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
    }
    let stats = Value::Object(all_stats(site));
    let mut response = if json >= plain {
        reply(StatusCode::OK, "application/json", stats.to_string())
    } else {
        let text = serde_json::to_string_pretty(&stats).unwrap_or_default();
        reply(StatusCode::OK, "text/plain", text)
    };
    vary(&mut response, "Accept, Accept-Encoding");
    Ok(response)
}

fn all_stats(site: &Site) -> Map<String, Value> {
    let topology = &site.topology;
    let members: Vec<&str> = topology.members.iter().map(|member| member.name.as_str()).collect();
    let me = topology.name(site.me);
    let others: Vec<&str> = members.iter().copied().filter(|name| *name != me).collect();
    let totals = site.counts.totals();
    let backend = match site.backend {
        Backend::Memory => "riak_kv_memory_backend",
        Backend::Log => "ombak_log_backend",
    };
    let stats = json!({
        "nodename": me,
        "connected_nodes": others,
        "ring_members": members,
        "ring_num_partitions": topology.ring.size(),
        "ring_creation_size": topology.ring.size(),
        "riak_kv_vnodes_running": topology.ring.partitions_of(site.me).count(),
        "node_gets_total": totals.gets,
        "node_puts_total": totals.puts,
        "pbc_connects_total": totals.pb_connects,
        "storage_backend": backend,
        "sys_logical_processors": site.shards,
        "sys_process_count": site.shards,
        "sys_wordsize": usize::BITS / 8,
        "riak_kv_version": RIAK_VERSION,
        "riak_core_version": RIAK_VERSION,
        "riak_api_version": RIAK_VERSION,
        "riak_pb_version": RIAK_VERSION,
        "ombak_version": env!("CARGO_PKG_VERSION"),
    });
    match stats {
        Value::Object(stats) => stats,
        _ => Map::new(),
    }
}
