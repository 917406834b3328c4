//! Clients that lock. Each has a session and asks for one thing after the other; an answer that does not come is asked for
//! again, through any node, with the number that the request had.
//!
//! What a client does with a lock is to use what the lock protects. It goes on with that after its session is over, until it
//! is told so: that is what fences are for.

mod draw;

use std::collections::BTreeMap;

use ombak_base::{Address, ClientId, ShardId, Tick};
use ombak_node::{Reply, Request as Asking};
use ombak_paxos::locks::{
    Answer, Command, LockAsk, LockReply, Mode, Path, Request, SessionId, SessionState, Value, Wait,
};
use ombak_sim::{Heard, Rng, World};

use crate::cluster::Cluster;
use crate::locked::{Locked, Owner, Told, is_about_others};
use crate::script::Locking;

/// Things that can be locked.
pub(crate) const PRINTERS: usize = 3;
/// Locks are with the first shard.
pub(crate) const SHARD: ShardId = ShardId(0);

/// What a client waits for.
#[derive(Clone, Debug)]
struct Pending {
    command: Command,
    wants: Wants,
    /// When it was asked for the first time.
    asked: Tick,
    /// Under which name, and when, it was asked last; nothing, if that came to nothing.
    sent: Option<(ClientId, Tick)>,
}

#[derive(Clone, Copy, Debug)]
enum Wants {
    Session,
    Lock {
        printer: usize,
        mode: Mode,
    },
    /// The last: what it wrote.
    Convert {
        printer: usize,
        mode: Mode,
        wrote: Option<usize>,
    },
    Unlock {
        printer: usize,
        wrote: Option<usize>,
    },
}

/// A client.
#[derive(Clone, Default, Debug)]
struct Client {
    session: Option<SessionId>,
    /// Of its last request in this session.
    number: u64,
    pending: Option<Pending>,
    /// What it holds, as far as it knows: its lock, and the last grant of that.
    held: BTreeMap<usize, (u64, usize)>,
    /// It does nothing until then, and is drawn nothing.
    asleep: Tick,
}

/// All of them, and what they were told.
pub(crate) struct Locks {
    rng: Rng,
    clients: BTreeMap<usize, Client>,
    locked: Locked,
    last_session: u128,
}

impl Locks {
    pub fn new(rng: Rng) -> Locks {
        let (clients, locked) = (BTreeMap::new(), Locked::new(PRINTERS));
        Locks { rng, clients, locked, last_session: 0 }
    }

    /// What they were told.
    pub fn locked(&self) -> &Locked {
        &self.locked
    }

    /// Does what was drawn, or what a script says. What makes no sense for this client now does nothing.
    pub fn step(
        &mut self,
        world: &mut World<Cluster>,
        (client, at): (usize, Address),
        locking: &Locking,
    ) {
        let now = world.now();
        match *locking {
            Locking::Session { lease_ms } => self.ask_session(client, lease_ms, now),
            Locking::Lock { printer, mode, wait_ms, writes } => {
                let wait = wait_ms.map_or(Wait::No, |ms| Wait::Us(u64::from(ms) * 1_000));
                self.ask_lock(client, printer, mode, wait, writes, now);
            }
            Locking::Unlock { printer, writes } => self.ask_unlock(client, printer, writes, now),
            Locking::Use(printer) => return self.use_it(client, printer, now),
            Locking::Again => self.hang_up(world, client),
        }
        self.send(world, client, at);
    }

    /// Nobody waits for anything any more, or comes again.
    pub fn leave(&mut self, world: &mut World<Cluster>) {
        for client in self.clients.keys().copied().collect::<Vec<_>>() {
            self.hang_up(world, client);
        }
        self.clients.clear();
    }

