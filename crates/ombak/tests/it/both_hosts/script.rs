//! What both hosts are told, word for word, and what every host must be able to do with it.

use bytes::Bytes;
use ombak_base::limits::KEY_BYTES_MAX;
use ombak_kv::props::{PropValue, QuorumProp};
use ombak_kv::{
    Answer, BucketId, GetOp, Named, Operation, PutOp, Quorum, Quorums, RequestError, Return,
};
use ombak_node::{Reply, Request};

use crate::both_hosts::recorded::Record;
use crate::both_hosts::requests::{
    LATEST, SIBLINGS, bucket, buckets, context, deleting, is_last, keep_siblings, key, keys,
    reading, set, writing,
};

/// A node alone, under either host.
///
/// Everything returns only when nothing more comes of it: what is stored is durable, and the machine knows. How stores
/// are gathered for one sync, and what happens while one is under way, is the host's affair; so it gets one thing
/// at a time here.
pub trait Host {
    /// An answer that comes in parts.
    type Listing;

    /// Asks for what is answered in one part.
    fn ask(&mut self, request: Request) -> Reply;
    /// Asks for a listing.
    fn list(&mut self, request: Request) -> Self::Listing;
    /// The parts that have come since the last call.
    fn parts(&mut self, listing: &Self::Listing) -> Vec<Reply>;
    /// Asks for more of it.
    fn more(&mut self, listing: &Self::Listing);
    /// Does not want it any more.
    fn leave(&mut self, listing: Self::Listing);
    /// Lets time pass.
    fn pass(&mut self, ms: u64);
    /// Ends the process and starts it again from its disk.
    fn restart(&mut self);
    /// Ends it for good, and gives out the record of each start.
    fn end(self) -> Vec<Record>;
}

/// Tells the whole script; returns what clients heard.
pub fn tell(host: &mut impl Host) -> Vec<Reply> {
    let mut story = Story { host, heard: Vec::new() };
    story.properties();
    story.siblings();
    story.replacing();
    story.returns();
    story.conditions();
    story.refusals();
    story.deletions();
    story.listings();
    story.time();
    story.host.restart();
    story.second_life();
    story.heard
}

struct Story<'a, H> {
    host: &'a mut H,
    heard: Vec<Reply>,
}

