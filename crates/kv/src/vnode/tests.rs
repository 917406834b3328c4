use ombak_base::{ActorId, Partition, Tick};
use ombak_cluster::LEASE;
use proptest::prelude::*;

use super::*;

fn vnode() -> Vnode {
    vnode_of(ActorId(1))
}

fn vnode_of(actor: ActorId) -> Vnode {
    let mut vnode = Vnode::format(Partition(1), actor);
    vnode.settle(&[], ActorId(2));
    vnode.confirm_fresh();
    vnode.lease_is_synced(LEASE);
    vnode
}

fn key() -> Bytes {
    Bytes::from_static(b"\x01k")
}

fn write(value: &'static str, request: u128, context: &Context) -> CoordinatedWrite {
    let content = Content { value: Bytes::from_static(value.as_bytes()), ..Content::default() };
    CoordinatedWrite {
        request: RequestId(request),
        retried: false,
        context: context.clone(),
        content,
        siblings: true,
        if_none_match: false,
        if_not_modified: false,
    }
}

fn merge(object: Bytes) -> Command {
    Command::Merge { object, base: None }
}

/// Runs a command on what is stored, and stores what comes out.
fn run(vnode: &mut Vnode, stored: &mut Option<Entry>, command: Command) -> CommandReply {
    let now = Now { tick: Tick(1), wall_us: 5 };
    let outcome = Kv::handle(vnode, now, &key(), &command, stored.as_ref());
    match outcome.write {
        Write::Keep => {}
        Write::Put(entry) => *stored = Some(entry),
        Write::Remove => *stored = None,
    }
    outcome.reply
}

