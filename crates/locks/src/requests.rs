//! What the requests of a session are called, and which of them are open.

use std::collections::BTreeSet;

/// By their numbers.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u64,
    /// Those without an answer.
    open: BTreeSet<u64>,
}

impl Requests {
    /// The next number.
    pub fn begin(&mut self) -> u64 {
        self.last += 1;
        self.open.insert(self.last);
        self.last
    }

    /// It is not sent again.
    pub fn end(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// The answers that are here, as they are told with a request: all before it, but for those that are still open.
    pub fn have(&self, number: u64) -> String {
        let open: Vec<String> = self.open.range(..number).map(u64::to_string).collect();
        match open.is_empty() {
            true => format!("have={}", number - 1),
            false => format!("have={}&but={}", number - 1, open.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_named() {
        let mut requests = Requests::default();
        for number in 1..=3 {
            assert_eq!(requests.begin(), number);
        }
        assert_eq!(requests.have(1), "have=0");
        assert_eq!(requests.have(3), "have=2&but=1,2");
        requests.end(1);
        assert_eq!(requests.have(3), "have=2&but=2");
        requests.end(2);
        assert_eq!(requests.have(3), "have=2");
    }
}
