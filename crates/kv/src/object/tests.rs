use ombak_base::ActorId;
use proptest::prelude::*;

use super::*;

const GOLDEN_LIVE: u64 = 0xc0ced62a27b8ddd4;
const GOLDEN_DELETED: u64 = 0x6eac3be873b06bd3;

fn text() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..8).prop_map(Bytes::from)
}

fn any_content() -> impl Strategy<Value = Content> {
    let maybe = || proptest::option::of(text());
    let pairs = || proptest::collection::vec((text(), maybe()), 0..3);
    let links = proptest::collection::vec((text(), text(), text()), 0..3);
    ((text(), maybe(), maybe(), maybe()), (any::<u64>(), links, pairs(), pairs(), any::<bool>()))
        .prop_map(
            |(
                (value, content_type, charset, content_encoding),
                (last_modified_us, links, user_meta, indexes, deleted),
            )| {
                let links =
                    links.into_iter().map(|(bucket, key, tag)| Link { bucket, key, tag }).collect();
                Content {
                    value,
                    content_type,
                    charset,
                    content_encoding,
                    last_modified_us,
                    links,
                    user_meta,
                    indexes,
                    deleted,
                }
            },
        )
}

pub(super) fn any_object() -> impl Strategy<Value = Object> {
    proptest::collection::vec((0..3u64, any_content(), 0..4u128), 0..5).prop_map(|writes| {
        let mut object = Object::default();
        for (actor, content, request) in writes {
            let actor = ActorId(actor);
            let dot = Dot { actor, n: object.seen().count(actor) + 1 };
            object.write(
                &Context::default(),
                dot,
                Version { request: RequestId(request), retried: false, content },
            );
        }
        object
    })
}

pub(super) fn written(value: &'static str, actor: u64, n: u64, request: u128) -> Object {
    let mut object = Object::default();
    let content = Content { value: Bytes::from_static(value.as_bytes()), ..Content::default() };
    let dot = Dot { actor: ActorId(actor), n };
    object.write(
        &Context::default(),
        dot,
        Version { request: RequestId(request), retried: false, content },
    );
    object
}

/// Tags are on disks and go from node to node.
#[test]
fn the_tag_of_version_1_is_kept_for_ever() {
    let mut object = written("v", 1, 1, 9);
    assert_eq!(object.tag(), GOLDEN_LIVE);
    let deletion = Content { deleted: true, ..Content::default() };
    let version = Version { request: RequestId(7), retried: true, content: deletion };
    object.write(&object.context(), Dot { actor: ActorId(1), n: 2 }, version);
    assert_eq!(object.tag(), GOLDEN_DELETED);
    assert_eq!((GOLDEN_LIVE & TAG_TOMBSTONE, GOLDEN_DELETED & TAG_TOMBSTONE), (0, 1));
}

#[test]
fn a_retry_at_another_coordinator_is_no_sibling() {
    let mut object = written("v", 1, 1, 9);
    object.merge(&written("v", 2, 1, 9));
    assert_eq!(object.siblings().len(), 1);
    object.merge(&written("v", 3, 1, 8));
    assert_eq!(object.siblings().len(), 2, "the same value by another request is another write");
}

/// The copy under the first dot lies on a node that was down while the second was read and replaced.
#[test]
fn a_replaced_retry_does_not_come_back_under_its_other_dot() {
    let first = written("v", 1, 1, 9);
    let mut second = Object::default();
    let version = Version { request: RequestId(9), retried: true, content: Content::default() };
    second.write(&Context::default(), Dot { actor: ActorId(2), n: 1 }, version);
    let seen = second.context();
    let deletion = Content { deleted: true, ..Content::default() };
    let version = Version { request: RequestId(10), retried: false, content: deletion };
    // The coordinator of the deletion need not hold what its client had seen.
    let mut deleted = Object::default();
    deleted.write(&seen, Dot { actor: ActorId(3), n: 1 }, version);
    deleted.merge(&first);
    assert!(deleted.is_tombstone());
    assert_eq!(deleted.siblings().len(), 1);
}

proptest! {
    /// The dots, the context and the replaced requests: whatever differs there differs in the tag.
    #[test]
    fn a_tag_names_a_causal_state(objects in proptest::collection::vec(any_object(), 2)) {
        let state = |object: &Object| {
            let dots: Vec<Dot> = object.siblings().iter().map(|(dot, _)| *dot).collect();
            (object.seen().clone(), object.replaced.clone(), dots, object.is_tombstone())
        };
        let (a, b) = (&objects[0], &objects[1]);
        prop_assert_eq!(a.tag() == b.tag(), state(a) == state(b));
        prop_assert_eq!(a.tag() & TAG_TOMBSTONE != 0, a.is_tombstone());
        prop_assert_eq!(Object::decode(&a.encode()).map(|object| object.tag()), Ok(a.tag()));
    }

    #[test]
    fn merge_with_collapsing_is_still_commutative_and_idempotent(
        writes in proptest::collection::vec((0..3u64, 0..3u128), 1..6), split in 0..6usize,
    ) {
        let parts: Vec<Object> = writes.iter().enumerate()
            .map(|(n, (actor, request))| written("v", *actor, n as u64 + 1, *request)).collect();
        let fold = |parts: &[Object]| parts.iter().fold(Object::default(), |mut all, part| { all.merge(part); all });
        let (left, right) = parts.split_at(split.min(parts.len()));
        let (left, right) = (fold(left), fold(right));
        let (mut a, mut b) = (left.clone(), right.clone());
        a.merge(&right);
        b.merge(&left);
        prop_assert_eq!(&a, &b);
        let before = a.clone();
        a.merge(&before);
        prop_assert_eq!(a, before);
    }
}
