//! **A listing shows what is there.** It reads one complete replica of every partition, and that replica may lag. So it
//! is a read with R = 1: what is on the disks of all replicas must be in it, and what is deleted on all must not.

use super::{View, found, may_be_there};
use crate::history::Listed;

/// No name is listed that was never written, and none twice.
pub(super) fn check_names(listing: &Listed) -> Result<(), String> {
    let bad = listing.keys.iter().enumerate().find(|(at, key)| {
        let known = key.is_some_and(|key| listing.of.contains(&key));
        !known || listing.keys[..*at].contains(key)
    });
    bad.map_or(Ok(()), |(_, key)| Err(format!("{key:?} is listed twice, or not of that bucket")))
}

pub(super) fn check_key(view: &View, is_listed: bool) -> Result<(), String> {
    if !is_listed {
        return found::check(view);
    }
    match view.writes.iter().any(|write| may_be_there(view, write)) {
        true => Ok(()),
        false => Err(format!("k{} is listed, and is not there", view.key)),
    }
}
