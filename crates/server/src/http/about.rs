//! What the server says of itself to Riak's clients.

use hyper::header::{HeaderMap, HeaderValue, LINK};
use hyper::{Response, StatusCode};

use super::accept::quality;
use super::body::Body;
use super::reply::{Outcome, html_error, reply, vary};

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
