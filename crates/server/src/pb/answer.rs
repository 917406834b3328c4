//! What a shard's answer is to a client.

use bytes::Bytes;
use ombak_base::limits::FRAME_BYTES_MAX;
use ombak_kv::props::BucketProps;
use ombak_kv::{Answer, BucketId, ObjectAnswer};
use ombak_wire::{
    Response, RpbBucketKeyPreflistItem, RpbGetBucketKeyPreflistResp, RpbGetBucketResp, RpbGetResp,
    RpbListBucketsResp, RpbListKeysResp, RpbPutResp,
};

use super::{Common, content, props};
use crate::preflist::preflist;

/// What is remembered of a request until it is answered.
#[derive(Debug)]
pub(crate) enum Wants {
    /// An object.
    Got { head: bool, deleted_context: bool, if_modified: Option<Bytes> },
    /// That it is written.
    Written { made_key: bool },
    /// That it is deleted, or was not there.
    Deleted,
    /// Names of buckets: in parts, or all of them once they are gathered.
    Buckets(Option<Vec<Bytes>>),
    /// Names of keys, in parts.
    Keys,
    /// A bucket's properties.
    Props,
    /// That they are set.
    PropsSet,
    /// That they are the defaults again.
    PropsReset,
    /// Where this key lives, once the bucket's n_val is known.
    Preflist(Box<(BucketId, Bytes)>),
}

/// Whether more will come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// This was not all.
    More,
    /// This was all.
    Last,
    /// There is more, and the client cannot be given it: it has been told so.
    TooMuch,
}

const LISTING_TOO_LONG: &str = "the listing is too long for one answer: ask for a stream";

impl Wants {
    /// Appends the frame of an answer, or of a part of one.
    pub(crate) fn write(&mut self, answer: Answer, common: &Common, out: &mut Vec<u8>) -> Part {
        if let (Answer::Listed(names, done), Wants::Buckets(Some(gathered))) = (&answer, &mut *self)
        {
            gathered.extend_from_slice(names);
            if !done {
                return bound(gathered, out);
            }
        }
        let part = if matches!(answer, Answer::Listed(_, false)) { Part::More } else { Part::Last };
        self.response(answer, common).encode_frame(out);
        part
    }

    fn response(&mut self, answer: Answer, common: &Common) -> Response {
        match (self, answer) {
            (_, Answer::Failed(error)) => Response::error(error.to_string()),
            (Wants::Got { head, if_modified, .. }, Answer::Object(object)) => {
                got(object, *head, if_modified.as_ref())
            }
            (Wants::Got { deleted_context, .. }, Answer::NotFound(context)) => {
                let vclock = context.filter(|_| *deleted_context);
                Response::Get(RpbGetResp { vclock, ..RpbGetResp::default() })
            }
            (Wants::Written { made_key }, Answer::Object(object)) => written(object, *made_key),
            (Wants::Written { made_key }, Answer::Written(key)) => {
                let key = key.filter(|_| *made_key);
                Response::Put(RpbPutResp { key, ..RpbPutResp::default() })
            }
            (Wants::Deleted, Answer::Written(_) | Answer::NotFound(_)) => Response::Del,
            (Wants::Buckets(gathered), Answer::Listed(names, done)) => {
                // Riak's only answer does not say that it is the last.
                let done = (done && gathered.is_none()).then_some(true);
                let buckets = gathered.take().unwrap_or(names);
                Response::ListBuckets(RpbListBucketsResp { buckets, done })
            }
            (Wants::Keys, Answer::Listed(keys, done)) => {
                Response::ListKeys(RpbListKeysResp { keys, done: done.then_some(true) })
            }
            (Wants::Props, Answer::Props(found)) => {
                let props = Some(Box::new(props::to_wire(&found)));
                Response::GetBucket(RpbGetBucketResp { props })
            }
            (Wants::PropsSet, Answer::PropsSet) => Response::SetBucket,
            (Wants::PropsReset, Answer::PropsSet) => Response::ResetBucket,
            (Wants::Preflist(of), Answer::Props(props)) => common.preflist(&of.0, &of.1, &props),
            (wants, answer) => unexpected(wants, &answer),
        }
    }
}

/// A listing that is answered in one frame must fit into one.
fn bound(gathered: &[Bytes], out: &mut Vec<u8>) -> Part {
    let bytes: usize = gathered.iter().map(|name| name.len() + 8).sum();
    if bytes <= FRAME_BYTES_MAX {
        return Part::More;
    }
    Response::error(LISTING_TOO_LONG).encode_frame(out);
    Part::TooMuch
}

fn got(object: ObjectAnswer, head: bool, if_modified: Option<&Bytes>) -> Response {
    if if_modified == Some(&object.context) {
        return Response::Get(RpbGetResp { unchanged: Some(true), ..RpbGetResp::default() });
    }
    let content = object.siblings.into_iter().map(|sibling| content::to_wire(sibling, head));
    Response::Get(RpbGetResp {
        content: content.collect(),
        vclock: Some(object.context),
        unchanged: None,
    })
}

fn written(object: ObjectAnswer, made_key: bool) -> Response {
    let content = object.siblings.into_iter().map(|sibling| content::to_wire(sibling, false));
    Response::Put(RpbPutResp {
        content: content.collect(),
        vclock: Some(object.context),
        key: object.key.filter(|_| made_key),
    })
}

/// A bug, here or in the shard, that must not cost the connection's other requests their places.
#[cold]
fn unexpected(wants: &Wants, answer: &Answer) -> Response {
    tracing::error!(?wants, ?answer, "a shard gave an answer that nobody asked for");
    Response::error("internal error: the answer does not fit the question")
}

impl Common {
    fn preflist(&self, bucket: &BucketId, key: &[u8], props: &BucketProps) -> Response {
        let places = preflist(&self.topology, bucket, key, props.n_val());
        let item = |place: crate::preflist::Place<'_>| RpbBucketKeyPreflistItem {
            partition: Some(i64::from(place.partition.0)),
            node: Some(Bytes::copy_from_slice(place.node.as_bytes())),
            primary: Some(true),
        };
        let preflist = places.map(item).collect();
        Response::GetBucketKeyPreflist(RpbGetBucketKeyPreflistResp { preflist })
    }
}
