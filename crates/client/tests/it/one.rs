//! Every operation, and what becomes of connections.

use std::collections::BTreeSet;
use std::time::Duration;

use ombak_client::{Bucket, Client, Error, GetOptions, Key, Object, PutOptions, Quorum, Value};
use ombak_server::Node;
use ombak_wire::{Request, Response, RpbBucketProps};

use crate::world::{client, client_with, one};

#[tokio::test]
async fn an_object_is_written_read_replaced_and_deleted() {
    let node = [one()];
    let client = client(&node).await;
    assert_eq!(client.get("b", "k").await.unwrap(), None);
    let value = Value::new("v1", "text/x-test").with_metadata("colour", "blue");
    client.put(&Object::new("b", "k", value)).await.unwrap();
    let mut object = client.get("b", "k").await.unwrap().unwrap();
    let value = object.value().unwrap();
    assert_eq!((value.text(), value.content_type()), (Some("v1"), Some("text/x-test")));
    assert_eq!(value.metadata("colour"), Some(&b"blue"[..]));
    assert!(value.last_modified().is_some());
    object.set("v2");
    let options = PutOptions { return_body: true, ..PutOptions::default() };
    let stored = client.put_with(&object, &options).await.unwrap().object.unwrap();
    assert_eq!(stored.value().unwrap().text(), Some("v2"));
    assert_ne!(stored.context(), object.context());
    client.delete_object(&stored).await.unwrap();
    assert_eq!(client.get("b", "k").await.unwrap(), None);
    client.delete("b", "k").await.unwrap();
}

#[tokio::test]
async fn siblings_are_seen_and_resolved() {
    let node = [one()];
    let client = client(&node).await;
    let props = RpbBucketProps { allow_mult: Some(true), ..RpbBucketProps::default() };
    client.set_bucket_props("carts", props).await.unwrap();
    client.put(&Object::new("carts", "alice", "milk")).await.unwrap();
    client.put(&Object::new("carts", "alice", "eggs")).await.unwrap();
    let mut cart = client.get("carts", "alice").await.unwrap().unwrap();
    assert_eq!(client.put(&cart).await, Err(Error::Siblings(2)));
    cart.resolve(|values| {
        let all: BTreeSet<&str> = values.iter().filter_map(Value::text).collect();
        Vec::from_iter(all).join(" ").into()
    });
    client.put(&cart).await.unwrap();
    let cart = client.get("carts", "alice").await.unwrap().unwrap();
    assert_eq!(cart.value().unwrap().text(), Some("eggs milk"));

    assert_eq!(client.bucket_props("carts").await.unwrap().allow_mult, Some(true));
    client.reset_bucket_props("carts").await.unwrap();
    assert_eq!(client.bucket_props("carts").await.unwrap().allow_mult, Some(false));
}

#[tokio::test]
async fn keys_and_buckets_are_listed_and_a_listing_can_be_dropped() {
    let node = [one()];
    let client = client_with(&node, |options| options.pool.connections_max = 1).await;
    let mut wanted = BTreeSet::new();
    for n in 0..200 {
        let made = client.put(&Object::unnamed("b", format!("{n}"))).await.unwrap().made_key;
        wanted.insert(made.unwrap());
    }
    for _ in 0..3 {
        let mut listing = client.list_keys("b").await.unwrap();
        assert!(listing.next().await.unwrap().is_ok());
        drop(listing);
        client.ping().await.unwrap();
    }
    let keys = client.list_keys("b").await.unwrap().collect().await.unwrap();
    assert_eq!(BTreeSet::from_iter(keys), wanted);
    let buckets = client.list_buckets().await.unwrap().collect().await.unwrap();
    assert_eq!(buckets, [Key::from("b")]);
}

#[tokio::test]
async fn refusals_have_types() {
    let node = [one()];
    let client = client(&node).await;
    client.put(&Object::new("b", "k", "v")).await.unwrap();
    let first = PutOptions { if_none_match: true, ..PutOptions::default() };
    let again = client.put_with(&Object::new("b", "k", "w"), &first).await;
    assert_eq!(again, Err(Error::Condition("match_found".into())));
    assert!(matches!(client.get("b", "").await, Err(Error::Refused(_))));
    assert!(matches!(client.get(Bucket::typed("none", "b"), "k").await, Err(Error::Refused(_))));
    let many = GetOptions { r: Quorum::Count(9), ..GetOptions::default() };
    assert!(matches!(client.get_with("b", "k", &many).await, Err(Error::Refused(_))));
    let info = client.server_info().await.unwrap();
    assert_eq!((info.node.as_str(), info.version.as_str()), ("n1@test", "3.2.3"));
    assert_eq!(client.call(Request::Ping).await, Ok(Response::Ping));

    client.close();
    assert_eq!(client.ping().await, Err(Error::Closed));
    let nobody: [&str; 0] = [];
    assert_eq!(Client::connect(nobody).await.unwrap_err(), Error::NoAddress);
}

/// Requests that are given up after any number of polls: no answer is taken for that of another, and nothing leaks.
#[tokio::test]
async fn a_cancelled_request_poisons_no_connection() {
    const KEYS: u32 = 50;
    let node = [one()];
    let client = client_with(&node, |options| options.pool.connections_max = 2).await;
    for n in 0..KEYS {
        client.put(&Object::new("b", n.to_string(), n.to_string())).await.unwrap();
    }
    let mut cancelled = 0;
    for round in 0..2_000 {
        let (given_up, key) = (round % KEYS, (round + 1) % KEYS);
        tokio::select! {
            biased;
            found = client.get("b", given_up.to_string()) => is_own(found, given_up),
            () = polls(round % 7) => cancelled += 1,
        }
        if round % 3 == 0 {
            is_own(client.get("b", key.to_string()).await, key);
        }
    }
    assert!(cancelled > 500, "{cancelled}");
    let status = &client.nodes()[0];
    assert_eq!((status.lent, status.waiting, status.is_down), (0, 0, false));
}

fn is_own(found: Result<Option<Object>, Error>, key: u32) {
    let found = found.unwrap().unwrap();
    assert_eq!(found.value().unwrap().text(), Some(key.to_string().as_str()));
}

/// Is over after so many polls.
async fn polls(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// More callers than connections and places in line.
#[tokio::test]
async fn a_crowd_shares_few_connections() {
    let node = [one()];
    let change = |options: &mut ombak_client::Options| {
        (options.pool.connections_max, options.pool.waiters_max) = (2, 50);
    };
    let client = client_with(&node, change).await;
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..200 {
        let client = client.clone();
        crowd.spawn(async move { client.put(&Object::new("b", n.to_string(), "v")).await });
    }
    let told: Vec<_> = crowd.join_all().await;
    let done = told.iter().filter(|told| told.is_ok()).count();
    let busy = told.iter().filter(|told| **told == Err(Error::Busy)).count();
    assert_eq!((done >= 50, done + busy), (true, 200), "{done} done, {busy} refused");
    assert!(client.nodes()[0].connections <= 2);
}

#[tokio::test]
async fn a_node_that_comes_back_is_found_again() {
    let node = one();
    let addr = node.addresses().pb;
    let client = client(std::slice::from_ref(&node)).await;
    client.ping().await.unwrap();
    node.stop().unwrap();
    assert!(matches!(client.ping().await, Err(Error::Unavailable(_))));
    let options = ombak_server::Options {
        pb_addr: addr,
        backend: ombak_server::Backend::Memory,
        http_addr: ([127, 0, 0, 1], 0).into(),
        ..ombak_server::Options::default()
    };
    let _node = Node::start(options).unwrap();
    let back = async {
        while client.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
}