    /// What a client does next that wants everything, or nothing: nothing more, if it has that or waits.
    pub fn next(&self, client: usize, wants: bool) -> Option<Locking> {
        let client = self.clients.get(&client).cloned().unwrap_or_default();
        if let Some(pending) = &client.pending {
            return pending.sent.is_none().then_some(Locking::Again);
        }
        if client.session.is_none() {
            return Some(Locking::Session { lease_ms: 10_000 });
        }
        let differs = |printer: &usize| client.held.contains_key(printer) != wants;
        let printer = (0..PRINTERS).find(differs)?;
        Some(match wants {
            true => {
                let (mode, wait_ms, writes) = (Mode::EX, Some(5_000), false);
                Locking::Lock { printer, mode, wait_ms, writes }
            }
            false => Locking::Unlock { printer, writes: true },
        })
    }

    /// Whether a client holds everything, or nothing, and waits for nothing.
    pub fn has(&self, client: usize, wants: bool) -> bool {
        let held = if wants { PRINTERS } else { 0 };
        let has = |client: &Client| client.pending.is_none() && client.held.len() == held;
        self.clients.get(&client).is_some_and(has)
    }

    fn ask_session(&mut self, client: usize, lease_ms: u32, now: Tick) {
        let client = self.clients.entry(client).or_default();
        if client.pending.is_some() {
            return;
        }
        let command = match client.session {
            Some(session) => Command::KeepAlive { session },
            None => {
                self.last_session += 1;
                let (session, about) = (SessionId(self.last_session), Value::default());
                Command::Open { session, lease_us: u64::from(lease_ms) * 1_000, about }
            }
        };
        client.pending = Some(Pending { command, wants: Wants::Session, asked: now, sent: None });
    }

    /// A new lock; or another mode for the one that the client has.
    fn ask_lock(
        &mut self,
        client: usize,
        printer: usize,
        mode: Mode,
        wait: Wait,
        writes: bool,
        now: Tick,
    ) {
        let Some(held) = self.idle(client, printer) else { return };
        let Some((lock, grant)) = held else {
            let (path, under, notify) = (path(printer), None, false);
            let request = Request::Lock { path, under, mode, wait, notify };
            return self.call(client, request, Wants::Lock { printer, mode }, now);
        };
        let held = self.locked.mode(grant);
        let may_write = writes && held.writes() && mode.at_most(held);
        let wrote = may_write.then(|| self.locked.writes(printer, now));
        let value = wrote.map(value);
        let request = Request::Convert { lock, mode, wait, value };
        self.call(client, request, Wants::Convert { printer, mode, wrote }, now);
    }

    fn ask_unlock(&mut self, client: usize, printer: usize, writes: bool, now: Tick) {
        let Some(Some((lock, grant))) = self.idle(client, printer) else { return };
        let may_write = writes && self.locked.mode(grant).writes();
        let wrote = may_write.then(|| self.locked.writes(printer, now));
        let request = Request::Unlock { lock, value: wrote.map(value) };
        self.call(client, request, Wants::Unlock { printer, wrote }, now);
    }

    /// What a client that waits for nothing has of a printer, if it has a session.
    fn idle(&self, client: usize, printer: usize) -> Option<Option<(u64, usize)>> {
        let client = self.clients.get(&client).filter(|client| client.pending.is_none())?;
        client.session.map(|_| client.held.get(&printer).copied())
    }

    fn call(&mut self, client: usize, request: Request, wants: Wants, now: Tick) {
        let Some(client) = self.clients.get_mut(&client) else { return };
        let Some(session) = client.session else { return };
        client.number += 1;
        let (number, have) = (client.number, (client.number - 1).into());
        let command = Command::Call { session, number, have, request };
        client.pending = Some(Pending { command, wants, asked: now, sent: None });
    }

    fn use_it(&mut self, client: usize, printer: usize, now: Tick) {
        let held = self.clients.get(&client).and_then(|client| client.held.get(&printer));
        if let Some((_, grant)) = held {
            self.locked.used(*grant, now);
        }
    }

    /// Asks what is to be asked and is not under way.
    fn send(&mut self, world: &mut World<Cluster>, client: usize, at: Address) {
        let client = self.clients.get_mut(&client).and_then(|client| client.pending.as_mut());
        if let Some(pending) = client.filter(|pending| pending.sent.is_none()) {
            let ask = Asking::Locks(LockAsk::Command(pending.command.clone()));
            pending.sent = Some((world.request(at.node, at.shard, ask), world.now()));
        }
    }

