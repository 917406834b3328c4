//! What any bytes at all must satisfy where HTTP clients are understood.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use hyper::{HeaderMap, Method, Uri};
use ombak_kv::props::{PropValue, validate};
use ombak_kv::{BucketId, Content, Link};
use serde_json::Value;

use super::accept::quality;
use super::conditions::{Present, check_absent, needs_read, wants_absent};
use super::headers::{VCLOCK, check_referer, content_of, context_of, put_content};
use super::links::{encode, link_header, object_path, parse_links};
use super::props::changes;
use super::query::{Params, decode};
use super::route::{Form, Resource, Route};

/// A `Link` header: links survive being written again, in either form.
pub fn http_links(input: &[u8]) {
    let Some(links) = links_of(input) else { return };
    let bucket = BucketId::default_type("b");
    for form in [Form::Old, Form::New] {
        let again = link_header(form, &bucket, &links);
        assert_eq!(links_of(again.as_bytes()), Some(links.clone()), "{again}");
    }
}

fn links_of(header: &[u8]) -> Option<Vec<Link>> {
    let mut headers = HeaderMap::new();
    headers.insert(LINK, HeaderValue::from_bytes(header).ok()?);
    parse_links(&headers).ok()
}

/// What stands behind the question mark, and any name in its percent-encoding.
pub fn http_query(input: &[u8]) {
    assert_eq!(decode(&encode(input)).ok(), Some(Bytes::copy_from_slice(input)));
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(decoded) = decode(text) {
        assert!(decoded.len() <= text.len());
    }
    let Ok(uri) = format!("/?{text}").parse::<Uri>() else { return };
    let Ok(params) = Params::of(&uri) else { return };
    let _ = (params.quorums(), params.timeout_ms(), params.flag("returnbody"));
}

/// A path: an object that it names is named by the path that answers give.
pub fn http_path(input: &[u8]) {
    let Ok(uri) = Uri::try_from(input) else { return };
    let Ok(Some(route)) = Route::of(uri.path()) else { return };
    for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
        let _ = route.check_method(&method);
    }
    if route.resource == Resource::Object {
        let path = object_path(route.form, &route.bucket.name, &route.key);
        assert_eq!(Route::of(&path).ok(), Some(Some(route)), "{path}");
    }
}

/// Lines of `name: value`: metadata survives being sent back, and conditions decide something.
pub fn http_headers(input: &[u8]) {
    let headers = headers_of(input);
    assert!(quality(&headers, "text/plain") <= 1000);
    let _ = (check_referer(&headers), context_of(&headers, &VCLOCK));
    let present = Present { etag: "tag".into(), last_modified_us: 1_700_000_000_000_000 };
    let _ = (present.check_read(&headers), present.check_write(&headers));
    let _ = (check_absent(&headers), needs_read(&headers), wants_absent(&headers));
    let Ok(content) = content_of(&headers) else { return };
    let mut again = HeaderMap::new();
    put_content(&mut again, Form::New, &BucketId::default_type("b"), b"vtag", &content);
    assert_eq!(content_of(&again).ok().map(sorted), Some(sorted(content)));
}

fn headers_of(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line.get(at + 2..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain"));
    headers
}

/// Headers of different names have no order, and spaces and quotes around a character set are no part of it.
fn sorted(mut content: Content) -> Content {
    let around = |byte: &u8| *byte == b'"' || byte.is_ascii_whitespace();
    let inner = |text: &Bytes| {
        let start = text.iter().take_while(|byte| around(byte)).count();
        let end = text.iter().rev().take_while(|byte| around(byte)).count();
        text.slice(start..(text.len() - end).max(start))
    };
    content.charset = content.charset.as_ref().map(inner);
    content.user_meta.sort();
    content.indexes.sort();
    content
}

/// The body that sets properties: what is taken is sound.
pub fn http_props(input: &[u8]) {
    let Ok(changes) = changes(&Bytes::copy_from_slice(input)) else { return };
    for change in changes {
        assert_eq!(validate(&change), Ok(()));
        if let Some(PropValue::Json(text)) = &change.value {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_in_any_place(input in prop::collection::vec(any::<u8>(), 0..80)) {
            http_links(&input);
            http_query(&input);
            http_path(&input);
            http_headers(&input);
            http_props(&input);
        }

        #[test]
        fn likely_links(
            input in "((<(/buckets/(a|%2f|%zz|\\+|)/keys/(b|%2C|)|/riak/b/(c|)|/types/x/buckets/b/keys/k|/x)>; (riaktag=\"(t|%22|%2C||%c3)\"|rel=\"up\")|<>|a)(, |,|)){0,4}",
        ) {
            http_links(input.as_bytes());
        }

        #[test]
        fn likely_queries(
            input in "((r|w|dw|pw|pr|rw|timeout|returnbody|chunked|node_confirms|%72)(=(one|all|true|[0-9+-]{1,11}|%3[0-9]|é)?)?&?){0,6}",
        ) {
            http_query(input.as_bytes());
        }

        #[test]
        fn likely_paths(
            input in "(/(buckets|riak|types|default|keys|props|preflist|ombak|status|b|%2f|%zz|\\+|\\.\\.|)){0,7}(\\?x)?",
        ) {
            http_path(input.as_bytes());
        }

        #[test]
        fn likely_headers(
            metadata in "((x-riak-index-[ab]_int: [-+]?[0-9]{1,3}(, [0-9]){0,2}|x-riak-index-[ab]_bin: [a, ]{0,5}|x-riak-meta-[ab]?: [a, \u{e9}]{0,4}|content-encoding: [a;]{0,3}|x-riak-vclock: [a=]{0,4})\n){0,6}",
            content_type in "(content-type: (text/plain|; ?|charset=|\"|a| ){0,6}\n)?",
            conditions in "((accept|if-match|if-none-match|if-modified-since|if-unmodified-since|referer|host): ([-+0-9a,; \"/=%*]|q=[01]\\.|text/|\\*/\\*|Thu, 01 Jan 1970 00:00:0[0-9] GMT|\u{e9}){0,6}\n){0,4}",
        ) {
            http_headers(format!("{metadata}{content_type}{conditions}").as_bytes());
        }

        #[test]
        fn likely_props(
            input in "\\{\"props\":\\{(\"(n_val|allow_mult|r|pr|backend|precommit|name|young_vclock|x)\":(0|1|5|6|-1|1\\.5|4294967296|true|null|\"(one|all|default|true|x)\"|\\[\\{\\}\\]),?){0,3}\\}\\}",
        ) {
            http_props(input.as_bytes());
            http_props(input.replace(",}", "}").as_bytes());
        }
    }
}
