use super::*;

fn op(kind: OpKind, began: u64, ended: u64, outcome: Outcome) -> Op {
    Op {
        client: 0,
        node: NodeId(0),
        key: 0,
        kind,
        replaces: Vec::new(),
        seen_at: Tick(began),
        blind: false,
        began: Tick(began),
        ended: Some(Tick(ended)),
        outcome,
    }
}

fn put(value: u64, began: u64, ended: u64) -> Op {
    op(OpKind::Put(value), began, ended, Outcome::Done)
}

fn read(values: &[u64], began: u64, ended: u64) -> Op {
    let outcome =
        if values.is_empty() { Outcome::NotFound } else { Outcome::Found(values.to_vec()) };
    op(OpKind::Get, began, ended, outcome)
}

fn replacing(values: &[u64], op: Op) -> Op {
    Op { replaces: values.to_vec(), ..op }
}

fn verdict(ops: &[Op]) -> Option<&'static str> {
    let mut history = History::default();
    history.add_key(0, true);
    for op in ops {
        history.begin(op.clone());
    }
    history.check().err().map(|broken| broken.rule)
}

#[test]
fn histories_known_good() {
    assert_eq!(verdict(&[put(1, 0, 1), read(&[1], 2, 3)]), None);
    assert_eq!(verdict(&[put(1, 0, 1), replacing(&[1], put(2, 2, 3)), read(&[2], 4, 5)]), None);
    assert_eq!(verdict(&[put(1, 0, 5), read(&[], 1, 2)]), None, "concurrent");
    assert_eq!(verdict(&[put(1, 0, 1), put(2, 2, 3), read(&[1, 2], 4, 5)]), None, "siblings");
    let deletion = op(OpKind::Delete, 2, 3, Outcome::Done);
    assert_eq!(verdict(&[put(1, 0, 1), replacing(&[1], deletion), read(&[], 4, 5)]), None);
    let failed = Op { outcome: Outcome::Failed("timeout".into()), ..put(2, 0, 1) };
    assert_eq!(verdict(&[failed.clone(), read(&[2], 2, 3)]), None, "failed writes may be there");
    assert_eq!(verdict(&[failed, read(&[], 2, 3)]), None, "or not");
}

#[test]
fn histories_known_bad() {
    assert_eq!(verdict(&[put(1, 0, 1), read(&[], 2, 3)]), Some("no false not-found"));
    assert_eq!(verdict(&[put(1, 0, 1), put(2, 2, 3), read(&[2], 4, 5)]), Some("nothing is lost"));
    assert_eq!(verdict(&[read(&[7], 2, 3)]), Some("nothing is invented"));
    assert_eq!(verdict(&[put(1, 0, 1), read(&[1, 1], 2, 3)]), Some("nothing is doubled"));
    let replaced = replacing(&[1], put(2, 2, 3));
    assert_eq!(verdict(&[put(1, 0, 1), replaced, read(&[1, 2], 4, 5)]), Some("nothing comes back"));
    let deletion = replacing(&[1], op(OpKind::Delete, 2, 3, Outcome::Done));
    assert_eq!(verdict(&[put(1, 0, 1), deletion, read(&[1], 4, 5)]), Some("nothing comes back"));
}
