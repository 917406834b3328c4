//! Scans of the own vnodes, for listings and for others' repairs; and the repair of the own incomplete vnodes.
//!
//! A vnode that lost data becomes complete again by merging in all that *every other* owner of its row has. One source
//! would not do: a write acknowledged by two of three may survive on the other source alone. At least one source must
//! be complete, or nobody knows what should be there.

use bytes::Bytes;
use ombak_base::{
    Chunk, ClientId, DeviceError, Effects, NodeId, Now, Partition, Scan, Stamp, Ticket, sometimes,
};
use ombak_kv::{Command, TAG_TOMBSTONE, key_of};
use serde::{Deserialize, Serialize};

use crate::message::{Ask, Told};
use crate::replica::Origin;
use crate::shard::{Reply, Shard};
use crate::status::RepairReport;
use crate::stopping::PROPERTY_BROKEN;

/// A piece of a scan, in entries and in bytes.
const ENTRIES_MAX: u32 = 512;
const BYTES_MAX: u32 = 256 * 1024;
/// Why nothing is repaired while nothing can be made durable.
pub(crate) const STORAGE_FAILED: &str = "a write or sync failed on this node: start it again";
/// Why nothing is repaired while there is no room for it.
pub(crate) const DISK_FULL: &str = "the disk of this node is full: free space, then try again";
/// Tickets of scans, apart from those of loads.
const SCAN: u64 = 1 << 63;

/// For whom a scan runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum ScanFor {
    /// A listing: live keys, or the first of each bucket.
    List { origin: Origin, partition: Partition, buckets: bool },
    /// A repair: everything with its value.
    Export { origin: Origin, partition: Partition },
}

/// The repair of this shard's incomplete vnodes, one after the other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Repair {
    client: ClientId,
    todo: Vec<Partition>,
    current: Option<Copy>,
    report: RepairReport,
    /// All is done, and reported once this is durable.
    after: Option<Stamp>,
}

/// One vnode being copied.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Copy {
    partition: Partition,
    /// Owners that have not been read to the end yet; the last is being read.
    sources: Vec<NodeId>,
    from: Bytes,
    /// The number of the question that is out; an answer under another is late.
    question: u64,
    /// Entries being merged in.
    merging: usize,
    next: Option<Bytes>,
    complete_source: bool,
    lost_entry: bool,
}

impl Shard {
    pub(crate) fn scan_for<E: Effects<Shard>>(
        &mut self,
        scan_for: ScanFor,
        from: Bytes,
        to: Bytes,
        fx: &mut E,
    ) {
        let (ScanFor::List { partition, .. } | ScanFor::Export { partition, .. }) = scan_for;
        let values = matches!(scan_for, ScanFor::Export { .. });
        let from = from.max(Bytes::from_static(&[1]));
        let ticket = Ticket(SCAN | self.fresh_id());
        self.scans.insert(ticket, scan_for);
        fx.scan(
            ticket,
            Scan { partition, from, to, entries_max: ENTRIES_MAX, bytes_max: BYTES_MAX, values },
        );
    }

    pub(crate) fn scanned<E: Effects<Shard>>(
        &mut self,
        ticket: Ticket,
        chunk: Result<Chunk, DeviceError>,
        fx: &mut E,
    ) {
        let Some(scan_for) = self.scans.remove(&ticket) else { return };
        let (ScanFor::List { origin, partition, .. } | ScanFor::Export { origin, partition }) =
            &scan_for;
        let (origin, partition) = (origin.clone(), *partition);
        let complete = self.vnodes.vnode(partition).is_some_and(|vnode| vnode.is_complete());
        let told = match (chunk, scan_for) {
            (Err(_), _) => Told::Failed,
            (Ok(chunk), ScanFor::List { buckets, .. }) => listed(chunk, buckets, complete),
            (Ok(chunk), ScanFor::Export { .. }) => {
                let entries =
                    chunk.entries.into_iter().filter_map(|entry| Some((entry.key, entry.bytes?)));
                Told::Exported { entries: entries.collect(), next: chunk.next, complete }
            }
        };
        self.answer(origin, told, Stamp::NONE, fx);
    }

