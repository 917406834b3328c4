//! What clients of this node ask, and when they are told.

use ombak_base::{ClientId, Effects, Now, Stamp, Wire, sometimes};

use super::{Asked, CLIENTS_MAX, LockAsk, LockFailure, LockReply, LockServer};
use crate::locks::{
    Answer, Command, LockManager, LockService, LogTime, Notice, Refused, SessionId, SessionState,
};
use crate::log::Outcome;
use crate::member::Applied;

impl LockServer {
    pub(super) fn ask<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        client: ClientId,
        ask: LockAsk,
        fx: &mut E,
    ) {
        if self.asked.len() >= CLIENTS_MAX {
            return self.fail(client, LockFailure::Busy, fx);
        }
        match ask {
            LockAsk::Command(Command::Tick | Command::NewLeader) => {
                self.fail(client, LockFailure::NotForClients, fx);
            }
            LockAsk::Command(command) => {
                if let Command::Call { session, number, .. } = command {
                    let before = self.calls.insert((session, number), client);
                    self.replaced(before, fx);
                }
                self.asked.insert(client, Asked::Command(command.clone()));
                if !self.is_known_to_wait(&command) {
                    self.propose(now, client, &command, fx);
                }
            }
            LockAsk::Look { session, number } => self.look(client, session, number, fx),
            LockAsk::Watch(session) => self.watch(client, session, fx),
            LockAsk::All => {
                self.asked.insert(client, Asked::All);
                self.read_all(now, client, fx);
            }
        }
    }

    /// Whether it is in the log already and waits, and what becomes of it will come here: then it needs no second entry.
    fn is_known_to_wait(&self, command: &Command) -> bool {
        let Command::Call { session, number, .. } = command else { return false };
        self.known(*session, *number) == Some(Answer::Waiting)
    }

    /// What was answered to a request. Not that it waits, if no leader is followed: this member may be cut off, and would hear of
    /// nothing else.
    fn known(&self, session: SessionId, number: u64) -> Option<Answer> {
        let answer = self.manager()?.answer(session, number)?;
        let follows = self.replica()?.status().leader.is_some();
        (follows || *answer != Answer::Waiting).then(|| answer.clone())
    }

    fn look<E: Effects<LockServer>>(
        &mut self,
        client: ClientId,
        session: SessionId,
        number: u64,
        fx: &mut E,
    ) {
        let unknown = LockReply::Failed(LockFailure::Unknown);
        let reply = self.known(session, number).map_or(unknown, LockReply::Answer);
        fx.reply(client, reply, Stamp::NONE);
    }

    fn replaced<E: Effects<LockServer>>(&mut self, before: Option<ClientId>, fx: &mut E) {
        if let Some(before) = before {
            self.asked.remove(&before);
            self.fail(before, LockFailure::Replaced, fx);
        }
    }

    fn watch<E: Effects<LockServer>>(&mut self, client: ClientId, session: SessionId, fx: &mut E) {
        // What began before it asked, it is told at once.
        if let Some(reply) = self.manager().and_then(|manager| blocking(manager, session)) {
            return fx.reply(client, reply, Stamp::NONE);
        }
        let before = self.watching.insert(session, client);
        self.replaced(before, fx);
        self.asked.insert(client, Asked::Watch(session));
    }

    /// A client does not wait any more.
    pub(super) fn forget(&mut self, client: ClientId) {
        match self.asked.remove(&client) {
            Some(Asked::Command(Command::Call { session, number, .. })) => {
                self.calls.remove(&(session, number));
            }
            Some(Asked::Watch(session)) => {
                self.watching.remove(&session);
            }
            _ => {}
        }
    }

    /// Nobody here is told of anything any more: all are told that.
    pub(super) fn give_up_clients<E: Effects<LockServer>>(&mut self, fx: &mut E) {
        (self.calls, self.watching) = Default::default();
        self.told.clear();
        for client in std::mem::take(&mut self.asked).into_keys() {
            self.fail(client, LockFailure::Unknown, fx);
        }
    }

    fn finish<E: Effects<LockServer>>(&mut self, client: ClientId, reply: LockReply, fx: &mut E) {
        if self.asked.contains_key(&client) {
            self.forget(client);
            fx.reply(client, reply, Stamp::NONE);
        }
    }

    /// A command was applied here, whoever sent it: some of what follows may be for clients of this node.
    pub(super) fn applied<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        applied: Applied,
        fx: &mut E,
    ) {
        if let Some(time) = self.manager().map(LockManager::now) {
            self.clock.saw(time, now.tick);
        }
        match applied {
            Applied::Command { answer, .. } => {
                if self.calls.is_empty() && self.watching.is_empty() {
                    return;
                }
                let notices = LockService::notices(answer).ok().flatten().unwrap_or_default();
                notices.into_iter().for_each(|notice| self.notice(notice, fx));
            }
            Applied::Restored { .. } => self.ask_again(now, fx),
        }
    }

    fn notice<E: Effects<LockServer>>(&mut self, notice: Notice, fx: &mut E) {
        match notice {
            Notice::Answer { answer: Answer::Waiting, .. } | Notice::Deadlock { .. } => {}
            Notice::Answer { session, number, answer } => {
                if let Some(client) = self.calls.get(&(session, number)) {
                    self.finish(*client, LockReply::Answer(answer), fx);
                }
            }
            Notice::Session { session, state } => self.session_notice(session, state, fx),
            Notice::Blocking { lock, waiter, wanted } => {
                if let Some(client) = self.watching.get(&lock.session) {
                    self.finish(*client, LockReply::Blocking { lock, waiter, wanted }, fx);
                }
            }
        }
    }

    /// Who waits for something of a session that is over waits for nothing.
    fn session_notice<E: Effects<LockServer>>(
        &mut self,
        session: SessionId,
        state: SessionState,
        fx: &mut E,
    ) {
        if !matches!(state, SessionState::Closed | SessionState::Expired) {
            return;
        }
        if let Some(client) = self.watching.get(&session) {
            self.finish(*client, LockReply::Session(state), fx);
        }
        let calls = self.calls.range((session, 0)..=(session, u64::MAX));
        for client in calls.map(|(_, client)| *client).collect::<Vec<_>>() {
            let over = Answer::Refused(Refused::NoSession);
            self.finish(client, LockReply::Answer(over), fx);
        }
    }

    /// The state has jumped, and nobody was told of what lies between. A request that is sent again is answered with what has
    /// become of it.
    fn ask_again<E: Effects<LockServer>>(&mut self, now: Now, fx: &mut E) {
        sometimes!(fx, "locks: a server asks again, after a snapshot");
        let calls: Vec<ClientId> = self.calls.values().copied().collect();
        for client in calls {
            if let Some(Asked::Command(command)) = self.asked.get(&client).cloned() {
                self.propose(now, client, &command, fx);
            }
        }
    }

    /// The member says what became of something.
    pub(super) fn hear<E: Effects<LockServer>>(
        &mut self,
        now: Now,
        client: ClientId,
        outcome: Outcome,
        fx: &mut E,
    ) {
        let applied = matches!(outcome, Outcome::Applied { .. });
        if self.own_command_ended(now, client, applied, fx) {
            return;
        }
        let Some(asked) = self.asked.get(&client) else { return };
        if let Some(reply) = reply_to(asked, outcome, self.clock.read(now.tick)) {
            self.finish(client, reply, fx);
        }
    }
}

