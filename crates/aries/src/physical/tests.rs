use proptest::prelude::*;

use super::*;
use crate::log::Lsn;

/// A page with some bytes of its own.
fn page(edits: &[(usize, u8)]) -> Page {
    let mut page = Page::blank(PageId(9));
    for (at, byte) in edits {
        page.bytes_mut()[FROM + at % (PAGE_BYTES - FROM)] = *byte;
    }
    page
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>()), 0..60)
}

proptest! {
    #[test]
    fn a_difference_leads_there_and_back(before in edits(), after in edits()) {
        let (old, new) = (page(&before), page(&[&before[..], &after[..]].concat()));
        let Some(change) = between(&old, &new) else {
            prop_assert_eq!(old.bytes(), new.bytes());
            return Ok(());
        };
        let mut there = old.clone();
        Physical.redo(&mut there, &change).unwrap();
        prop_assert_eq!(there.bytes(), new.bytes());
        let back = undone(&change).unwrap();
        Physical.redo(&mut there, &back).unwrap();
        prop_assert_eq!(there.bytes(), old.bytes());
    }

    #[test]
    fn a_format_makes_any_page_the_new_one(before in edits(), after in edits()) {
        let (mut old, new) = (page(&before), page(&after));
        old.set_lsn(Lsn(4));
        Physical.redo(&mut old, &format(&new)).unwrap();
        prop_assert_eq!(old.bytes(), new.bytes());
    }

    #[test]
    fn the_longest_zeros_are_found(bytes in prop::collection::vec(0..3u8, 0..60)) {
        let ends = 0..=bytes.len();
        let runs = ends.clone().flat_map(|start| ends.clone().map(move |end| start..end));
        let zeros = runs.filter(|run| !run.is_empty() && bytes[run.clone()].iter().all(|byte| *byte == 0));
        let mut best = 0..0;
        zeros.for_each(|run| if run.len() > best.len() { best = run });
        prop_assert_eq!(longest_zeros(&bytes), best);
    }

    #[test]
    fn any_bytes_as_a_change(kind in 0..5u8, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut change = vec![kind];
        change.extend(bytes);
        let mut page = page(&[]);
        let _refused = Physical.redo(&mut page, &change);
        let _back = undone(&change);
        Physical.describe(&change);
        prop_assert_eq!(page.id(), PageId(9));
    }
}

#[test]
fn a_change_of_another_page_is_refused() {
    let (old, new) = (page(&[(100, 1)]), page(&[(100, 2), (300, 7)]));
    let change = between(&old, &new).unwrap();
    let refused = Physical.redo(&mut page(&[(100, 3)]), &change);
    assert_eq!(refused, Err("the page is not as it was when this was logged"));
}
