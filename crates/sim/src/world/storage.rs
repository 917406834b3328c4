//! The writer's thread, as steps of their own: commits wait, are written together, and are heard of later.

use std::collections::BTreeSet;
use std::io;

use ombak_base::{Address, Device, Event, NodeId, ShardId, Stamp, Upkeep, Writer};

use super::node::{Inside, NoticeOf};
use super::{System, World};
use crate::chances::What;

/// How often a writer without room is asked to look again.
const LOOK_US: u64 = 200_000;

impl<S: System> World<S> {
    /// What the turn stored goes to the writer.
    pub(super) fn end_turn(&mut self, node: NodeId, shard: ShardId) {
        let Some(process) = self.process(node) else { return };
        let Some(host) = process.shard(shard) else { return };
        let commit = host.device.take_commit();
        if let (Some(commit), false) = (commit, process.is_failed) {
            process.commits.push((shard, commit));
            if !std::mem::replace(&mut process.is_write_due, true) {
                self.push_inside(node, What::Write(node), self.faults.write_us, Inside::Write);
            }
        }
        self.plan_upkeep(node, shard);
        // A device without a writer's delay: what it stores is durable at once.
        if let Some(durable) = self.advance(node, shard) {
            self.push_now(node, Inside::Event(shard, Event::Durable(durable)));
        }
    }

    /// Upkeep runs beside the shard, as long as reads that wait for the disk take.
    fn plan_upkeep(&mut self, node: NodeId, shard: ShardId) {
        while let Some(process) = self.process(node).filter(|process| !process.is_failed)
            && let Some(host) = process.shard(shard)
            && let Some(upkeep) = host.device.take_upkeep()
        {
            match upkeep {
                Upkeep::Run(job) => {
                    let takes = What::LoadDelay(Address { node, shard });
                    self.push_inside(node, takes, self.faults.load_us, Inside::Upkeep(shard, job));
                }
                Upkeep::Damaged(partition) => {
                    let event = Event::Damaged(partition);
                    self.push_now(node, Inside::Event(shard, event));
                }
            }
        }
    }

    /// Lets out what has become durable; the machine is to be told so.
    fn advance(&mut self, node: NodeId, shard: ShardId) -> Option<Stamp> {
        let host = self.shard(node, shard)?;
        let durable = host.device.durable();
        if durable <= host.durable {
            return None;
        }
        host.durable = durable;
        let outgoing = host.release();
        outgoing.into_iter().for_each(|each| self.leave(Address { node, shard }, each));
        Some(durable)
    }

    pub(super) fn write(&mut self, node: NodeId) {
        let Some(process) = self.process(node) else { return };
        process.is_write_due = false;
        if process.is_failed {
            return;
        }
        let count = process.commits.len();
        let written = process.write();
        self.trace_text(node, None, "write", &(count, written.is_ok()));
        self.after_writing(node, written);
        self.look_for_room(node);
        self.plan_tidying(node);
    }

    pub(super) fn tidy(&mut self, node: NodeId) {
        let Some(process) = self.process(node) else { return };
        process.is_tidy_due = false;
        if process.is_failed {
            return;
        }
        let mut notices = Vec::new();
        let more = process.writer.tidy(&mut notices);
        self.trace_text(node, None, "tidy", &more.as_ref().ok());
        let goes_on = matches!(more, Ok(true));
        self.after_writing(node, more.map(|_| notices));
        self.look_for_room(node);
        if goes_on {
            self.plan_tidying(node);
        }
    }

    fn plan_tidying(&mut self, node: NodeId) {
        let Some(process) = self.process(node) else { return };
        if !process.is_failed && !std::mem::replace(&mut process.is_tidy_due, true) {
            self.push_inside(node, What::Tidy(node), self.faults.tidy_us, Inside::Tidy);
        }
    }

    fn after_writing(&mut self, node: NodeId, written: io::Result<Vec<(ShardId, NoticeOf<S>)>>) {
        match written {
            Ok(notices) if notices.is_empty() => {}
            Ok(notices) => self.tell_later(node, Inside::Notices(notices)),
            // The power is cut: the process dies before it can see the error.
            Err(_) if self.nodes[node.0 as usize].disk.is_powerless() => {}
            Err(_) => {
                let Some(process) = self.process(node) else { return };
                process.is_failed = true;
                process.commits.clear();
                self.tell_later(node, Inside::Failed);
            }
        }
    }

    /// Tells the shards whether there is room, where that has changed; while there is none, the writer looks for some.
    pub(super) fn look_for_room(&mut self, node: NodeId) {
        let Some(process) = self.process(node).filter(|process| !process.is_failed) else { return };
        let is_full = process.writer.is_full();
        let looks = is_full && !std::mem::replace(&mut process.is_write_due, true);
        if std::mem::replace(&mut process.is_full, is_full) != is_full {
            self.tell_later(node, Inside::Full(is_full));
        }
        if looks {
            self.push_inside_at(node, self.now + LOOK_US, Inside::Write);
        }
    }

    /// The shards hear of writes in the order of the writes.
    fn tell_later(&mut self, node: NodeId, what: Inside<S>) {
        let at = self.now + self.chances.span(What::Notice(node), self.faults.notice_us);
        let Some(process) = self.process(node) else { return };
        process.notices_at = process.notices_at.max(at);
        let at = process.notices_at;
        self.push_inside_at(node, at, what);
    }

    pub(super) fn notices(&mut self, node: NodeId, notices: Vec<(ShardId, NoticeOf<S>)>) {
        let shards: BTreeSet<ShardId> = notices.iter().map(|(shard, _)| *shard).collect();
        for (shard, notice) in notices {
            if let Some(host) = self.shard(node, shard) {
                host.device.notice(notice);
            }
        }
        for shard in shards {
            match self.advance(node, shard) {
                Some(durable) => self.turn(node, shard, Event::Durable(durable)),
                // What the device did of its own goes to the writer all the same.
                None => self.end_turn(node, shard),
            }
        }
    }
}
