//! A page of the tree that rots where a start does not need it.

use super::*;
use crate::storage::Backend;

const KEYS: u64 = 200;
const PAGE_BYTES: u64 = 8192;
const PAGES: &str = "btree/pages";

/// Nodes with trees of some dozens of pages.
fn orchard() -> World<Cluster> {
    let shape = Shape { nodes: 3, shards: 1, ring_size: 8 };
    let cluster = Cluster::new(shape).unwrap().with_backend(Backend::Btree);
    let mut w = World::new(cluster, 3, 1).unwrap();
    w.run_for(5 * SECOND);
    for n in 0..KEYS {
        let mut put = put_op(key(n), Quorums::default());
        if let Operation::Put(put) = &mut put {
            put.content.value = Bytes::from(vec![b'v'; 1_500]);
        }
        assert!(matches!(ask(&mut w, A, put), Some(Answer::Written(_))), "key {n}");
    }
    w.run_for(30 * SECOND);
    w
}

/// Turns a bit of a page of A while A is down. Whether A starts, and the bit is still turned: nothing has put the page right.
fn starts_with_rot(w: &mut World<Cluster>, page: u64) -> bool {
    w.crash(A);
    let sound = w.disk(A).contents(PAGES).unwrap();
    let at = page * PAGE_BYTES + 4_000;
    assert!(w.disk(A).flip_bit(PAGES, at, 0));
    let started = w.restart(A);
    let is_turned = w.disk(A).contents(PAGES).unwrap()[at as usize] != sound[at as usize];
    match started {
        Ok(()) => is_turned,
        Err(why) => {
            assert!(why.contains(&format!("{PAGES} is damaged at offset {}", page * PAGE_BYTES)));
            assert!(w.disk(A).flip_bit(PAGES, at, 0));
            false
        }
    }
}

fn is_complete(w: &World<Cluster>) -> bool {
    w.machine(A, S).is_some_and(|shard| shard.vnodes().all(|vnode| vnode.is_complete()))
}

fn finds_all(w: &mut World<Cluster>, r: Quorum) -> bool {
    let quorums = Quorums { r, ..Quorums::default() };
    (0..KEYS).all(|n| matches!(ask(w, A, get_op(key(n), quorums)), Some(Answer::Object(_))))
}

/// It is told when it is read; the others answer, and no repair helps. On an empty disk the node gets everything from them.
#[test]
fn a_page_that_rots_is_told_and_its_node_begins_anew() {
    let mut w = orchard();
    let pages = w.disk(A).contents(PAGES).unwrap().len() as u64 / PAGE_BYTES;
    let is_told = |page: &u64| {
        let starts = starts_with_rot(&mut w, *page);
        w.run_for(5 * SECOND);
        assert!(!starts || finds_all(&mut w, Quorum::Default), "{page}");
        starts && !is_complete(&w)
    };
    let rotten = (0..pages).rev().find(is_told);
    assert!(rotten.is_some(), "none of {pages} pages is read but by a start");

    w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    w.run_for(SECOND);
    assert!(finds_all(&mut w, Quorum::Default));
    assert!(!is_complete(&w), "it stays damaged");

    w.wipe(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    assert!(is_complete(&w));
    assert!(finds_all(&mut w, Quorum::All));
}
