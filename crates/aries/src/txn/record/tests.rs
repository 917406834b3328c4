use proptest::prelude::*;

use super::*;

const NAMES: &[u8] = b"\x05\0\0\0\x01\0\0\0k\x06\0\0\0\0\0\0\0";
const LINK: Link = Link { txn: TxnId(3), prev: Lsn(0x0102) };

/// Every kind of record of version 1, and its bytes for ever.
fn golden() -> Vec<(Vec<u8>, Record<'static>, &'static str)> {
    let change = Change { manager: ManagerId(1), page: PageId(5), bytes: b"xy" };
    let whole = |head: Head, rest: &[u8]| [head.as_bytes(), rest].concat();
    let tables = Tables {
        begin: Lsn(9),
        next_txn: 4,
        txns: vec![TxnLine {
            txn: TxnId(3),
            state: State::Prepared,
            first: Lsn(1),
            last: Lsn(2),
            undo_next: Lsn(2),
        }],
        pages: vec![(PageId(5), Lsn(7))],
    };
    vec![
        (
            whole(Head::update(LINK, change.manager, change.page), b"xy"),
            Record::Update { link: LINK, change },
            "01 0300000000000000 0201000000000000 01 05000000 7879",
        ),
        (
            whole(Head::clr(LINK, Lsn(8), change.manager, change.page), b"xy"),
            Record::Clr { link: LINK, undo_next: Lsn(8), change },
            "02 0300000000000000 0201000000000000 0800000000000000 01 05000000 7879",
        ),
        (
            whole(Head::nested_end(LINK, Lsn(8)), b""),
            Record::NestedEnd { link: LINK, undo_next: Lsn(8) },
            "03 0300000000000000 0201000000000000 0800000000000000",
        ),
        (
            whole(Head::commit(LINK), b""),
            Record::Commit(LINK),
            "04 0300000000000000 0201000000000000",
        ),
        (
            whole(Head::rollback(LINK), b""),
            Record::Rollback(LINK),
            "05 0300000000000000 0201000000000000",
        ),
        (whole(Head::end(LINK), b""), Record::End(LINK), "06 0300000000000000 0201000000000000"),
        (
            whole(Head::prepare(LINK), b"ab"),
            Record::Prepare { link: LINK, name: b"ab" },
            "07 0300000000000000 0201000000000000 6162",
        ),
        (
            whole(Head::locked(LINK), NAMES),
            Record::Locked { link: LINK, names: LockNames(NAMES) },
            "0b 0300000000000000 0201000000000000 05000000 01000000 6b 06000000 00000000",
        ),
        (
            whole(Head::single(change.manager, change.page), b"xy"),
            Record::Single(change),
            "08 01 05000000 7879",
        ),
        (
            whole(Head::begin_checkpoint(6), b""),
            Record::BeginCheckpoint { identity: 6 },
            "09 0600000000000000",
        ),
        (
            tables.encode(),
            Record::EndCheckpoint(tables),
            "0a 0900000000000000 0400000000000000 01000000 01000000 0300000000000000 01 0100000000000000 \
             0200000000000000 0200000000000000 05000000 0700000000000000",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn version_1_is_written_and_read_as_ever() {
    for (bytes, record, text) in golden() {
        assert_eq!(hex(&bytes), text.replace(' ', ""), "{record:?}");
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn a_record_cut_short_or_with_something_after_it_is_none_or_another() {
    for (bytes, record, _) in golden() {
        for len in 0..bytes.len() {
            assert_ne!(Record::decode(&bytes[..len]), Ok(record.clone()));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_as_a_record(kind in 0..13u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut record = vec![kind];
        record.extend(bytes);
        let _ = Record::decode(&record);
    }
}
