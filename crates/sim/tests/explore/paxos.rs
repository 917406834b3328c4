//! Single-decree Paxos as a register: clients put a value, and then read it from another server.
//!
//! The same protocol, network and history as stateright's example of it, with the same number of states: messages
//! overtake each other, none is lost or doubled, and one that would change nothing stays where it is. It is a model and
//! no machine, because a machine's host delivers what changes nothing too, and its links keep their order.

use ombak_sim::explore::{Explorer, Model, Property, Steps};

pub const SERVERS: usize = 3;
const CLIENTS_MAX: usize = 3;

/// Clients: 1 to 3.
pub struct Paxos {
    pub clients: usize,
}

/// Round, and the server that leads it.
type Ballot = (u8, u8);
/// What is proposed: the put of this client.
type Proposal = u8;
type Accepted = Option<(Ballot, Proposal)>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Server {
    ballot: Ballot,
    proposal: Option<Proposal>,
    /// What each has promised with.
    promises: [Option<Accepted>; SERVERS],
    /// Bit i: server i has accepted.
    accepts: u8,
    accepted: Accepted,
    is_decided: bool,
}

/// Where a client is, and what the history says of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Client {
    /// Answers so far: to its put, to its get.
    answers: u8,
    /// How many answers each other client had when the get began.
    before_get: [u8; CLIENTS_MAX],
    read: Option<Proposal>,
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
    /// In order, so that equal networks look equal.
    network: Vec<Envelope>,
}

impl State {
    fn send(&mut self, from: u8, to: u8, message: Message) {
        let envelope = Envelope { from, to, message };
        let at = self.network.partition_point(|each| *each < envelope);
        self.network.insert(at, envelope);
    }

    fn broadcast(&mut self, from: u8, message: Message) {
        (0..SERVERS as u8).filter(|to| *to != from).for_each(|to| self.send(from, to, message));
    }

    /// `false`: nothing happens, and the message stays.
    fn deliver(&mut self, Envelope { from, to, message }: Envelope) -> bool {
        let id = usize::from(to);
        if id >= SERVERS {
            return self.answer(id - SERVERS, message);
        }
        let server = &mut self.servers[id];
        match message {
            Message::Get if server.is_decided => {
                let value = server.accepted.expect("what is decided was accepted").1;
                self.send(to, from, Message::GetOk(value));
            }
            _ if server.is_decided => return false,
            Message::Put if server.proposal.is_none() => {
                server.proposal = Some(from - SERVERS as u8);
                server.ballot = (server.ballot.0 + 1, to);
                server.promises = [None; SERVERS];
                server.promises[id] = Some(server.accepted);
                server.accepts = 0;
                let ballot = server.ballot;
                self.broadcast(to, Message::Prepare(ballot));
            }
            Message::Prepare(ballot) if server.ballot < ballot => {
                server.ballot = ballot;
                let accepted = server.accepted;
                self.send(to, from, Message::Promise(ballot, accepted));
            }
            Message::Promise(ballot, accepted) if ballot == server.ballot => {
                self.promised(to, from, accepted);
            }
            Message::Accept(ballot, proposal) if server.ballot <= ballot => {
                server.ballot = ballot;
                server.accepted = Some((ballot, proposal));
                self.send(to, from, Message::Accepted(ballot));
            }
            Message::Accepted(ballot) if ballot == server.ballot => self.accepted(to, from),
            Message::Decided(ballot, proposal) => {
                server.ballot = ballot;
                server.accepted = Some((ballot, proposal));
                server.is_decided = true;
            }
            _ => return false,
        }
        true
    }

    fn promised(&mut self, to: u8, from: u8, accepted: Accepted) {
        let server = &mut self.servers[usize::from(to)];
        server.promises[usize::from(from)] = Some(accepted);
        if server.promises.iter().flatten().count() != SERVERS / 2 + 1 {
            return;
        }
        // What may have been decided before has to be proposed again.
        let earlier = server.promises.iter().flatten().flatten().max();
        let proposal = earlier.map(|(_, proposal)| *proposal).or(server.proposal);
        let proposal = proposal.expect("who leads has something to propose");
        let ballot = server.ballot;
        server.proposal = Some(proposal);
        server.accepted = Some((ballot, proposal));
        server.accepts |= 1 << to;
        self.broadcast(to, Message::Accept(ballot, proposal));
    }

    fn accepted(&mut self, to: u8, from: u8) {
        let server = &mut self.servers[usize::from(to)];
        server.accepts |= 1 << from;
        if server.accepts.count_ones() as usize != SERVERS / 2 + 1 {
            return;
        }
        server.is_decided = true;
        let ballot = server.ballot;
        let proposal = server.proposal.expect("who leads has something to propose");
        self.broadcast(to, Message::Decided(ballot, proposal));
        self.send(to, SERVERS as u8 + proposal, Message::PutOk);
    }

    fn answer(&mut self, number: usize, message: Message) -> bool {
        match (message, self.clients[number].answers) {
            (Message::PutOk, 0) => {
                let mut before_get = self.clients.map(|client| client.answers);
                before_get[number] = 0;
                self.clients[number] = Client { answers: 1, before_get, read: None };
                let id = (SERVERS + number) as u8;
                self.send(id, (id + 1) % SERVERS as u8, Message::Get);
            }
            (Message::GetOk(value), 1) => {
                self.clients[number].answers = 2;
                self.clients[number].read = Some(value);
            }
            _ => return false,
        }
        true
    }

    /// Whether there is an order of all operations, in keeping with who had ended before whose beginning, in which every
    /// get reads the put before it. A put without an answer may have its place in it or not.
    fn is_linearizable(&self) -> bool {
        self.goes_on([0; CLIENTS_MAX], None)
    }

    fn goes_on(&self, placed: [u8; CLIENTS_MAX], register: Option<Proposal>) -> bool {
        let is_done = (0..CLIENTS_MAX).all(|i| placed[i] >= self.clients[i].answers);
        is_done || (0..CLIENTS_MAX).any(|i| self.places(i, placed, register))
    }

    fn places(&self, i: usize, mut placed: [u8; CLIENTS_MAX], register: Option<Proposal>) -> bool {
        let client = &self.clients[i];
        let register = match placed[i] {
            0 => Some(i as u8),
            1 if client.answers == 2 && client.read == register => register,
            _ => return false,
        };
        let is_get = placed[i] == 1;
        let is_too_early = (0..CLIENTS_MAX).any(|j| placed[j] < client.before_get[j]);
        if is_get && is_too_early {
            return false;
        }
        placed[i] += 1;
        self.goes_on(placed, register)
    }
}

impl Model for Paxos {
    type State = State;
    type Action = Envelope;

    fn initial(&self) -> Vec<State> {
        let mut state =
            State { servers: Default::default(), clients: Default::default(), network: Vec::new() };
        for client in 0..self.clients as u8 {
            let id = SERVERS as u8 + client;
            state.send(id, id % SERVERS as u8, Message::Put);
        }
        vec![state]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Self>) {
        for (at, envelope) in state.network.iter().enumerate() {
            if at > 0 && state.network[at - 1] == *envelope {
                continue;
            }
            let mut next = state.clone();
            if next.deliver(*envelope) {
                let at = next.network.partition_point(|each| each < envelope);
                next.network.remove(at);
                steps.step(*envelope, next);
            }
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        vec![
            Property::always("linearizable", State::is_linearizable),
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
