//! The servers and clients of `paxos.rs` as machines in a cluster, with their messages as bytes.

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, DecodeError, Effects, Event, Machine, NodeId, Now, Reader, ShardId, Stamp,
    Wire,
};
use ombak_sim::explore::{Cluster, Explorer, History};

use crate::paxos::{Accepted, Ballot, Client, Message, SERVERS, Seen, Server};

/// Nodes 0 to 2 are servers, those behind them clients.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    id: u8,
    role: Role,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Role {
    Server(Server),
    Client(Client),
}

impl Machine for Node {
    type Message = Message;
    type Request = ();
    /// A client shows what it has heard.
    type Reply = Message;
    type Timer = ();

    fn step<E: Effects<Node>>(&mut self, _: Now, event: Event<Node>, fx: &mut E) {
        let mut send = |to: u8, message| {
            let to = Address { node: NodeId(to.into()), shard: ShardId(0) };
            assert_eq!(fx.send(to, message, Stamp::NONE), Ok(()));
        };
        match (event, &mut self.role) {
            (Event::Start, Role::Client(_)) => Client::start(self.id, &mut send),
            (Event::Message { from, message }, Role::Server(server)) => {
                server.hear(self.id, from.node.0 as u8, message, &mut send);
            }
            (Event::Message { message, .. }, Role::Client(client)) => {
                let has_answer = client.hear(self.id, message, &mut send);
                if has_answer {
                    fx.reply(ClientId(u64::from(self.id) - SERVERS as u64), message, Stamp::NONE);
                }
            }
            _ => {}
        }
    }
}

impl History<Node> for Seen {
    fn replied(&mut self, client: ClientId, reply: &Message) {
        self.answer(client.0 as usize, *reply);
    }
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Message::Put => out.push(0),
            Message::Get => out.push(1),
            Message::PutOk => out.push(2),
            Message::GetOk(value) => out.extend([3, value]),
            Message::Prepare((round, leader)) => out.extend([4, round, leader]),
            Message::Promise((round, leader), None) => out.extend([5, round, leader]),
            Message::Promise((round, leader), Some((earlier, proposal))) => {
                out.extend([6, round, leader, earlier.0, earlier.1, proposal]);
            }
            Message::Accept((round, leader), proposal) => out.extend([7, round, leader, proposal]),
            Message::Accepted((round, leader)) => out.extend([8, round, leader]),
            Message::Decided((round, leader), proposal) => out.extend([9, round, leader, proposal]),
        }
    }

    fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        let mut ballot = || -> Result<Ballot, DecodeError> { Ok((reader.u8()?, reader.u8()?)) };
        Ok(match kind {
            0 => Message::Put,
            1 => Message::Get,
            2 => Message::PutOk,
            3 => Message::GetOk(reader.u8()?),
            4 => Message::Prepare(ballot()?),
            5 => Message::Promise(ballot()?, None),
            6 => {
                let (promised, earlier) = (ballot()?, ballot()?);
                let accepted: Accepted = Some((earlier, reader.u8()?));
                Message::Promise(promised, accepted)
            }
            7 => Message::Accept(ballot()?, reader.u8()?),
            8 => Message::Accepted(ballot()?),
            9 => Message::Decided(ballot()?, reader.u8()?),
            _ => return Err(DecodeError::Invalid("message")),
        })
    }
}

/// So many clients, 1 to 3.
pub fn cluster(clients: u32) -> Cluster<Node, Seen> {
    let boot = |NodeId(id): NodeId| {
        let is_server = (id as usize) < SERVERS;
        let server = Role::Server(Server::default());
        Node {
            id: id as u8,
            role: if is_server { server } else { Role::Client(Client::default()) },
        }
    };
    Cluster::new(SERVERS as u32 + clients, boot)
        .unordered()
        .history(Seen::default())
        .always("linearizable", |state| state.history().is_linearizable())
        .sometimes("a value is read", |state| state.history().has_read())
}

#[test]
fn machines_in_a_cluster_have_the_states_of_the_model() {
    for threads in [1, 2] {
        let report = Explorer::new(&cluster(2)).threads(threads).run();
        report.assert_holds();
        assert_eq!(report.states, 16_668);
    }
}

/// An example of a path as people see it.
#[test]
fn the_shortest_way_to_a_read() {
    let report = Explorer::new(&cluster(1)).run();
    let path = report.sometimes[0].example.as_ref().unwrap();
    assert_eq!(path.lines.last().unwrap(), "n3 hears from n1: GetOk(0)", "{path}");
}