fn coordinate_ok(vnode: &mut Vnode, stored: &mut Option<Entry>, write: CoordinatedWrite) -> Object {
    match run(vnode, stored, Command::Coordinate(Box::new(write))) {
        CommandReply::Coordinated { object, .. } => Object::decode(&object).expect("our own bytes"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_without_context_stands_beside_or_replaces_by_the_bucket() {
    let (mut vnode, mut stored) = (vnode(), None);
    let nothing = Context::default();
    coordinate_ok(&mut vnode, &mut stored, write("a", 1, &nothing));
    let both = coordinate_ok(&mut vnode, &mut stored, write("b", 2, &nothing));
    assert_eq!(both.siblings().len(), 2);
    let one = CoordinatedWrite { siblings: false, ..write("c", 3, &nothing) };
    let replaced = coordinate_ok(&mut vnode, &mut stored, one);
    assert_eq!(replaced.siblings().len(), 1);
    assert_eq!(replaced.siblings()[0].1.content.last_modified_us, 5);
}

#[test]
fn a_retry_of_what_is_there_mints_nothing() {
    let (mut vnode, mut stored) = (vnode(), None);
    let first = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    assert_eq!(coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default())), first);
}

/// Seed 4245 of the simulator: the retry replaced what had replaced its first attempt, and nothing was left.
#[test]
fn a_retry_does_not_replace_what_replaced_it() {
    let (mut vnode, mut stored) = (vnode(), None);
    let first = CoordinatedWrite { retried: true, ..write("a", 1, &Context::default()) };
    let first = coordinate_ok(&mut vnode, &mut stored, first);
    let newer = coordinate_ok(&mut vnode, &mut stored, write("b", 2, &first.context()));
    let mut elsewhere = Some(newer.to_entry());
    let retry = |request| CoordinatedWrite {
        retried: true,
        siblings: false,
        ..write("a", request, &Context::default())
    };
    assert_eq!(
        coordinate_ok(&mut vnode, &mut elsewhere, retry(1)),
        newer,
        "it is known to be replaced"
    );
    let both = coordinate_ok(&mut vnode, &mut elsewhere, retry(3));
    assert_eq!(both.siblings().len(), 2, "where it is not known, it stands beside");
}

#[test]
fn conditions_are_checked_against_what_is_stored() {
    let (mut vnode, mut stored) = (vnode(), None);
    let nothing = Context::default();
    let only_new =
        |request| CoordinatedWrite { if_none_match: true, ..write("a", request, &nothing) };
    let first = coordinate_ok(&mut vnode, &mut stored, only_new(1));
    let refused = run(&mut vnode, &mut stored, Command::Coordinate(Box::new(only_new(2))));
    assert_eq!(refused, CommandReply::Refused(RequestError::MatchFound));
    let unmodified = |request, context: &Context| CoordinatedWrite {
        if_not_modified: true,
        ..write("b", request, context)
    };
    coordinate_ok(&mut vnode, &mut stored, unmodified(3, &first.context()));
    let refused = run(
        &mut vnode,
        &mut stored,
        Command::Coordinate(Box::new(unmodified(4, &first.context()))),
    );
    assert_eq!(refused, CommandReply::Refused(RequestError::Modified));
}

#[test]
fn a_reaped_key_does_not_come_back_by_a_late_message() {
    let (mut vnode, mut stored) = (vnode(), None);
    let old = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    let mut deletion = write("", 2, &old.context());
    deletion.content.deleted = true;
    let tombstone = coordinate_ok(&mut vnode, &mut stored, deletion);
    assert!(tombstone.is_tombstone());
    assert_eq!(
        run(&mut vnode, &mut stored, Command::Reap(old.encode())),
        CommandReply::Reaped(false)
    );
    assert_eq!(
        run(&mut vnode, &mut stored, Command::Reap(tombstone.encode())),
        CommandReply::Reaped(true)
    );
    assert_eq!(stored, None);
    run(&mut vnode, &mut stored, merge(old.encode()));
    assert_eq!(stored, None, "the late copy was covered by the grave");
    let new = coordinate_ok(&mut vnode, &mut stored, write("n", 3, &Context::default()));
    assert_eq!(new.live().count(), 1, "a new write is no ghost");
}

/// A retry was done, replaced and reaped; then the first attempt arrives.
#[test]
fn an_attempt_of_a_reaped_request_is_not_done_again() {
    let (mut vnode, mut stored) = (vnode(), None);
    let retry = CoordinatedWrite { retried: true, ..write("a", 1, &Context::default()) };
    let old = coordinate_ok(&mut vnode, &mut stored, retry);
    let mut deletion = write("", 2, &old.context());
    deletion.content.deleted = true;
    let tombstone = coordinate_ok(&mut vnode, &mut stored, deletion);
    run(&mut vnode, &mut stored, Command::Reap(tombstone.encode()));
    let first = Command::Coordinate(Box::new(write("a", 1, &Context::default())));
    let refused = CommandReply::Refused(RequestError::Timeout);
    assert_eq!((run(&mut vnode, &mut stored, first), &stored), (refused, &None));
}

#[test]
fn a_merge_takes_the_union_and_says_what_is_there() {
    let (mut vnode, mut stored) = (vnode(), None);
    let mine = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    let mut theirs = Object::default();
    let version = Version { request: RequestId(9), retried: false, content: Content::default() };
    theirs.write(&Context::default(), ombak_crdt::Dot { actor: ActorId(7), n: 1 }, version);
    let mut both = mine.clone();
    both.merge(&theirs);
    let reply = run(&mut vnode, &mut stored, merge(theirs.encode()));
    assert_eq!(reply, CommandReply::Merged(both.tag()));
    assert_eq!(stored.as_ref().map(|entry| entry.bytes.clone()), Some(both.encode()));
    assert_eq!(
        run(&mut vnode, &mut stored, merge(mine.encode())),
        CommandReply::Merged(both.tag())
    );
}

#[test]
fn garbage_from_a_replica_changes_nothing() {
    let (mut vnode, mut stored) = (vnode(), None);
    let reply = run(&mut vnode, &mut stored, merge(Bytes::from_static(b"garbage")));
    assert!(matches!(reply, CommandReply::Refused(_)));
    assert_eq!(stored, None);
}

/// What is done at once to what is stored; `None`: it has to be loaded.
fn at_once(
    vnode: &Vnode,
    stored: Option<&Entry>,
    command: &Command,
) -> Option<Outcome<CommandReply>> {
    let peek = stored.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag));
    let now = Now { tick: Tick(1), wall_us: 5 };
    let unknown = Kv::at_once(vnode, now, &key(), command, || Peek::Unknown);
    assert_eq!(unknown, None, "without knowledge there is nothing to do");
    Kv::at_once(vnode, now, &key(), command, || peek)
}

