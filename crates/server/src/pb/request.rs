//! What a client's message asks of the shard.

use bytes::Bytes;
use ombak_base::{NodeId, Partition};
use ombak_cluster::{Member, Topology};
use ombak_kv::{
    BucketId, DeleteOp, GetOp, Listing, Operation, PutOp, Quorum, Quorums, Request as KvRequest,
    RequestError, Return, validate_key,
};
use ombak_node::Request as ShardRequest;
use ombak_wire::{
    OmbakRow, OmbakRowsResp, Request, Response, RpbDelReq, RpbGetBucketKeyPreflistReq,
    RpbGetClientIdResp, RpbGetReq, RpbGetServerInfoResp, RpbPutReq, quorum,
};

use super::answer::Wants;
use super::queue::{Touches, key_hash};
use super::{Common, RIAK_VERSION, content, props};

/// What becomes of a message.
#[expect(
    clippy::large_enum_variant,
    reason = "a plan is used where it was made; a box would be an allocation for each request"
)]
pub(crate) enum Plan {
    /// The answer is known.
    Say(Response),
    /// The shard has to be asked.
    Ask { request: ShardRequest, wants: Wants, touches: Touches },
}

impl Common {
    pub(crate) fn plan(&self, request: Request) -> Plan {
        match request {
            Request::Ping => Plan::Say(Response::Ping),
            Request::GetClientId => Plan::Say(client_id()),
            Request::SetClientId(_) => Plan::Say(Response::SetClientId),
            Request::GetServerInfo => Plan::Say(self.server_info()),
            Request::Rows => Plan::Say(rows(&self.topology, self.me)),
            Request::Get(get) => plan_get(get),
            Request::Put(put) => plan_put(put),
            Request::Del(delete) => plan_delete(delete),
            Request::GetBucketKeyPreflist(preflist) => plan_preflist(preflist),
            other => plan_bucket(other).unwrap_or_else(refuse),
        }
    }

    fn server_info(&self) -> Response {
        let node = Bytes::copy_from_slice(self.topology.name(self.me).as_bytes());
        let server_version = Some(Bytes::from_static(RIAK_VERSION.as_bytes()));
        Response::GetServerInfo(RpbGetServerInfoResp { node: Some(node), server_version })
    }
}

fn rows(topology: &Topology, me: NodeId) -> Response {
    let ring = &topology.ring;
    let row = |partition| ring.row(Partition(partition)).iter().map(|node| node.0).collect();
    let name = |member: &Member| Bytes::copy_from_slice(member.name.as_bytes());
    Response::Rows(OmbakRowsResp {
        epoch: Some(topology.epoch.0),
        ring_size: Some(ring.size()),
        members: topology.members.iter().map(name).collect(),
        node: Some(me.0),
        rows: (0..ring.size()).map(|partition| OmbakRow { owners: row(partition) }).collect(),
    })
}

fn client_id() -> Response {
    Response::GetClientId(RpbGetClientIdResp { client_id: Some(Bytes::from_static(&[0; 4])) })
}

fn refuse(text: String) -> Plan {
    Plan::Say(Response::error(text))
}

fn plan_get(get: RpbGetReq) -> Plan {
    let bucket = bucket_id(get.bucket_type, get.bucket);
    let key = get.key.unwrap_or_default();
    let touches = Touches::Read(key_hash(&bucket.name, &key));
    let wants = Wants::Got {
        head: get.head.unwrap_or(false),
        deleted_context: get.deletedvclock.unwrap_or(false),
        if_modified: get.if_modified,
    };
    let quorums = Quorums {
        r: quorum_of(get.r),
        pr: quorum_of(get.pr),
        n_val: get.n_val,
        node_confirms: get.node_confirms,
        ..Quorums::default()
    };
    let op = GetOp {
        bucket,
        key,
        quorums,
        basic_quorum: get.basic_quorum,
        notfound_ok: get.notfound_ok,
        timeout_ms: get.timeout,
    };
    ask_key(Operation::Get(op), wants, touches)
}

fn plan_put(put: RpbPutReq) -> Plan {
    let bucket = bucket_id(put.bucket_type, put.bucket);
    let wants = Wants::Written { made_key: put.key.is_none() };
    let touches = Touches::Write(key_hash(&bucket.name, put.key.as_deref().unwrap_or_default()));
    let flag = |flag: Option<bool>| flag.unwrap_or(false);
    let returns = match (flag(put.return_body), flag(put.return_head)) {
        (true, _) => Return::Body,
        (false, true) => Return::Head,
        (false, false) => Return::Nothing,
    };
    let quorums = Quorums {
        w: quorum_of(put.w),
        dw: quorum_of(put.dw),
        pw: quorum_of(put.pw),
        n_val: put.n_val,
        node_confirms: put.node_confirms,
        ..Quorums::default()
    };
    let op = PutOp {
        bucket,
        key: put.key,
        context: put.vclock.unwrap_or_default(),
        content: content::from_wire(put.content.unwrap_or_default()),
        quorums,
        returns,
        if_none_match: flag(put.if_none_match),
        if_not_modified: flag(put.if_not_modified),
        timeout_ms: put.timeout,
    };
    ask_key(Operation::Put(op), wants, touches)
}

