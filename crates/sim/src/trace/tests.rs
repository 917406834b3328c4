use super::*;

fn record(trace: &mut Trace, kind: &'static str, text: &str) {
    trace.record(1_500_000, NodeId(1), Some(ShardId(0)), kind, &Detail::Text(&text));
}

/// Pinned: another process, machine or version must come to the same number.
#[test]
fn the_fingerprint_is_pinned() {
    let mut fingerprint = Fingerprint::new();
    fingerprint.bytes(b"the same everywhere");
    assert_eq!(fingerprint.value(), 93_853_891_305_741_611_850_457_872_812_922_657_907);
}

#[test]
fn lines_are_the_last_ones_and_do_not_change_the_hash() {
    let (mut quiet, mut loud) = (Trace::new(), Trace::new());
    loud.keep_lines(2);
    for trace in [&mut quiet, &mut loud] {
        ["a", "b", "c"].iter().for_each(|text| record(trace, "kind", text));
    }
    assert_eq!(quiet.hash(), loud.hash());
    assert_eq!(quiet.lines().count(), 0);
    let lines: Vec<&str> = loud.lines().collect();
    assert_eq!(lines[1], "     1.500000s n1.s0  kind      \"c\"");
    assert_eq!(lines.len(), 2);
}

#[test]
fn order_and_kind_count() {
    let hash = |entries: &[(&'static str, &str)]| {
        let mut trace = Trace::new();
        entries.iter().for_each(|(kind, text)| record(&mut trace, kind, text));
        trace.hash()
    };
    assert_ne!(hash(&[("a", "x"), ("b", "x")]), hash(&[("b", "x"), ("a", "x")]));
    assert_ne!(hash(&[("a", "x")]), hash(&[("a", "y")]));
}