#[test]
fn a_replica_that_has_the_same_says_so_without_loading() {
    let (mut vnode, mut stored) = (vnode(), None);
    let get = |have| Command::Get { have };
    let object = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    let same = Some(keep(CommandReply::Same(true)));
    assert_eq!(at_once(&vnode, stored.as_ref(), &get(Some(object.tag()))), same);
    assert_eq!(at_once(&vnode, stored.as_ref(), &get(Some(object.tag() ^ 2))), None);
    assert_eq!(at_once(&vnode, stored.as_ref(), &get(None)), None, "its value is wanted");
    let absent = Some(keep(CommandReply::Absent(true)));
    assert_eq!(at_once(&vnode, None, &get(Some(object.tag()))), absent);
}

#[test]
fn what_was_made_from_what_is_stored_replaces_it_without_loading() {
    let (mut vnode, mut stored) = (vnode(), None);
    let first =
        coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default())).to_entry();
    let second =
        coordinate_ok(&mut vnode, &mut stored, write("b", 2, &Context::default())).to_entry();
    let onto = |base| Command::Merge { object: second.bytes.clone(), base };
    let taken = Some(put(second.clone()));
    assert_eq!(at_once(&vnode, Some(&first), &onto(Some(first.tag))), taken);
    assert_eq!(at_once(&vnode, None, &onto(Some(first.tag))), taken);
    assert_eq!(
        at_once(&vnode, Some(&first), &onto(None)),
        None,
        "what it was made from is not known"
    );
    let again = Some(keep(CommandReply::Merged(second.tag)));
    assert_eq!(at_once(&vnode, Some(&second), &onto(Some(first.tag))), again);
}

#[test]
fn a_reaped_key_is_looked_at() {
    let (mut vnode, mut stored) = (vnode(), None);
    let first = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    let mut deletion = write("", 2, &first.context());
    deletion.content.deleted = true;
    let tombstone = coordinate_ok(&mut vnode, &mut stored, deletion).to_entry();
    let late = Command::Merge { object: tombstone.bytes.clone(), base: Some(first.tag()) };
    assert!(at_once(&vnode, stored.as_ref(), &late).is_some());
    run(&mut vnode, &mut stored, Command::Reap(tombstone.bytes));
    assert_eq!(at_once(&vnode, stored.as_ref(), &late), None);
}

