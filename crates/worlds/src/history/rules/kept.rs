//! **Nothing is lost** where concurrent writes are siblings. A value whose acknowledged put the read met is in the read,
//! unless a write that began before the read ended may have replaced it:
//!
//! - one whose context had it. Contexts cover a value only if the read behind them returned it, or returned what had
//!   replaced it, so the first that replaced it had it among its values;
//! - a deletion without context, whose own read may have met it;
//! - a put that began before the bucket kept siblings, and was not over when this one began: it may have been named by
//!   the old rule, under which it replaces whatever its coordinator holds.

use super::View;
use crate::history::Op;

pub(super) fn check(view: &View) -> Result<(), String> {
    let Some(from) = view.history.siblings_from.get(&view.key) else { return Ok(()) };
    if view.is_stale() {
        return Ok(());
    }
    let shown = |value: u64| view.found.is_some_and(|found| found.values.contains(&value));
    let replaced = |put: &Op, value: u64| {
        view.writes.iter().any(|other| {
            let had_it = other.known.as_ref().is_some_and(|known| known.values.contains(&value));
            let read_it = other.is_blind_delete() && other.may_have_seen(put);
            let by_old_rule =
                other.value().is_some() && other.began < *from && put.began <= other.over();
            had_it || read_it || by_old_rule
        })
    };
    let lost = view
        .met_puts()
        .filter(|(put, _)| put.began >= *from)
        .find(|(put, value)| !shown(*value) && !replaced(put, *value));
    lost.map_or(Ok(()), |(put, _)| Err(format!("{put:?} is missing")))
}
