//! Three nodes: requests go where their keys are, and round a node that is gone.

use ombak_base::NodeId;
use ombak_client::{Error, Object, Options, PutOptions, Quorum};
use ombak_cluster::{Topology, hash};
use ombak_wire::{Request, Response, RpbErrorResp, split_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{NAMES, RING_SIZE, client, client_with, requests, three};

/// Which node should be asked first, as the nodes reckon it.
fn first_owner(bucket: &str, key: &str) -> usize {
    let topology = Topology::fixed(&NAMES.map(String::from), RING_SIZE).unwrap();
    let point = hash::key_point(b"", bucket.as_bytes(), key.as_bytes());
    let NodeId(first) = topology.ring.row(hash::partition_of(&point, RING_SIZE))[0];
    first as usize
}

#[tokio::test]
async fn requests_go_to_their_keys_first_owner() {
    let nodes = three();
    let client = client(&nodes).await;
    let names: Vec<_> = client.nodes().into_iter().map(|node| node.name.unwrap()).collect();
    assert_eq!(names, NAMES);
    let before: Vec<u64> = nodes.iter().map(requests).collect();
    let mut wanted = before.clone();
    for n in 0..90 {
        let key = n.to_string();
        client.put(&Object::new("b", key.as_str(), "v")).await.unwrap();
        assert!(client.get("b", key.as_str()).await.unwrap().is_some());
        wanted[first_owner("b", &key)] += 2;
    }
    assert!((0..3).all(|node| wanted[node] > before[node] + 20), "{before:?} {wanted:?}");
    assert_eq!(nodes.iter().map(requests).collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn others_take_over_for_a_node_that_is_gone() {
    let mut nodes = three();
    let client = client(&nodes).await;
    for n in 0..60 {
        client.put(&Object::new("b", n.to_string(), "v")).await.unwrap();
    }
    let gone = 1;
    nodes.remove(gone).stop().unwrap();
    let mut unknown = 0;
    for n in 0..60 {
        assert!(client.get("b", n.to_string()).await.unwrap().is_some(), "{n}");
        match client.put(&Object::new("b", n.to_string(), "w")).await {
            Ok(_) => {}
            Err(Error::Unknown(_)) => unknown += 1,
            Err(error) => panic!("{n}: {error}"),
        }
    }
    assert_eq!(unknown, 0, "its connections were idle when it went");
    let status = &client.nodes()[gone];
    assert_eq!((status.lent, status.waiting), (0, 0));
    let all = PutOptions { w: Quorum::All, ..PutOptions::default() };
    let refused = client.put_with(&Object::new("b", "k", "v"), &all).await;
    assert!(matches!(refused, Err(Error::Replicas(_))), "{refused:?}");
}

#[tokio::test]
async fn with_one_address_all_keys_are_reached() {
    let nodes = three();
    let client = client_with(&nodes[2..], |_: &mut Options| {}).await;
    for n in 0..30 {
        client.put(&Object::new("b", n.to_string(), "v")).await.unwrap();
        assert!(client.get("b", n.to_string()).await.unwrap().is_some());
    }
}

/// A node that does not know Ombak's own message, as Riak.
#[tokio::test]
async fn without_rows_any_node_is_asked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut input = bytes::BytesMut::new();
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                while let Some((code, body)) = split_frame(&mut input).unwrap() {
                    let mut out = Vec::new();
                    riak(Request::decode(code, body).unwrap()).encode_frame(&mut out);
                    stream.write_all(&out).await.unwrap();
                }
            }
        }
    });
    let client = ombak_client::Client::connect([addr]).await.unwrap();
    assert_eq!(client.nodes()[0].name, None);
    assert_eq!(client.get("b", "k").await, Ok(None));
}

fn riak(request: Request) -> Response {
    match request {
        Request::Get(_) => Response::Get(Default::default()),
        other => {
            let text = format!("Unknown message code: {}", other.code());
            Response::Error(RpbErrorResp { errmsg: Some(text.into()), errcode: Some(0) })
        }
    }
}
