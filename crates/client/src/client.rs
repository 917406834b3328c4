//! What an application calls.

use std::sync::Arc;

use bytes::Bytes;
use ombak_cluster::hash::{Point, key_point};
use ombak_wire::{
    Request, Response, RpbBucketProps, RpbDelReq, RpbGetBucketReq, RpbGetReq, RpbGetResp,
    RpbListBucketsReq, RpbListKeysReq, RpbPutReq, RpbPutResp, RpbResetBucketReq, RpbSetBucketReq,
};

use crate::calls::{Ask, Core, NodeStatus};
use crate::listing::{self, Listing};
use crate::net::TokioNet;
use crate::{
    Bucket, Context, DeleteOptions, Error, GetOptions, Key, Object, Options, PutOptions, Value,
};

/// A client of a cluster. Cheap to clone; all clones share connections, and the last one that is dropped closes them.
///
/// Any future that it returns can be dropped at any moment. What it was doing may or may not be done then, like a write
/// whose answer is lost; connections and places in line are given back.
///
/// ```no_run
/// use ombak_client::{Client, Object};
///
/// # async fn example() -> Result<(), ombak_client::Error> {
/// let client = Client::connect(["127.0.0.1:8087", "127.0.0.1:8097", "127.0.0.1:8107"]).await?;
/// client.put(&Object::new("users", "alice", "hello")).await?;
///
/// if let Some(mut alice) = client.get("users", "alice").await? {
///     println!("{:?}", alice.value()?.text());
///     alice.set("good bye");
///     client.put(&alice).await?; // replaces what was read, and nothing else
/// }
/// client.delete("users", "alice").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    core: Arc<Core<TokioNet>>,
    options: Options,
}

/// Who answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerInfo {
    /// The node's name.
    pub node: String,
    /// The version of Riak that it follows.
    pub version: String,
}

/// What a put tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The key, if the node made it up.
    pub made_key: Option<Key>,
    /// The object as it is stored, if it was asked for.
    pub object: Option<Object>,
}

