//! Bucket properties as JSON.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use ombak_base::ShardId;
use ombak_kv::props::{BucketProps, PropChange, PropValue, QuorumProp, validate};
use ombak_kv::{Answer, BucketId, Request as KvRequest, RequestError};
use serde_json::{Map, Value, json};

use super::Site;
use super::ask::unexpected;
use super::reply::{Outcome, Refusal, bad_request, failed, json, no_content};
use super::route::Route;

const SHAPE: &str =
    "bucket PUT must be a JSON object of the form:\n{\"props\":{...bucket properties...}}";
const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// GET, PUT and DELETE.
pub(crate) async fn props_json(site: &Site, route: &Route, request: Request<Incoming>) -> Outcome {
    let asked = match *request.method() {
        Method::PUT => {
            let body = site.gather(request.into_body()).await?;
            KvRequest::SetProps(route.bucket.clone(), changes(&body.bytes)?)
        }
        Method::DELETE => KvRequest::ResetProps(route.bucket.clone()),
        _ => KvRequest::GetProps(route.bucket.clone()),
    };
    match site.ask_kv(ShardId(0), asked).await? {
        Answer::Props(props) => {
            let props = names_and_props(Some(&route.bucket), &props);
            Ok(json(StatusCode::OK, &json!({ "props": props })))
        }
        Answer::PropsSet => Ok(no_content(Some(JSON_TYPE))),
        other => Err(unexpected(&other)),
    }
}

impl Site {
    /// `/types/default/props`: what buckets have unless they are told otherwise.
    pub async fn type_props(&self, request: &Request<Incoming>) -> Outcome {
        if *request.method() == Method::PUT {
            return Err(bad_request("The default bucket type cannot be changed\n"));
        }
        let props = names_and_props(None, &BucketProps::default());
        Ok(json(StatusCode::OK, &json!({ "props": props })))
    }
}

/// The properties, the name in front.
pub(crate) fn names_and_props(bucket: Option<&BucketId>, props: &BucketProps) -> Value {
    let mut all = Map::new();
    if let Some(bucket) = bucket {
        all.insert("name".into(), String::from_utf8_lossy(&bucket.name).into());
    }
    for (name, value) in props.iter() {
        all.insert(name.into(), to_json(value));
    }
    all.into()
}

fn to_json(value: &PropValue) -> Value {
    match value {
        PropValue::Bool(flag) => (*flag).into(),
        PropValue::Number(number) => (*number).into(),
        PropValue::Quorum(QuorumProp::One) => "one".into(),
        PropValue::Quorum(QuorumProp::Quorum) => "quorum".into(),
        PropValue::Quorum(QuorumProp::All) => "all".into(),
        PropValue::Quorum(QuorumProp::Count(count)) => (*count).into(),
        // What was stored was JSON when it was taken.
        PropValue::Json(text) => serde_json::from_str(text).unwrap_or(Value::Null),
    }
}

/// The changes that a body asks for, all of them sound, or the reasons why not.
pub(crate) fn changes(body: &Bytes) -> Result<Vec<PropChange>, Refusal> {
    let whole: Value = serde_json::from_slice(body).map_err(|_| bad_request(SHAPE))?;
    let Some(props) = whole.get("props").and_then(Value::as_object) else {
        return Err(bad_request(SHAPE));
    };
    // Clients send back what they read, the name included.
    let given = props.iter().filter(|(name, _)| *name != "name");
    let changes: Vec<PropChange> = given.map(|(name, value)| change(name, value)).collect();
    let mut reasons = Map::new();
    for change in &changes {
        match validate(change) {
            Ok(()) => {}
            Err(RequestError::BadProperty(name, reason)) => {
                reasons.insert(name, reason.into());
            }
            Err(other) => return Err(failed(&other).into()),
        }
    }
    if reasons.is_empty() {
        return Ok(changes);
    }
    Err(json(StatusCode::BAD_REQUEST, &reasons).into())
}

/// A value of the kind that the property has by default. One of another kind is carried as it is, for `validate` to
/// say what it should have been.
fn change(name: &str, value: &Value) -> PropChange {
    let defaults = BucketProps::default();
    let default = defaults.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let number = || value.as_u64().and_then(|number| u32::try_from(number).ok());
    let kind = match default {
        Some(PropValue::Bool(_)) => match value.as_str() {
            Some("true") => Some(PropValue::Bool(true)),
            Some("false") => Some(PropValue::Bool(false)),
            _ => value.as_bool().map(PropValue::Bool),
        },
        Some(PropValue::Number(_)) => number().map(PropValue::Number),
        Some(PropValue::Quorum(_)) => match value.as_str() {
            Some("one") => Some(QuorumProp::One),
            Some("quorum") => Some(QuorumProp::Quorum),
            Some("all") => Some(QuorumProp::All),
            _ => number().map(QuorumProp::Count),
        }
        .map(PropValue::Quorum),
        Some(PropValue::Json(_)) | None => None,
    };
    let as_it_is = || PropValue::Json(value.to_string());
    let back = value.is_null() || value == "default";
    let value = if back { None } else { Some(kind.unwrap_or_else(as_it_is)) };
    PropChange { name: name.into(), value }
}
