//! Who waits for whom.

use std::collections::BTreeMap;

use crate::txn::TxnId;

/// Transactions that wait for a lock, each for one that had it when it began to wait. A transaction waits for one at a time, and who
/// has ended waits for nobody, so there is a circle if and only if the way from the holder leads to the waiter.
///
/// A line may be of the past: its lock was opened, and the waiter has not run since. It leads to a transaction that has ended, so
/// it is no part of a circle; and when the waiter runs, it asks again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Waiters(BTreeMap<TxnId, TxnId>);

impl Waiters {
    /// Begins to wait. `false`: that would close a circle, and it does not.
    pub fn begin(&mut self, waiter: TxnId, holder: TxnId) -> bool {
        let mut next = Some(holder);
        while let Some(other) = next {
            if other == waiter {
                return false;
            }
            next = self.0.get(&other).copied();
        }
        self.0.insert(waiter, holder);
        true
    }

    /// It runs again.
    pub fn end(&mut self, waiter: TxnId) {
        self.0.remove(&waiter);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
