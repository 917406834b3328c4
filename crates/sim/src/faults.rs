//! What goes wrong by chance, and how long things take.

use crate::{Order, Rng};

/// Priorities change within this.
const ORDER_WITHIN_US: u64 = 10_000_000;
/// The slowest write and sync of a disk that stalls.
const STALL_US: u64 = 600_000;

/// The weather of a [`World`](crate::World). Rates are per mille of the occasions; spans are in µs,
/// smallest and largest, drawn anew each time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Faults {
    /// Messages between nodes that vanish.
    pub drop_per_mille: u32,
    /// Messages between nodes that arrive a second time, later.
    pub duplicate_per_mille: u32,
    /// Messages between nodes that do not keep their place in the line.
    pub reorder_per_mille: u32,
    /// Sends that are refused with [`Refused::Full`](ombak_base::Refused::Full).
    pub full_per_mille: u32,
    /// Loads and scans that are answered in a later turn rather than in the same one.
    pub late_load_per_mille: u32,
    /// Whether a partition loses what arrives during it; else that waits for the partition's end.
    pub partition_drops: bool,
    /// From one node to another.
    pub delay_us: (u64, u64),
    /// On top of it, what brings messages into an order.
    pub order: Order,
    /// On top of it, for messages out of line and duplicates.
    pub astray_us: (u64, u64),
    /// From one shard to another of the same node.
    pub local_us: (u64, u64),
    /// Until a connection that can be made is made.
    pub connect_us: (u64, u64),
    /// Until late loads are answered.
    pub load_us: (u64, u64),
    /// From the first commit in the queue to its write.
    pub write_us: (u64, u64),
    /// From a write to what devices hear of it.
    pub notice_us: (u64, u64),
    /// Until the writer tidies, and between the pieces of that.
    pub tidy_us: (u64, u64),
    /// By how much timers are late.
    pub late_timer_us: (u64, u64),
}

impl Faults {
    /// Nothing goes wrong, and things take about as long as in a data centre.
    pub fn calm() -> Faults {
        Faults {
            drop_per_mille: 0,
            duplicate_per_mille: 0,
            reorder_per_mille: 0,
            full_per_mille: 0,
            late_load_per_mille: 0,
            partition_drops: false,
            delay_us: (50, 500),
            order: Order::Random,
            astray_us: (100, 20_000),
            local_us: (1, 10),
            connect_us: (100, 2_000),
            load_us: (50, 2_000),
            write_us: (10, 100),
            notice_us: (20, 200),
            tidy_us: (100, 20_000),
            late_timer_us: (0, 100),
        }
    }

    /// A swarm's member: each kind of fault is on or off, and strong or weak, on its own. Testing many
    /// of these finds more than testing all faults at once, since one fault can hide another.
    pub fn random(rng: &mut Rng) -> Faults {
        let rate = |rng: &mut Rng, max: u64| {
            let drawn = rng.between(1, max) as u32;
            if rng.chance(1, 2) { drawn } else { 0 }
        };
        let span = |rng: &mut Rng, calm: (u64, u64)| {
            let factor = rng.pick(&[1, 1, 10, 100]).copied().unwrap_or(1);
            (calm.0, calm.1 * factor)
        };
        let calm = Faults::calm();
        let stalls = rng.chance(1, 8);
        Faults {
            order: Order::random(rng, ORDER_WITHIN_US),
            drop_per_mille: rate(rng, 100),
            duplicate_per_mille: rate(rng, 100),
            reorder_per_mille: rate(rng, 200),
            full_per_mille: rate(rng, 50),
            late_load_per_mille: rate(rng, 500),
            partition_drops: rng.chance(1, 2),
            delay_us: span(rng, calm.delay_us),
            astray_us: span(rng, calm.astray_us),
            local_us: span(rng, calm.local_us),
            connect_us: span(rng, calm.connect_us),
            load_us: span(rng, calm.load_us),
            write_us: if stalls { (calm.write_us.0, STALL_US) } else { span(rng, calm.write_us) },
            notice_us: span(rng, calm.notice_us),
            tidy_us: span(rng, calm.tidy_us),
            late_timer_us: span(rng, calm.late_timer_us),
        }
    }
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::calm()
    }
}
