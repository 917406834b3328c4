//! Single-decree Paxos as a register: clients put a value, and then read it from another server.
//!
//! The same protocol, network and history as stateright's example of it, with the same number of states: messages
//! overtake each other, none is lost or doubled, and one that would change nothing stays where it is. Here it is a model
//! by itself; `paxos_machines.rs` has the same servers and clients as machines in a cluster.

use ombak_sim::explore::{Explorer, Model, Property, Steps};

pub const SERVERS: usize = 3;
const CLIENTS_MAX: usize = 3;

/// Clients: 1 to 3.
pub struct Paxos {
    pub clients: usize,
}

/// Round, and the server that leads it.
pub type Ballot = (u8, u8);
/// What is proposed: the put of this client.
pub type Proposal = u8;
pub type Accepted = Option<(Ballot, Proposal)>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Server {
    ballot: Ballot,
    proposal: Option<Proposal>,
    /// What each has promised with.
    promises: [Option<Accepted>; SERVERS],
    /// Bit i: server i has accepted.
    accepts: u8,
    accepted: Accepted,
    is_decided: bool,
}

/// How far a client is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Client {
    /// Answers so far: to its put, to its get.
    pub answers: u8,
}

/// What clients saw.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Seen {
    answers: [u8; CLIENTS_MAX],
    /// How many answers each other client had when this one's get began.
    before_get: [[u8; CLIENTS_MAX]; CLIENTS_MAX],
    read: [Option<Proposal>; CLIENTS_MAX],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Message {
    Put,
    Get,
    PutOk,
    GetOk(Proposal),
    Prepare(Ballot),
    Promise(Ballot, Accepted),
    Accept(Ballot, Proposal),
    Accepted(Ballot),
    Decided(Ballot, Proposal),
}

/// Servers are 0 to 2, clients follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Envelope {
    from: u8,
    to: u8,
    message: Message,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    servers: [Server; SERVERS],
    clients: [Client; CLIENTS_MAX],
    seen: Seen,
    /// In order, so that equal networks look equal.
    network: Vec<Envelope>,
}

impl Server {
    /// `false`: nothing happens.
    pub fn hear(
        &mut self,
        id: u8,
        from: u8,
        message: Message,
        send: &mut impl FnMut(u8, Message),
    ) -> bool {
        match message {
            Message::Get if self.is_decided => {
                let value = self.accepted.expect("what is decided was accepted").1;
                send(from, Message::GetOk(value));
            }
            _ if self.is_decided => return false,
            Message::Put if self.proposal.is_none() => {
                self.proposal = Some(from - SERVERS as u8);
                self.ballot = (self.ballot.0 + 1, id);
                self.promises = [None; SERVERS];
                self.promises[usize::from(id)] = Some(self.accepted);
                self.accepts = 0;
                others(id).for_each(|to| send(to, Message::Prepare(self.ballot)));
            }
            Message::Prepare(ballot) if self.ballot < ballot => {
                self.ballot = ballot;
                send(from, Message::Promise(ballot, self.accepted));
            }
            Message::Promise(ballot, accepted) if ballot == self.ballot => {
                self.promises[usize::from(from)] = Some(accepted);
                self.propose(id, send);
            }
            Message::Accept(ballot, proposal) if self.ballot <= ballot => {
                self.ballot = ballot;
                self.accepted = Some((ballot, proposal));
                send(from, Message::Accepted(ballot));
            }
            Message::Accepted(ballot) if ballot == self.ballot => {
                self.accepts |= 1 << from;
                self.decide(id, send);
            }
            Message::Decided(ballot, proposal) => {
                self.ballot = ballot;
                self.accepted = Some((ballot, proposal));
                self.is_decided = true;
            }
            _ => return false,
        }
        true
    }

    /// When a majority has promised: what may have been decided before has to be proposed again.
    fn propose(&mut self, id: u8, send: &mut impl FnMut(u8, Message)) {
        if self.promises.iter().flatten().count() != SERVERS / 2 + 1 {
            return;
        }
        let earlier = self.promises.iter().flatten().flatten().max();
        let proposal = earlier.map(|(_, proposal)| *proposal).or(self.proposal);
        let proposal = proposal.expect("who leads has something to propose");
        self.proposal = Some(proposal);
        self.accepted = Some((self.ballot, proposal));
        self.accepts |= 1 << id;
        others(id).for_each(|to| send(to, Message::Accept(self.ballot, proposal)));
    }

    /// When a majority has accepted.
    fn decide(&mut self, id: u8, send: &mut impl FnMut(u8, Message)) {
        if self.accepts.count_ones() as usize != SERVERS / 2 + 1 {
            return;
        }
        self.is_decided = true;
        let proposal = self.proposal.expect("who leads has something to propose");
        others(id).for_each(|to| send(to, Message::Decided(self.ballot, proposal)));
        send(SERVERS as u8 + proposal, Message::PutOk);
    }
}

