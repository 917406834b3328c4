use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Near and far ones, on both sides of a chunk's edge.
fn page() -> impl Strategy<Value = PageId> {
    prop_oneof![0..8_u32, 508..516_u32, 70_000..70_004_u32].prop_map(PageId)
}

proptest! {
    #[test]
    fn it_knows_the_first_change_of_each_page(
        changes in proptest::collection::vec((page(), (1..1000_u64).prop_map(Lsn)), 0..40),
        asked in page(),
    ) {
        let (mut dirty, mut model) = (DirtyPages::default(), BTreeMap::new());
        for (page, lsn) in changes {
            dirty.note(page, lsn);
            let known = model.entry(page).or_insert(lsn);
            *known = lsn.min(*known);
        }
        prop_assert_eq!(dirty.get(asked), model.get(&asked).copied());
        prop_assert_eq!(dirty.first(), model.values().min().copied());
        prop_assert_eq!(dirty.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_last_page_there_can_be_is_a_page_as_others() {
    let mut dirty = DirtyPages::default();
    dirty.note(PageId(u32::MAX), Lsn(7));
    assert_eq!(dirty.get(PageId(u32::MAX)), Some(Lsn(7)));
    assert_eq!(dirty.iter().collect::<Vec<_>>(), [(PageId(u32::MAX), Lsn(7))]);
}
