//! The bugs that are planted in the production code, and what must find them.

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planted {
    /// Its name in the code.
    pub name: &'static str,
    /// The rules and properties that it breaks: the first that a run trips must be one of these.
    pub breaks: &'static [&'static str],
    /// How many actions and decisions a person would need to show it.
    pub steps: usize,
}

const LOST: &str = "nothing is lost";
const BACK: &str = "nothing comes back";
const OLDER: &str = "nothing older is shown";
const FALSE_NOT_FOUND: &str = "no false not-found";
const CONVERGE: &str = "replicas converge";
const STORED: &str = "what is stored converges";
const LISTED: &str = "a listing has everything, and nothing deleted";
const REAPED: &str = "what is deleted is reaped";
const BASE: &str = "a merge onto its base is what came";

/// Every planted bug. A test plants each and must find it.
pub const PLANTED: &[Planted] = &[
    Planted {
        name: "acknowledging before durable",
        breaks: &[LOST, BACK, OLDER, FALSE_NOT_FOUND, CONVERGE, STORED],
        steps: 4,
    },
    Planted {
        // A tombstone that four messages are counted for is never on all three.
        name: "quorum counted by messages instead of nodes",
        breaks: &[LOST, BACK, OLDER, FALSE_NOT_FOUND, CONVERGE, STORED, REAPED],
        steps: 2,
    },
    Planted {
        name: "an incomplete vnode's absence taken as evidence",
        breaks: &[FALSE_NOT_FOUND],
        steps: 3,
    },
    Planted {
        name: "a dot reused after a crash",
        breaks: &[
            "a dot names one write",
            BASE,
            LOST,
            BACK,
            OLDER,
            CONVERGE,
            STORED,
            FALSE_NOT_FOUND,
        ],
        steps: 5,
    },
    Planted {
        name: "one name for all boots",
        breaks: &[LOST, BACK, OLDER, FALSE_NOT_FOUND, CONVERGE, STORED, BASE],
        steps: 5,
    },
    Planted { name: "retry without the request id", breaks: &["nothing is doubled"], steps: 4 },
    Planted {
        name: "a stale epoch accepted",
        breaks: &["a replica acts under its own topology or a newer one"],
        steps: 2,
    },
    Planted {
        name: "read repair writing the older value",
        breaks: &[LOST, BACK, OLDER, CONVERGE, STORED, FALSE_NOT_FOUND],
        steps: 2,
    },
    Planted {
        name: "a delete that drops the context",
        breaks: &[BASE, BACK, LOST, OLDER, CONVERGE, STORED, LISTED],
        steps: 3,
    },
    Planted {
        name: "a full disk acknowledged",
        breaks: &[LOST, BACK, OLDER, FALSE_NOT_FOUND, CONVERGE, STORED, REAPED],
        steps: 3,
    },
    Planted {
        name: "a tombstone reaped before all have it",
        breaks: &[BACK, CONVERGE, STORED, REAPED],
        steps: 4,
    },
    Planted {
        name: "a merge that trusts any tag",
        breaks: &[LOST, BACK, OLDER, CONVERGE, STORED],
        steps: 2,
    },
];
