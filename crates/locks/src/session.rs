//! A session: locks, and the thread that keeps them.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ombak_paxos::locks::SessionId;
use ureq::http::Method;

use crate::error::LockError;
use crate::lock::{How, Lock};
use crate::nodes::Nodes;
use crate::requests::Requests;
use crate::waiting;
use crate::wire::{Answer, Ask, Event, SessionAnswer, session_text};

/// How long a node may take to answer; then another one is asked. Elsewhere the same is not a second request.
const ANSWER: Duration = Duration::from_secs(1);
/// How long it may let a request wait before it says so.
const AT_ONCE: Duration = Duration::from_millis(500);
/// Beyond what a client says that it will wait for an event.
const GRACE: Duration = Duration::from_secs(2);
/// So long it is tried to take something back, or to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// What is cancelled has been answered, or has not come yet.
const NOT_WAITING: [&str; 2] = ["not-pending", "no-lock"];
/// So long after its time a request is given up that nobody answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before a renewal that nobody answered is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// How often a lease is renewed within its time.
const RENEWALS: u32 = 3;

/// A client that lives. Locks are its, and others get them when it does not keep its lease.
///
/// A thread renews the lease. [`is_over`](Session::is_over) and [`wait_over`](Session::wait_over) say when that failed: by this
/// machine's clock, and not later than the cluster gives the locks to others if clocks run alike. That a process can be stopped
/// between asking and acting is what [tokens](Lock::token) are for.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub nodes: Nodes,
    path: String,
    lease: Duration,
    requests: Mutex<Requests>,
    life: Mutex<Life>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    /// Nobody else gets the locks before that.
    good_until: Instant,
    over: bool,
    closing: bool,
}

impl Session {
    /// Opens a session. `about` says to people who it is, in 64 bytes at most; `lease` is from 100 ms to an hour.
    pub fn open(nodes: Nodes, about: &str, lease: Duration) -> Result<Session, LockError> {
        let id = random_session()?;
        let asked = Instant::now();
        let path = format!("/ombak/sessions/{}", session_text(id));
        let open = format!("{path}?lease_ms={}&about={}", lease.as_millis(), percent(about));
        let nobody = None::<&()>;
        match nodes.ask(&Method::PUT, &open, nobody, ANSWER, asked + PATIENCE)? {
            SessionAnswer::Live => {}
            SessionAnswer::Refused { why, message } => {
                return Err(LockError::refused(why, message));
            }
            SessionAnswer::Closed | SessionAnswer::Expired => return Err(LockError::Lost),
        }
        let life = Life { good_until: asked + lease, over: false, closing: false };
        let (requests, life) = (Mutex::default(), Mutex::new(life));
        let shared =
            Arc::new(Shared { nodes, path, lease, requests, life, changed: Condvar::new() });
        let kept = shared.clone();
        let keeper = std::thread::Builder::new()
            .name("ombak-lease".into())
            .spawn(move || kept.keep())
            .map_err(|source| LockError::System { what: "starting a thread", source })?;
        Ok(Session { shared, keeper: Some(keeper) })
    }

    /// Locks a resource, and waits for it as long as `how` says.
    pub fn lock(&self, path: &[&str], how: How) -> Result<Lock, LockError> {
        let ask = Ask::Lock {
            path: path.iter().map(ToString::to_string).collect(),
            mode: how.mode,
            wait_ms: how.wait.map(|wait| wait.as_millis() as u64),
            under: how.under,
            notify: how.notify,
        };
        let (number, answer) = self.shared.call(&ask, how.wait)?;
        Lock::granted(self.shared.clone(), number, answer)
    }

    /// Takes back what waits on this session: [`lock`](Session::lock), [`lead`](Session::lead) and
    /// [`convert`](crate::Lock::convert) on other threads come back with [`LockError::Cancelled`]. What was granted before that comes
    /// back as granted; what is asked for later waits as ever.
    pub fn cancel(&self) -> Result<(), LockError> {
        let locks = self.shared.requests().cancel();
        locks.into_iter().try_for_each(|lock| self.shared.cancel(lock))
    }

    /// Waits until a lock that asked for it is in somebody's way, or the session is over. `None`: neither, within the time.
    pub fn next_event(&self, within: Duration) -> Result<Option<Event>, LockError> {
        let path = format!("{}/events?poll_ms={}", self.shared.path, within.as_millis());
        let deadline = Instant::now() + within + GRACE;
        self.shared.nodes.ask(&Method::GET, &path, None::<&()>, within + GRACE, deadline)
    }

    /// Whether its locks are lost.
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Until when nobody else gets its locks, as things stand. It moves with each renewal.
    pub fn good_until(&self) -> Instant {
        self.shared.life().good_until
    }

