use std::hash::DefaultHasher;

use proptest::prelude::*;

use super::*;

fn gathered(commands: &[Bytes]) -> Batch {
    let mut gathering = Gathering::default();
    commands.iter().cloned().for_each(|command| gathering.push(command));
    let len = gathering.len();
    let batch = gathering.take();
    assert_eq!((batch.len(), batch.count() as usize), (len, commands.len()));
    assert_eq!(gathering, Gathering::default());
    batch
}

fn encoded(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    batch.encode(&mut out);
    out
}

fn hashed(batch: &Batch) -> u64 {
    let mut hasher = DefaultHasher::new();
    batch.hash(&mut hasher);
    hasher.finish()
}

/// Small ones, and some that are kept apart.
fn any_commands() -> impl Strategy<Value = Vec<Bytes>> {
    let small = proptest::collection::vec(any::<u8>(), 0..20);
    let large = (APART_BYTES - 1..APART_BYTES + 2, any::<u8>()).prop_map(|(n, of)| vec![of; n]);
    proptest::collection::vec(prop_oneof![4 => small, 1 => large].prop_map(Bytes::from), 1..8)
}

proptest! {
    /// However a batch is kept, it is the same: from the wire it comes in one piece.
    #[test]
    fn a_batch_is_its_commands(commands in any_commands(), other in any_commands()) {
        let here = gathered(&commands);
        let mut reader = Reader::new(encoded(&here).into());
        let there = Batch::decode(&mut reader).unwrap();
        prop_assert!(reader.finish().is_ok());
        prop_assert_eq!(here.commands(), commands.clone());
        prop_assert_eq!(there.commands(), commands.clone());
        prop_assert_eq!(encoded(&there), encoded(&here));
        prop_assert_eq!(&here, &there);
        prop_assert_eq!(&there, &here);
        prop_assert_eq!(hashed(&here), hashed(&there));
        prop_assert_eq!(Together::from(here.clone()), Together::from(there.clone()));
        let other = gathered(&other);
        prop_assert_eq!(here == other, commands == other.commands());
        prop_assert_eq!(there == other, commands == other.commands());
    }
}

#[test]
fn a_command_that_is_alone_is_not_copied() {
    let alone = Bytes::from(vec![7; 16]);
    assert_eq!(gathered(std::slice::from_ref(&alone)).commands()[0].as_ptr(), alone.as_ptr());
}

#[test]
fn a_large_command_is_not_copied() {
    let large = Bytes::from(vec![7; APART_BYTES]);
    let batch = gathered(&[Bytes::from_static(b"small"), large.clone()]);
    assert_eq!(batch.commands()[1].as_ptr(), large.as_ptr());
}
