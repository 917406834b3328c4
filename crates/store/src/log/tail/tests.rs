use super::*;

#[test]
fn what_is_flushed_is_forgotten_and_nothing_else() {
    let mut tail = Tail::default();
    let piece = Bytes::from_static;
    tail.push((0, 32), piece(b"one"));
    tail.push((0, 35), piece(b"two"));
    tail.push((1, 32), piece(b"three"));
    assert_eq!(tail.get((0, 35)), Some(piece(b"two")));
    assert_eq!(tail.get((0, 33)), None);
    tail.forget((0, 35));
    assert_eq!((tail.get((0, 32)), tail.get((0, 35))), (None, Some(piece(b"two"))));
    tail.forget((0, 38));
    assert_eq!(tail.get((1, 32)), Some(piece(b"three")));
    assert_eq!(tail.bytes(), 5);
    tail.forget((2, 0));
    assert_eq!(tail.bytes(), 0);
}
