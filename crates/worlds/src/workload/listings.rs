//! Listings of keys and of buckets, read to their end.

use std::ops::ControlFlow;

use bytes::Bytes;
use ombak_base::{NodeId, Tick};
use ombak_kv::{Answer, Listing, Request};
use ombak_sim::World;

use super::{Asking, READER, Waiting, Workload};
use crate::cluster::Cluster;
use crate::history::{Listed, TIMEOUT_MS};
use crate::keys::{BUCKETS, bucket_id, by_name, keys_of};

/// A listing that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    client: usize,
    node: NodeId,
    listing: Listing,
    /// Whose keys; `None`: buckets are listed.
    bucket: Option<usize>,
    pub(super) began: Tick,
    names: Vec<Bytes>,
}

impl Workload {
    /// Lists everything through one node. How many listings that are; what comes of them is in
    /// [`take_listed`](Workload::take_listed).
    pub fn list_all(&mut self, world: &mut World<Cluster>, node: NodeId) -> usize {
        let all = (0..BUCKETS.len()).map(Some).chain([None]);
        let list = |bucket| {
            let shard = self.any_shard(world);
            self.list(world, Asking { client: READER, node, shard }, bucket);
        };
        all.map(list).count()
    }

    /// The listings that ended well since the last call.
    pub fn take_listed(&mut self) -> Vec<(Listing, Vec<Bytes>)> {
        std::mem::take(&mut self.listed)
    }

    /// Lists the keys of a bucket, or the buckets.
    pub(super) fn list(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        bucket: Option<usize>,
    ) {
        let Asking { client, node, .. } = asking;
        let listing = match bucket {
            Some(bucket) => Listing::Keys { bucket: bucket_id(bucket) },
            None => Listing::Buckets { bucket_type: Bytes::new() },
        };
        let request = Request::List { listing: listing.clone(), timeout_ms: Some(TIMEOUT_MS) };
        let began = world.now();
        let open = Open { client, node, listing, bucket, began, names: Vec::new() };
        self.send(world, asking, request, Waiting::Listing(open));
    }

    /// A part was heard, or the end, which frees the client.
    pub(super) fn heard_list(
        &mut self,
        mut open: Open,
        at: Tick,
        answer: Option<Answer>,
    ) -> ControlFlow<usize, Open> {
        let Some(Answer::Listed(names, is_last)) = answer else {
            return ControlFlow::Break(open.client);
        };
        open.names.extend(names);
        if !is_last {
            return ControlFlow::Continue(open);
        }
        let (client, node, began) = (open.client, open.node, open.began);
        if let Some(bucket) = open.bucket {
            let keys = open.names.iter().map(|name| by_name(name)).collect();
            let of = keys_of(bucket).collect();
            self.history.listed(Listed { node, of, keys, began, ended: at });
        }
        self.listed.push((open.listing, open.names));
        ControlFlow::Break(client)
    }
}
