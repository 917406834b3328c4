//! A member as this crate hosts it: what it is asked here, who watches it, and what ends it.
//!
//! All that this crate knows of [`Member`] stands in this file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::{
    ClientId, ClusterId, DirectoryId, Effects, Entry, Event, Machine, NodeId, Now, Partition,
    Passing, Peek, Place, Refused, RequestId, Scan, Stamp, Tick, Ticket, property::Broken,
};
use ombak_paxos::log::{Ask, Lease, Outcome, StateMachine, WAITING_MAX};
use ombak_paxos::{Failure, Group, Member, Members, Setup, Telling, Timer, refusal_places};

use crate::Status;

/// There is one group in a process.
const GROUP: Group = Group(0);
const HOME: Partition = Partition(0);

/// What this process asks of its member.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Something of the group.
    Ask(Ask),
    /// How it is doing, now.
    Status,
    /// How it is doing, now and whenever that changes.
    Watch,
}

/// What the member answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Of the group.
    Outcome(Outcome),
    /// To `Status` and `Watch`.
    Status(Status),
    /// The disk has no room: nothing was proposed.
    Full,
    /// The member takes no part any more: why.
    Failed(String),
}

/// A member, and who waits for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Hosted<S> {
    id: NodeId,
    member: Member<S>,
    /// Asked before the member had read what is stored.
    early: VecDeque<(ClientId, Ask)>,
    /// Asked of the member, and not answered.
    asked: BTreeSet<ClientId>,
    watching: BTreeMap<ClientId, Watching>,
    is_full: bool,
    /// A property broke.
    is_broken: bool,
}

/// Somebody watches.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Watching {
    /// And waits for something else than this, if anything was told.
    Wants(Option<Status>),
    /// And was told this, and has not asked for more.
    Told(Status),
}

impl<S: StateMachine> Hosted<S> {
    /// Of a group that begins with `founders`; with nobody, it waits to be taken in.
    pub fn new(
        (id, cluster, disk): (NodeId, ClusterId, DirectoryId),
        founders: Members,
        (snapshot_every, lease): (usize, Option<Lease>),
        state: S,
    ) -> Hosted<S> {
        let setup = Setup {
            id,
            cluster,
            disk,
            home: HOME,
            groups: vec![(GROUP, founders)],
            damaged: false,
            snapshot_every,
            lease,
            beats: true,
            watch: false,
        };
        Hosted {
            id,
            member: Member::new(setup, state),
            early: VecDeque::new(),
            asked: BTreeSet::new(),
            watching: BTreeMap::new(),
            is_full: false,
            is_broken: false,
        }
    }

    fn failure(&self) -> Option<String> {
        match self.is_broken {
            true => Some("a property of the code broke: the log of this process says which".into()),
            false => self.member.failure().map(Failure::to_string),
        }
    }

    fn status(&self) -> Status {
        let replica = self.member.replica(GROUP).filter(|_| !self.is_broken).map(|it| it.status());
        let Some(status) = replica else {
            return Status { id: self.id, failure: self.failure(), ..Status::default() };
        };
        let next = status.members.next.as_ref();
        let disk = self.member.life().map(|life| life.disk);
        let is_lost = disk.is_none_or(|disk| status.members.is_lost(self.id, disk));
        Status {
            id: self.id,
            leader: status.leader,
            slot: status.committed.0,
            votes: status.members.is_lasting_voter(self.id) && !is_lost,
            voters: status.members.voters.members().clone(),
            next_voters: next.map(|next| next.members().clone()),
            witnesses: &status.members.everybody() & &status.members.witnesses,
            learners: status.members.learners,
            is_ready: true,
            failure: None,
        }
    }

    fn pass<E: Effects<Self>>(&mut self, now: Now, event: Event<Member<S>>, fx: &mut E) {
        self.member.step(now, event, &mut Through { fx, asked: &mut self.asked });
    }

    fn request<E: Effects<Self>>(
        &mut self,
        now: Now,
        client: ClientId,
        request: Request,
        fx: &mut E,
    ) {
        match request {
            Request::Status => fx.reply(client, Reply::Status(self.status()), Stamp::NONE),
            Request::Watch => drop(self.watching.insert(client, Watching::Wants(None))),
            Request::Ask(ask) => self.ask(now, client, ask, fx),
        }
    }

    fn ask<E: Effects<Self>>(&mut self, now: Now, client: ClientId, ask: Ask, fx: &mut E) {
        if let Some(why) = self.failure() {
            fx.reply(client, Reply::Failed(why), Stamp::NONE);
        } else if self.is_full && !matches!(ask, Ask::Read(_)) {
            fx.reply(client, Reply::Full, Stamp::NONE);
        } else if self.member.replica(GROUP).is_some() {
            self.asked.insert(client);
            self.pass(now, Event::Request { client, request: (GROUP, ask) }, fx);
        } else if self.early.len() < WAITING_MAX {
            self.early.push_back((client, ask));
        } else {
            fx.reply(client, Reply::Outcome(Outcome::Busy), Stamp::NONE);
        }
    }

