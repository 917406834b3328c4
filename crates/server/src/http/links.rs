//! The `Link` header: other objects that an object points to.
//!
//! `</buckets/b/keys/k>; riaktag="t"`, or `</riak/b/k>; riaktag="t"` of old; several are separated by commas. Names are
//! percent-encoded.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::LINK;
use ombak_kv::{BucketId, Link};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::query::decode;
use super::reply::{Refusal, bad_request};
use super::route::Form;

const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name in a path.
pub(crate) fn encode(name: &[u8]) -> String {
    percent_encode(name, NAME).to_string()
}

/// Where a bucket is.
pub(crate) fn bucket_path(form: Form, bucket: &[u8]) -> String {
    match form {
        Form::Old => format!("/riak/{}", encode(bucket)),
        Form::New => format!("/buckets/{}", encode(bucket)),
    }
}

/// Where an object is.
pub(crate) fn object_path(form: Form, bucket: &[u8], key: &[u8]) -> String {
    let keys = if form == Form::New { "/keys" } else { "" };
    format!("{}{keys}/{}", bucket_path(form, bucket), encode(key))
}

/// An object's links, and the one up to its bucket.
pub(crate) fn link_header(form: Form, bucket: &BucketId, links: &[Link]) -> String {
    let mut header = String::new();
    for link in links {
        let path = object_path(form, &link.bucket, &link.key);
        header.push_str(&format!("<{path}>; riaktag=\"{}\", ", encode(&link.tag)));
    }
    header.push_str(&format!("<{}>; rel=\"up\"", bucket_path(form, &bucket.name)));
    header
}

/// The links of a request, in either form. Those without a tag (`rel="up"`) are no links between objects.
pub(crate) fn parse_links(headers: &HeaderMap) -> Result<Vec<Link>, Refusal> {
    let mut links = Vec::new();
    for header in headers.get_all(LINK) {
        let text = header.to_str().map_err(|_| bad_request("Link header is not text\n"))?;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            links.extend(parse_link(part)?);
        }
    }
    Ok(links)
}

fn parse_link(part: &str) -> Result<Option<Link>, Refusal> {
    let bad = || bad_request(format!("Invalid Link header: {part:?}\n"));
    let (target, parameters) =
        part.strip_prefix('<').and_then(|p| p.split_once('>')).ok_or_else(bad)?;
    let mut parameters = parameters.split(';').map(str::trim);
    let tag = parameters.find_map(|parameter| parameter.strip_prefix("riaktag="));
    let Some(tag) = tag else { return Ok(None) };
    let segments: Vec<&str> = target.split('/').skip(1).collect();
    let (bucket, key) = match segments[..] {
        ["buckets", bucket, "keys", key] | ["riak", bucket, key] => (bucket, key),
        // The type is the default type: links carry none.
        ["types", _, "buckets", bucket, "keys", key] => (bucket, key),
        _ => return Err(bad()),
    };
    let tag: Bytes = decode(tag.trim_matches('"'))?;
    Ok(Some(Link { bucket: decode(bucket)?, key: decode(key)?, tag }))
}
