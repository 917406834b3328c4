use bytes::Bytes;

use super::*;

fn header() -> Header {
    Header {
        partition: Partition(52),
        epoch: Epoch(1),
        role: Role::Primary,
        fence: Fence { boot: 3, deadline: Tick(4) },
        class: 5,
        tenant: 6,
        request: RequestId(7),
    }
}

#[test]
fn the_layout_is_kept_for_ever() {
    let mut out = Vec::new();
    header().encode(&mut out);
    let mut golden = vec![52, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    golden.extend_from_slice(&[4, 0, 0, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 7]);
    golden.extend_from_slice(&[0; 15]);
    assert_eq!(out, golden);
    assert_eq!(out.len(), Header::BYTES);
    assert_eq!(Header::decode(&mut Reader::new(Bytes::from(out))), Ok(header()));
}

#[test]
fn a_fence_holds_until_its_deadline_in_its_boot() {
    let fence = Fence { boot: 1, deadline: Tick::from_ms(1_000) };
    assert!(fence.holds(1, Tick::from_ms(1_000)));
    assert!(!fence.holds(1, Tick(1_000_001)));
    assert!(!fence.holds(2, Tick::from_ms(1)));
}

#[test]
fn a_deadline_beyond_the_window_is_not_believed() {
    let window = FENCE_WINDOW_MS + CLOCK_SLACK_MS;
    let fence = Fence { boot: 1, deadline: Tick::from_ms(window + 1) };
    assert!(!fence.holds(1, Tick(0)));
    assert!(fence.holds(1, Tick::from_ms(1)));
}
