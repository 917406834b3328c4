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
