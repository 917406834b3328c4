//! Link walking: `/buckets/B/keys/K/b,t,keep/…` follows an object's links, step by step.
//!
//! A step takes the links of all objects of the step before, leaves out those with another bucket or tag (`_` stands
//! for any), and reads what is left, each object once. The answer is `multipart/mixed`: a part for each step that is
//! kept, which is `multipart/mixed` again, with a part for each object. A link to nothing is passed over, and an object
//! in conflict is shown by one of its siblings, with the tags of the others, as in Riak.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue, LOCATION};
use hyper::{HeaderMap, Method, Request, StatusCode};
use ombak_kv::{Answer, BucketId, Content, Link, ObjectAnswer, validate_key};

use super::Site;
use super::accept::quality;
use super::ask::unexpected;
use super::headers::{put_content, put_context};
use super::links::object_path;
use super::query::{Params, decode};
use super::reply::{Outcome, Refusal, bad_request, html_error, no_content, reply, text};
use super::route::{Form, Resource, Route};
use super::siblings::{MULTIPART, put_part_headers};
use crate::random::random_u64;

/// Steps of a walk.
const STEPS_MAX: usize = 16;
/// Objects that a walk reads, kept or not: links may fan out at every step.
const OBJECTS_MAX: usize = 1000;
/// Bytes of all these objects.
const WALK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A client may take the answer for fresh as long, as in Riak.
const FRESH: Duration = Duration::from_secs(600);
const SIBLING_TAGS: HeaderName = HeaderName::from_static("x-riak-sibling-vtags");

/// Which links are followed, and whether the client wants to see where they lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// `None`: any.
    bucket: Option<Bytes>,
    /// `None`: any.
    tag: Option<Bytes>,
    keep: bool,
}

/// The steps that stand in a path behind the key.
pub(crate) fn steps(segments: &[&str]) -> Result<Vec<Step>, Refusal> {
    if segments.len() > STEPS_MAX {
        return Err(bad_request(format!("a link walk has at most {STEPS_MAX} steps\n")));
    }
    let mut steps = segments.iter().map(|text| step(text)).collect::<Result<Vec<_>, Refusal>>()?;
    // Without it a walk might show nothing.
    if let Some(last) = steps.last_mut() {
        last.keep = true;
    }
    Ok(steps)
}

fn step(text: &str) -> Result<Step, Refusal> {
    let fields: Vec<&str> = text.split(',').collect();
    let [bucket, tag, keep @ ("0" | "1" | "_")] = fields[..] else {
        return Err(malformed(text));
    };
    if bucket.is_empty() || tag.is_empty() {
        return Err(malformed(text));
    }
    let name = |field: &str| (field != "_").then(|| decode(field)).transpose();
    Ok(Step { bucket: name(bucket)?, tag: name(tag)?, keep: keep == "1" })
}

fn malformed(step: &str) -> Refusal {
    bad_request(format!(
        "Invalid link walk step {step:?}: it is <bucket>,<riaktag>,<keep>, each of them _ for any, or 0 or 1 to keep\n"
    ))
}

impl Step {
    fn follows(&self, link: &Link) -> bool {
        let fits = |wanted: &Option<Bytes>, name| wanted.as_ref().is_none_or(|it| it == name);
        fits(&self.bucket, &link.bucket) && fits(&self.tag, &link.tag)
    }
}

/// An object on the way.
#[derive(Debug)]
struct Found {
    bucket: BucketId,
    key: Bytes,
    object: ObjectAnswer,
}

/// What a walk may still read.
struct Room {
    objects: usize,
    bytes: usize,
}

impl Site {
    pub async fn walk(&self, route: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        if quality(request.headers(), MULTIPART) == 0 {
            return Ok(html_error(StatusCode::NOT_ACCEPTABLE));
        }
        let mut room = Room { objects: OBJECTS_MAX, bytes: WALK_BYTES_MAX };
        let start = (route.bucket.name.clone(), route.key.clone());
        let Some(start) = self.visit(start, &params, &mut room).await? else {
            return Ok(html_error(StatusCode::NOT_FOUND));
        };
        if *request.method() == Method::POST {
            // Does nothing: it is there for clients that make a cache forget the walk.
            return Ok(no_content(Some(HeaderValue::from_static(MULTIPART))));
        }
        show(route.form, &self.follow(&route.steps, start, &params, &mut room).await?)
    }

    /// The objects of each step that is kept.
    async fn follow(
        &self,
        steps: &[Step],
        start: Found,
        params: &Params,
        room: &mut Room,
    ) -> Result<Vec<Vec<Found>>, Refusal> {
        let (mut kept, mut last) = (Vec::new(), vec![start]);
        let mut places = next_places(steps, &last, room)?;
        for (at, step) in steps.iter().enumerate() {
            last.clear();
            for place in places {
                last.extend(self.visit(place, params, room).await?);
            }
            places = next_places(&steps[at + 1..], &last, room)?;
            if step.keep {
                kept.push(std::mem::take(&mut last));
            }
        }
        Ok(kept)
    }

