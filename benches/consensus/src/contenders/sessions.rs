//! Ombak's log with sessions, in which a command is applied once however often it is asked for: a session for each of
//! the clients, and one command of it under way.

use anyhow::{Result, ensure};
use bytes::Bytes;
use ombak_paxos::log::sessions::{Client, Limits, SessionId, Sessions, open};

use super::hand;
use super::ombak::{Applied, Member, group_of};
use super::{Contender, NODES, Setup};
use crate::tally::Tally;

pub struct Group {
    group: hand::Group<Member<Sessions<Applied>>>,
    clients: Vec<Client>,
    /// Whose turn it is. Answers come in the order of questions, so that this one has the answer to its last.
    next: usize,
}

impl AsRef<Tally> for Sessions<Applied> {
    fn as_ref(&self) -> &Tally {
        self.state().as_ref()
    }
}

impl Group {
    pub fn start(setup: Setup) -> Result<Group> {
        let window = setup.window;
        let limits = Limits { sessions: u32::try_from(window)?, ..Limits::default() };
        let mut group = group_of(setup, &Sessions::new(Applied::default(), limits))?;
        group.propose((0..window).map(|_| open()).collect())?;
        group.settle()?;
        let opened = group.nodes[0].state().len();
        ensure!(opened == window, "{opened} sessions were opened");
        let client = |number| Client::new(SessionId(number));
        Ok(Group { group, clients: (1..=window as u64).map(client).collect(), next: 0 })
    }

    fn numbered(&mut self, command: &Bytes) -> Bytes {
        let clients = self.clients.len();
        let client = &mut self.clients[self.next];
        self.next = (self.next + 1) % clients;
        let (number, bytes) = client.command(command);
        client.answered(number); // By the time of the next one.
        bytes
    }
}

impl Contender for Group {
    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        let commands = commands.iter().map(|command| self.numbered(command)).collect();
        self.group.propose(commands)
    }

    fn turn(&mut self) -> Result<u64> {
        self.group.turn()
    }

    fn finish(&mut self) -> Result<[Tally; NODES]> {
        self.group.finish()
    }
}
