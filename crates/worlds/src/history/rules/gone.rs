//! **Nothing comes back.** A value is not in a read that met an acknowledged write (a deletion, or a put with a context)
//! which is certain to have known it: its put was acknowledged, and met by the read that this write rests on.
//!
//! The context of that read covers the value, whether the value was shown, or hidden in a bucket without siblings, or
//! replaced already. So the rule holds in both kinds of bucket. It is the same for a deletion without context, whose own
//! read begins when it begins.
//!
//! Its own put must have been acknowledged before that read. Otherwise it was still under way, and its retry, under
//! another dot, is concurrent with what replaced it (decision 12). And where the bucket was being turned into one that
//! keeps siblings, a put may have been written again under another dot (decision 16, and `View::may_be_written_again`).

use super::View;

pub(super) fn check(view: &View) -> Result<(), String> {
    if view.is_stale() {
        return Ok(());
    }
    for value in view.found.iter().flat_map(|found| &found.values) {
        let put = view.writes.iter().find(|write| write.value() == Some(*value));
        let Some(put) = put else { continue };
        if let Some(by) = view.writes.iter().find(|write| view.is_removed_by(put, write)) {
            return Err(format!("v{value}, removed by {by:?}, is back"));
        }
    }
    Ok(())
}
