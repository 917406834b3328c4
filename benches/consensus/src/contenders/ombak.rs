//! Ombak: `log::Replica`, with a host that keeps messages until they are moved.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ombak_base::{ClientId, DecodeError, NodeId, Stamp, Tick};
use ombak_paxos::log::{
    Ask, Host, Message, Outcome, Replica, Slot, StateMachine, Stored, Timer, Write,
};
use ombak_paxos::{Members, Voters};

use super::hand::{self, Node, Sent};
use super::{FORGET_BYTES, NODES, Setup};
use crate::journal::Journal;
use crate::tally::Tally;

/// Nothing is lost here, so no timer is ever due.
const NOW: Tick = Tick(0);

pub fn group(setup: Setup) -> Result<hand::Group<Member<Applied>>> {
    group_of(setup, &Applied::default())
}

/// Three members with a state machine of one's own around the tally.
pub fn group_of<S: StateMachine + AsRef<Tally>>(
    setup: Setup,
    state: &S,
) -> Result<hand::Group<Member<S>>> {
    let members = (0..NODES).map(|id| Member::new(id, setup.journals[id].clone(), state.clone()));
    let members = members.collect::<Result<_>>()?;
    let mut group = hand::Group::new(members, setup.journals);
    group.nodes.iter_mut().for_each(Member::start);
    group.nodes[0].stand();
    group.settle()?;
    ensure!(group.nodes[0].replica.leads(), "somebody stood against it");
    Ok(group)
}

/// The tally as a state machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Applied(Tally);

impl AsRef<Tally> for Applied {
    fn as_ref(&self) -> &Tally {
        &self.0
    }
}

impl StateMachine for Applied {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        self.0.apply(command);
        Bytes::new()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        let Tally { count, sum } = self.0;
        Bytes::from([count.to_le_bytes(), sum.to_le_bytes()].concat())
    }

    fn restore(snapshot: Bytes) -> Result<Applied, DecodeError> {
        let (count, sum) = snapshot.split_first_chunk().ok_or(DecodeError::Truncated)?;
        let sum = sum.try_into().map_err(|_| DecodeError::Truncated)?;
        let (count, sum) = (u64::from_le_bytes(*count), u64::from_le_bytes(sum));
        Ok(Applied(Tally { count, sum }))
    }
}

/// A replica and its host.
pub struct Member<S> {
    replica: Replica<S>,
    desk: Desk,
}

/// What the replica said, and what it stored.
struct Desk {
    journal: Journal,
    encoded: Vec<u8>,
    stored: Stamp,
    durable: Stamp,
    sent: Vec<(Stamp, Sent<Message>)>,
    failed: u64,
}

impl<S: StateMachine + AsRef<Tally>> Member<S> {
    fn new(id: usize, journal: Journal, state: S) -> Result<Member<S>> {
        let members = Members::new(Voters::majority((0..NODES).map(node)));
        let replica = Replica::new(node(id), Stored::default(), state, members, FORGET_BYTES);
        let desk = Desk {
            journal,
            encoded: Vec::new(),
            stored: Stamp::NONE,
            durable: Stamp::NONE,
            sent: Vec::new(),
            failed: 0,
        };
        Ok(Member { replica: replica.context("an unreadable snapshot")?, desk })
    }

    pub fn state(&self) -> &S {
        self.replica.state()
    }

    fn start(&mut self) {
        self.replica.start(NOW, &mut self.desk);
        (0..NODES).for_each(|peer| self.replica.peer_up(NOW, node(peer), &mut self.desk));
    }

    fn stand(&mut self) {
        self.replica.timer(NOW, Timer::Election, &mut self.desk);
    }
}

fn node(at: usize) -> NodeId {
    NodeId(at as u32)
}

impl Host for Desk {
    fn send(&mut self, to: NodeId, message: Message, after: Stamp) {
        self.sent.push((after, (to.0 as usize, message)));
    }

    fn store(&mut self, write: Write) -> Stamp {
        if self.journal.is_kept() {
            self.encoded.clear();
            write.encode(&mut self.encoded);
            self.journal.append(&[&self.encoded]);
        }
        self.stored = Stamp(self.stored.0 + 1);
        self.stored
    }

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, _: u64) -> u64 {
        0
    }

    fn answer(&mut self, _: ClientId, outcome: Outcome) {
        self.failed += u64::from(!matches!(outcome, Outcome::Applied { .. }));
    }

    fn probe(&mut self, _: &'static str) {}
}

impl<S: StateMachine + AsRef<Tally>> Node for Member<S> {
    type Message = Message;

    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        let asked = (0..).map(ClientId).zip(commands.into_iter().map(Ask::Propose));
        self.replica.request_all(NOW, asked, &mut self.desk);
        Ok(())
    }

    fn receive(&mut self, from: usize, message: Message) -> Result<()> {
        self.replica.receive(NOW, node(from), message, &mut self.desk);
        Ok(())
    }

    fn synced(&mut self) -> Result<()> {
        self.desk.durable = self.desk.stored;
        self.replica.durable(NOW, self.desk.durable, &mut self.desk);
        ensure!(self.desk.failed == 0, "{} commands were refused", self.desk.failed);
        Ok(())
    }

    fn take_sent(&mut self, out: &mut Vec<Sent<Message>>) -> Result<()> {
        let Desk { durable, stored, sent, .. } = &mut self.desk;
        if stored <= durable {
            out.extend(sent.drain(..).map(|(_, message)| message)); // Nothing is held back.
        } else {
            out.extend(sent.extract_if(.., |(after, _)| after <= durable).map(|held| held.1));
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        Ok(()) // It takes snapshots by itself.
    }

    fn tally(&self) -> Tally {
        *self.replica.state().as_ref()
    }
}
