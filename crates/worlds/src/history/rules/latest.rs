//! **Nothing older is shown** than what was acknowledged. If a read met an acknowledged put, the latest of what it shows
//! was named after that put had begun, unless a deletion may have seen the put.
//!
//! In a bucket without siblings a put replaces whatever its coordinator holds. What other replicas hold beside it stays
//! until the next write, hidden: shown is the one with the latest time. The read holds the put then, or something that
//! was named later and replaced it; that, or a later one, is shown. Times are taken from the coordinators' clocks, so
//! the rule allows for the slowest of them; in runs with right clocks it is exact.
//!
//! A deletion may have replaced the put, and left standing what it had not seen, however old: a put that failed, and
//! lies on one replica that was away. What it had certainly seen it cannot leave, unless that was written again under another
//! dot, as a bucket was being turned (decision 16; seed 47,263).

use super::View;
use crate::history::Op;

pub(super) fn check(view: &View) -> Result<(), String> {
    let Some(found) = view.found else { return Ok(()) };
    if view.is_stale() {
        return Ok(());
    }
    let shown: Vec<&Op> = view
        .writes
        .iter()
        .copied()
        .filter(|write| write.value().is_some_and(|value| found.values.contains(&value)))
        .collect();
    let uncovered = |delete: &Op, put: &Op| {
        let left = |shown: &&Op| {
            !view.history.knows(delete, shown)
                || view.may_be_written_again(shown)
                || view.may_come_back(shown)
        };
        delete.may_have_seen(put) && shown.iter().any(left)
    };
    let newer = |(put, _): &(&Op, u64)| {
        found.named.0 + view.history.slow_us < put.began.0
            && !view.deletes().any(|delete| uncovered(delete, put))
    };
    let hidden = view.met_puts().find(newer);
    hidden.map_or(Ok(()), |(put, _)| Err(format!("what is shown is older than {put:?}")))
}
