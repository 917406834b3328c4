//! Locks: what is spoken is in [`ombak_locks::wire`].

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use ombak_base::ShardId;
use ombak_locks::wire::{
    Answer, Ask, Event, LockReport, Locks, ResourceReport, SessionAnswer, SessionReport,
    WaitReport, base64, read_session, session_text,
};
use ombak_node::{Reply, Request as Question};
use ombak_paxos::locks::{
    Answer as Answered, Command, Have, Lock, LockAsk, LockId, LockManager, LockReply, LogTime,
    Path, Refused, SessionId, SessionState, Value, ValueBlock, WaitsFor,
};

use super::Site;
use super::ask::unexpected;
use super::body::Body;
use super::query::Params;
use super::reply::{Outcome, Refusal, bad_request, json, no_content, text};
use super::route::Route;

/// How long an answer may take, unless the client says otherwise.
const POLL: Duration = Duration::from_secs(10);
/// How long it may say.
const POLL_MAX: Duration = Duration::from_secs(60);
/// Of who waits for whom, so much is told: a crowd that waits for a crowd has as many pairs as one times the other.
const WAITS_MAX: usize = 10_000;
/// The lease of a session whose client names none.
const LEASE_MS: u64 = 10_000;

impl Site {
    /// Opens, renews and ends a session.
    pub async fn session(&self, route: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let session = session_of(route)?;
        let command = match *request.method() {
            Method::PUT => {
                let lease_ms = count(&params, "lease_ms")?.unwrap_or(LEASE_MS);
                let about = Value::new(params.get("about").unwrap_or_default().as_bytes());
                let about = about.map_err(|_| bad_request("about has at most 64 bytes\n"))?;
                Command::Open { session, lease_us: lease_ms.saturating_mul(1_000), about }
            }
            Method::DELETE => Command::Close { session },
            _ => Command::KeepAlive { session },
        };
        match self.ask_locks(LockAsk::Command(command), poll(&params)?).await? {
            Some(LockReply::Session(state)) => Ok(shown_session(state)),
            None => Err(not_now("it was not decided in time: send it again")),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// A session asks for something, once.
    pub async fn lock_request(&self, route: &Route, request: Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let session = session_of(route)?;
        let number = decimal(&route.key, "a request's number")?;
        let have = Have::all_but(count(&params, "have")?.unwrap_or(0), numbers(&params, "but")?);
        let within = poll(&params)?;
        let body = self.gather(request.into_body()).await?;
        let ask: Ask = serde_json::from_slice(&body.bytes)
            .map_err(|error| bad_request(format!("the body is no request: {error}\n")))?;
        let request = ask.request().map_err(|error| bad_request(format!("{error}\n")))?;
        let call = Command::Call { session, number, have, request };
        let asked = match self.ask_locks(LockAsk::Command(call), within).await? {
            // It waits, or this node does not know what has become of it, and the client is to ask another.
            None => self.ask_locks(LockAsk::Look { session, number }, POLL).await?,
            asked => asked,
        };
        match asked {
            Some(LockReply::Answer(answer)) => Ok(shown_answer(answer)),
            None => Err(not_now("it was not decided in time: send it again")),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// Waits until a lock of a session is in somebody's way.
    pub async fn session_events(&self, route: &Route, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let session = session_of(route)?;
        match self.ask_locks(LockAsk::Watch(session), poll(&params)?).await? {
            Some(LockReply::Blocking { lock, wanted, .. }) => {
                Ok(json(StatusCode::OK, &Event::Blocking { lock: lock.number, wanted }))
            }
            Some(LockReply::Session(_)) => Ok(json(StatusCode::OK, &Event::Over)),
            None => Ok(no_content(None)),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// Who holds and who waits.
    pub async fn all_locks(&self) -> Outcome {
        let leader = self.root_leader().await?;
        match self.ask_locks(LockAsk::All, POLL).await? {
            Some(LockReply::All { manager, now }) => {
                Ok(json(StatusCode::OK, &shown_locks(&manager, now, leader)))
            }
            None => Err(not_now("there was no answer in time: try again later")),
            Some(other) => Err(unexpected(&other)),
        }
    }

    async fn root_leader(&self) -> Result<Option<String>, Refusal> {
        match self.ask(ShardId(0), Question::Status).await? {
            Reply::Status(status) => {
                let leader = status.root.and_then(|root| root.leader);
                Ok(leader.map(|node| self.topology.name(node).to_string()))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// `None`: there is no answer yet. What failed is a refusal already.
    async fn ask_locks(
        &self,
        ask: LockAsk,
        within: Duration,
    ) -> Result<Option<LockReply>, Refusal> {
        match self.ask_within(ShardId(0), Question::Locks(ask), within).await? {
            Some(Reply::Locks(LockReply::Failed(why))) => Err(not_now(&why.to_string())),
            Some(Reply::Locks(reply)) => Ok(Some(reply)),
            Some(other) => Err(unexpected(&other)),
            None => Ok(None),
        }
    }
}

fn not_now(why: &str) -> Refusal {
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into()
}

fn session_of(route: &Route) -> Result<SessionId, Refusal> {
    let text = std::str::from_utf8(&route.bucket.name).ok();
    text.and_then(read_session).ok_or_else(|| {
        bad_request("a session is called by 32 hexadecimal digits, drawn at random\n")
    })
}

fn count(params: &Params, name: &str) -> Result<Option<u64>, Refusal> {
    params.get(name).map(|text| decimal(text.as_bytes(), name)).transpose()
}

/// Separated by commas.
fn numbers(params: &Params, name: &str) -> Result<Vec<u64>, Refusal> {
    let list = params.get(name).into_iter().flat_map(|list| list.split(','));
    list.map(|text| decimal(text.as_bytes(), name)).collect()
}

fn decimal(text: &[u8], what: &str) -> Result<u64, Refusal> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad_request(format!("{what} is a decimal number\n")))
}

fn poll(params: &Params) -> Result<Duration, Refusal> {
    let asked = count(params, "poll_ms")?.map(Duration::from_millis);
    Ok(asked.unwrap_or(POLL).min(POLL_MAX))
}

fn shown_session(state: SessionState) -> Response<Body> {
    let status = match &state {
        SessionState::Live { .. } | SessionState::Closed => StatusCode::OK,
        SessionState::Expired | SessionState::Refused(Refused::NoSession) => StatusCode::GONE,
        SessionState::Refused(_) => StatusCode::CONFLICT,
    };
    json(status, &SessionAnswer::from(state))
}

fn shown_answer(answer: Answered) -> Response<Body> {
    let status = match &answer {
        Answered::Refused(Refused::NoSession) => StatusCode::GONE,
        Answered::Refused(_) => StatusCode::CONFLICT,
        Answered::Waiting => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    json(status, &Answer::from(answer))
}

fn shown_locks(manager: &LockManager, now: LogTime, leader: Option<String>) -> Locks {
    let session = |(id, until): (SessionId, _)| SessionReport {
        id: session_text(id),
        about: lossy(manager.about(id).map_or(&[][..], Value::as_bytes)),
        left_ms: now_to(now, until),
    };
    let resource = |(path, block): (&Path, &ValueBlock)| ResourceReport {
        path: path.names().map(lossy).collect(),
        value: base64(block.value.as_bytes()),
        value_valid: block.valid,
        holders: manager.holders(path).filter_map(|each| holder(now, each)).collect(),
        waiters: manager.waiters(path).filter_map(|each| waiter(now, each)).collect(),
    };
    let wait = |edge: WaitsFor| WaitReport {
        waiter: session_text(edge.waiter.session),
        blocker: session_text(edge.blocker.session),
    };
    let mut waits = manager.wait_graph().map(wait);
    Locks {
        leader,
        sessions: manager.sessions().map(session).collect(),
        resources: manager.resources().map(resource).collect(),
        waits_for: waits.by_ref().take(WAITS_MAX).collect(),
        waits_cut: waits.next().is_some(),
    }
}

fn now_to(now: LogTime, until: LogTime) -> u64 {
    until.since_us(now) / 1_000
}

fn holder(now: LogTime, (id, lock): (LockId, &Lock)) -> Option<LockReport> {
    let held = lock.held?;
    Some(LockReport {
        session: session_text(id.session),
        number: id.number,
        mode: held.mode,
        token: Some(held.token.0),
        for_ms: now_to(held.since, now),
    })
}

fn waiter(now: LogTime, (id, lock): (LockId, &Lock)) -> Option<LockReport> {
    let wanted = lock.wanted?;
    Some(LockReport {
        session: session_text(id.session),
        number: id.number,
        mode: wanted.mode,
        token: None,
        for_ms: now_to(wanted.since, now),
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use ombak_paxos::locks::{Mode, Request, Wait};

    use super::*;

    /// So many readers, and so many writers that wait for each of them.
    fn crowd(readers: u64, writers: u64) -> LockManager {
        let mut manager = LockManager::default();
        let mut apply = |command| manager.apply(LogTime(0), &command, &mut |_| ());
        let path = Path::new(["printer"]).unwrap();
        for id in 0..readers + writers {
            let (session, about) = (SessionId(id.into()), Value::default());
            apply(Command::Open { session, lease_us: 1_000_000, about });
            let mode = if id < readers { Mode::PR } else { Mode::EX };
            let (path, wait) = (path.clone(), Wait::Forever);
            let request = Request::Lock { path, under: None, mode, wait, notify: false };
            apply(Command::Call { session, number: 1, have: 0.into(), request });
        }
        manager
    }

    #[test]
    fn it_is_said_when_not_all_who_wait_for_whom_are_told() {
        let told = |manager: &LockManager| {
            let locks = shown_locks(manager, manager.now(), None);
            (locks.waits_for.len(), locks.waits_cut)
        };
        assert_eq!(told(&crowd(5, 1)), (5, false));
        assert_eq!(told(&crowd(WAITS_MAX as u64 + 1, 1)), (WAITS_MAX, true));
    }
}