/// `None`: it waits.
fn reply_to(asked: &Asked, outcome: Outcome, now: LogTime) -> Option<LockReply> {
    let failed = |why| Some(LockReply::Failed(why));
    match (asked, outcome) {
        (Asked::Command(command), Outcome::Applied { answer, .. }) => {
            match LockService::notices(answer) {
                Ok(Some(notices)) => own_notice(command, notices),
                Ok(None) | Err(_) => failed(LockFailure::NotForClients),
            }
        }
        (Asked::All, Outcome::Read { answer, .. }) => match LockManager::decode(answer) {
            Ok(manager) => {
                Some(LockReply::All { now: now.max(manager.now()), manager: manager.into() })
            }
            Err(_) => failed(LockFailure::Unknown),
        },
        (_, Outcome::NoLeader) => failed(LockFailure::NoLeader),
        (_, Outcome::Busy) => failed(LockFailure::Busy),
        _ => failed(LockFailure::Unknown),
    }
}

/// Of all that followed from a command, what is said to who sent it.
fn own_notice(command: &Command, notices: Vec<Notice>) -> Option<LockReply> {
    notices.into_iter().find_map(|notice| match (command, notice) {
        (
            Command::Call { session, number, .. },
            Notice::Answer { session: of, number: n, answer },
        ) if (*session, *number) == (of, n) => {
            (answer != Answer::Waiting).then_some(LockReply::Answer(answer))
        }
        (
            Command::Open { session, .. }
            | Command::KeepAlive { session }
            | Command::Close { session },
            Notice::Session { session: of, state },
        ) if *session == of => Some(LockReply::Session(state)),
        _ => None,
    })
}

/// The first lock of a session that is in somebody's way and wanted to know.
fn blocking(manager: &LockManager, session: SessionId) -> Option<LockReply> {
    let mut locks = manager.locks(session).filter(|(_, lock)| lock.notify);
    locks.find_map(|(lock, _)| {
        let (waiter, wanted) = manager.first_blocked_by(lock)?;
        Some(LockReply::Blocking { lock, waiter, wanted })
    })
}
