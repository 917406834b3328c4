//! The floor: commands are copied into two queues, the copies are copied into logs, and answers are counted. There is no
//! protocol, and nothing would survive.

use anyhow::Result;
use bytes::Bytes;

use super::hand::{self, Node, Sent};
use super::{FORGET_BYTES, NODES, Setup};
use crate::journal::Journal;
use crate::tally::Tally;

pub fn group(setup: Setup) -> hand::Group<Copier> {
    let nodes = setup.journals.iter().map(|journal| Copier::new(journal.clone()));
    hand::Group::new(nodes.collect(), setup.journals.clone())
}

/// A replica that believes everything.
pub struct Copier {
    journal: Journal,
    tally: Tally,
    log: Vec<u8>,
    /// Where the next frame to be applied begins, and which number it has.
    applied: (usize, u64),
    /// The last frame that is known to be on two disks.
    decided: u64,
    frames: u64,
    /// Memory for frames, which comes back with what acknowledges them.
    spare: Vec<Vec<u8>>,
    sent: Vec<Sent<Message>>,
    /// Said when the disk has what came before.
    held: Vec<Sent<Message>>,
}

pub enum Message {
    Frame(Vec<u8>),
    Acknowledged(u64, Vec<u8>),
    Decided(u64),
}

impl Copier {
    fn new(journal: Journal) -> Copier {
        Copier {
            journal,
            tally: Tally::default(),
            log: Vec::new(),
            applied: (0, 0),
            decided: 0,
            frames: 0,
            spare: Vec::new(),
            sent: Vec::new(),
            held: Vec::new(),
        }
    }

    fn append(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.log.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        self.log.extend_from_slice(frame);
        self.journal.append(&[frame]);
    }

    fn decide(&mut self, frame: u64) {
        self.decided = self.decided.max(frame);
        while self.applied.1 < self.decided {
            let (at, number) = self.applied;
            let (frame, behind) = first(&self.log[at..]);
            let mut rest = frame;
            while !rest.is_empty() {
                let (command, behind) = first(rest);
                self.tally.apply(command);
                rest = behind;
            }
            self.applied = (self.log.len() - behind.len(), number + 1);
        }
    }
}

/// The first piece, which has its length in front, and the rest.
fn first(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, rest) = bytes.split_at(4);
    let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]);
    rest.split_at(len as usize)
}

impl Node for Copier {
    type Message = Message;

    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.clear();
        for command in commands {
            frame.extend_from_slice(&(command.len() as u32).to_le_bytes());
            frame.extend_from_slice(&command);
        }
        self.append(&frame);
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clone_from(&frame);
        self.sent.extend([(1, Message::Frame(frame)), (2, Message::Frame(copy))]);
        Ok(())
    }

    fn receive(&mut self, from: usize, message: Message) -> Result<()> {
        match message {
            Message::Frame(frame) => {
                self.append(&frame);
                self.held.push((from, Message::Acknowledged(self.frames, frame)));
            }
            Message::Acknowledged(number, frame) => {
                self.spare.push(frame);
                if number > self.decided {
                    self.decide(number);
                    self.sent.extend((1..NODES).map(|to| (to, Message::Decided(number))));
                }
            }
            Message::Decided(number) => self.decide(number),
        }
        Ok(())
    }

    fn synced(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_sent(&mut self, out: &mut Vec<Sent<Message>>) -> Result<()> {
        out.append(&mut self.sent);
        if !self.journal.is_dirty() {
            out.append(&mut self.held);
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        if self.log.len() > FORGET_BYTES && self.applied.0 == self.log.len() {
            self.log.clear();
            self.applied.0 = 0;
        }
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
