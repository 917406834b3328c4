//! Quorums as clients ask for them, and what they come to.

use ombak_kv::{Quorum, Quorums};
use ombak_sim::Rng;

use crate::history::REPLICAS;

/// Half of the requests ask for nothing in particular; the others draw each quorum on its own.
pub(super) fn draw(rng: &mut Rng) -> Quorums {
    if rng.chance(1, 2) {
        return Quorums::default();
    }
    Quorums {
        r: draw_one(rng),
        pr: draw_one(rng),
        w: draw_one(rng),
        dw: draw_one(rng),
        pw: draw_one(rng),
        rw: draw_one(rng),
        n_val: None,
        node_confirms: rng.chance(1, 6).then(|| rng.between(0, u64::from(REPLICAS)) as u32),
    }
}

fn draw_one(rng: &mut Rng) -> Quorum {
    match rng.below(10) {
        0 => Quorum::One,
        1 => Quorum::Quorum,
        2 => Quorum::All,
        3 => Quorum::Count(rng.between(0, u64::from(REPLICAS)) as u32),
        _ => Quorum::Default,
    }
}

/// On the word of how many replicas a read answers, at least: more, if more nodes must confirm.
pub(super) fn heard(quorums: &Quorums) -> u32 {
    count(quorums.r, REPLICAS / 2 + 1).max(count(quorums.pr, 0)).max(1)
}

/// The same for a read that may say "not found" on the word of half of the row, whatever R is (seed 49,099).
pub(super) fn heard_by_get(
    quorums: &Quorums,
    basic_quorum: Option<bool>,
    notfound_ok: Option<bool>,
) -> u32 {
    match (notfound_ok, basic_quorum) {
        (Some(false), Some(true)) => heard(quorums).min(REPLICAS / 2 + 1),
        _ => heard(quorums),
    }
}

/// On how many replicas a put is durable when it is acknowledged.
pub(super) fn held(quorums: &Quorums) -> u32 {
    count(quorums.dw, REPLICAS / 2 + 1)
}

/// A deletion has one quorum for what is not given, reads included.
pub(super) fn of_delete(quorums: &Quorums) -> Quorums {
    let or_rw = |quorum| if quorum == Quorum::Default { quorums.rw } else { quorum };
    Quorums { r: or_rw(quorums.r), dw: or_rw(quorums.dw), ..*quorums }
}

fn count(quorum: Quorum, default: u32) -> u32 {
    match quorum {
        Quorum::Default => default,
        Quorum::One => 1,
        Quorum::Quorum => REPLICAS / 2 + 1,
        Quorum::All => REPLICAS,
        Quorum::Count(count) => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_by_basic_quorum_is_on_the_word_of_half_of_the_row() {
        let all = Quorums { r: Quorum::All, ..Quorums::default() };
        assert_eq!(heard_by_get(&all, Some(true), Some(false)), 2);
        assert_eq!(heard_by_get(&all, Some(true), None), 3, "every absence counts towards r");
        assert_eq!(heard_by_get(&all, None, Some(false)), 3);
        let one = Quorums { r: Quorum::One, ..Quorums::default() };
        assert_eq!(heard_by_get(&one, Some(true), Some(false)), 1);
    }
}