    /// What is there, if something is.
    async fn visit(
        &self,
        (bucket, key): Place,
        params: &Params,
        room: &mut Room,
    ) -> Result<Option<Found>, Refusal> {
        let bucket = BucketId::default_type(bucket);
        // Links that came by Protocol Buffers may name what cannot be.
        if bucket.validate().is_err() || validate_key(&key).is_err() {
            return Ok(None);
        }
        let route =
            Route { resource: Resource::Object, form: Form::New, bucket, key, steps: Vec::new() };
        let object = match self.read(&route, params).await? {
            Answer::Object(object) => object,
            Answer::NotFound(_) => return Ok(None),
            other => return Err(unexpected(&other)),
        };
        room.objects = room.objects.checked_sub(1).ok_or_else(too_many)?;
        let bytes = object.siblings.iter().map(|(_, content)| bytes_of(content)).sum();
        room.bytes = room.bytes.checked_sub(bytes).ok_or_else(too_long)?;
        Ok(Some(Found { bucket: route.bucket, key: route.key, object }))
    }
}

/// A bucket and a key.
type Place = (Bytes, Bytes);

/// Where the first of the steps leads from these objects; all siblings' links count.
fn next_places(steps: &[Step], objects: &[Found], room: &Room) -> Result<BTreeSet<Place>, Refusal> {
    let mut places = BTreeSet::new();
    let Some(step) = steps.first() else { return Ok(places) };
    let contents = objects.iter().flat_map(|found| &found.object.siblings);
    let links = contents.flat_map(|(_, content)| &content.links);
    for link in links.filter(|link| step.follows(link)) {
        places.insert((link.bucket.clone(), link.key.clone()));
        if places.len() > room.objects {
            return Err(too_many());
        }
    }
    Ok(places)
}

fn too_many() -> Refusal {
    bad_request(format!("a link walk reads at most {OBJECTS_MAX} objects: follow fewer links\n"))
}

fn too_long() -> Refusal {
    bad_request(format!("a link walk reads at most {WALK_BYTES_MAX} bytes: follow fewer links\n"))
}

/// Of the value and of what can be as long as it.
fn bytes_of(content: &Content) -> usize {
    let links = content.links.iter().map(|link| [&link.bucket, &link.key, &link.tag]);
    let links = links.flatten().map(Bytes::len).sum::<usize>();
    let pairs = content.user_meta.iter().chain(&content.indexes);
    let pair =
        |(name, value): &(Bytes, Option<Bytes>)| name.len() + value.as_ref().map_or(0, Bytes::len);
    content.value.len() + links + pairs.map(pair).sum::<usize>()
}

fn show(form: Form, steps: &[Vec<Found>]) -> Outcome {
    // Nobody can have put it into a value. None is the beginning of another.
    let outer = random_u64().map_err(|error| {
        text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal error: {error}\n"))
    })?;
    let outer = format!("{outer:016x}");
    let mut body = Vec::new();
    for (at, objects) in steps.iter().enumerate() {
        body.extend_from_slice(format!("\r\n--{outer}\r\n").as_bytes());
        put_step(form, &format!("step-{at}-{outer}"), objects, &mut body);
    }
    body.extend_from_slice(format!("\r\n--{outer}--\r\n").as_bytes());
    let mut response = reply(StatusCode::OK, MULTIPART, body);
    let headers = response.headers_mut();
    if let Ok(header) = HeaderValue::from_str(&format!("{MULTIPART}; boundary={outer}")) {
        headers.insert(CONTENT_TYPE, header);
    }
    let expires = httpdate::fmt_http_date(SystemTime::now() + FRESH);
    if let Ok(expires) = HeaderValue::from_str(&expires) {
        headers.insert(EXPIRES, expires);
    }
    Ok(response)
}

/// The objects of a step, as a part of the whole.
fn put_step(form: Form, boundary: &str, objects: &[Found], body: &mut Vec<u8>) {
    let head = format!("Content-Type: {MULTIPART}; boundary={boundary}\r\n");
    body.extend_from_slice(head.as_bytes());
    for found in objects {
        body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        put_part(form, found, body);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

fn put_part(form: Form, found: &Found, body: &mut Vec<u8>) {
    let [(vtag, content), others @ ..] = &found.object.siblings[..] else { return };
    let tag = |vtag: &Bytes| String::from_utf8_lossy(vtag).into_owned();
    let mut location = object_path(form, &found.bucket.name, &found.key);
    let mut headers = HeaderMap::new();
    if !others.is_empty() {
        location.push_str(&format!("?vtag={}", tag(vtag)));
        let others: Vec<String> = others.iter().map(|(vtag, _)| tag(vtag)).collect();
        if let Ok(others) = HeaderValue::from_str(&others.join(",")) {
            headers.insert(SIBLING_TAGS, others);
        }
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(LOCATION, location);
    }
    put_context(&mut headers, &found.object.context);
    put_content(&mut headers, form, &found.bucket, vtag, content);
    put_part_headers(&headers, body);
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(&content.value);
}
