//! **Nothing is invented, nothing doubled.** Every value of a read was put to that key before the read ended, and stands
//! in it once.

use super::View;

pub(super) fn check_invented(view: &View) -> Result<(), String> {
    let put = |value: &u64| view.writes.iter().any(|write| write.value() == Some(*value));
    let invented = view.found.iter().flat_map(|found| &found.values).find(|value| !put(value));
    invented.map_or(Ok(()), |value| Err(format!("nobody put v{value}")))
}

pub(super) fn check_doubled(view: &View) -> Result<(), String> {
    let Some(found) = view.found else { return Ok(()) };
    let doubled = |(at, value): &(usize, &u64)| found.values[..*at].contains(value);
    let first = found.values.iter().enumerate().find(doubled);
    first.map_or(Ok(()), |(_, value)| Err(format!("v{value} stands there twice")))
}
