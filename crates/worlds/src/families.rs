//! Which faults a run draws from. All are drawn all the same, and what is not wanted is left out: a seed with fewer families
//! is as near to itself as it can be.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use ombak_sim::Faults;

use crate::script::Action;

/// A family of faults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Messages that are lost, late, doubled, out of line or refused; partitions, slow links, broken connections.
    Network,
    /// What brings messages into an unlikely order: lanes, priorities, kinds that are late.
    Order,
    /// Nodes that crash, are paused, or come back under a new epoch.
    Crash,
    /// Disks that are slow or full, fail, rot, misdirect a write, are lost, or come back older.
    Disk,
    /// Wrong clocks, and late timers.
    Clock,
    /// Little room for requests.
    Overload,
}

const ALL: [(Family, &str); 6] = [
    (Family::Network, "network"),
    (Family::Order, "order"),
    (Family::Crash, "crash"),
    (Family::Disk, "disk"),
    (Family::Clock, "clock"),
    (Family::Overload, "overload"),
];

/// Some families of faults.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Families(u8);

/// A word that names no family.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "\"{0}\" names no faults: network, order, crash, disk, clock, overload, with commas between; or all, or none"
)]
pub struct FamilyError(pub String);

impl Families {
    /// Every family.
    pub const ALL: Families = Families((1 << ALL.len()) - 1);
    /// No faults.
    pub const NONE: Families = Families(0);

    /// Whether runs draw from this one.
    pub fn has(self, family: Family) -> bool {
        self.0 & 1 << family as u8 != 0
    }

    /// The same and this one.
    pub fn with(self, family: Family) -> Families {
        Families(self.0 | 1 << family as u8)
    }

    /// Weather of these families alone.
    pub(crate) fn weather(self, drawn: Faults) -> Faults {
        let calm = Faults::calm();
        let of = |family| if self.has(family) { &drawn } else { &calm };
        let (network, disk) = (of(Family::Network), of(Family::Disk));
        Faults {
            drop_per_mille: network.drop_per_mille,
            duplicate_per_mille: network.duplicate_per_mille,
            reorder_per_mille: network.reorder_per_mille,
            full_per_mille: network.full_per_mille,
            late_load_per_mille: disk.late_load_per_mille,
            partition_drops: network.partition_drops,
            delay_us: network.delay_us,
            order: of(Family::Order).order,
            astray_us: network.astray_us,
            local_us: network.local_us,
            connect_us: network.connect_us,
            load_us: disk.load_us,
            write_us: disk.write_us,
            notice_us: disk.notice_us,
            tidy_us: disk.tidy_us,
            late_timer_us: of(Family::Clock).late_timer_us,
        }
    }

    /// Whether this may be done.
    pub(crate) fn allow(self, action: &Action) -> bool {
        family_of(action).is_none_or(|family| self.has(family))
    }
}

/// What clients ask belongs to none.
fn family_of(action: &Action) -> Option<Family> {
    Some(match action {
        Action::Crash(_) | Action::CrashAll | Action::CutPower(..) | Action::Start(..) => {
            Family::Crash
        }
        Action::Pause(_) | Action::Resume => Family::Crash,
        Action::Wipe(..) | Action::Older(..) | Action::Rot(..) | Action::Misdirect(..) => {
            Family::Disk
        }
        Action::FailSync(..) | Action::Fill(..) | Action::Room => Family::Disk,
        Action::Cut(..) | Action::OneWay(..) | Action::Slow(..) => Family::Network,
        Action::Heal | Action::Reset(..) => Family::Network,
        Action::Clock(..) => Family::Clock,
        Action::Ask(_) | Action::Turn(..) => return None,
    })
}

impl FromStr for Families {
    type Err = FamilyError;

    fn from_str(text: &str) -> Result<Families, FamilyError> {
        match text {
            "all" => return Ok(Families::ALL),
            "none" => return Ok(Families::NONE),
            _ => {}
        }
        let of = |word: &str| ALL.iter().find(|(_, name)| *name == word).map(|(family, _)| *family);
        text.split(',').try_fold(Families::NONE, |families, word| {
            of(word).map(|family| families.with(family)).ok_or_else(|| FamilyError(word.to_owned()))
        })
    }
}

impl Display for Families {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Families::ALL => f.write_str("all"),
            Families::NONE => f.write_str("none"),
            families => {
                let has = ALL.iter().filter(|(family, _)| families.has(*family));
                f.write_str(&has.map(|(_, name)| *name).collect::<Vec<_>>().join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests;