    /// The client waits no more for an answer from where it has asked.
    fn hang_up(&mut self, world: &mut World<Cluster>, client: usize) {
        let client = self.clients.get_mut(&client).and_then(|client| client.pending.as_mut());
        if let Some((sent, _)) = client.and_then(|pending| pending.sent.take()) {
            world.go_away(sent);
        }
    }

    /// What was heard, if it was for one of these.
    pub fn hear(&mut self, of: ClientId, at: Tick, heard: Heard<Reply>) {
        let is_asked = |client: &Client| {
            let sent = client.pending.as_ref().and_then(|pending| pending.sent);
            sent.is_some_and(|(sent, _)| sent == of)
        };
        let Some(client) = self.clients.values_mut().find(|client| is_asked(client)) else {
            return;
        };
        let Some(mut pending) = client.pending.take() else { return };
        pending.sent = None;
        match heard {
            Heard::Reply(Reply::Locks(LockReply::Session(state))) => {
                client.hear_session(&pending, &state);
            }
            Heard::Reply(Reply::Locks(LockReply::Answer(answer))) => {
                client.hear_answer(&mut self.locked, &pending, &answer, at);
            }
            _ => client.pending = Some(pending),
        }
    }
}

impl Client {
    fn hear_session(&mut self, pending: &Pending, state: &SessionState) {
        match (&pending.command, state) {
            (Command::Open { session, .. }, SessionState::Live { .. }) => {
                *self =
                    Client { session: Some(*session), asleep: self.asleep, ..Client::default() };
            }
            (_, SessionState::Live { .. }) => {}
            _ => self.is_over(),
        }
    }

    /// Its session is over, and everything that it held is lost.
    fn is_over(&mut self) {
        *self = Client { asleep: self.asleep, ..Client::default() };
    }

    fn hear_answer(&mut self, locked: &mut Locked, pending: &Pending, answer: &Answer, at: Tick) {
        let Command::Call { session, number, .. } = pending.command else { return };
        let (asked, heard) = (pending.asked, at);
        let told = |printer, lock, mode| {
            let owner = Owner { session, lock };
            Told { printer, owner, mode, asked, heard }
        };
        match (pending.wants, answer) {
            (Wants::Lock { printer, mode }, Answer::Granted { token, value, .. }) => {
                let grant = locked.granted(told(printer, number, mode), *token, value, None);
                self.held.insert(printer, (number, grant));
            }
            (Wants::Convert { printer, mode, wrote }, Answer::Granted { token, value, .. }) => {
                let Some((lock, before)) = self.held.get(&printer).copied() else { return };
                wrote.into_iter().for_each(|wrote| locked.has_written(wrote, at));
                let told = told(printer, lock, mode);
                let grant = locked.granted(told, *token, value, Some(before));
                self.held.insert(printer, (lock, grant));
            }
            (Wants::Unlock { printer, wrote }, Answer::Unlocked) => {
                wrote.into_iter().for_each(|wrote| locked.has_written(wrote, at));
                if let Some((_, grant)) = self.held.remove(&printer) {
                    locked.held_until(grant, asked);
                }
            }
            (Wants::Lock { .. }, Answer::Refused(why)) if is_about_others(*why) => {}
            (Wants::Convert { printer, .. }, Answer::Refused(why)) if is_about_others(*why) => {
                if let Some((_, grant)) = self.held.get(&printer) {
                    locked.held_until(*grant, asked);
                }
            }
            _ => self.is_over(),
        }
    }
}

fn path(printer: usize) -> Path {
    Path::new([format!("printer-{printer}")]).unwrap_or_else(|_| unreachable!("a short name"))
}

/// A value says which write wrote it.
fn value(wrote: usize) -> Value {
    Value::new(wrote.to_string().as_bytes()).unwrap_or_default()
}
