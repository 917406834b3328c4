//! **No false "not found".** If a put was acknowledged and the read met it, something is found, unless a deletion may
//! have seen the put or what replaced it.
//!
//! Only a deletion leaves nothing. The last of the writes that replaced one another since the put was a deletion then;
//! and whoever replaces what replaced the put began its own read after the put had begun. So a deletion whose read was
//! over before that is no excuse, however often the key was deleted.
//!
//! This holds on a lost disk too: an empty replica's "absent" is not counted, and of the others one has the put. On an older
//! disk it does not, until the other owners have seen it: before that nobody can know that it is one (seed 108,958).

use super::View;

pub(super) fn check(view: &View) -> Result<(), String> {
    if view.found.is_some() || view.is_stale() && view.history.is_older(view.key) {
        return Ok(());
    }
    let missing =
        view.met_puts().find(|(put, _)| !view.deletes().any(|del| del.may_have_seen(put)));
    missing.map_or(Ok(()), |(put, _)| Err(format!("nothing is found after {put:?}")))
}
