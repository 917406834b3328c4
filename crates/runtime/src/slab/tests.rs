use super::*;

#[test]
fn a_stale_key_finds_nothing() {
    let mut slab = Slab::default();
    let old = slab.insert("old");
    assert_eq!(slab.remove(old), Some("old"));
    let new = slab.insert("new");
    assert_eq!((new.index, slab.len()), (old.index, 1));
    assert_eq!(slab.get(old), None);
    assert_eq!(slab.remove(old), None);
    assert_eq!(slab.get(Key::from_bits(new.bits())), Some(&"new"));
    assert_eq!(slab.iter().collect::<Vec<_>>(), [(new, &"new")]);
}

proptest::proptest! {
    /// Against a map from every key that was ever given out.
    #[test]
    fn it_is_a_map_whose_keys_are_given_out_once(moves in proptest::collection::vec((0..3u8, 0..20usize), 0..200)) {
        let (mut slab, mut model) = (Slab::default(), Vec::<(Key, Option<usize>)>::new());
        for (n, (what, which)) in moves.into_iter().enumerate() {
            if what == 0 || model.is_empty() {
                let key = slab.insert(n);
                proptest::prop_assert!(model.iter().all(|(known, _)| *known != key));
                model.push((key, Some(n)));
            } else {
                let which = which % model.len();
                let (key, value) = &mut model[which];
                if what == 1 {
                    proptest::prop_assert_eq!(slab.remove(*key), value.take());
                }
            }
            for (key, value) in &model {
                proptest::prop_assert_eq!(slab.get(*key), value.as_ref());
            }
            proptest::prop_assert_eq!(slab.len(), model.iter().filter(|(_, value)| value.is_some()).count());
        }
    }
}
