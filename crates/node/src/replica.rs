//! The replica's side: a request is fenced, run on the vnode, and answered.

use bytes::Bytes;
use ombak_base::{
    Address, DeviceError, Effects, Entry, NodeId, Now, Partition, Passing, Stamp, Ticket, always,
    planted, sometimes,
};
use ombak_cluster::{Done, Fencing, Header, VnodeError};
use ombak_kv::{Command, CommandReply, key_of};
use serde::{Deserialize, Serialize};

use crate::message::{Acks, Ask, Message, Told};
use crate::places;
use crate::repair::ScanFor;
use crate::shard::Shard;

/// Who waits for a vnode.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// An operation of this shard that has its write named.
    Naming(u64),
    /// One whose write replaced too much.
    Restoring(u64),
    /// An operation of this shard, as a replica.
    Local(u64),
    /// Another coordinator, under its number.
    Remote(Address, u64, Acks),
    /// A vnode that is copying what it lacks.
    Import(Partition),
}

impl Shard {
    /// A replica request from another shard.
    pub(crate) fn asked<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        id: u64,
        header: Header,
        props: u64,
        ask: Ask,
        fx: &mut E,
    ) {
        let Header { request, partition, .. } = header;
        let (peer, what) = (Some(from), ask.name());
        fx.pass(Passing { place: places::REPLICA, request, partition, peer, what });
        if let Err(fencing) = self.fence(&header, now) {
            sometimes!(fx, "a request was fenced off");
            fx.count(places::FENCED);
            return self.tell(from, id, Told::Fenced(fencing), Stamp::NONE, fx);
        }
        always!(
            header.epoch >= self.config.topology.epoch,
            "a replica acts under its own topology or a newer one",
            "{header:?}"
        );
        if let Some(export) = self.props_that_differ(&ask, props) {
            return self.tell(from, id, Told::PropsDiffer(export), Stamp::NONE, fx);
        }
        let acks = match &ask {
            Ask::Merge(_, _, acks, _) => *acks,
            _ => Acks::Taken,
        };
        self.serve(now, header.partition, Origin::Remote(from, id, acks), ask, fx);
    }

    fn fence(&self, header: &Header, now: Now) -> Result<(), Fencing> {
        let epoch = self.config.topology.epoch;
        if header.epoch < epoch && !planted!("a stale epoch accepted") {
            return Err(Fencing::StaleEpoch(epoch));
        }
        if self.vnodes.vnode(header.partition).is_none() {
            return Err(Fencing::WrongPartition);
        }
        if header.fence.holds(self.config.boot, now.tick) { Ok(()) } else { Err(Fencing::Expired) }
    }

    /// What this node knows of the key's bucket, if that is not what the coordinator decided by.
    fn props_that_differ(&self, ask: &Ask, props: u64) -> Option<Bytes> {
        let (Ask::Get(key, _) | Ask::Merge(key, ..) | Ask::Reap(key, _)) = ask else { return None };
        let (bucket, _) = key_of(key)?;
        (self.buckets.digest(&bucket) != props).then(|| self.buckets.export(&bucket))
    }

    /// Runs a request on a vnode of this shard.
    pub(crate) fn serve<E: Effects<Shard>>(
        &mut self,
        now: Now,
        partition: Partition,
        origin: Origin,
        ask: Ask,
        fx: &mut E,
    ) {
        // A reaping gives space back, and one that is refused by one replica alone is undone by read repair.
        if self.full && matches!(ask, Ask::Merge(..)) && !self.failed {
            sometimes!(fx, "a full disk refused a write");
            let told =
                if planted!("a full disk acknowledged") { Told::Durable(0) } else { Told::Full };
            return self.answer(origin, told, Stamp::NONE, fx);
        }
        let writes = matches!(ask, Ask::Merge(..) | Ask::Reap(..));
        if writes && (self.failed || self.overloaded()) {
            let told = if self.failed { Told::Failed } else { Told::Overload };
            return self.answer(origin, told, Stamp::NONE, fx);
        }
        let (key, command) = match ask {
            Ask::Get(key, have) => (key, Command::Get { have }),
            Ask::Merge(key, object, _, base) => (key, Command::Merge { object, base }),
            Ask::Reap(key, tombstone) => (key, Command::Reap(tombstone)),
            Ask::List { from, to, buckets } => {
                return self.scan_for(ScanFor::List { origin, partition, buckets }, from, to, fx);
            }
            Ask::Export(from) => {
                let to = Bytes::new();
                return self.scan_for(ScanFor::Export { origin, partition }, from, to, fx);
            }
        };
        self.submit(now, partition, &key, command, origin, fx);
    }

    /// Gives a command to a vnode of this shard, and acts on what it came to, now or once the key has been loaded.
    pub(crate) fn submit<E: Effects<Shard>>(
        &mut self,
        now: Now,
        partition: Partition,
        key: &Bytes,
        command: Command,
        origin: Origin,
        fx: &mut E,
    ) {
        fx.count(match &command {
            Command::Get { .. } => places::VNODE_GET,
            Command::Reap(_) => places::VNODE_DELETE,
            _ => places::VNODE_PUT,
        });
        if let Some(done) = self.vnodes.submit(now, partition, key, command, origin, fx) {
            self.finished(now, done, fx);
        }
    }

    /// A key has been loaded: all that waited for it has run.
    pub(crate) fn loaded<E: Effects<Shard>>(
        &mut self,
        now: Now,
        ticket: Ticket,
        entry: Result<Option<Entry>, DeviceError>,
        fx: &mut E,
    ) {
        if let Err(DeviceError::Damaged(_)) = &entry
            && let Some(partition) = self.vnodes.partition_of(ticket)
        {
            self.damaged(partition, fx);
        }
        for done in self.vnodes.loaded(now, ticket, entry, fx) {
            self.finished(now, done, fx);
        }
    }

    /// Something stored cannot be read: what the vnode lacks from now on means nothing.
    pub(crate) fn damaged<E: Effects<Shard>>(&mut self, partition: Partition, fx: &mut E) {
        let Some(vnode) = self.vnodes.vnode_mut(partition) else { return };
        vnode.name_anew();
        if vnode.is_complete() {
            sometimes!(fx, "damage made a vnode incomplete");
            vnode.set_complete(false);
            self.persist(partition, fx);
        }
    }

    fn finished<E: Effects<Shard>>(
        &mut self,
        now: Now,
        done: Done<Origin, CommandReply>,
        fx: &mut E,
    ) {
        self.stored = self.stored.max(done.stamp);
        match done.origin {
            Origin::Naming(id) => self.named(now, id, done, fx),
            Origin::Restoring(id) => self.restored(now, id, done, fx),
            Origin::Import(partition) => {
                let taken = matches!(done.reply, CommandReply::Merged(_));
                self.imported(now, partition, taken, fx);
            }
            Origin::Local(_) | Origin::Remote(..) => {
                let told = told(done.reply);
                self.answer(done.origin, told, done.stamp, fx);
            }
        }
    }

    /// Answers the coordinator, now or when `stamp` is durable, as the answer demands.
    pub(crate) fn answer<E: Effects<Shard>>(
        &mut self,
        origin: Origin,
        told: Told,
        stamp: Stamp,
        fx: &mut E,
    ) {
        match (origin, &told) {
            (Origin::Local(id), Told::Durable(_)) if id != 0 => {
                self.inbox.push_back((self.me(), id, Told::Taken));
                self.tell_self_when_durable(stamp, id, told, fx);
            }
            (Origin::Local(id), _) => self.inbox.push_back((self.me(), id, told)),
            (Origin::Remote(to, id, acks), Told::Durable(_)) => {
                if acks != Acks::Durable {
                    self.tell(to, id, Told::Taken, Stamp::NONE, fx);
                }
                if acks != Acks::Taken {
                    let after =
                        if planted!("acknowledging before durable") { Stamp::NONE } else { stamp };
                    self.tell(to, id, told, after, fx);
                }
            }
            (Origin::Remote(to, id, _), _) => self.tell(to, id, told, Stamp::NONE, fx),
            (Origin::Naming(_) | Origin::Restoring(_) | Origin::Import(_), _) => {}
        }
    }

    /// Tells an operation of this shard what its own replica did, once that is durable. What changed nothing may rest on
    /// stores that were durable long ago: then no news of durability need ever come.
    pub(crate) fn tell_self_when_durable<E: Effects<Shard>>(
        &mut self,
        stamp: Stamp,
        id: u64,
        told: Told,
        fx: &mut E,
    ) {
        if stamp <= self.durable {
            self.inbox.push_back((self.me(), id, told));
        } else {
            fx.await_durable(stamp);
            self.unsynced.push_back((stamp, id, told));
        }
    }

    /// Sends an answer. Number 0 is nobody's: nothing is sent.
    fn tell<E: Effects<Shard>>(
        &mut self,
        to: Address,
        id: u64,
        told: Told,
        after: Stamp,
        fx: &mut E,
    ) {
        if id != 0 {
            self.answer_shard(to, Message::Told(id, told), after, fx);
        }
    }

    /// Answers that no operation waits for: listings and repairs.
    pub(crate) fn told_others<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        told: Told,
        fx: &mut E,
    ) {
        if let Told::PropsDiffer(export) = told {
            // The operation is over; what it would have learned is not lost.
            self.learn_props(now, &[export], fx);
        } else if self.pieces.contains_key(&id) {
            self.list_told(now, node, id, told, fx);
        } else {
            self.repair_told(now, node, id, told, fx);
        }
    }
}

fn told(reply: CommandReply) -> Told {
    match reply {
        CommandReply::Value(object, complete) => Told::Value(object, complete),
        CommandReply::Same(complete) => Told::Same(complete),
        CommandReply::Absent(complete) => Told::Absent(complete),
        CommandReply::Merged(tag) => Told::Durable(tag),
        CommandReply::Reaped(gone) => Told::Reaped(gone),
        CommandReply::Failed(VnodeError::Overload) => Told::Overload,
        CommandReply::Coordinated { .. }
        | CommandReply::CannotMint
        | CommandReply::Refused(_)
        | CommandReply::Failed(VnodeError::Device(_) | VnodeError::Stopped) => Told::Failed,
    }
}
