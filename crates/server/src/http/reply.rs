//! Answers that are made everywhere.

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use ombak_kv::RequestError;
use ombak_runtime::AskError;
use serde::Serialize;

use super::body::Body;

/// A handler's result: both sides are sent.
pub(crate) type Outcome = Result<Response<Body>, Refusal>;

/// An answer that ends the handling of a request early.
#[derive(Debug)]
pub(crate) struct Refusal(pub Box<Response<Body>>);

impl From<Response<Body>> for Refusal {
    fn from(response: Response<Body>) -> Refusal {
        Refusal(Box::new(response))
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Refusal {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        text(status, format!("Unable to serve the request: {error}\n")).into()
    }
}

/// An answer with a body of known length.
pub(crate) fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let body = body.into();
    let length = body.len();
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Given here, because hyper leaves it out where the body is not sent (HEAD).
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    reply(status, "text/plain", body)
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = reply(status, "application/json", body);
            vary(&mut response, "Accept-Encoding");
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// An answer without a body, with the type that webmachine would have given one.
pub(crate) fn no_content(content_type: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    vary(&mut response, "Accept-Encoding");
    response
}

/// A short page that says the status.
pub(crate) fn html_error(status: StatusCode) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    reply(
        status,
        "text/html",
        format!(
            "<html><head><title>{code} {reason}</title></head><body><h1>{reason}</h1></body></html>"
        ),
    )
}

pub(crate) fn bad_request(body: impl Into<Bytes>) -> Refusal {
    text(StatusCode::BAD_REQUEST, body).into()
}

/// The rest of the request is not read.
pub(crate) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(crate) fn vary(response: &mut Response<Body>, on: &'static str) {
    response.headers_mut().insert(VARY, HeaderValue::from_static(on));
}

/// What a failed request is over HTTP.
pub(crate) fn failed(error: &RequestError) -> Response<Body> {
    use RequestError as E;
    let unsatisfied = |name: &str, need: usize, got: usize| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        text(status, format!("{name}-value unsatisfied: {got}/{need}\n"))
    };
    match error {
        E::RUnsatisfied { need, got } => unsatisfied("R", *need, *got),
        E::PrUnsatisfied { need, got } => unsatisfied("PR", *need, *got),
        E::WUnsatisfied { need, got } => unsatisfied("W", *need, *got),
        E::DwUnsatisfied { need, got } => unsatisfied("DW", *need, *got),
        E::PwUnsatisfied { need, got } => unsatisfied("PW", *need, *got),
        E::NodesUnsatisfied { need, got } => unsatisfied("node_confirms", *need, *got),
        E::NValViolation(n_val) => text(
            StatusCode::BAD_REQUEST,
            format!("Specified r/w/dw/pr/pw values invalid for bucket n value of {n_val}\n"),
        ),
        E::Timeout => text(StatusCode::SERVICE_UNAVAILABLE, "request timed out\n"),
        E::MatchFound => html_error(StatusCode::PRECONDITION_FAILED),
        E::Modified | E::NotFound => html_error(StatusCode::CONFLICT),
        E::BadProperty(name, reason) => {
            let mut reasons = serde_json::Map::new();
            reasons.insert(name.clone(), reason.clone().into());
            json(StatusCode::BAD_REQUEST, &reasons)
        }
        E::UnknownType => text(StatusCode::NOT_FOUND, "Unknown bucket type"),
        other => text(status_of(other), format!("{other}\n")),
    }
}

fn status_of(error: &RequestError) -> StatusCode {
    use RequestError as E;
    match error {
        E::EmptyBucket | E::EmptyKey | E::TooLong(..) | E::BadContext => StatusCode::BAD_REQUEST,
        E::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        E::TooManySiblings(_) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
