//! What a shard measures of the operations of its clients and of its device.
//!
//! Times are differences of the loop's own clock readings, one a turn: nothing is read for a measurement, and what begins
//! and ends within one turn takes 0. They are in microseconds.

use ombak_base::PLACES_MAX;

use crate::histogram::{Cell, Histogram, HistogramCells};

/// So many kinds of operations may be told apart; a face numbers them below that.
pub const OPERATIONS_MAX: usize = 8;

/// What is counted of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// Whether it is an error.
    pub failed: bool,
    /// If it shows an object: its bytes, and how many values it has.
    pub object: Option<(u64, u64)>,
}

#[derive(Default)]
pub(crate) struct OperationCells {
    time: HistogramCells,
    bytes: HistogramCells,
    siblings: HistogramCells,
    failed: Cell,
    active: Cell,
}

impl OperationCells {
    pub fn begin(&self) {
        self.active.add(1);
    }

    /// It has been answered, `us` after it came.
    pub fn finish(&self, us: u64, outcome: Outcome) {
        self.active.sub(1);
        self.time.record(us, 1);
        if outcome.failed {
            self.failed.add(1);
        }
        if let Some((bytes, siblings)) = outcome.object {
            self.bytes.record(bytes, 1);
            self.siblings.record(siblings, 1);
        }
    }

    /// Nobody waits for it any more.
    pub fn abandon(&self) {
        self.active.sub(1);
    }

    fn read(&self) -> OperationMeters {
        OperationMeters {
            time: self.time.read(),
            bytes: self.bytes.read(),
            siblings: self.siblings.read(),
            failed: self.failed.get(),
            active: self.active.get(),
        }
    }
}

#[derive(Default)]
pub(crate) struct MeterCells {
    pub operations: [OperationCells; OPERATIONS_MAX],
    /// From the question to the device to its answer.
    pub loads: HistogramCells,
    /// From a store until it was durable.
    pub stores: HistogramCells,
    pub places: [Cell; PLACES_MAX],
}

impl MeterCells {
    pub fn operation(&self, number: u8) -> &OperationCells {
        &self.operations[usize::from(number) % OPERATIONS_MAX]
    }

    pub fn pass(&self, number: u8) {
        self.places[usize::from(number) % PLACES_MAX].add(1);
    }

    pub fn read(&self) -> Meters {
        Meters {
            operations: std::array::from_fn(|number| self.operations[number].read()),
            loads: self.loads.read(),
            stores: self.stores.read(),
            places: std::array::from_fn(|number| self.places[number].get()),
        }
    }
}

/// One kind of operation, at the node that its client asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OperationMeters {
    /// From the turn in which a request was read to the turn in which the last of its answer was given.
    pub time: Histogram,
    /// Bytes of the values of objects that were shown.
    pub bytes: Histogram,
    /// How many values those objects had.
    pub siblings: Histogram,
    /// Those among them that were answered with an error.
    pub failed: u64,
    /// Those under way now.
    pub active: u64,
}

/// What shards measure, of one or of several of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Meters {
    /// By the face's numbers.
    pub operations: [OperationMeters; OPERATIONS_MAX],
    /// From the question to the device to its answer: 0 for what was in memory.
    pub loads: Histogram,
    /// From a store until it was durable.
    pub stores: Histogram,
    /// How often operations passed each place, by the machine's numbers.
    pub places: [u64; PLACES_MAX],
}

impl Meters {
    /// What was measured since `earlier`, a reading of the same shards; what is under way, as of now.
    pub fn since(&self, earlier: &Meters) -> Meters {
        let of = |now: &OperationMeters, then: &OperationMeters| OperationMeters {
            time: now.time.since(&then.time),
            bytes: now.bytes.since(&then.bytes),
            siblings: now.siblings.since(&then.siblings),
            failed: now.failed.saturating_sub(then.failed),
            active: now.active,
        };
        let operation = |number: usize| of(&self.operations[number], &earlier.operations[number]);
        let place = |number: usize| self.places[number].saturating_sub(earlier.places[number]);
        Meters {
            operations: std::array::from_fn(operation),
            loads: self.loads.since(&earlier.loads),
            stores: self.stores.since(&earlier.stores),
            places: std::array::from_fn(place),
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Meters) {
        for (sum, more) in self.operations.iter_mut().zip(&other.operations) {
            sum.time.add(&more.time);
            sum.bytes.add(&more.bytes);
            sum.siblings.add(&more.siblings);
            sum.failed += more.failed;
            sum.active += more.active;
        }
        self.loads.add(&other.loads);
        self.stores.add(&other.stores);
        self.places.iter_mut().zip(&other.places).for_each(|(sum, more)| *sum += more);
    }
}
