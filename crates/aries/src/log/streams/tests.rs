use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

proptest! {
    /// Beside all records that are needed: what is said to be needed by nobody is, and a stream without need holds up nobody.
    #[test]
    fn nothing_needed_is_below_the_low_water(
        steps in prop::collection::vec((0..3u32, any::<bool>(), 0..20u64), 0..60),
    ) {
        let mut streams = Streams::default();
        let mut needed: BTreeMap<StreamId, BTreeSet<Lsn>> = BTreeMap::new();
        let mut marks: BTreeMap<StreamId, Lsn> = BTreeMap::new();
        let mut next = 1u64;
        for (stream, is_mark, back) in steps {
            let stream = StreamId(stream);
            if is_mark {
                let mark = Lsn(next.saturating_sub(back));
                streams.set_mark(stream, mark);
                let highest = marks.entry(stream).or_default();
                *highest = mark.max(*highest);
                let all = needed.entry(stream).or_default();
                *all = all.split_off(highest);
            } else {
                streams.note(stream, Lsn(next));
                needed.entry(stream).or_default().insert(Lsn(next));
                next += 1;
            }
            let firsts = needed.values().filter_map(|all| all.first().copied());
            let first = firsts.min().unwrap_or(Lsn(u64::MAX));
            prop_assert!(streams.low_water() <= first, "{:?} needs {first:?}", streams.oldest());
            match streams.oldest() {
                None => prop_assert_eq!(first, Lsn(u64::MAX)),
                Some((who, from)) => {
                    prop_assert!(!needed[&who].is_empty(), "{who:?} needs nothing");
                    let mark = marks.get(&who).copied().unwrap_or_default();
                    prop_assert!(from >= mark, "{who:?} said that it needs nothing below {mark:?}");
                }
            }
        }
    }
}
