//! The vnode's side: what a command does to a stored object. Pure functions.

use bytes::Bytes;
use ombak_base::limits::{OBJECT_BYTES_MAX, SIBLINGS_MAX};
use ombak_base::{Entry, Now, Peek, RequestId, always, planted};
use ombak_cluster::{Outcome, Service, Vnode, VnodeError, Write};
use ombak_crdt::{Context, Dot};
use serde::{Deserialize, Serialize};

use crate::{Content, Object, RequestError, Version};

/// The key-value service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Kv;

/// A client's write, to be named by a dot here and then spread as an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CoordinatedWrite {
    /// The client operation.
    pub request: RequestId,
    /// Whether an earlier attempt may have written it already, elsewhere.
    pub retried: bool,
    /// What the client had seen.
    pub context: Context,
    /// What it writes; the time is set here.
    pub content: Content,
    /// Whether writes that the client had not seen stay beside it as siblings (`allow_mult`), or are replaced.
    pub siblings: bool,
    /// Only if nothing is there.
    pub if_none_match: bool,
    /// Only if nothing is there that was not seen.
    pub if_not_modified: bool,
}

/// What is asked of one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Its object.
    Get {
        /// The tag of the object that the coordinator holds: if it is the same here, saying so is enough.
        have: Option<u64>,
    },
    /// Name a client's write.
    Coordinate(Box<CoordinatedWrite>),
    /// Take over what another replica knows.
    Merge {
        /// The stored form of its object.
        object: Bytes,
        /// The tag of the object that this one was made from, by one write. Whoever holds that holds nothing that is
        /// not in this one.
        base: Option<u64>,
    },
    /// Forget the key if exactly this tombstone is stored.
    Reap(Bytes),
    /// Take back the replacing of what a writer had not seen: the bucket keeps siblings after all.
    Restore(Box<Restoring>),
}

/// A write that may have replaced too much, before its coordinator knew the bucket's properties.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Restoring {
    /// The write, as it is to be done in a bucket that keeps siblings. Another may have replaced it meanwhile.
    pub write: CoordinatedWrite,
    /// The stored form of the object that it was made from, if it replaced something that its client had not seen.
    pub before: Option<Bytes>,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CommandReply {
    /// The stored form of the object, and whether the vnode is complete.
    Value(Bytes, bool),
    /// The object that the coordinator holds, and whether the vnode is complete.
    Same(bool),
    /// Nothing is there. That means something if the vnode is complete.
    Absent(bool),
    /// The write has its dot.
    Coordinated {
        /// The stored form of the result.
        object: Bytes,
        /// Its tag.
        tag: u64,
        /// The tag of what was there before.
        base: Option<u64>,
        /// The stored form of what was there before, if siblings in it were replaced that the client had not seen.
        unseen: Option<Bytes>,
    },
    /// The merge is done; the tag of what is there now.
    Merged(u64),
    /// Whether the tombstone is gone.
    Reaped(bool),
    /// This vnode cannot name writes yet.
    CannotMint,
    /// Nothing was changed.
    Refused(RequestError),
    /// Nothing was changed: overload or damage.
    Failed(VnodeError),
}

impl Service for Kv {
    type Command = Command;
    type Reply = CommandReply;

    fn handle(
        vnode: &mut Vnode,
        now: Now,
        key: &Bytes,
        command: &Command,
        stored: Option<&Entry>,
    ) -> Outcome<CommandReply> {
        match command {
            Command::Get { have } => keep(get(vnode, key, *have, stored)),
            Command::Coordinate(write) => coordinate(vnode, now, key, write, stored),
            Command::Merge { object, base } => merge(vnode, key, object, *base, stored),
            Command::Reap(tombstone) => reap(vnode, now, key, tombstone, stored),
            Command::Restore(restoring) => restore(vnode, now, restoring, stored),
        }
    }

    fn at_once(
        vnode: &Vnode,
        _now: Now,
        key: &Bytes,
        command: &Command,
        peek: impl FnOnce() -> Peek,
    ) -> Option<Outcome<CommandReply>> {
        match command {
            Command::Get { have: Some(have) } => match peek() {
                Peek::Tag(tag) if tag == *have => {
                    Some(keep(CommandReply::Same(vnode.is_complete())))
                }
                Peek::Absent => Some(keep(get(vnode, key, Some(*have), None))),
                _ => None,
            },
            Command::Merge { object, base } if vnode.grave(key).is_none() => match peek() {
                Peek::Tag(tag) => merge_onto(tag, object, *base),
                Peek::Absent => Some(merge(vnode, key, object, *base, None)),
                Peek::Unknown => None,
            },
            // The value is wanted, or what it holds decides.
            _ => None,
        }
    }

    fn failed(_command: &Command, error: &VnodeError) -> CommandReply {
        CommandReply::Failed(error.clone())
    }
}