impl<H: Host> Story<'_, H> {
    fn ask(&mut self, request: Request) -> Reply {
        let reply = self.host.ask(request);
        self.heard.push(reply.clone());
        reply
    }

    fn put(&mut self, put: PutOp) -> Reply {
        self.ask(key(Operation::Put(put)))
    }

    fn get(&mut self, get: GetOp) -> Reply {
        self.ask(key(Operation::Get(get)))
    }

    fn delete(&mut self, name: &str, of: &str, context: Option<Bytes>) {
        let reply = self.ask(key(Operation::Delete(deleting(name, of, context))));
        assert!(!matches!(reply, Reply::Kv(Answer::Failed(_))), "{reply:?}");
    }

    /// How many siblings are there, and under which context.
    fn found(&mut self, name: &str, of: &str) -> (usize, Bytes) {
        let reply = self.get(reading(name, of));
        let siblings = match &reply {
            Reply::Kv(Answer::Object(object)) => object.siblings.len(),
            _ => 0,
        };
        (siblings, context(&reply).unwrap_or_default())
    }

    fn refused(&mut self, request: Request, why: &RequestError) {
        assert_eq!(self.ask(request), Reply::Kv(Answer::Failed(why.clone())));
    }

    fn properties(&mut self) {
        self.ask(Request::Status);
        assert_eq!(self.ask(keep_siblings()), Reply::Kv(Answer::PropsSet));
        self.ask(set(LATEST, "w", Some(PropValue::Quorum(QuorumProp::One))));
        self.ask(Request::Kv(ombak_kv::Request::GetProps(bucket(SIBLINGS))));
        self.ask(Request::Kv(ombak_kv::Request::ResetProps(bucket(LATEST))));
        let reply = self.ask(set(LATEST, "n_val", Some(PropValue::Bool(true))));
        assert!(matches!(reply, Reply::Kv(Answer::Failed(RequestError::BadProperty(..)))));
    }

    fn siblings(&mut self) {
        self.put(writing(SIBLINGS, "k", "one"));
        let (_, context) = self.found(SIBLINGS, "k");
        self.put(writing(SIBLINGS, "k", "two"));
        self.put(PutOp { context, ..writing(SIBLINGS, "k", "three") });
        let (siblings, context) = self.found(SIBLINGS, "k");
        assert_eq!(siblings, 2);
        self.put(PutOp { context, ..writing(SIBLINGS, "k", "all of them") });
        assert_eq!(self.found(SIBLINGS, "k").0, 1);
    }

    fn replacing(&mut self) {
        self.put(writing(LATEST, "k", "one"));
        self.put(writing(LATEST, "k", "two"));
        assert_eq!(self.found(LATEST, "k").0, 1);
        let large = "large ".repeat(1_000);
        self.put(writing(LATEST, "large", &large));
        assert_eq!(self.found(LATEST, "large").0, 1);
    }

    fn returns(&mut self) {
        for returns in [Return::Nothing, Return::Head, Return::Body] {
            self.put(PutOp { returns, ..writing(LATEST, "k", "returned") });
            self.put(PutOp { key: None, returns, ..writing(LATEST, "", "under a made key") });
        }
    }

    fn conditions(&mut self) {
        let new = |of| PutOp { if_none_match: true, ..writing(SIBLINGS, of, "new") };
        self.put(new("conditional"));
        self.refused(key(Operation::Put(new("conditional"))), &RequestError::MatchFound);
        let (_, context) = self.found(SIBLINGS, "conditional");
        let same = |of| PutOp {
            if_not_modified: true,
            context: context.clone(),
            ..writing(SIBLINGS, of, "the same")
        };
        self.put(same("conditional"));
        self.refused(key(Operation::Put(same("conditional"))), &RequestError::Modified);
        self.refused(key(Operation::Put(same("nothing"))), &RequestError::NotFound);
    }

    fn refusals(&mut self) {
        let quorums = Quorums { r: Quorum::Count(4), ..Quorums::default() };
        let get = GetOp { quorums, ..reading(LATEST, "k") };
        self.refused(key(Operation::Get(get)), &RequestError::NValViolation(3));
        let put = |of: &str| key(Operation::Put(writing(LATEST, of, "")));
        self.refused(put(""), &RequestError::EmptyKey);
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        self.refused(put(&long), &RequestError::TooLong(Named::Key, KEY_BYTES_MAX));
        let get = key(Operation::Get(reading("", "k")));
        self.refused(get, &RequestError::EmptyBucket);
        let bucket = BucketId {
            bucket_type: Bytes::from_static(b"unknown"),
            name: Bytes::from_static(b"b"),
        };
        let get = key(Operation::Get(GetOp { bucket, ..reading(LATEST, "k") }));
        self.refused(get, &RequestError::UnknownType);
        let context = Bytes::from_static(b"no context");
        let put = key(Operation::Put(PutOp { context, ..writing(LATEST, "k", "") }));
        self.refused(put, &RequestError::BadContext);
        self.refused(buckets("unknown"), &RequestError::UnknownType);
    }

    /// Each is reaped at once, since all replicas are here; the graves are forgotten in [`time`](Story::time).
    fn deletions(&mut self) {
        let (_, context) = self.found(SIBLINGS, "k");
        self.delete(SIBLINGS, "k", Some(context.clone()));
        assert_eq!(self.found(SIBLINGS, "k").0, 0);
        self.put(PutOp { context, ..writing(SIBLINGS, "k", "once more") });
        self.delete(SIBLINGS, "k", None);
        self.delete(SIBLINGS, "k", None);
        self.delete(LATEST, "never there", None);
        assert_eq!(self.found(SIBLINGS, "k").0, 0);
    }

    fn listings(&mut self) {
        for number in 0..40 {
            self.put(writing(LATEST, &format!("k{number}"), "listed"));
        }
        assert!(self.list(keys(LATEST, None)) > 40);
        assert_eq!(self.list(keys("empty", None)), 0);
        assert_eq!(self.list(buckets("")), 2);
        let listing = self.host.list(keys(LATEST, None));
        assert!(self.hear(&listing).0 > 0);
        self.host.leave(listing);
    }

    /// Reads a listing to its end; returns how many names there were.
    fn list(&mut self, request: Request) -> usize {
        let listing = self.host.list(request);
        let mut names = 0;
        loop {
            let (more, is_over) = self.hear(&listing);
            names += more;
            if is_over {
                return names;
            }
            self.host.more(&listing);
        }
    }

    /// How many names have come, and whether these were the last.
    fn hear(&mut self, listing: &H::Listing) -> (usize, bool) {
        let parts = self.host.parts(listing);
        self.heard.extend(parts.iter().cloned());
        let names = parts.iter().map(|part| match part {
            Reply::Kv(Answer::Listed(names, _)) => names.len(),
            other => panic!("not a part of a listing: {other:?}"),
        });
        (names.sum(), parts.iter().any(is_last))
    }

    /// A listing that its client does not go on with runs out of time; then comes everything that timers do.
    fn time(&mut self) {
        let listing = self.host.list(keys(LATEST, Some(1_000)));
        assert!(!self.hear(&listing).1);
        self.host.pass(2_000);
        let parts = self.host.parts(&listing);
        assert_eq!(parts, [Reply::Kv(Answer::Failed(RequestError::Timeout))]);
        self.heard.extend(parts);
        self.host.pass(70_000);
        self.ask(Request::Status);
        self.ask(Request::Repair);
    }

    fn second_life(&mut self) {
        self.ask(Request::Status);
        self.ask(Request::Kv(ombak_kv::Request::GetProps(bucket(SIBLINGS))));
        assert_eq!(self.found(LATEST, "large").0, 1);
        assert_eq!(self.found(SIBLINGS, "conditional").0, 1);
        self.put(writing(SIBLINGS, "conditional", "a sibling"));
        assert_eq!(self.found(SIBLINGS, "conditional").0, 2);
        self.delete(SIBLINGS, "conditional", None);
        assert!(self.list(keys(LATEST, None)) > 40);
        self.host.pass(1_000);
    }
}