proptest! {
    /// Two replicas coordinate writes, and hear of each other's by merges, some of which are lost. Whatever can be done
    /// at once is what would have been done after loading, to the byte.
    #[test]
    fn what_is_done_at_once_is_what_would_have_been_done(
        writes in proptest::collection::vec((0..2usize, 0..4u128, any::<[bool; 4]>(), 0..8usize), 1..20),
    ) {
        let mut vnodes = [vnode(), another_vnode()];
        let mut stored = [None, None];
        let mut contexts = vec![Context::default()];
        for (at, request, [siblings, deleted, retried, arrives], context) in writes {
            let mut write = write("v", request, &contexts[context % contexts.len()]);
            (write.siblings, write.retried, write.content.deleted) = (siblings, retried, deleted);
            let reply = run(&mut vnodes[at], &mut stored[at], Command::Coordinate(Box::new(write)));
            let CommandReply::Coordinated { object, tag, base, .. } = reply else { panic!("{reply:?}") };
            let written = Object::decode(&object).expect("our own bytes");
            prop_assert_eq!(written.tag(), tag);
            contexts.push(written.context());
            let other = 1 - at;
            for command in [
                Command::Get { have: Some(tag) },
                Command::Merge { object: object.clone(), base: None },
                Command::Merge { object, base },
            ] {
                let now = Now { tick: Tick(1), wall_us: 5 };
                let slowly = Kv::handle(&mut vnodes[other], now, &key(), &command, stored[other].as_ref());
                let at_once = at_once(&vnodes[other], stored[other].as_ref(), &command);
                if let Some(at_once) = at_once {
                    prop_assert_eq!(&at_once, &slowly);
                }
                if let (true, Write::Put(entry), Command::Merge { base: Some(_), .. }) = (arrives, slowly.write, command) {
                    stored[other] = Some(entry);
                }
            }
        }
    }
}

/// A coordinator that had missed `allow_mult=true` replaced a value that its client had not seen, and learned better.
#[test]
fn what_was_replaced_unseen_is_written_again() {
    let ((mut here, mut stored), (mut there, mut elsewhere)) = ((vnode(), None), (vnode(), None));
    let nothing = Context::default();
    let first = coordinate_ok(&mut here, &mut stored, write("a", 1, &nothing));
    run(&mut there, &mut elsewhere, merge(first.encode()));
    let replacing = CoordinatedWrite { siblings: false, ..write("b", 2, &nothing) };
    let reply = run(&mut here, &mut stored, Command::Coordinate(Box::new(replacing)));
    let CommandReply::Coordinated { object, unseen: Some(before), .. } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(before, first.encode());
    run(&mut there, &mut elsewhere, merge(object));
    let restoring = Restoring { write: write("b", 2, &nothing), before: Some(before) };
    let reply = run(&mut here, &mut stored, Command::Restore(Box::new(restoring)));
    let CommandReply::Coordinated { object, .. } = reply else { panic!("{reply:?}") };
    run(&mut there, &mut elsewhere, merge(object));
    for stored in [stored, elsewhere] {
        let object = Object::decode(&stored.expect("it is there").bytes).expect("our own bytes");
        let mut values: Vec<&[u8]> = object.live().map(|(_, v)| &v.content.value[..]).collect();
        values.sort();
        assert_eq!(values, [b"a", b"b"]);
    }
}

/// Writes by the old rule, which replaces what is there. Returns the work of putting it right.
fn replace_unseen(
    vnode: &mut Vnode,
    stored: &mut Option<Entry>,
    write: CoordinatedWrite,
) -> Command {
    let replacing = CoordinatedWrite { siblings: false, ..write.clone() };
    match run(vnode, stored, Command::Coordinate(Box::new(replacing))) {
        CommandReply::Coordinated { unseen, .. } => {
            Command::Restore(Box::new(Restoring { write, before: unseen }))
        }
        other => panic!("{other:?}"),
    }
}

fn values(stored: &Option<Entry>) -> Vec<Bytes> {
    let object =
        Object::decode(&stored.as_ref().expect("it is there").bytes).expect("our own bytes");
    let mut values: Vec<Bytes> = object.live().map(|(_, v)| v.content.value.clone()).collect();
    values.sort();
    values
}

/// A second vnode of the same partition, of another actor.
fn another_vnode() -> Vnode {
    vnode_of(ActorId(3))
}

fn exchange(a: (&mut Vnode, &mut Option<Entry>), b: (&mut Vnode, &mut Option<Entry>)) {
    let bytes = |stored: &Option<Entry>| stored.as_ref().expect("it is there").bytes.clone();
    let (from_a, from_b) = (merge(bytes(a.1)), merge(bytes(b.1)));
    run(a.0, a.1, from_b);
    run(b.0, b.1, from_a);
    assert_eq!(a.1, b.1);
}

