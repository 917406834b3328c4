//! An object's metadata as headers, in both directions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, LAST_MODIFIED, LINK,
    REFERER,
};
use hyper::{HeaderMap, StatusCode};
use ombak_kv::{BucketId, Content};

use super::links::{encode, link_header, parse_links};
use super::reply::{Refusal, bad_request, html_error};
use super::route::Form;

pub(crate) const VCLOCK: HeaderName = HeaderName::from_static("x-riak-vclock");
pub(crate) const DELETED: HeaderName = HeaderName::from_static("x-riak-deleted");
const META: &str = "x-riak-meta-";
const INDEX: &str = "x-riak-index-";
const OCTETS_TEXT: &str = "application/octet-stream";
const OCTETS: HeaderValue = HeaderValue::from_static(OCTETS_TEXT);

/// What a client writes, but for the value.
pub(crate) fn content_of(headers: &HeaderMap) -> Result<Content, Refusal> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return Err(bad_request("Missing Content-Type request header"));
    };
    let (content_type, charset) = split_charset(content_type.as_bytes());
    let bytes = |value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    Ok(Content {
        content_type: Some(content_type),
        charset,
        content_encoding: headers.get(CONTENT_ENCODING).map(bytes),
        links: parse_links(headers)?,
        user_meta: user_meta(headers),
        indexes: indexes(headers)?,
        ..Content::default()
    })
}

/// `text/plain; charset=utf-8` is kept in two pieces; any other parameter belongs to the type. What is empty was not
/// given.
fn split_charset(header: &[u8]) -> (Bytes, Option<Bytes>) {
    let text = String::from_utf8_lossy(header);
    let mut charset = None;
    let mut kept = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((name, value)) if name.trim_end().eq_ignore_ascii_case("charset") => {
                charset = Some(value.trim_matches(['"', ' ', '\t']));
            }
            _ => kept.push(part),
        }
    }
    let given = |text: &str| (!text.is_empty()).then(|| Bytes::copy_from_slice(text.as_bytes()));
    let octets = || Bytes::from_static(OCTETS_TEXT.as_bytes());
    (given(&kept.join("; ")).unwrap_or_else(octets), charset.and_then(given))
}

/// The name is kept without its prefix, as Protocol Buffers clients give it.
fn user_meta(headers: &HeaderMap) -> Vec<(Bytes, Option<Bytes>)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix(META)?;
        let value = Bytes::copy_from_slice(value.as_bytes());
        Some((Bytes::copy_from_slice(name.as_bytes()), Some(value)))
    };
    headers.iter().filter_map(pair).collect()
}

/// Several values of one field stand in one header, separated by a comma and a space, as in Riak.
fn indexes(headers: &HeaderMap) -> Result<Vec<(Bytes, Option<Bytes>)>, Refusal> {
    let mut indexes = Vec::new();
    for (name, value) in headers {
        let Some(field) = name.as_str().strip_prefix(INDEX) else { continue };
        let text = String::from_utf8_lossy(value.as_bytes());
        for value in text.split(", ") {
            check_index(field, value)?;
            let field = Bytes::copy_from_slice(field.as_bytes());
            indexes.push((field, Some(Bytes::copy_from_slice(value.as_bytes()))));
        }
    }
    Ok(indexes)
}

fn check_index(field: &str, value: &str) -> Result<(), Refusal> {
    if field.ends_with("_int") {
        let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad_request(format!(
                "Could not parse field '{field}', value '{value}'.\n"
            )));
        }
    } else if !field.ends_with("_bin") {
        return Err(bad_request(format!("Unknown field type for field: '{field}'.\n")));
    }
    Ok(())
}

/// A sibling's headers.
pub(crate) fn put_content(
    headers: &mut HeaderMap,
    form: Form,
    bucket: &BucketId,
    vtag: &[u8],
    content: &Content,
) {
    put(headers, CONTENT_TYPE, content_type(content));
    if let Some(encoding) = &content.content_encoding {
        put(headers, CONTENT_ENCODING, value(encoding));
    }
    put(headers, ETAG, value(format!("\"{}\"", String::from_utf8_lossy(vtag)).as_bytes()));
    put(headers, LAST_MODIFIED, date(content.last_modified_us));
    put(headers, LINK, value(link_header(form, bucket, &content.links).as_bytes()));
    for (name, meta) in &content.user_meta {
        put_named(headers, META, name, meta.as_deref().unwrap_or_default());
    }
    for (field, values) in by_field(content) {
        put_named(headers, INDEX, field, values.join(&b", "[..]).as_slice());
    }
}

fn by_field(content: &Content) -> std::collections::BTreeMap<&Bytes, Vec<&[u8]>> {
    let mut fields = std::collections::BTreeMap::<_, Vec<&[u8]>>::new();
    for (field, value) in &content.indexes {
        fields.entry(field).or_default().push(value.as_deref().unwrap_or_default());
    }
    fields
}

/// The type with its character set.
pub(crate) fn content_type(content: &Content) -> HeaderValue {
    let Some(content_type) = &content.content_type else { return OCTETS };
    let whole = match &content.charset {
        Some(charset) => [content_type, &b"; charset="[..], charset].concat(),
        None => content_type.to_vec(),
    };
    HeaderValue::from_bytes(&whole).unwrap_or(OCTETS)
}

pub(crate) fn put_context(headers: &mut HeaderMap, context: &[u8]) {
    put(headers, VCLOCK, value(BASE64.encode(context).as_bytes()));
}

/// A context in a header; empty if there is none.
pub(crate) fn context_of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Bytes>, Refusal> {
    let Some(header) = headers.get(name) else { return Ok(None) };
    match BASE64.decode(header.as_bytes()) {
        Ok(context) => Ok(Some(Bytes::from(context))),
        Err(_) => Err(bad_request(format!("Invalid {name} header: it is not base64\n"))),
    }
}

/// As HTTP writes dates. A time beyond year 9999 cannot be written.
pub(crate) fn date(last_modified_us: u64) -> HeaderValue {
    let seconds = (last_modified_us / 1_000_000).min(253_402_300_799);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    value(httpdate::fmt_http_date(time).as_bytes())
}

/// Bytes that no header can carry (they came by Protocol Buffers) are percent-encoded.
fn value(bytes: &[u8]) -> HeaderValue {
    let encoded = || HeaderValue::from_str(&encode(bytes));
    HeaderValue::from_bytes(bytes).or_else(|_| encoded()).unwrap_or(HeaderValue::from_static(""))
}

fn put_named(headers: &mut HeaderMap, prefix: &str, name: &[u8], bytes: &[u8]) {
    let whole = [prefix.as_bytes(), name].concat();
    let name = HeaderName::from_bytes(&whole)
        .or_else(|_| HeaderName::from_bytes(format!("{prefix}{}", encode(name)).as_bytes()));
    if let Ok(name) = name {
        put(headers, name, value(bytes));
    }
}

/// More headers than can be sent are left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = headers.try_append(name, value);
}

/// A page of another site must not write through a visitor's browser.
pub(crate) fn check_referer(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(referer) = headers.get(REFERER) else { return Ok(()) };
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let from = referer.to_str().ok().and_then(|referer| referer.parse::<hyper::Uri>().ok());
    let from = from.as_ref().and_then(|referer| referer.authority());
    match (from, own) {
        (Some(from), Some(own)) if from.as_str().eq_ignore_ascii_case(own) => Ok(()),
        _ => Err(html_error(StatusCode::FORBIDDEN).into()),
    }
}
