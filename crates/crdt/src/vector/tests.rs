use proptest::prelude::*;

use super::*;

pub fn any_vector() -> impl Strategy<Value = VersionVector> {
    proptest::collection::vec((0..4u64, 0..5u64), 0..6).prop_map(|dots| {
        dots.into_iter().map(|(actor, n)| Dot { actor: ActorId(actor), n }).collect()
    })
}

fn joined(a: &VersionVector, b: &VersionVector) -> VersionVector {
    let mut out = a.clone();
    out.join(b);
    out
}

proptest! {
    #[test]
    fn join_is_the_least_upper_bound(a in any_vector(), b in any_vector(), c in any_vector()) {
        let ab = joined(&a, &b);
        prop_assert!(ab.descends(&a) && ab.descends(&b));
        prop_assert!(!(c.descends(&a) && c.descends(&b)) || c.descends(&ab));
        prop_assert_eq!(&ab, &joined(&b, &a));
        prop_assert_eq!(joined(&ab, &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a);
    }

    #[test]
    fn descends_is_a_partial_order(a in any_vector(), b in any_vector(), c in any_vector()) {
        prop_assert!(a.descends(&a));
        prop_assert!(!(a.descends(&b) && b.descends(&a)) || a == b);
        prop_assert!(!(a.descends(&b) && b.descends(&c)) || a.descends(&c));
    }

    #[test]
    fn encoding_is_canonical(a in any_vector()) {
        let mut out = Vec::new();
        a.encode(&mut out);
        prop_assert_eq!(VersionVector::decode(&mut Reader::new(out.into())), Ok(a));
    }
}
