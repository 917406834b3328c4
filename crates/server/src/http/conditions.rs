//! Conditional requests: what is there decides whether the request is carried out.
//!
//! Dates that are none are passed over, as RFC 9110 has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
};
use hyper::{HeaderMap, Response, StatusCode};
use ombak_base::{FNV_START, fnv1a};
use ombak_kv::ObjectAnswer;

use super::body::Body;
use super::headers::date;
use super::reply::{Refusal, html_error, vary};

/// The tag and the time of what is there.
pub(crate) struct Present {
    pub etag: String,
    pub last_modified_us: u64,
}

impl Present {
    /// Siblings have a tag together, which changes with any of them.
    pub fn of(object: &ObjectAnswer) -> Present {
        let times = object.siblings.iter().map(|(_, content)| content.last_modified_us);
        let etag = match &object.siblings[..] {
            [(vtag, _)] => String::from_utf8_lossy(vtag).into_owned(),
            _ => format!("{:016x}", fnv1a(FNV_START, &object.context)),
        };
        Present { etag, last_modified_us: times.max().unwrap_or(0) }
    }

    /// Whether a read has to send anything.
    pub fn check_read(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_match(headers)?;
        let unchanged = match headers.contains_key(IF_NONE_MATCH) {
            true => self.is_among(headers, IF_NONE_MATCH),
            false => self.time(headers, IF_MODIFIED_SINCE).is_some_and(|since| self.at() <= since),
        };
        if unchanged { Err(self.not_modified().into()) } else { Ok(()) }
    }

    /// Whether a write may be done.
    pub fn check_write(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_match(headers)?;
        if self.is_among(headers, IF_NONE_MATCH) { Err(precondition_failed()) } else { Ok(()) }
    }

    fn check_match(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let other = headers.contains_key(IF_MATCH) && !self.is_among(headers, IF_MATCH);
        let since = self.time(headers, IF_UNMODIFIED_SINCE);
        let changed = since.is_some_and(|since| self.at() > since);
        if other || changed { Err(precondition_failed()) } else { Ok(()) }
    }

    fn is_among(&self, headers: &HeaderMap, name: HeaderName) -> bool {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == self.etag)
    }

    fn time(&self, headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
        httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
    }

    /// To the second, as dates are sent.
    fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.last_modified_us / 1_000_000)
    }

    fn not_modified(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        self.put(&mut response);
        vary(&mut response, "Accept-Encoding");
        response
    }

    fn put(&self, response: &mut Response<Body>) {
        if let Ok(etag) = format!("\"{}\"", self.etag).parse() {
            response.headers_mut().insert(ETAG, etag);
        }
    }

    /// Tag and time of siblings together.
    pub fn put_all(&self, response: &mut Response<Body>) {
        self.put(response);
        let modified = date(self.last_modified_us);
        response.headers_mut().insert(hyper::header::LAST_MODIFIED, modified);
    }
}

/// Whether a write has to look at what is there. `If-None-Match: *` is left to the shard.
pub(crate) fn needs_read(headers: &HeaderMap) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes() != b"*");
    tags || headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE)
}

/// Nothing is there: that fails what was to match something.
pub(crate) fn check_absent(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(IF_MATCH) { Err(precondition_failed()) } else { Ok(()) }
}

/// Only if nothing is there.
pub(crate) fn wants_absent(headers: &HeaderMap) -> bool {
    headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == b"*")
}

fn precondition_failed() -> Refusal {
    html_error(StatusCode::PRECONDITION_FAILED).into()
}