fn keep(reply: CommandReply) -> Outcome<CommandReply> {
    Outcome { write: Write::Keep, reply }
}

fn refuse(error: RequestError) -> Outcome<CommandReply> {
    keep(CommandReply::Refused(error))
}

fn get(vnode: &Vnode, key: &Bytes, have: Option<u64>, stored: Option<&Entry>) -> CommandReply {
    let complete = vnode.is_complete();
    match (stored, vnode.grave(key)) {
        (Some(entry), _) if have == Some(entry.tag) => CommandReply::Same(complete),
        (Some(entry), _) => CommandReply::Value(entry.bytes.clone(), complete),
        // The reader may have met the deleted value before it was reaped.
        (None, Some(reaped)) => CommandReply::Value(Object::grave(reaped).encode(), complete),
        (None, None) => CommandReply::Absent(complete),
    }
}

fn coordinate(
    vnode: &mut Vnode,
    now: Now,
    key: &Bytes,
    write: &CoordinatedWrite,
    stored: Option<&Entry>,
) -> Outcome<CommandReply> {
    let mut object = match decode(stored) {
        Ok(object) => object,
        Err(reply) => return keep(reply),
    };
    if vnode.grave(key).is_some_and(|reaped| Object::grave(reaped).knows_request(write.request)) {
        // An attempt that comes late: another was done, replaced and reaped.
        return refuse(RequestError::Timeout);
    }
    let base = stored.map(|entry| entry.tag);
    always!(
        base.is_none_or(|tag| tag == object.tag()),
        "a tag names what is stored",
        "{base:?} {object:?}"
    );
    if let Some(entry) = stored
        && object.knows_request(write.request)
    {
        // A retry of what was done before, and perhaps replaced since.
        return keep(CommandReply::Coordinated {
            object: entry.bytes.clone(),
            tag: entry.tag,
            base,
            unseen: None,
        });
    }
    if write.if_none_match && !object.is_tombstone() {
        return refuse(RequestError::MatchFound);
    }
    if write.if_not_modified && !write.context.seen.descends(object.seen()) {
        return refuse(RequestError::Modified);
    }
    let Some(dot) = vnode.mint() else { return keep(CommandReply::CannotMint) };
    let mut context = write.context.clone();
    // A retry replaces only what its client had seen: what is stored may have replaced its first attempt, and two
    // writes that replace each other would leave nothing.
    let mut unseen = None;
    if !write.siblings && !write.retried {
        let seen = |(dot, _): &(Dot, Version)| write.context.seen.covers(*dot);
        unseen = stored.filter(|_| !object.siblings().iter().all(seen));
        context.join(&object.context());
    }
    if planted!("a delete that drops the context") && write.content.deleted {
        context = Context::default();
        object = Object::default();
    }
    let content = Content { last_modified_us: now.wall_us, ..write.content.clone() };
    object.write(
        &context,
        dot,
        Version { request: write.request, retried: write.retried, content },
    );
    if object.siblings().len() > SIBLINGS_MAX {
        return refuse(RequestError::TooManySiblings(SIBLINGS_MAX));
    }
    let entry = object.to_entry();
    if entry.bytes.len() > OBJECT_BYTES_MAX {
        return refuse(RequestError::TooLarge(OBJECT_BYTES_MAX));
    }
    let unseen = unseen.map(|entry| entry.bytes.clone());
    named(entry, base, unseen)
}

/// Stores the object with a new dot.
fn named(entry: Entry, base: Option<u64>, unseen: Option<Bytes>) -> Outcome<CommandReply> {
    let (object, tag) = (entry.bytes.clone(), entry.tag);
    let reply = CommandReply::Coordinated { object, tag, base, unseen };
    Outcome { write: Write::Put(entry), reply }
}

/// Writes again what was replaced unseen: what was there before the write, and the write itself. Under new dots, because
/// the old ones count as replaced wherever the replacing has arrived.
///
/// Two writes may have replaced the same version, at one coordinator or at two, and each is put right for itself. So what
/// is written again is a retry of the request that it came from: copies of it collapse, whoever has seen one of them
/// replaces all, and a retry by the client finds it done.
fn restore(
    vnode: &mut Vnode,
    now: Now,
    restoring: &Restoring,
    stored: Option<&Entry>,
) -> Outcome<CommandReply> {
    let Restoring { write, before } = restoring;
    let mut object = match decode(stored) {
        Ok(object) => object,
        Err(reply) => return keep(reply),
    };
    let Ok(before) = before.as_ref().map(Object::decode).transpose() else {
        return refuse_unreadable();
    };
    let content = Content { last_modified_us: now.wall_us, ..write.content.clone() };
    let own = (&write.context, Version { request: write.request, retried: true, content });
    let nothing = Context::default();
    let mut replaced = before.unwrap_or_default();
    replaced.drop_seen(&write.context);
    let unseen = replaced.siblings().iter().map(|(_, version)| (&nothing, version.clone()));
    for (context, version) in unseen.chain([own]) {
        let Some(request) = name_again(&object, version.request) else { continue };
        let Some(dot) = vnode.mint() else { return keep(CommandReply::CannotMint) };
        object.write(context, dot, Version { request, retried: true, ..version });
    }
    named(object.to_entry(), stored.map(|entry| entry.tag), None)
}

