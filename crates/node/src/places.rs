//! Where operations pass, for hosts that count and for logs that follow one operation through all nodes.

use ombak_base::Place;
use ombak_paxos::refusal_places;

macro_rules! places {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: Place = Place { number: $number, name: $name };)*

        /// All of them.
        pub const ALL: &[Place] = &[$($constant,)*];
    };
}

places! {
    /// The entry hands an operation to another shard of its node.
    HANDED = 0, "handed over";
    /// The entry sends a write to another node, whose replica names it.
    FORWARDED = 1, "forwarded";
    /// A shard begins to coordinate.
    COORDINATED = 2, "coordinates";
    /// The coordinator asks another node's replica.
    ASKED = 3, "asks";
    /// A replica is asked by another shard.
    REPLICA = 4, "was asked";
    /// The coordinator hears a replica.
    HEARD = 5, "heard";
    /// The entry hears the coordinator, which is another shard.
    ANSWERED = 6, "heard the coordinator";
    /// A vnode reads.
    VNODE_GET = 7, "vnode get";
    /// A vnode writes, as a coordinator or as a replica.
    VNODE_PUT = 8, "vnode put";
    /// A vnode forgets a tombstone.
    VNODE_DELETE = 9, "vnode delete";
    /// A read found differences between replicas.
    READ_REPAIR = 10, "repairs";
    /// A replica that had nothing is given the object.
    REPAIR_NOT_FOUND = 11, "repairs a replica that had nothing";
    /// A replica that had something else is given the object.
    REPAIR_OUT_OF_DATE = 12, "repairs a replica that was behind";
    /// An operation goes to another primary, because the one before is lost or cannot.
    RETRIED = 13, "tries another primary";
    /// An operation ran out of time.
    TIMED_OUT = 14, "ran out of time";
    /// A tombstone that all primaries hold is reaped.
    REAPED = 15, "reaps";
    /// A request was refused for overload.
    OVERLOADED = 16, "overload";
    /// A replica refused a request: wrong partition, older epoch, or too late.
    FENCED = 17, "fenced off";
}

/// Where the root group refuses something: see [`refusal_places`].
const ROOT_REFUSED: u8 = 18;

/// Where the root group refuses something, and in a few words what.
pub fn root_refusals() -> impl Iterator<Item = (Place, &'static str)> {
    refusal_places(ROOT_REFUSED)
}

/// The place of a refusal, if the probe of that name is one.
pub(crate) fn of_refusal(probe: &str) -> Option<Place> {
    root_refusals().map(|(place, _)| place).find(|place| place.name == probe)
}

#[cfg(test)]
mod tests {
    use ombak_base::PLACES_MAX;

    use super::*;

    #[test]
    fn every_place_has_a_number_of_its_own() {
        let refusals = root_refusals().map(|(place, _)| place);
        let places = ALL.iter().copied().chain(refusals);
        let mut numbers: Vec<usize> = places.map(|place| place.number.into()).collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
        assert!(numbers.iter().all(|number| *number < PLACES_MAX), "{numbers:?}");
    }
}