impl Client {
    /// Connects to the nodes at these addresses, each a host and a port. One of them must answer. Name all of them: a
    /// client sends nothing to a node whose address it was not given.
    ///
    /// Must be called within a tokio runtime with I/O and time, which must outlive the client.
    pub async fn connect(
        addrs: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Client, Error> {
        Client::connect_with(addrs, Options::default()).await
    }

    /// The same with other bounds.
    pub async fn connect_with(
        addrs: impl IntoIterator<Item = impl Into<String>>,
        options: Options,
    ) -> Result<Client, Error> {
        let addrs: Vec<String> = addrs.into_iter().map(Into::into).collect();
        if addrs.is_empty() {
            return Err(Error::NoAddress);
        }
        let client = Client { core: Core::new(TokioNet::new(), addrs, options), options };
        match client.refresh_rows().await {
            true => Ok(client),
            false => Err(Error::Unavailable("none has answered".into())),
        }
    }

    /// Reads an object. `None`: there is nothing under the key.
    pub async fn get(
        &self,
        bucket: impl Into<Bucket>,
        key: impl Into<Key>,
    ) -> Result<Option<Object>, Error> {
        self.get_with(bucket, key, &GetOptions::default()).await
    }

    /// The same with quorums of one's own.
    pub async fn get_with(
        &self,
        bucket: impl Into<Bucket>,
        key: impl Into<Key>,
        options: &GetOptions,
    ) -> Result<Option<Object>, Error> {
        let (bucket, Key(key)) = (bucket.into(), key.into());
        let get = RpbGetReq {
            bucket: Some(bucket.name.clone()),
            key: Some(key.clone()),
            r: options.r.field(),
            pr: options.pr.field(),
            notfound_ok: options.notfound_ok,
            basic_quorum: options.basic_quorum,
            head: options.head.then_some(true),
            timeout: options.timeout_ms,
            bucket_type: bucket.type_field(),
            ..RpbGetReq::default()
        };
        let (point, timeout_ms) = (point(&bucket, &key), options.timeout_ms);
        let ask = Ask { point: Some(point), timeout_ms, ..Ask::read(Request::Get(get)) };
        let got = self.core.call(ask, |response| match response {
            Response::Get(got) => Ok(got),
            other => Err(other),
        });
        Ok(read_object(bucket, key, got.await?))
    }

    /// Writes an object: one that was read replaces what was read; a new one has seen nothing. If the object has several
    /// values, make one of them before.
    pub async fn put(&self, object: &Object) -> Result<Written, Error> {
        self.put_with(object, &PutOptions::default()).await
    }

    /// The same with quorums and conditions of one's own.
    pub async fn put_with(&self, object: &Object, options: &PutOptions) -> Result<Written, Error> {
        let Bucket { name, .. } = &object.bucket;
        let put = RpbPutReq {
            bucket: Some(name.clone()),
            key: object.key.clone(),
            vclock: seen(&object.context),
            content: Some(object.value()?.as_wire().clone()),
            w: options.w.field(),
            dw: options.dw.field(),
            pw: options.pw.field(),
            return_body: options.return_body.then_some(true),
            if_none_match: options.if_none_match.then_some(true),
            if_not_modified: options.if_not_modified.then_some(true),
            timeout: options.timeout_ms,
            bucket_type: object.bucket.type_field(),
            ..RpbPutReq::default()
        };
        let ask = Ask {
            point: object.key.as_ref().map(|key| point(&object.bucket, key)),
            repeatable: options.repeatable,
            timeout_ms: options.timeout_ms,
            ..Ask::write(Request::Put(put))
        };
        let written = self.core.call(ask, |response| match response {
            Response::Put(written) => Ok(written),
            other => Err(other),
        });
        Ok(read_written(object, written.await?, options.return_body))
    }

    /// Deletes what is under the key now. What is written in the meantime may be deleted too; see
    /// [`delete_object`](Client::delete_object). It is no error if there is nothing.
    pub async fn delete(
        &self,
        bucket: impl Into<Bucket>,
        key: impl Into<Key>,
    ) -> Result<(), Error> {
        let (bucket, Key(key)) = (bucket.into(), key.into());
        self.delete_seen(&bucket, key, None, &DeleteOptions::default()).await
    }

    /// Deletes what was read, and nothing that was written since. That may be done twice, so it is tried again when an
    /// answer is lost.
    pub async fn delete_object(&self, object: &Object) -> Result<(), Error> {
        self.delete_object_with(object, &DeleteOptions::default()).await
    }

    /// The same with quorums of one's own.
    pub async fn delete_object_with(
        &self,
        object: &Object,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let key = object.key.clone().unwrap_or_default();
        self.delete_seen(&object.bucket, key, seen(&object.context), options).await
    }

    async fn delete_seen(
        &self,
        bucket: &Bucket,
        key: Bytes,
        context: Option<Bytes>,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let (point, repeatable) = (Some(point(bucket, &key)), context.is_some());
        let delete = RpbDelReq {
            bucket: Some(bucket.name.clone()),
            key: Some(key),
            vclock: context,
            r: options.r.field(),
            w: options.w.field(),
            pr: options.pr.field(),
            pw: options.pw.field(),
            dw: options.dw.field(),
            timeout: options.timeout_ms,
            bucket_type: bucket.type_field(),
            ..RpbDelReq::default()
        };
        let timeout_ms = options.timeout_ms;
        let ask = Ask { point, repeatable, timeout_ms, ..Ask::write(Request::Del(delete)) };
        self.core.call(ask, |response| only(Response::Del, response)).await
    }

    /// Lists the keys of a bucket.
    pub async fn list_keys(&self, bucket: impl Into<Bucket>) -> Result<Listing, Error> {
        let bucket = bucket.into();
        let list = RpbListKeysReq {
            bucket: Some(bucket.name.clone()),
            bucket_type: bucket.type_field(),
            ..RpbListKeysReq::default()
        };
        self.list(Request::ListKeys(list)).await
    }

    /// Lists the buckets of the default type.
    pub async fn list_buckets(&self) -> Result<Listing, Error> {
        let list = RpbListBucketsReq { stream: Some(true), ..RpbListBucketsReq::default() };
        self.list(Request::ListBuckets(list)).await
    }

    async fn list(&self, request: Request) -> Result<Listing, Error> {
        // A node that has much to read says nothing for long.
        let part_ms = self.options.timeout_ms.into();
        let ask = Ask { is_slow: true, ..Ask::read(request) };
        let parts = listing::open(&self.core, ask, part_ms).await?;
        Ok(Listing::new(parts))
    }

    /// A bucket's properties, all of them.
    pub async fn bucket_props(&self, bucket: impl Into<Bucket>) -> Result<RpbBucketProps, Error> {
        let bucket = bucket.into();
        let get =
            RpbGetBucketReq { bucket: Some(bucket.name.clone()), bucket_type: bucket.type_field() };
        let ask = Ask::read(Request::GetBucket(get));
        let got = self.core.call(ask, |response| match response {
            Response::GetBucket(got) => Ok(got.props.map(|props| *props).unwrap_or_default()),
            other => Err(other),
        });
        got.await
    }

    /// Changes those properties that are `Some`.
    pub async fn set_bucket_props(
        &self,
        bucket: impl Into<Bucket>,
        props: RpbBucketProps,
    ) -> Result<(), Error> {
        let bucket = bucket.into();
        let set = RpbSetBucketReq {
            bucket: Some(bucket.name.clone()),
            props: Some(Box::new(props)),
            bucket_type: bucket.type_field(),
        };
        let ask = Ask::write(Request::SetBucket(set));
        self.core.call(ask, |response| only(Response::SetBucket, response)).await
    }

    /// Returns a bucket's properties to its type's.
    pub async fn reset_bucket_props(&self, bucket: impl Into<Bucket>) -> Result<(), Error> {
        let bucket = bucket.into();
        let (name, bucket_type) = (Some(bucket.name.clone()), bucket.type_field());
        let reset = RpbResetBucketReq { bucket: name, bucket_type };
        let ask = Ask::write(Request::ResetBucket(reset));
        self.core.call(ask, |response| only(Response::ResetBucket, response)).await
    }

    /// Whether some node answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.core.call(Ask::read(Request::Ping), |response| only(Response::Ping, response)).await
    }

