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
        let back = undone(&change, &there).unwrap();
        Physical.redo(&mut there, &back).unwrap();
        prop_assert_eq!(there.bytes(), old.bytes());
    }

    /// Bytes that move up or down within a page that is full of them, and others that change elsewhere.
    #[test]
    fn bytes_that_move_lead_there_and_back(
        seed in any::<u64>(), at in 100..7000usize, len in 40..900usize, by in 1..=8usize, up: bool, elsewhere in edits(),
    ) {
        let mut old = Page::blank(PageId(9));
        let mut word = seed | 1;
        for byte in &mut old.bytes_mut()[FROM..] {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *byte = (word >> 56) as u8;
        }
        let mut new = old.clone();
        let range = &mut new.bytes_mut()[at..at + len];
        if up {
            range.copy_within(..len - by, by);
            range[..by].fill(seed as u8);
        } else {
            range.copy_within(by.., 0);
            range[len - by..].fill(seed as u8);
        }
        let change = between(&old, &new).unwrap();
        prop_assert!(change.len() < 120, "{} bytes", change.len());
        prop_assert_eq!(undone(&change, &old), None, "it is not done to this one");
        for (at, byte) in elsewhere {
            new.bytes_mut()[FROM + at % (PAGE_BYTES - FROM)] = byte;
        }
        let change = between(&old, &new).unwrap();
        let mut there = old.clone();
        Physical.redo(&mut there, &change).unwrap();
        prop_assert_eq!(there.bytes(), new.bytes());
        let back = undone(&change, &there).unwrap();
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
    fn any_bytes_as_a_change(kind in 0..6u8, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut change = vec![kind];
        change.extend(bytes);
        let mut page = page(&[]);
        let _refused = Physical.redo(&mut page, &change);
        let _back = undone(&change, &page);
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

/// Two bytes come in at 1000, and 62 move up; a byte further on changes. Kind 4 for ever.
#[test]
fn the_bytes_of_a_change_that_moves() {
    let mut old = Page::blank(PageId(9));
    for (at, byte) in old.bytes_mut()[1000..1064].iter_mut().enumerate() {
        *byte = at as u8 + 1;
    }
    let mut new = old.clone();
    new.bytes_mut()[1000..1064].copy_within(..62, 2);
    new.bytes_mut()[1000..1002].copy_from_slice(&[0xaa, 0xbb]);
    new.bytes_mut()[2000] = 7;
    let change = between(&old, &new).unwrap();
    let hex: String = change.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "04e80340000299fb80283f40aabbd0070100000007");
    assert_eq!(Physical.describe(&change), "bytes 1000+64 moved by 2 2000+1");
    let mut other = old.clone();
    other.bytes_mut()[1030] = 0;
    let refused = Physical.redo(&mut other, &change);
    assert_eq!(refused, Err("the page is not as it was when this was logged"));
}