    fn gone<E: Effects<Self>>(&mut self, now: Now, client: ClientId, fx: &mut E) {
        self.watching.remove(&client);
        self.early.retain(|(early, _)| *early != client);
        if self.asked.remove(&client) {
            self.pass(now, Event::Gone(client), fx);
        }
    }

    /// What was asked early, and what those who wait must know.
    fn settle<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        if !self.early.is_empty()
            && (self.member.replica(GROUP).is_some() || self.failure().is_some())
        {
            for (client, ask) in std::mem::take(&mut self.early) {
                self.ask(now, client, ask, fx);
            }
        }
        if !self.asked.is_empty()
            && let Some(why) = self.failure()
        {
            for client in std::mem::take(&mut self.asked) {
                fx.reply(client, Reply::Failed(why.clone()), Stamp::NONE);
            }
        }
        if !self.watching.is_empty() {
            self.tell_watching(fx);
        }
    }

    fn tell_watching<E: Effects<Self>>(&mut self, fx: &mut E) {
        let status = self.status();
        for (client, watching) in &mut self.watching {
            let Watching::Wants(known) = watching else { continue };
            if known.as_ref().is_none_or(|known| known.differs(&status)) {
                fx.reply(*client, Reply::Status(status.clone()), Stamp::NONE);
                *watching = Watching::Told(status.clone());
            }
        }
    }
}

impl<S: StateMachine> Machine for Hosted<S> {
    type Message = Telling;
    type Request = Request;
    type Reply = Reply;
    type Timer = Timer;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        match event {
            Event::Request { client, request } => self.request(now, client, request, fx),
            Event::Gone(client) => self.gone(now, client, fx),
            Event::More(client) => {
                if let Some(watching) = self.watching.get_mut(&client)
                    && let Watching::Told(status) = watching
                {
                    *watching = Watching::Wants(Some(std::mem::take(status)));
                }
            }
            Event::DeviceFull(is_full) => self.is_full = is_full,
            // It has promised it knows not what.
            Event::Broken(_) => self.is_broken = true,
            _ if self.is_broken => {}
            Event::Start => self.pass(now, Event::Start, fx),
            Event::Message { from, message } => {
                self.pass(now, Event::Message { from, message }, fx);
            }
            Event::PeerUp { node, shards, hello } => {
                self.pass(now, Event::PeerUp { node, shards, hello }, fx);
            }
            Event::PeerDown(node) => self.pass(now, Event::PeerDown(node), fx),
            Event::Timer(timer) => self.pass(now, Event::Timer(timer), fx),
            Event::Loaded { ticket, entry } => self.pass(now, Event::Loaded { ticket, entry }, fx),
            Event::Scanned { ticket, chunk } => {
                self.pass(now, Event::Scanned { ticket, chunk }, fx);
            }
            Event::Damaged(partition) => self.pass(now, Event::Damaged(partition), fx),
            Event::Durable(stamp) => self.pass(now, Event::Durable(stamp), fx),
            Event::DeviceFailed => self.pass(now, Event::DeviceFailed, fx),
        }
        self.settle(now, fx);
    }

    fn check(&self) {
        self.member.check();
    }
}

/// Where a refusal of that name is counted.
fn place(probe: &str) -> Option<Place> {
    refusals().map(|(place, _)| place).find(|place| place.name == probe)
}

/// Where each refusal is counted, and in a few words what it was. Nothing else is counted here.
pub(crate) fn refusals() -> impl Iterator<Item = (Place, &'static str)> {
    refusal_places(0)
}

/// Gives a member what it asks of its host, and notes which requests are over.
struct Through<'a, E> {
    fx: &'a mut E,
    asked: &'a mut BTreeSet<ClientId>,
}

impl<S: StateMachine, E: Effects<Hosted<S>>> Effects<Member<S>> for Through<'_, E> {
    fn send(
        &mut self,
        to: ombak_base::Address,
        message: Telling,
        after: Stamp,
    ) -> Result<(), Refused> {
        self.fx.send(to, message, after)
    }

    fn reply(&mut self, to: ClientId, reply: Outcome, after: Stamp) {
        if self.asked.remove(&to) {
            self.fx.reply(to, Reply::Outcome(reply), after);
        }
    }

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.fx.arm(timer, at);
    }

    fn disarm(&mut self, timer: Timer) {
        self.fx.disarm(timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.fx.choose(n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.fx.load(ticket, partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.fx.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.fx.store(partition, key, entry)
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.fx.await_durable(stamp);
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.fx.scan(ticket, scan);
    }

    fn probe(&mut self, name: &'static str) {
        place(name).into_iter().for_each(|place| self.fx.count(place));
        self.fx.probe(name);
    }

    fn named(&mut self, client: ClientId, request: RequestId) {
        self.fx.named(client, request);
    }

    fn pass(&mut self, passing: Passing) {
        self.fx.pass(passing);
    }

    fn broken(&mut self, broken: &Broken) {
        self.fx.broken(broken);
    }

    fn count(&mut self, place: Place) {
        self.fx.count(place);
    }
}

#[cfg(test)]
mod tests;