    /// Waits until its locks are lost. `false`: they are not, within the time.
    pub fn wait_over(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut life = self.shared.life();
        while !life.over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            life = self.shared.wait(life, left);
        }
        true
    }

    /// Ends it. Its locks are given up; those that could write a value block leave it marked as not valid, so unlock first.
    pub fn close(mut self) -> Result<(), LockError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LockError> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        self.shared.life().closing = true;
        self.shared.changed.notify_all();
        // A panic there was told when it happened.
        let _ = keeper.join();
        if self.shared.is_over() {
            return Err(LockError::Lost);
        }
        let deadline = Instant::now() + GOODBYE;
        let path = &self.shared.path;
        let answer: Result<SessionAnswer, LockError> =
            self.shared.nodes.ask(&Method::DELETE, path, None::<&()>, ANSWER, deadline);
        answer.map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Not told of, it ends with its lease.
        let _ = self.end();
    }
}

impl Shared {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, life: MutexGuard<'a, Life>, within: Duration) -> MutexGuard<'a, Life> {
        let waited = self.changed.wait_timeout(life, within);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn is_over(&self) -> bool {
        let life = self.life();
        life.over || Instant::now() >= life.good_until
    }

    /// Renews the lease until the session ends.
    fn keep(&self) {
        let pause = self.lease / RENEWALS;
        let mut next = Instant::now() + pause;
        loop {
            let mut life = self.life();
            while !life.closing && Instant::now() < next.min(life.good_until) {
                let left = next.min(life.good_until).saturating_duration_since(Instant::now());
                life = self.wait(life, left);
            }
            if life.closing {
                return;
            }
            let good_until = life.good_until;
            drop(life);
            let asked = Instant::now();
            match self.renew(pause, good_until.min(asked + ANSWER)) {
                Ok(SessionAnswer::Live) => {
                    self.life().good_until = asked + self.lease;
                    next = asked + pause;
                }
                // Nobody answered, and there is time left to try again, if the session is still wanted.
                Err(_) if Instant::now() < good_until => next = Instant::now() + AGAIN,
                _ => {
                    self.life().over = true;
                    self.changed.notify_all();
                    return;
                }
            }
        }
    }

    fn renew(&self, pause: Duration, until: Instant) -> Result<SessionAnswer, LockError> {
        self.nodes.ask(&Method::POST, &self.path, None::<&()>, pause.min(ANSWER), until)
    }

    pub fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until it is answered with more than that it waits. Gives its number as well.
    pub fn call(
        self: &Arc<Shared>,
        ask: &Ask,
        wait: Option<Duration>,
    ) -> Result<(u64, Answer), LockError> {
        // Who waits for ever is told by the session's end.
        self.call_until(ask, wait.map(|wait| Instant::now() + wait + PATIENCE))
    }

    fn call_until(
        self: &Arc<Shared>,
        ask: &Ask,
        deadline: Option<Instant>,
    ) -> Result<(u64, Answer), LockError> {
        let number = self.requests().begin(ask);
        let answer = self.call_as(number, ask, deadline);
        // Answered or given up, it is not sent again; a copy that is still under way is refused then, if it is not done already.
        self.requests().end(number);
        match answer? {
            Answer::Refused { why, message } => Err(LockError::refused(why, message)),
            answer => Ok((number, answer)),
        }
    }

    fn call_as(
        self: &Arc<Shared>,
        number: u64,
        ask: &Ask,
        deadline: Option<Instant>,
    ) -> Result<Answer, LockError> {
        if self.is_over() {
            return Err(LockError::Lost);
        }
        let at_once = self.send(&self.nodes, number, ask, AT_ONCE, Instant::now() + ANSWER);
        match waiting::is_final(&at_once) {
            true => at_once,
            false => waiting::wait(self, number, ask, deadline),
        }
    }

    /// What a lock waits for is taken back, if it waits.
    pub fn cancel(self: &Arc<Shared>, lock: u64) -> Result<(), LockError> {
        match self.call_until(&Ask::Cancel { lock }, Some(Instant::now() + GOODBYE)) {
            Err(LockError::Refused { why, .. }) if NOT_WAITING.contains(&why.as_str()) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Sends it to one node, as a rule.
    pub fn send(
        &self,
        nodes: &Nodes,
        number: u64,
        ask: &Ask,
        poll: Duration,
        until: Instant,
    ) -> Result<Answer, LockError> {
        let have = self.requests().have(number);
        let path = format!("{}/requests/{number}?{have}&poll_ms={}", self.path, poll.as_millis());
        let patience = until.saturating_duration_since(Instant::now());
        nodes.ask(&Method::PUT, &path, Some(ask), patience, until)
    }
}

fn random_session() -> Result<SessionId, LockError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|source| LockError::System { what: "drawing a random number", source })?;
    Ok(SessionId(u128::from_le_bytes(bytes)))
}

/// As it may stand behind a question mark.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

#[cfg(test)]
mod tests;