/// Two writes replaced one another, and both are put right: the first of them by itself, and as what the second replaced.
#[test]
fn what_is_written_again_for_two_writes_stands_once() {
    let (mut vnode, mut stored) = (vnode(), None);
    let nothing = Context::default();
    coordinate_ok(&mut vnode, &mut stored, write("a", 1, &nothing));
    let first = replace_unseen(&mut vnode, &mut stored, write("b", 2, &nothing));
    let second = replace_unseen(&mut vnode, &mut stored, write("c", 3, &nothing));
    for restoring in [first, second] {
        run(&mut vnode, &mut stored, restoring);
    }
    assert_eq!(values(&stored), ["a", "b", "c"]);
    let retry = CoordinatedWrite { retried: true, ..write("b", 2, &nothing) };
    coordinate_ok(&mut vnode, &mut stored, retry);
    assert_eq!(values(&stored), ["a", "b", "c"], "the client's retry finds it done");
}

/// Two coordinators replaced the same, each by a write of its own, and each puts it right.
#[test]
fn what_two_coordinators_write_again_stands_once_and_is_replaced_as_one() {
    let ((mut here, mut stored), (mut there, mut elsewhere)) =
        ((vnode(), None), (another_vnode(), None));
    let nothing = Context::default();
    let first = coordinate_ok(&mut here, &mut stored, write("a", 1, &nothing));
    run(&mut there, &mut elsewhere, merge(first.encode()));
    let restore_here = replace_unseen(&mut here, &mut stored, write("b", 2, &nothing));
    let restore_there = replace_unseen(&mut there, &mut elsewhere, write("c", 3, &nothing));
    run(&mut here, &mut stored, restore_here);
    let seen = Object::decode(&stored.as_ref().unwrap().bytes).expect("our own bytes").context();
    run(&mut there, &mut elsewhere, restore_there);
    exchange((&mut here, &mut stored), (&mut there, &mut elsewhere));
    assert_eq!(values(&stored), ["a", "b", "c"]);
    coordinate_ok(&mut here, &mut stored, write("d", 4, &seen));
    exchange((&mut here, &mut stored), (&mut there, &mut elsewhere));
    assert_eq!(values(&stored), ["c", "d"], "the reader had seen one of the two copies of a");
}

/// What was written again is a retry, and who replaces a retry unseen names it as replaced: it needs another name then.
#[test]
fn what_was_written_again_and_replaced_again_is_written_again() {
    let ((mut here, mut stored), (mut there, mut elsewhere)) =
        ((vnode(), None), (another_vnode(), None));
    let nothing = Context::default();
    coordinate_ok(&mut here, &mut stored, write("a", 1, &nothing));
    let first = replace_unseen(&mut here, &mut stored, write("b", 2, &nothing));
    run(&mut here, &mut stored, first.clone());
    run(&mut there, &mut elsewhere, merge(stored.as_ref().unwrap().bytes.clone()));
    let second = replace_unseen(&mut there, &mut elsewhere, write("c", 3, &nothing));
    run(&mut there, &mut elsewhere, second);
    assert_eq!(values(&elsewhere), ["a", "b", "c"]);
    exchange((&mut here, &mut stored), (&mut there, &mut elsewhere));
    assert_eq!(values(&stored), ["a", "b", "c"]);
}

/// What the client had seen is replaced in any bucket.
#[test]
fn what_was_replaced_seen_is_no_loss() {
    let (mut vnode, mut stored) = (vnode(), None);
    let first = coordinate_ok(&mut vnode, &mut stored, write("a", 1, &Context::default()));
    let replacing = CoordinatedWrite { siblings: false, ..write("b", 2, &first.context()) };
    let reply = run(&mut vnode, &mut stored, Command::Coordinate(Box::new(replacing)));
    assert!(matches!(reply, CommandReply::Coordinated { unseen: None, .. }), "{reply:?}");
}
