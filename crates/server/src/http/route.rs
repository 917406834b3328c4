//! Which resource a path names.

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};
use ombak_kv::{BucketId, validate_key};

use super::query::decode;
use super::reply::{Refusal, failed, html_error, text};
use super::walk::{Step, steps};

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resource {
    Root,
    Ping,
    Stats,
    /// `/buckets` and `/riak`.
    Buckets,
    /// `/riak/B`: properties, keys, and new objects.
    OldBucket,
    Keys,
    Props,
    TypeProps,
    Object,
    /// Objects that links lead to, from an object on.
    Walk,
    Preflist,
    Metrics,
    Numbers,
    Status,
    Ring,
    Repair,
    Snapshot,
    Recording,
    /// Who holds and who waits.
    Locks,
    /// One that locks; its name stands for the bucket.
    Session,
    /// What a session asks for; the number stands for the key.
    LockRequest,
    SessionEvents,
    /// Which registers there are.
    Registers,
    /// A register; its name is the key.
    Register,
}

/// The two shapes of Riak's paths, which answers keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// `/riak/B/K`.
    Old,
    /// `/buckets/B/keys/K`.
    New,
}

/// A path, taken apart and decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub resource: Resource,
    pub form: Form,
    /// Empty where the path names none.
    pub bucket: BucketId,
    /// Empty where the path names none.
    pub key: Bytes,
    /// Of a walk.
    pub steps: Vec<Step>,
}

impl Route {
    /// `None`: there is nothing of that name.
    pub fn of(path: &str) -> Result<Option<Route>, Refusal> {
        let mut segments: Vec<&str> = path.split('/').skip(1).collect();
        if segments.last() == Some(&"") {
            segments.pop();
        }
        let new = |resource| Route {
            resource,
            form: Form::New,
            bucket: BucketId::default_type(Bytes::new()),
            key: Bytes::new(),
            steps: Vec::new(),
        };
        Ok(Some(match segments[..] {
            [] => new(Resource::Root),
            ["ping"] => new(Resource::Ping),
            ["stats"] => new(Resource::Stats),
            ["metrics"] => new(Resource::Metrics),
            ["ombak", "numbers"] => new(Resource::Numbers),
            ["ombak", "status"] => new(Resource::Status),
            ["ombak", "ring"] => new(Resource::Ring),
            ["ombak", "repair"] => new(Resource::Repair),
            ["ombak", "snapshot"] => new(Resource::Snapshot),
            ["ombak", "recording"] => new(Resource::Recording),
            ["ombak", "locks"] => new(Resource::Locks),
            ["ombak", "sessions", ref rest @ ..] => {
                return in_sessions(new(Resource::Session), rest);
            }
            ["ombak", "registers"] => new(Resource::Registers),
            ["ombak", "registers", name] => new(Resource::Register).with_key(name)?,
            ["riak", ref rest @ ..] => return old(new(Resource::Buckets), rest),
            ["types", bucket_type, ref rest @ ..] => {
                check_type(bucket_type)?;
                return match rest {
                    ["props"] => Ok(Some(new(Resource::TypeProps))),
                    ["buckets", rest @ ..] => in_buckets(new(Resource::Buckets), rest),
                    _ => Ok(None),
                };
            }
            ["buckets", ref rest @ ..] => return in_buckets(new(Resource::Buckets), rest),
            _ => return Ok(None),
        }))
    }

    /// Whether the resource has the method.
    pub fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let allowed = match self.resource {
            Resource::Root | Resource::Ping | Resource::Stats | Resource::Buckets => "GET, HEAD",
            Resource::Status | Resource::Ring | Resource::Preflist => "GET, HEAD",
            Resource::Metrics | Resource::Numbers | Resource::Recording => "GET, HEAD",
            Resource::OldBucket => "HEAD, GET, PUT, POST",
            Resource::Keys => "HEAD, GET, POST",
            Resource::Props => "HEAD, GET, PUT, DELETE",
            Resource::TypeProps => "HEAD, GET, PUT",
            Resource::Object => "HEAD, GET, POST, PUT, DELETE",
            Resource::Walk => "GET, HEAD, POST",
            Resource::Repair | Resource::Snapshot => "POST",
            Resource::Locks | Resource::SessionEvents | Resource::Registers => "GET, HEAD",
            Resource::Session => "PUT, POST, DELETE",
            Resource::LockRequest => "PUT",
            Resource::Register => "GET, HEAD, PUT, DELETE",
        };
        if allowed.split(", ").any(|allowed| allowed == method.as_str()) {
            return Ok(());
        }
        let mut response = html_error(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        Err(response.into())
    }
}

/// The default type is the only one yet.
fn check_type(name: &str) -> Result<(), Refusal> {
    let name = decode(name)?;
    if *name == *b"default" {
        return Ok(());
    }
    let name = String::from_utf8_lossy(&name);
    Err(text(StatusCode::NOT_FOUND, format!("Unknown bucket type: {name}")).into())
}

/// Behind `/buckets`.
fn in_buckets(route: Route, rest: &[&str]) -> Result<Option<Route>, Refusal> {
    Ok(Some(match rest {
        [] => route,
        [bucket, "props"] => Route { resource: Resource::Props, ..route.with_bucket(bucket)? },
        [bucket, "keys"] => Route { resource: Resource::Keys, ..route.with_bucket(bucket)? },
        [bucket, "keys", key] => {
            Route { resource: Resource::Object, ..route.with_bucket(bucket)?.with_key(key)? }
        }
        [bucket, "keys", key, "preflist"] => {
            Route { resource: Resource::Preflist, ..route.with_bucket(bucket)?.with_key(key)? }
        }
        [bucket, "keys", key, steps @ ..] => {
            route.with_bucket(bucket)?.with_key(key)?.with_steps(steps)?
        }
        _ => return Ok(None),
    }))
}

/// Behind `/ombak/sessions`.
fn in_sessions(route: Route, rest: &[&str]) -> Result<Option<Route>, Refusal> {
    Ok(Some(match rest {
        [session] => route.with_bucket(session)?,
        [session, "events"] => {
            Route { resource: Resource::SessionEvents, ..route.with_bucket(session)? }
        }
        [session, "requests", number] => Route {
            resource: Resource::LockRequest,
            ..route.with_bucket(session)?.with_key(number)?
        },
        _ => return Ok(None),
    }))
}

/// Behind `/riak`.
fn old(route: Route, rest: &[&str]) -> Result<Option<Route>, Refusal> {
    let route = Route { form: Form::Old, ..route };
    Ok(Some(match rest {
        [] => route,
        [bucket] => Route { resource: Resource::OldBucket, ..route.with_bucket(bucket)? },
        [bucket, key] => {
            Route { resource: Resource::Object, ..route.with_bucket(bucket)?.with_key(key)? }
        }
        [bucket, key, steps @ ..] => route.with_bucket(bucket)?.with_key(key)?.with_steps(steps)?,
    }))
}

impl Route {
    fn with_bucket(self, name: &str) -> Result<Route, Refusal> {
        let bucket = BucketId::default_type(decode(name)?);
        bucket.validate().map_err(|error| failed(&error))?;
        Ok(Route { bucket, ..self })
    }

    fn with_key(self, key: &str) -> Result<Route, Refusal> {
        let key = decode(key)?;
        validate_key(&key).map_err(|error| failed(&error))?;
        Ok(Route { key, ..self })
    }

    fn with_steps(self, segments: &[&str]) -> Result<Route, Refusal> {
        Ok(Route { resource: Resource::Walk, steps: steps(segments)?, ..self })
    }
}
