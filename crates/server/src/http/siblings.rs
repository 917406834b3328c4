//! Siblings: the conflict is the client's to resolve, so it is shown all of them.

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use ombak_kv::{BucketId, ObjectAnswer};

use super::accept::quality;
use super::body::Body;
use super::conditions::Present;
use super::headers::{put_content, put_context};
use super::reply::{Outcome, html_error, text, vary};
use super::route::Form;

pub(crate) const MULTIPART: &str = "multipart/mixed";

/// 300, with the tags alone or with everything, as the client will have it.
pub(crate) fn siblings(
    accept: &HeaderMap,
    form: Form,
    bucket: &BucketId,
    object: &ObjectAnswer,
) -> Outcome {
    let (plain, multipart) = (quality(accept, "text/plain"), quality(accept, MULTIPART));
    if plain == 0 && multipart == 0 {
        return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
    }
    let mut response = if multipart > plain { parts(form, bucket, object) } else { tags(object) };
    Present::of(object).put_all(&mut response);
    put_context(response.headers_mut(), &object.context);
    vary(&mut response, "Accept, Accept-Encoding");
    Ok(response)
}

fn tags(object: &ObjectAnswer) -> Response<Body> {
    let mut body = b"Siblings:\n".to_vec();
    for (vtag, _) in &object.siblings {
        body.extend_from_slice(vtag);
        body.push(b'\n');
    }
    text(StatusCode::MULTIPLE_CHOICES, body)
}

fn parts(form: Form, bucket: &BucketId, object: &ObjectAnswer) -> Response<Body> {
    let boundary = boundary(object);
    let mut body = Vec::new();
    for (vtag, content) in &object.siblings {
        body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        let mut headers = HeaderMap::new();
        put_content(&mut headers, form, bucket, vtag, content);
        put_part_headers(&headers, &mut body);
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(&content.value);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let mut response = text(StatusCode::MULTIPLE_CHOICES, body);
    if let Ok(header) = HeaderValue::from_str(&format!("{MULTIPART}; boundary={boundary}")) {
        response.headers_mut().insert(CONTENT_TYPE, header);
    }
    response
}

/// As Riak has it: the tag of a part stands without quotes.
pub(crate) fn put_part_headers(headers: &HeaderMap, body: &mut Vec<u8>) {
    for (name, value) in headers {
        let is_tag = *name == hyper::header::ETAG;
        let value = value.as_bytes();
        let value = if is_tag { unquoted(value) } else { value };
        body.extend_from_slice(title_case(name.as_str()).as_bytes());
        body.extend_from_slice(b": ");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"").unwrap_or(value);
    inner.strip_suffix(b"\"").unwrap_or(inner)
}

/// `last-modified` as `Last-Modified`: some clients look for no other spelling.
fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// A line that is in none of the values. Made from the context, so that equal answers have equal bytes.
fn boundary(object: &ObjectAnswer) -> String {
    let base = Present::of(object).etag;
    let free = |boundary: &String| {
        let line = format!("--{boundary}");
        let is_in =
            |value: &[u8]| value.windows(line.len()).any(|window| window == line.as_bytes());
        !object.siblings.iter().any(|(_, content)| is_in(&content.value))
    };
    let mut candidates = (0u64..).map(|n| format!("{base}{n:x}"));
    candidates.find(free).unwrap_or(base)
}
