//! One key: read, written, deleted.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use ombak_kv::{Answer, Content, DeleteOp, GetOp, ObjectAnswer, Operation, PutOp, Return};

use super::Site;
use super::accept::quality;
use super::ask::unexpected;
use super::body::Body;
use super::conditions::{Present, check_absent, needs_read, wants_absent};
use super::headers::{
    DELETED, VCLOCK, content_of, content_type, context_of, put_content, put_context,
};
use super::links::object_path;
use super::query::Params;
use super::reply::{Outcome, Refusal, html_error, no_content, reply, text, vary};
use super::route::Route;
use super::siblings::siblings;

const IF_NOT_MODIFIED: HeaderName = HeaderName::from_static("x-riak-if-not-modified");

impl Site {
    pub async fn object(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        match *request.method() {
            Method::PUT | Method::POST => self.put(route, request).await,
            Method::DELETE => self.delete(route, &request).await,
            _ => self.get(route, &request).await,
        }
    }

    async fn get(&self, route: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        match self.read(route, &params).await? {
            Answer::Object(object) => {
                Present::of(&object).check_read(request.headers())?;
                show(route, request.headers(), params.get("vtag"), object)
            }
            Answer::NotFound(context) => Ok(not_found(context)),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn read(&self, route: &Route, params: &Params) -> Result<Answer, Refusal> {
        let op = GetOp {
            bucket: route.bucket.clone(),
            key: route.key.clone(),
            quorums: params.quorums()?,
            basic_quorum: params.flag("basic_quorum")?,
            notfound_ok: params.flag("notfound_ok")?,
            timeout_ms: params.timeout_ms()?,
        };
        self.ask_key(Operation::Get(op)).await
    }

    /// Writes the key of the path, or one that is made if the path names none.
    pub async fn put(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        let (head, body) = request.into_parts();
        let params = Params::of(&head.uri)?;
        let mut op = put_op(route, &params, &head.headers)?;
        let body = self.gather(body).await?;
        op.content.value = body.bytes.clone();
        let given_type = head.headers.get(CONTENT_TYPE).cloned();
        self.check_write(route, &params, &head.headers).await?;
        let made_key = op.key.is_none();
        let (answer_key, shown) = match self.ask_key(Operation::Put(op)).await? {
            Answer::Written(key) => (key, None),
            Answer::Object(object) => (object.key.clone(), Some(object)),
            other => return Err(unexpected(&other)),
        };
        let response = match shown {
            Some(object) => show(route, &accept_alone(&head.headers), None, object)?,
            None => no_content(given_type.clone()),
        };
        Ok(match answer_key.filter(|_| made_key) {
            Some(key) => created(route, &key, response, given_type),
            None => response,
        })
    }

    async fn delete(&self, route: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let context = context_of(request.headers(), &VCLOCK)?;
        let op = DeleteOp {
            bucket: route.bucket.clone(),
            key: route.key.clone(),
            context: context.filter(|context| !context.is_empty()),
            quorums: params.quorums()?,
            timeout_ms: params.timeout_ms()?,
        };
        self.check_write(route, &params, request.headers()).await?;
        match self.ask_key(Operation::Delete(op)).await? {
            Answer::Written(_) => Ok(no_content(Some(HeaderValue::from_static("text/html")))),
            Answer::NotFound(context) => Ok(not_found(context)),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether the conditions of a write hold now. Best effort, as in Riak: it may change before the write.
    async fn check_write(
        &self,
        route: &Route,
        params: &Params,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if route.key.is_empty() || !needs_read(headers) {
            return Ok(());
        }
        match self.read(route, params).await? {
            Answer::Object(object) => Present::of(&object).check_write(headers),
            _ => check_absent(headers),
        }
    }
}

fn put_op(route: &Route, params: &Params, headers: &HeaderMap) -> Result<PutOp, Refusal> {
    let returns = params.flag("returnbody")?.unwrap_or(false);
    let unmodified = context_of(headers, &IF_NOT_MODIFIED)?;
    let context = context_of(headers, &VCLOCK)?;
    Ok(PutOp {
        bucket: route.bucket.clone(),
        key: (!route.key.is_empty()).then(|| route.key.clone()),
        if_not_modified: unmodified.is_some(),
        context: unmodified.or(context).unwrap_or_default(),
        content: content_of(headers)?,
        quorums: params.quorums()?,
        returns: if returns { Return::Body } else { Return::Nothing },
        if_none_match: wants_absent(headers),
        timeout_ms: params.timeout_ms()?,
    })
}

/// An object: the only value, the one that was asked for, or the conflict.
fn show(route: &Route, headers: &HeaderMap, vtag: Option<&str>, object: ObjectAnswer) -> Outcome {
    let wanted = match (&object.siblings[..], vtag) {
        ([only], None) => Some(only.clone()),
        (all, Some(vtag)) => {
            let found = all.iter().find(|(tag, _)| *tag == vtag.as_bytes());
            Some(found.cloned().ok_or_else(|| not_found(None))?)
        }
        (_, None) => None,
    };
    match wanted {
        Some((vtag, content)) => one(route, headers, &object.context, &vtag, content),
        None => siblings(headers, route.form, &route.bucket, &object),
    }
}

fn one(
    route: &Route,
    headers: &HeaderMap,
    context: &[u8],
    vtag: &[u8],
    content: Content,
) -> Outcome {
    let media_type = content_type(&content);
    if quality(headers, media_type.to_str().unwrap_or_default()) == 0 {
        return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
    }
    let mut response = reply(StatusCode::OK, "", content.value.clone());
    response.headers_mut().remove(CONTENT_TYPE);
    put_content(response.headers_mut(), route.form, &route.bucket, vtag, &content);
    put_context(response.headers_mut(), context);
    vary(&mut response, "Accept-Encoding");
    Ok(response)
}

/// A deleted object leaves its context for a while, for the next writer.
fn not_found(context: Option<Bytes>) -> Response<Body> {
    let mut response = text(StatusCode::NOT_FOUND, "not found\n");
    if let Some(context) = context {
        put_context(response.headers_mut(), &context);
        response.headers_mut().insert(DELETED, HeaderValue::from_static("true"));
    }
    response
}

/// The same answer, with the place of the new object.
fn created(
    route: &Route,
    key: &[u8],
    response: Response<Body>,
    given_type: Option<HeaderValue>,
) -> Response<Body> {
    let mut response = response;
    if response.status() == StatusCode::NO_CONTENT {
        response = text(StatusCode::CREATED, Bytes::new());
        if let Some(given_type) = given_type {
            response.headers_mut().insert(CONTENT_TYPE, given_type);
        }
        vary(&mut response, "Accept-Encoding");
    }
    *response.status_mut() = StatusCode::CREATED;
    let path = object_path(route.form, &route.bucket.name, key);
    if let Ok(location) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// What is returned by a write depends on what the client accepts; the conditions were about what was there before.
fn accept_alone(headers: &HeaderMap) -> HeaderMap {
    headers.get(ACCEPT).map(|accept| (ACCEPT, accept.clone())).into_iter().collect()
}
