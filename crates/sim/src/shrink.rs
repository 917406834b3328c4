//! Makes a list smaller as long as it still does what it did: delta debugging (Zeller and Hildebrandt, *Simplifying and
//! Isolating Failure-Inducing Input*, 2002).

/// A list that is being made smaller.
///
/// `does` says whether what is left still does it; it is asked at most `tries_max` times. What comes back did it when it
/// was asked last, or is all of `items` if nothing could be left out. Unless the tries ran out, no single item can be left
/// out of it.
pub fn shrink<T: Clone>(
    items: Vec<T>,
    tries_max: usize,
    mut does: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut left = items;
    let mut tries = 0;
    let mut size = left.len();
    while size > 0 && !left.is_empty() {
        let mut removed = false;
        let mut at = 0;
        while at < left.len() {
            if tries == tries_max {
                return left;
            }
            tries += 1;
            let end = (at + size).min(left.len());
            let rest: Vec<T> = left[..at].iter().chain(&left[end..]).cloned().collect();
            if does(&rest) {
                left = rest;
                removed = true;
            } else {
                at = end;
            }
        }
        // Pieces of one are tried until none can be left out any more.
        if size > 1 || !removed {
            size /= 2;
        }
    }
    left
}

/// The smallest number that still does it, between `least` and `number`, if every one above it does too.
pub fn shrink_number(number: u64, least: u64, mut does: impl FnMut(u64) -> bool) -> u64 {
    let (mut fails, mut holds) = (number, least);
    while holds < fails {
        let middle = holds + (fails - holds) / 2;
        if does(middle) {
            fails = middle;
        } else {
            holds = middle + 1;
        }
    }
    fails
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_needed_is_left() {
        let items: Vec<u32> = (0..1_000).collect();
        let mut tries = 0;
        let left = shrink(items, 10_000, |items| {
            tries += 1;
            [17, 500, 999].iter().all(|needed| items.contains(needed))
        });
        assert_eq!(left, [17, 500, 999]);
        assert!(tries < 120, "{tries} tries");
    }

    #[test]
    fn tries_are_bounded() {
        let mut tries = 0;
        let left = shrink((0..100).collect(), 7, |items| {
            tries += 1;
            items.len() > 20
        });
        assert_eq!(tries, 7);
        assert!(left.len() > 20);
    }

    #[test]
    fn a_number_becomes_as_small_as_it_can() {
        assert_eq!(shrink_number(1_000_000, 50, |number| number >= 4_321), 4_321);
        assert_eq!(shrink_number(9, 0, |_| true), 0);
        assert_eq!(shrink_number(9, 0, |_| false), 9);
    }

    proptest! {
        /// Whatever is needed is left, in its order, and nothing else.
        #[test]
        fn nothing_unneeded_is_left(
            items in prop::collection::vec(any::<u8>(), 0..60),
            modulus in 2u8..9,
        ) {
            let needed: Vec<u8> = items.iter().copied().filter(|item| item % modulus == 0).collect();
            let kept = |items: &[u8]| {
                items.iter().copied().filter(|item| item % modulus == 0).collect::<Vec<_>>() == needed
            };
            prop_assert_eq!(shrink(items.clone(), usize::MAX, kept), needed);
        }
    }
}
