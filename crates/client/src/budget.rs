//! How much may be tried again.
//!
//! When a cluster is slow because it has too much to do, clients that try everything again give it several times as
//! much. So retries are paid for: each request earns a tenth of a retry, each retry costs one. A few can be saved up,
//! for a node that dies while its requests are under way; when everything fails, retries come to a tenth of the load.

/// Thousandths of a retry.
const RETRY: u64 = 1_000;

/// What is saved, and what a request adds to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RetryBudget {
    saved: u64,
    saved_max: u64,
    per_request: u64,
}

impl RetryBudget {
    /// A full budget of `retries_max` retries, to which each request adds `per_thousand` thousandths of one.
    pub fn new(retries_max: u32, per_thousand: u32) -> RetryBudget {
        let saved_max = u64::from(retries_max) * RETRY;
        RetryBudget { saved: saved_max, saved_max, per_request: per_thousand.into() }
    }

    /// A request is made.
    pub fn earn(&mut self) {
        self.saved = self.saved.saturating_add(self.per_request).min(self.saved_max);
    }

    /// Whether a retry may be made. It is paid for then.
    pub fn spend(&mut self) -> bool {
        let rest = self.saved.checked_sub(RETRY);
        self.saved = rest.unwrap_or(self.saved);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests;