    /// Who some node is.
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        let text =
            |field: Option<Bytes>| String::from_utf8_lossy(&field.unwrap_or_default()).into_owned();
        let told = self.core.call(Ask::read(Request::GetServerInfo), |response| match response {
            Response::GetServerInfo(info) => {
                Ok(ServerInfo { node: text(info.node), version: text(info.server_version) })
            }
            other => Err(other),
        });
        told.await
    }

    /// Any request that is answered by one frame, past everything that is known here of requests: it goes to the nodes in
    /// turn, and is not repeated once it may have been heard.
    pub async fn call(&self, request: Request) -> Result<Response, Error> {
        self.core.call(Ask::write(request), Ok).await
    }

    /// Asks all nodes who owns which partition, as is done now and then and after failures anyway. Says whether any node
    /// has answered.
    pub async fn refresh_rows(&self) -> bool {
        self.core.learn_rows().await
    }

    /// How each node is doing, in the order of the addresses.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.core.nodes()
    }

    /// Refuses everything from now on, for all clones, and closes all connections as they become free.
    pub fn close(&self) {
        self.core.end();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("nodes", &self.nodes()).finish()
    }
}

fn point(bucket: &Bucket, key: &[u8]) -> Point {
    key_point(&bucket.bucket_type, &bucket.name, key)
}

fn seen(context: &Context) -> Option<Bytes> {
    (!context.0.is_empty()).then(|| context.0.clone())
}

fn only(wanted: Response, got: Response) -> Result<(), Response> {
    if got == wanted { Ok(()) } else { Err(got) }
}

/// `None` if it was not found.
pub(crate) fn read_object(bucket: Bucket, key: Bytes, got: RpbGetResp) -> Option<Object> {
    let there = got.content.into_iter().filter(|content| content.deleted != Some(true));
    let values: Vec<Value> = there.map(Value::from_wire).collect();
    let context = Context(got.vclock.unwrap_or_default());
    (!values.is_empty()).then_some(Object { bucket, key: Some(key), values, context })
}

fn read_written(object: &Object, written: RpbPutResp, with_object: bool) -> Written {
    let key = written.key.clone().or(object.key.clone()).unwrap_or_default();
    let RpbPutResp { content, vclock, key: made_key } = written;
    let got = RpbGetResp { content, vclock, unchanged: None };
    let stored = with_object.then(|| read_object(object.bucket.clone(), key, got)).flatten();
    Written { made_key: made_key.map(Key), object: stored }
}

#[cfg(test)]
mod tests;