fn others(id: u8) -> impl Iterator<Item = u8> {
    (0..SERVERS as u8).filter(move |other| *other != id)
}

impl Client {
    /// Says its first word.
    pub fn start(id: u8, send: &mut impl FnMut(u8, Message)) {
        send(id % SERVERS as u8, Message::Put);
    }

    /// `false`: nothing happens.
    pub fn hear(&mut self, id: u8, message: Message, send: &mut impl FnMut(u8, Message)) -> bool {
        match (message, self.answers) {
            (Message::PutOk, 0) => send((id + 1) % SERVERS as u8, Message::Get),
            (Message::GetOk(_), 1) => {}
            _ => return false,
        }
        self.answers += 1;
        true
    }
}

impl Seen {
    /// A client has its answer; the get follows upon the put.
    pub fn answer(&mut self, client: usize, message: Message) {
        self.answers[client] += 1;
        match message {
            Message::GetOk(value) => self.read[client] = Some(value),
            _ => {
                self.before_get[client] = self.answers;
                self.before_get[client][client] = 0;
            }
        }
    }

    /// Whether any client has had a value.
    pub fn has_read(&self) -> bool {
        self.read.iter().any(Option::is_some)
    }

    /// Whether there is an order of all operations, in keeping with who had ended before whose beginning, in which every
    /// get reads the put before it. A put without an answer may have its place in it or not.
    pub fn is_linearizable(&self) -> bool {
        self.goes_on([0; CLIENTS_MAX], None)
    }

    fn goes_on(&self, placed: [u8; CLIENTS_MAX], register: Option<Proposal>) -> bool {
        let is_done = (0..CLIENTS_MAX).all(|i| placed[i] >= self.answers[i]);
        is_done || (0..CLIENTS_MAX).any(|i| self.places(i, placed, register))
    }

    fn places(&self, i: usize, mut placed: [u8; CLIENTS_MAX], register: Option<Proposal>) -> bool {
        let register = match placed[i] {
            0 => Some(i as u8),
            1 if self.answers[i] == 2 && self.read[i] == register => register,
            _ => return false,
        };
        let is_too_early = (0..CLIENTS_MAX).any(|j| placed[j] < self.before_get[i][j]);
        if placed[i] == 1 && is_too_early {
            return false;
        }
        placed[i] += 1;
        self.goes_on(placed, register)
    }
}

impl State {
    fn send(&mut self, from: u8, to: u8, message: Message) {
        let envelope = Envelope { from, to, message };
        let at = self.network.partition_point(|each| *each < envelope);
        self.network.insert(at, envelope);
    }

    /// What becomes of it when a message arrives; `None` if nothing does.
    fn after(&self, Envelope { from, to, message }: Envelope) -> Option<State> {
        let mut next = self.clone();
        let mut sent = Vec::new();
        let mut send = |to, message| sent.push((to, message));
        let id = usize::from(to);
        let happens = if id < SERVERS {
            next.servers[id].hear(to, from, message, &mut send)
        } else {
            next.clients[id - SERVERS].hear(to, message, &mut send)
        };
        if !happens {
            return None;
        }
        if id >= SERVERS {
            next.seen.answer(id - SERVERS, message);
        }
        let envelope = Envelope { from, to, message };
        next.network.remove(next.network.partition_point(|each| *each < envelope));
        sent.into_iter().for_each(|(other, message)| next.send(to, other, message));
        Some(next)
    }
}

impl Model for Paxos {
    type State = State;
    type Action = Envelope;

    fn initial(&self) -> Vec<State> {
        let mut state = State {
            servers: Default::default(),
            clients: Default::default(),
            seen: Seen::default(),
            network: Vec::new(),
        };
        for id in (SERVERS as u8..).take(self.clients) {
            Client::start(id, &mut |to, message| state.send(id, to, message));
        }
        vec![state]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Self>) {
        for (at, envelope) in state.network.iter().enumerate() {
            if at > 0 && state.network[at - 1] == *envelope {
                continue;
            }
            if let Some(next) = state.after(*envelope) {
                steps.step(*envelope, next);
            }
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        vec![
            Property::always("linearizable", |state: &State| state.seen.is_linearizable()),
            Property::sometimes("a value is read", |state: &State| {
                state.network.iter().any(|each| matches!(each.message, Message::GetOk(_)))
            }),
        ]
    }

    fn state_bytes(&self, state: &State) -> usize {
        size_of::<State>() + state.network.capacity() * size_of::<Envelope>()
    }
}

#[test]
fn two_clients_have_as_many_states_as_stateright_counts() {
    for threads in [1, 2] {
        let report = Explorer::new(&Paxos { clients: 2 }).threads(threads).run();
        report.assert_holds();
        assert_eq!(report.states, 16_668);
    }
}

#[test]
fn a_value_is_read_after_eight_steps() {
    let report = Explorer::new(&Paxos { clients: 2 }).run();
    let path = report.sometimes[0].example.as_ref().unwrap();
    assert_eq!(path.actions.len(), 8, "{path}");
}