/// The request under which something is written again; `None`: it is there. Its own, unless that counts as replaced: a
/// write that replaced a retry unseen has named it.
fn name_again(object: &Object, request: RequestId) -> Option<RequestId> {
    /// Any odd number: what follows one another is never the same. A large one, so that no other request is hit.
    const NEXT: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let mut names =
        std::iter::successors(Some(request), |last| Some(RequestId(last.0.wrapping_add(NEXT))));
    let is_there = |name: RequestId| object.siblings().iter().any(|(_, v)| v.request == name);
    names
        .find(|name| is_there(*name) || !object.knows_request(*name))
        .filter(|name| !is_there(*name))
}

/// A merge of which only the tag of what is stored is known; `None`: that is not enough.
fn merge_onto(stored: u64, incoming: &Bytes, base: Option<u64>) -> Option<Outcome<CommandReply>> {
    let Ok(object) = Object::decode(incoming) else { return Some(refuse_unreadable()) };
    let tag = object.tag();
    if stored == tag {
        return Some(keep(CommandReply::Merged(tag)));
    }
    if base == Some(stored) || planted!("a merge that trusts any tag") {
        return Some(put(Entry { tag, bytes: incoming.clone() }));
    }
    None
}

fn refuse_unreadable() -> Outcome<CommandReply> {
    refuse(RequestError::Storage("a replica sent an object that cannot be read".into()))
}

fn merge(
    vnode: &Vnode,
    key: &Bytes,
    incoming: &Bytes,
    base: Option<u64>,
    stored: Option<&Entry>,
) -> Outcome<CommandReply> {
    let Ok(mut object) = Object::decode(incoming) else { return refuse_unreadable() };
    let tag = object.tag();
    if stored.is_some_and(|entry| entry.bytes == *incoming) {
        return keep(CommandReply::Merged(tag));
    }
    let mut current = match decode(stored) {
        Ok(object) => object,
        Err(reply) => return keep(reply),
    };
    if let Some(reaped) = vnode.grave(key) {
        // What was reaped must not come back by a message that was on its way.
        object.drop_seen(reaped);
        if object.siblings().is_empty() && stored.is_none() {
            return keep(CommandReply::Merged(0));
        }
    } else if stored.is_none() {
        return put(Entry { tag, bytes: incoming.clone() });
    }
    if planted!("read repair writing the older value") {
        current = Object::default();
    }
    always!(!current.contradicts(&object), "a dot names one write", "{current:?} and {object:?}");
    if current == Object::default() {
        return put(object.to_entry());
    }
    let before = current.clone();
    current.merge(&object);
    let entry_tag = current.tag();
    let onto_base = base == stored.map(|entry| entry.tag) && vnode.grave(key).is_none();
    always!(
        !onto_base || entry_tag == tag,
        "a merge onto its base is what came",
        "{object:?} onto {before:?}"
    );
    if current == before {
        return keep(CommandReply::Merged(entry_tag));
    }
    put(Entry { tag: entry_tag, bytes: current.encode() })
}

/// Takes what a merge came to.
fn put(entry: Entry) -> Outcome<CommandReply> {
    let reply = CommandReply::Merged(entry.tag);
    Outcome { write: Write::Put(entry), reply }
}

fn reap(
    vnode: &mut Vnode,
    now: Now,
    key: &Bytes,
    tombstone: &Bytes,
    stored: Option<&Entry>,
) -> Outcome<CommandReply> {
    let same = stored.is_some_and(|entry| entry.bytes == *tombstone);
    let Some(object) =
        Object::decode(tombstone).ok().filter(|object| same && object.is_tombstone())
    else {
        return keep(CommandReply::Reaped(false));
    };
    if !vnode.bury(key, &object.context(), now.tick) {
        return keep(CommandReply::Reaped(false));
    }
    Outcome { write: Write::Remove, reply: CommandReply::Reaped(true) }
}

fn decode(stored: Option<&Entry>) -> Result<Object, CommandReply> {
    let Some(entry) = stored else { return Ok(Object::default()) };
    Object::decode(&entry.bytes).map_err(|error| {
        CommandReply::Failed(VnodeError::Device(ombak_base::DeviceError::Damaged(format!(
            "an object: {error}"
        ))))
    })
}

#[cfg(test)]
mod tests;
