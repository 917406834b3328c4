use ombak_cluster::hash::key_point;

use super::*;

fn said(epoch: u64, node: u32, rows: &[&[u32]]) -> OmbakRowsResp {
    OmbakRowsResp {
        epoch: Some(epoch),
        ring_size: Some(rows.len() as u32),
        members: ["a", "b", "c"].map(|name| Bytes::from_static(name.as_bytes())).into(),
        node: Some(node),
        rows: rows.iter().map(|owners| OmbakRow { owners: owners.to_vec() }).collect(),
    }
}

/// Of ring size 2, `key_point(b"", b"b", b"f")` falls behind the first half: its partition is 1 if 52 of 64 is.
fn owners(rows: &Rows) -> Vec<usize> {
    let point = key_point(b"", b"b", b"f");
    assert_eq!(partition_of(&point, 2).0, 0);
    rows.owners(&point)
}

#[test]
fn owners_are_addresses_once_their_names_are_known() {
    let mut rows = Rows::default();
    assert_eq!(owners(&rows), [0; 0]);
    rows.learn(7, said(1, 2, &[&[1, 2, 0], &[0, 1, 2]]));
    assert_eq!(owners(&rows), [7]);
    rows.learn(8, said(1, 1, &[&[1, 2, 0], &[0, 1, 2]]));
    assert_eq!(owners(&rows), [8, 7]);
    rows.learn(7, said(1, 0, &[&[1, 2, 0], &[0, 1, 2]]));
    assert_eq!(owners(&rows), [8, 7], "another node answers at that address now");
    assert_eq!((rows.name(7), rows.name(9)), (Some(&Bytes::from_static(b"a")), None));
}

#[test]
fn an_older_table_changes_no_rows() {
    let mut rows = Rows::default();
    rows.learn(0, said(5, 0, &[&[0, 1], &[1, 0]]));
    rows.learn(1, said(4, 1, &[&[1, 0], &[0, 1]]));
    assert_eq!(owners(&rows), [0, 1]);
    rows.learn(1, said(6, 1, &[&[1, 0], &[0, 1]]));
    assert_eq!(owners(&rows), [1, 0]);
}

#[test]
fn owners_come_first_and_who_is_down_last() {
    let up = |_| false;
    assert_eq!(arrange(4, &[2, 0], 0, up), [2, 0, 1, 3]);
    assert_eq!(arrange(4, &[2, 0], 3, up), [2, 0, 3, 1]);
    assert_eq!(arrange(4, &[2, 0], 1, |node| node == 2), [0, 1, 3, 2]);
    assert_eq!(arrange(3, &[], 7, up), [1, 2, 0]);
    assert_eq!(arrange(1, &[], 7, |_| true), [0]);
}