fn plan_delete(delete: RpbDelReq) -> Plan {
    let bucket = bucket_id(delete.bucket_type, delete.bucket);
    let key = delete.key.unwrap_or_default();
    let touches = Touches::Write(key_hash(&bucket.name, &key));
    let quorums = Quorums {
        r: quorum_of(delete.r),
        pr: quorum_of(delete.pr),
        w: quorum_of(delete.w),
        dw: quorum_of(delete.dw),
        pw: quorum_of(delete.pw),
        rw: quorum_of(delete.rw),
        n_val: delete.n_val,
        node_confirms: None,
    };
    let context = delete.vclock.filter(|context| !context.is_empty());
    let op = DeleteOp { bucket, key, context, quorums, timeout_ms: delete.timeout };
    ask_key(Operation::Delete(op), Wants::Deleted, touches)
}

/// Names are checked by the shard.
fn ask_key(operation: Operation, wants: Wants, touches: Touches) -> Plan {
    Plan::Ask { request: ShardRequest::Kv(KvRequest::Key(operation)), wants, touches }
}

fn plan_preflist(preflist: RpbGetBucketKeyPreflistReq) -> Plan {
    let bucket = bucket_id(preflist.bucket_type, preflist.bucket);
    let key = preflist.key.unwrap_or_default();
    let checked =
        check_bucket(&bucket).and_then(|()| validate_key(&key).map_err(|error| error.to_string()));
    match checked {
        Ok(()) => {
            let wants = Wants::Preflist(Box::new((bucket.clone(), key)));
            ask_all(KvRequest::GetProps(bucket), wants)
        }
        Err(text) => refuse(text),
    }
}

/// What concerns more than one key.
fn plan_bucket(request: Request) -> Result<Plan, String> {
    Ok(match request {
        Request::ListBuckets(list) => {
            let bucket_type = type_name(list.bucket_type);
            if !bucket_type.is_empty() {
                return Err(RequestError::UnknownType.to_string());
            }
            let listing = Listing::Buckets { bucket_type };
            let gathered = if list.stream.unwrap_or(false) { None } else { Some(Vec::new()) };
            ask_list(listing, list.timeout, Wants::Buckets(gathered))
        }
        Request::ListKeys(list) => {
            let bucket = bucket_id(list.bucket_type, list.bucket);
            ask_list(Listing::Keys { bucket }, list.timeout, Wants::Keys)
        }
        Request::GetBucket(get) => {
            let bucket = bucket_id(get.bucket_type, get.bucket);
            check_bucket(&bucket)?;
            ask_all(KvRequest::GetProps(bucket), Wants::Props)
        }
        Request::SetBucket(set) => {
            let bucket = bucket_id(set.bucket_type, set.bucket);
            check_bucket(&bucket)?;
            let changes = props::changes(&set.props.unwrap_or_default());
            ask_all(KvRequest::SetProps(bucket, changes), Wants::PropsSet)
        }
        Request::ResetBucket(reset) => {
            let bucket = bucket_id(reset.bucket_type, reset.bucket);
            check_bucket(&bucket)?;
            ask_all(KvRequest::ResetProps(bucket), Wants::PropsReset)
        }
        Request::GetBucketType(get) => {
            check_type(get.bucket_type)?;
            // A bucket without a name has never had properties of its own.
            ask_all(KvRequest::GetProps(BucketId::default_type(Bytes::new())), Wants::Props)
        }
        Request::SetBucketType(set) => {
            check_type(set.bucket_type)?;
            return Err("The default bucket type cannot be changed".into());
        }
        other => return Err(format!("Unknown message code: {}", other.code())),
    })
}

fn ask_list(listing: Listing, timeout_ms: Option<u32>, wants: Wants) -> Plan {
    ask_all(KvRequest::List { listing, timeout_ms }, wants)
}

fn ask_all(request: KvRequest, wants: Wants) -> Plan {
    Plan::Ask { request: ShardRequest::Kv(request), wants, touches: Touches::All }
}

fn check_bucket(bucket: &BucketId) -> Result<(), String> {
    bucket.validate().map_err(|error| error.to_string())?;
    if bucket.bucket_type.is_empty() {
        return Ok(());
    }
    Err(format!("No bucket-type named '{}'", String::from_utf8_lossy(&bucket.bucket_type)))
}

fn check_type(bucket_type: Option<Bytes>) -> Result<(), String> {
    let name = type_name(bucket_type);
    if name.is_empty() {
        return Ok(());
    }
    Err(format!("Invalid bucket type: <<\"{}\">>", String::from_utf8_lossy(&name)))
}

fn bucket_id(bucket_type: Option<Bytes>, name: Option<Bytes>) -> BucketId {
    BucketId { bucket_type: type_name(bucket_type), name: name.unwrap_or_default() }
}

/// The default type has two names here and none inside.
fn type_name(bucket_type: Option<Bytes>) -> Bytes {
    bucket_type.filter(|name| **name != *b"default").unwrap_or_default()
}

/// A quorum field.
pub(crate) fn quorum_of(field: Option<u32>) -> Quorum {
    match field {
        None | Some(quorum::DEFAULT) => Quorum::Default,
        Some(quorum::ONE) => Quorum::One,
        Some(quorum::QUORUM) => Quorum::Quorum,
        Some(quorum::ALL) => Quorum::All,
        Some(count) => Quorum::Count(count),
    }
}