    /// Makes every incomplete vnode of this shard complete, as far as its row can be reached.
    pub(crate) fn start_repair<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        fx: &mut E,
    ) {
        let refused = match &self.repair {
            _ if self.failed => Some(STORAGE_FAILED),
            _ if self.full => Some(DISK_FULL),
            Some(_) => Some("a repair is running already"),
            None => None,
        };
        if let Some(refused) = refused {
            let report = RepairReport { refused: Some(refused.into()), ..Default::default() };
            return fx.reply(client, Reply::Repaired(report), Stamp::NONE);
        }
        let incomplete = self.vnodes.vnodes().filter(|vnode| !vnode.is_complete());
        let todo = incomplete.map(|vnode| vnode.partition()).collect();
        let report = RepairReport::default();
        self.repair = Some(Repair { client, todo, current: None, report, after: None });
        self.next_repair(now, fx);
    }

    /// Goes on with the next vnode, or reports.
    fn next_repair<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        let Some(repair) = &mut self.repair else { return };
        let Some(partition) = repair.todo.pop() else {
            repair.after = Some(self.stored);
            fx.await_durable(self.stored);
            return self.report_repair(fx);
        };
        if self.vnodes.vnode(partition).is_some_and(|vnode| vnode.is_stopped()) {
            return self.end_copy(now, partition, Some(PROPERTY_BROKEN.into()), fx);
        }
        if self.vnodes.vnode(partition).is_some_and(|vnode| vnode.is_fresh()) {
            // What the other owners remember of it may yet show that its disk was lost.
            let reason = "not all owners have been heard yet: try again in a moment".into();
            return self.end_copy(now, partition, Some(reason), fx);
        }
        let row = self.config.topology.ring.row(partition).iter();
        let sources: Vec<NodeId> =
            row.copied().filter(|node| *node != self.config.me.node).collect();
        let down = sources.iter().find(|node| !self.peers.is_up(**node)).copied();
        if let Some(node) = down {
            let name = self.config.topology.name(node).to_owned();
            return self.end_copy(now, partition, Some(format!("{name} is down")), fx);
        }
        repair.current = Some(Copy {
            partition,
            sources,
            from: Bytes::new(),
            question: 0,
            merging: 0,
            next: None,
            complete_source: false,
            lost_entry: false,
        });
        self.read_source(now, fx);
    }

    /// Reports a repair that is done and durable.
    pub(crate) fn report_repair<E: Effects<Shard>>(&mut self, fx: &mut E) {
        let is_done = |repair: &mut Repair| repair.after.is_some_and(|after| after <= self.durable);
        if let Some(repair) = self.repair.take_if(is_done) {
            fx.reply(repair.client, Reply::Repaired(repair.report), Stamp::NONE);
        }
    }

    /// Nothing becomes durable any more, or not for now: the repair ends with what it had come to.
    pub(crate) fn fail_repair<E: Effects<Shard>>(&mut self, why: &'static str, fx: &mut E) {
        let Some(Repair { client, todo, current, mut report, .. }) = self.repair.take() else {
            return;
        };
        let rest = current.map(|copy| copy.partition).into_iter().chain(todo);
        let undone = std::mem::take(&mut report.completed).into_iter().chain(rest);
        report.incomplete.extend(undone.map(|partition| (partition, why.into())));
        fx.reply(client, Reply::Repaired(report), Stamp::NONE);
    }

    /// Asks the present source for its next piece, or finishes the vnode when there is no source left.
    fn read_source<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        let question = self.fresh_id();
        let Some(copy) = self.repair.as_mut().and_then(|repair| repair.current.as_mut()) else {
            return;
        };
        let partition = copy.partition;
        match copy.sources.last().copied() {
            Some(source) => {
                copy.question = question;
                let ask = Ask::Export(copy.from.clone());
                if !self.ask_alone(now, question, partition, source, ask, fx) {
                    let name = self.config.topology.name(source).to_owned();
                    self.end_copy(now, partition, Some(format!("{name} cannot be reached")), fx);
                }
            }
            None if copy.lost_entry => {
                self.end_copy(now, partition, Some("storing failed".into()), fx)
            }
            None if !copy.complete_source => {
                self.end_copy(now, partition, Some("no other owner is complete".into()), fx);
            }
            None => {
                sometimes!(fx, "a repair made a vnode complete");
                self.vnodes.give_up_unreadable(partition, fx);
                if let Some(vnode) = self.vnodes.vnode_mut(partition) {
                    vnode.set_complete(true);
                }
                self.persist(partition, fx);
                self.end_copy(now, partition, None, fx);
            }
        }
    }

    fn end_copy<E: Effects<Shard>>(
        &mut self,
        now: Now,
        partition: Partition,
        why_not: Option<String>,
        fx: &mut E,
    ) {
        if let Some(repair) = &mut self.repair {
            repair.current = None;
            match why_not {
                None => repair.report.completed.push(partition),
                Some(reason) => repair.report.incomplete.push((partition, reason)),
            }
        }
        self.next_repair(now, fx);
    }

    /// A source has answered.
    pub(crate) fn repair_told<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        told: Told,
        fx: &mut E,
    ) {
        let Some(repair) = &mut self.repair else { return };
        let Some(copy) = &mut repair.current else { return };
        if id == 0 || copy.question != id || copy.sources.last() != Some(&node) {
            return;
        }
        copy.question = 0;
        let partition = copy.partition;
        let Told::Exported { entries, next, complete } = told else {
            let name = self.config.topology.name(node).to_owned();
            return self.end_copy(now, partition, Some(format!("{name} could not be read")), fx);
        };
        copy.complete_source |= complete;
        copy.next = next;
        // One more than there are, so that the piece cannot end while it is being handed out.
        copy.merging = entries.len() + 1;
        repair.report.entries += entries.len() as u64;
        for (key, object) in entries {
            let origin = Origin::Import(partition);
            self.submit(now, partition, &key, Command::Merge { object, base: None }, origin, fx);
        }
        self.imported(now, partition, true, fx);
    }

    /// One entry has been merged in; after the last of a piece the next is asked for.
    pub(crate) fn imported<E: Effects<Shard>>(
        &mut self,
        now: Now,
        partition: Partition,
        taken: bool,
        fx: &mut E,
    ) {
        let Some(copy) = self.repair.as_mut().and_then(|repair| repair.current.as_mut()) else {
            return;
        };
        if copy.partition != partition || copy.merging == 0 {
            return;
        }
        copy.lost_entry |= !taken;
        copy.merging -= 1;
        if copy.merging > 0 {
            return;
        }
        match copy.next.take() {
            Some(next) => copy.from = next,
            None => {
                copy.sources.pop();
                copy.from = Bytes::new();
            }
        }
        self.read_source(now, fx);
    }

    /// `node` is lost: a vnode that was being copied from it stays incomplete.
    pub(crate) fn repair_without<E: Effects<Shard>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        let copy = self.repair.as_ref().and_then(|repair| repair.current.as_ref());
        let Some(partition) =
            copy.filter(|copy| copy.sources.contains(&node)).map(|copy| copy.partition)
        else {
            return;
        };
        let name = self.config.topology.name(node).to_owned();
        self.end_copy(now, partition, Some(format!("{name} went down")), fx);
    }
}

/// The live keys of a piece. For buckets, one key of each bucket is enough.
fn listed(chunk: Chunk, buckets: bool, complete: bool) -> Told {
    let live = chunk.entries.into_iter().filter(|entry| entry.tag & TAG_TOMBSTONE == 0);
    let mut keys: Vec<Bytes> = live.map(|entry| entry.key).collect();
    if buckets {
        keys.dedup_by(|a, b| {
            key_of(a).map(|(bucket, _)| bucket) == key_of(b).map(|(bucket, _)| bucket)
        });
    }
    Told::Listed { keys, next: chunk.next, complete }
}
