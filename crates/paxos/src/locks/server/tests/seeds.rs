//! Clients that lock, work and unlock, while everything goes wrong. Whatever happens, a request is done once, of two grants the
//! later has the larger token, and in the end everybody gets the lock.

use std::collections::BTreeMap;

use super::*;
use crate::locks::Refused;

/// What a client is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Opening,
    Locking,
    /// Until then.
    Working(u64),
    Unlocking,
}

struct Client {
    session: u128,
    doing: Doing,
    number: u64,
    lock: u64,
    asked: Option<ClientId>,
    /// When to keep the session alive.
    renew: u64,
    /// How often it had the lock.
    rounds: u64,
}

struct Run {
    service: Service,
    clients: Vec<Client>,
    sessions: u128,
    /// Who was given each token, for which request.
    tokens: BTreeMap<Token, (u128, u64)>,
    rng: Rng,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::new(seed);
        let service = Service { world: World::new(Cluster { voters: 3 }, 4, seed).unwrap() };
        let mut sessions = 0;
        let clients = (0..rng.between(2, 5)).map(|_| {
            sessions += 1;
            Client {
                session: sessions,
                doing: Doing::Opening,
                number: 0,
                lock: 0,
                asked: None,
                renew: 0,
                rounds: 0,
            }
        });
        Run { clients: clients.collect(), service, sessions, tokens: BTreeMap::new(), rng }
    }

    fn now(&self) -> u64 {
        self.service.world.now().0
    }

    fn any_node(&mut self) -> NodeId {
        node(self.rng.below(4) as u32)
    }

    /// Each client does what is next, and asks again elsewhere where it heard nothing good.
    fn turn(&mut self) {
        for reply in self.service.world.take_replies() {
            let asked = |client: &Client| client.asked == Some(reply.client);
            if let Some(index) = self.clients.iter().position(asked) {
                self.clients[index].asked = None;
                if let Heard::Reply(heard) = &reply.heard {
                    self.hear(index, heard);
                }
            }
            self.service.world.finish(reply.client);
        }
        for index in 0..self.clients.len() {
            self.act(index);
        }
    }

    fn act(&mut self, index: usize) {
        let (at, now) = (self.any_node(), self.now());
        let client = &mut self.clients[index];
        let session = SessionId(client.session);
        if now >= client.renew && client.doing != Doing::Opening {
            client.renew = now + LEASE_US / 3;
            let alive = LockAsk::Command(Command::KeepAlive { session });
            self.service.world.request(at, SHARD, alive);
        }
        if client.asked.is_some() {
            return;
        }
        let (number, have) = (client.number, client.number.saturating_sub(1));
        let call = |request| Command::Call { session, number, have: have.into(), request };
        let command = match client.doing {
            Doing::Opening => {
                Command::Open { session, lease_us: LEASE_US, about: Value::default() }
            }
            Doing::Locking => call(printer(Wait::Us(20 * SECOND))),
            Doing::Working(until) if now >= until => {
                (client.doing, client.number) = (Doing::Unlocking, client.number + 1);
                return;
            }
            Doing::Working(_) => return,
            Doing::Unlocking => call(Request::Unlock { lock: client.lock, value: None }),
        };
        client.asked = Some(self.service.world.request(at, SHARD, LockAsk::Command(command)));
    }

    fn hear(&mut self, index: usize, reply: &LockReply) {
        let now = self.now();
        let work_us = self.rng.between(1, SECOND / 2);
        let client = &mut self.clients[index];
        match (client.doing, reply) {
            (Doing::Opening, LockReply::Session(SessionState::Live { .. })) => {
                (client.doing, client.number, client.renew) = (Doing::Locking, 1, now);
            }
            (Doing::Locking, LockReply::Answer(Answer::Granted { token, .. })) => {
                (client.doing, client.lock) = (Doing::Working(now + work_us), client.number);
                let given = (client.session, client.number);
                let before = *self.tokens.entry(*token).or_insert(given);
                assert_eq!(before, given, "{token:?} was given twice");
                let tokens = self.tokens.iter().filter(|(_, to)| **to == given).count();
                assert_eq!(tokens, 1, "{given:?} was granted twice");
            }
            (Doing::Unlocking, LockReply::Answer(Answer::Unlocked)) => {
                client.rounds += 1;
                (client.doing, client.number) = (Doing::Locking, client.number + 1);
            }
            // It waited in vain: with another request, once more.
            (Doing::Locking, LockReply::Answer(Answer::Refused(Refused::TimedOut))) => {
                client.number += 1;
            }
            (_, LockReply::Failed(_)) => {}
            // The session is over: a new one.
            _ => {
                self.sessions += 1;
                (client.session, client.doing) = (self.sessions, Doing::Opening);
            }
        }
    }

    fn run_for(&mut self, us: u64) {
        let until = self.now() + us;
        while self.now() < until {
            self.service.world.run_for(20_000.min(until - self.now()));
            self.turn();
        }
    }

    fn trouble(&mut self) {
        let at = self.any_node();
        let world = &mut self.service.world;
        match self.rng.below(8) {
            0 => world.crash(at),
            1 | 2 if !world.is_up(at) => world.restart(at).unwrap(),
            3 => {
                let rest: Vec<NodeId> = (0..4).map(node).filter(|id| *id != at).collect();
                world.partition(&[at], &rest);
            }
            4 => world.heal(),
            5 => world.pause(at),
            6 => world.resume(at),
            _ => {}
        }
    }

    /// All is well again: everybody gets the lock, more than once.
    fn converge(&mut self) {
        let world = &mut self.service.world;
        world.heal();
        world.set_faults(Faults::calm());
        for id in (0..4).map(node) {
            world.resume(id);
            if !world.is_up(id) {
                world.restart(id).unwrap();
            }
        }
        // Messages that were under way, sessions that nobody keeps, and waiting in vain.
        self.run_for(30 * SECOND);
        let before: Vec<u64> = self.clients.iter().map(|client| client.rounds).collect();
        self.run_for(15 * SECOND);
        for (client, before) in self.clients.iter().zip(before) {
            let (session, doing) = (client.session, client.doing);
            assert!(client.rounds > before, "{session} starves while {doing:?}");
        }
    }
}

#[test]
fn seeds() {
    for seed in crate::log::tests::seeds_asked_for().unwrap_or(0..40) {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            if run.rng.chance(3, 4) {
                let faults = Faults::random(&mut run.rng);
                run.service.world.set_faults(faults);
            }
            for _ in 0..run.rng.between(10, 40) {
                run.trouble();
                let us = run.rng.between(1, 2 * SECOND);
                run.run_for(us);
            }
            run.converge();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
