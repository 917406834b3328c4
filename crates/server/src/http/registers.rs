//! Registers: a name, a value, and the number of changes that led to it, which is the ETag.
//!
//! ```text
//! GET    /ombak/registers/NAME                       200 and the value, or 404; ETag: "VERSION" in both
//! PUT    /ombak/registers/NAME                       204, ETag: the new version
//! PUT    … If-Match: "VERSION"                       the same if that is the version, else 412 with the ETag that is
//! PUT    … If-None-Match: *                          the same if there is no value
//! DELETE … with or without If-Match                  204, ETag: the version that says so
//!
//! GET    /ombak/registers?from=NAME                  200 and a page: which there are, from that name on; see `ombak_locks::wire`
//!
//! 503: nothing was done; 504: it may have been done, or may yet be
//! ```

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, Request, Response, StatusCode};
use ombak_base::ShardId;
use ombak_locks::wire::{ListedRegister, RegisterPage, encoded};
use ombak_node::{Reply, Request as Question};
use ombak_paxos::register::server::{
    ListedRegister as Listed, RegisterAsk, RegisterFailure, RegisterReply, RegisterRequest,
};
use ombak_paxos::register::{Outcome as Became, Value, Wish};
use ombak_runtime::AskError;

use super::Site;
use super::ask::unexpected;
use super::body::Body;
use super::query::Params;
use super::reply::{Outcome, Refusal, bad_request, json, reply, text};
use super::route::Route;

/// On which version a change depends.
enum Condition {
    None,
    Version(u64),
    Absent,
}

impl Site {
    /// Reads, sets and removes a register.
    pub async fn register(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        let key = route.key.clone();
        let condition = condition(request.headers())?;
        let bytes = match *request.method() {
            Method::PUT => Some(self.gather(request.into_body()).await?.bytes),
            Method::DELETE => None,
            _ => return self.ask_register(key, Wish::Read).await.map(|became| read(&became)),
        };
        let version = match condition {
            Condition::None => {
                let became = self.ask_register(key, Wish::Set(bytes)).await?;
                return Ok(changed(&became));
            }
            Condition::Version(version) => version,
            // Whoever comes between changes the version.
            Condition::Absent => match self.ask_register(key.clone(), Wish::Read).await? {
                Became::Done(Value { version, bytes: None, .. }) => version,
                Became::Done(value) | Became::Differs(value) | Became::Unknown(value) => {
                    return Ok(changed(&Became::Differs(value)));
                }
            },
        };
        let wish = Wish::CompareAndSet { version, bytes };
        Ok(changed(&self.ask_register(key, wish).await?))
    }

    /// A page of what registers there are.
    pub async fn list_registers(&self, request: &Request<Incoming>) -> Outcome {
        let from = Params::bytes(request.uri(), "from")?.unwrap_or_default();
        let ask = Question::Register(RegisterRequest::List { from });
        match self.ask(ShardId(0), ask).await? {
            Reply::Register(RegisterReply::Listed(page)) => {
                let registers = page.registers.iter().map(listed).collect();
                let next = page.next.map(|name| encoded(&name));
                Ok(json(StatusCode::OK, &RegisterPage { registers, next }))
            }
            Reply::Register(RegisterReply::Failed(why)) => Err(failed(why)),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask_register(&self, key: Bytes, wish: Wish) -> Result<Became, Refusal> {
        let is_read = wish == Wish::Read;
        let ask = Question::Register(RegisterRequest::One(RegisterAsk { key, wish }));
        let reply = self.ask(ShardId(0), ask).await.map_err(|error| match error {
            // It may have been on its way.
            AskError::Stopped | AskError::Late if !is_read => failed(RegisterFailure::Unknown),
            error => error.into(),
        });
        match reply? {
            Reply::Register(RegisterReply::Answer(became)) => Ok(became),
            Reply::Register(RegisterReply::Failed(why)) => Err(failed(why)),
            other => Err(unexpected(&other)),
        }
    }
}

fn listed(register: &Listed) -> ListedRegister {
    ListedRegister {
        name: String::from_utf8_lossy(&register.name).into_owned(),
        version: register.version,
        value_bytes: register.value_bytes,
    }
}

fn failed(why: RegisterFailure) -> Refusal {
    let status = match why {
        RegisterFailure::Unknown => StatusCode::GATEWAY_TIMEOUT,
        RegisterFailure::Length => StatusCode::BAD_REQUEST,
        RegisterFailure::NoQuorum
        | RegisterFailure::Busy
        | RegisterFailure::Full
        | RegisterFailure::Elsewhere => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, format!("{why}\n")).into()
}

fn condition(headers: &HeaderMap) -> Result<Condition, Refusal> {
    let given = |name: &HeaderName| {
        let value = headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        value.map(str::to_string)
    };
    let version = |text: &str| {
        let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        digits.and_then(|digits| digits.parse().ok())
    };
    match (given(&IF_MATCH), given(&IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::None),
        (None, Some(any)) if any == "*" => Ok(Condition::Absent),
        (Some(text), None) => version(&text).map(Condition::Version).ok_or_else(|| {
            bad_request("If-Match takes the ETag of a register: a number in quotes\n")
        }),
        _ => {
            Err(bad_request("of a register, If-None-Match takes * alone, and not with If-Match\n"))
        }
    }
}

fn read(became: &Became) -> Response<Body> {
    let (Became::Done(value) | Became::Differs(value) | Became::Unknown(value)) = became;
    let response = match &value.bytes {
        Some(bytes) => reply(StatusCode::OK, "application/octet-stream", bytes.clone()),
        None => text(StatusCode::NOT_FOUND, "there is no value\n"),
    };
    tagged(response, value)
}

fn changed(became: &Became) -> Response<Body> {
    match became {
        Became::Done(value) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            tagged(response, value)
        }
        Became::Differs(value) => {
            tagged(text(StatusCode::PRECONDITION_FAILED, "it has another version\n"), value)
        }
        Became::Unknown(value) => {
            let why = "it was changed by others since, and may have been by this request as well\n";
            tagged(text(StatusCode::GATEWAY_TIMEOUT, why), value)
        }
    }
}

fn tagged(mut response: Response<Body>, value: &Value) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", value.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
