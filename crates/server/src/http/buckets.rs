//! Listings, and the resources that are a bucket.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use ombak_kv::{Answer, Listing, Request as KvRequest};
use serde_json::{Map, Value, json};

use super::Site;
use super::ask::{Listed, unexpected};
use super::body::Body;
use super::props::{names_and_props, props_json};
use super::query::Params;
use super::reply::{Outcome, Refusal, bad_request, json, text, vary};
use super::route::Route;
use crate::preflist::preflist;

/// A listing in one answer may have so many bytes of names.
const LISTING_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Site {
    /// `/buckets?buckets=true|stream`.
    pub async fn buckets(&self, _: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let listing = Listing::Buckets { bucket_type: Bytes::new() };
        match params.get("buckets") {
            Some("true") => {
                let names = self.names(listing, &params).await?;
                Ok(json(StatusCode::OK, &json!({ "buckets": names })))
            }
            Some("stream") => self.stream(listing, &params, "buckets", None),
            _ => Ok(json(StatusCode::OK, &json!({}))),
        }
    }

    /// `/buckets/B/keys`: its keys, or a new object.
    pub async fn keys(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        if *request.method() == Method::POST {
            return self.put(route, request).await;
        }
        let params = Params::of(request.uri())?;
        let listing = Listing::Keys { bucket: route.bucket.clone() };
        match params.get("keys") {
            Some("true") => {
                let names = self.names(listing, &params).await?;
                Ok(json(StatusCode::OK, &json!({ "keys": names })))
            }
            Some("stream") => self.stream(listing, &params, "keys", None),
            _ => Ok(json(StatusCode::OK, &json!({}))),
        }
    }

    /// `/riak/B`: properties unless `props=false`, keys if they are asked for.
    pub async fn old_bucket(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        match *request.method() {
            Method::POST => return self.put(route, request).await,
            Method::PUT => return self.props(route, request).await,
            _ => {}
        }
        let params = Params::of(request.uri())?;
        let mut answer = Map::new();
        if !params.is("props", "false") {
            answer.insert("props".into(), self.read_props(route).await?);
        }
        let listing = Listing::Keys { bucket: route.bucket.clone() };
        match params.get("keys") {
            Some("true") => {
                answer.insert("keys".into(), self.names(listing, &params).await?);
            }
            Some("stream") => {
                let first = (!answer.is_empty()).then(|| Value::Object(answer).to_string().into());
                return self.stream(listing, &params, "keys", first);
            }
            _ => {}
        }
        Ok(json(StatusCode::OK, &answer))
    }

    async fn read_props(&self, route: &Route) -> Result<Value, Refusal> {
        let request = KvRequest::GetProps(route.bucket.clone());
        match self.ask_kv(ombak_base::ShardId(0), request).await? {
            Answer::Props(props) => Ok(names_and_props(Some(&route.bucket), &props)),
            other => Err(unexpected(&other)),
        }
    }

    /// All names in one answer.
    async fn names(&self, listing: Listing, params: &Params) -> Result<Value, Refusal> {
        let mut parts = self.list(listing, params.timeout_ms()?)?;
        let (mut names, mut bytes) = (Vec::new(), 0);
        loop {
            match parts.next().await {
                Listed::Part(part, last) => {
                    bytes += part.iter().map(Bytes::len).sum::<usize>();
                    names.extend(part.iter().map(|name| name_json(name)));
                    if last {
                        return Ok(names.into());
                    }
                }
                Listed::Failed(reason) => return Err(listing_failed(&reason)),
            }
            if bytes > LISTING_BYTES_MAX {
                return Err(bad_request(
                    "the listing is too long for one answer: ask for a stream\n",
                ));
            }
        }
    }

    fn stream(
        &self,
        listing: Listing,
        params: &Params,
        name: &'static str,
        first: Option<Bytes>,
    ) -> Outcome {
        let parts = self.list(listing, params.timeout_ms()?)?;
        let mut response = Response::new(Body::parts(parts, name, first));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        vary(&mut response, "Accept-Encoding");
        Ok(response)
    }

    /// Where a key lives.
    pub async fn preflist(&self, route: &Route) -> Outcome {
        let request = KvRequest::GetProps(route.bucket.clone());
        let answer = self.ask_kv(ombak_base::ShardId(0), request).await?;
        let Answer::Props(props) = answer else { return Err(unexpected(&answer)) };
        let places = preflist(&self.topology, &route.bucket, &route.key, props.n_val());
        let place = |place: crate::preflist::Place<'_>| json!({ "partition": place.partition.0, "node": place.node, "primary": true });
        let places: Vec<Value> = places.map(place).collect();
        Ok(json(StatusCode::OK, &json!({ "preflist": places })))
    }

    /// `/buckets/B/props`.
    pub async fn props(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        props_json(self, route, request).await
    }
}

fn listing_failed(reason: &str) -> Refusal {
    let reason = if reason == "timeout" { "request timed out" } else { reason };
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into()
}

/// JSON has no bytes: what is not UTF-8 is shown with replacement characters.
fn name_json(name: &[u8]) -> Value {
    String::from_utf8_lossy(name).into()
}

/// One part of a stream.
pub(crate) fn names_json(kind: &str, names: &[Bytes]) -> Bytes {
    let names: Vec<Value> = names.iter().map(|name| name_json(name)).collect();
    json!({ kind: names }).to_string().into()
}
