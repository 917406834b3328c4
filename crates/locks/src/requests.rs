//! What the requests of a session are called, and which of them are open.

use std::collections::BTreeMap;

use crate::wire::Ask;

/// By their numbers.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u64,
    /// Those without an answer.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    /// The lock that waits, if it is a request that can wait.
    lock: Option<u64>,
    cancelled: bool,
}

impl Requests {
    /// The next number.
    pub fn begin(&mut self, ask: &Ask) -> u64 {
        self.last += 1;
        let lock = match ask {
            Ask::Lock { .. } => Some(self.last),
            Ask::Convert { lock, .. } => Some(*lock),
            Ask::Unlock { .. } | Ask::Cancel { .. } => None,
        };
        self.open.insert(self.last, Open { lock, cancelled: false });
        self.last
    }

    /// It is not sent again.
    pub fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// The answers that are here, as they are told with a request: all before it, but for those that are still open.
    pub fn have(&self, number: u64) -> String {
        let open: Vec<String> =
            self.open.range(..number).map(|(open, _)| open.to_string()).collect();
        match open.is_empty() {
            true => format!("have={}", number - 1),
            false => format!("have={}&but={}", number - 1, open.join(",")),
        }
    }

    /// Marks all that can wait as cancelled; the locks of those that were not.
    pub fn cancel(&mut self) -> Vec<u64> {
        let new = self.open.values_mut().filter(|open| !open.cancelled);
        new.filter_map(|open| {
            open.cancelled = open.lock.is_some();
            open.lock
        })
        .collect()
    }

    /// The lock that is to wait no more.
    pub fn cancelled(&self, number: u64) -> Option<u64> {
        self.open.get(&number).filter(|open| open.cancelled)?.lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_named() {
        let mut requests = Requests::default();
        let unlock = Ask::Unlock { lock: 1, value: None };
        for number in 1..=3 {
            assert_eq!(requests.begin(&unlock), number);
        }
        assert_eq!(requests.have(1), "have=0");
        assert_eq!(requests.have(3), "have=2&but=1,2");
        requests.end(1);
        assert_eq!(requests.have(3), "have=2&but=2");
        requests.end(2);
        assert_eq!(requests.have(3), "have=2");
    }
}
