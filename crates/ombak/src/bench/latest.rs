//! Keys of which the newest are popular, while new ones are inserted: YCSB's "latest".
//!
//! A key is read once its insert was answered, and all before it. An insert that failed is tried again, so that what
//! is read is there.

use std::collections::BTreeSet;

use super::options::KEYS_MAX;
use super::rng::Rng;
use super::zipf::Zipf;

/// So far may inserts be ahead of the first one without an answer.
const AHEAD_MAX: u32 = 1 << 20;

/// Which keys are there, and which are on their way.
pub(super) struct Latest {
    /// Over all keys that are there.
    ranks: Zipf,
    /// Keys below this are there.
    there: u32,
    /// The next new key.
    next: u32,
    /// Not below `there`, and stored.
    ahead: BTreeSet<u32>,
    /// Inserts that failed.
    again: Vec<u32>,
}

impl Latest {
    /// Keys from 0 below `keys` are there, at least one.
    pub(super) fn new(keys: u32) -> Latest {
        let keys = keys.max(1);
        let ranks = Zipf::new(keys.into());
        Latest { ranks, there: keys, next: keys, ahead: BTreeSet::new(), again: Vec::new() }
    }

    /// A key that is there, the newest most often.
    pub(super) fn draw(&self, rng: &mut Rng) -> u32 {
        self.there - 1 - self.ranks.draw(rng) as u32
    }

    /// A key to insert: a new one, but the newest once more where a bound is reached.
    pub(super) fn insert(&mut self) -> u32 {
        if let Some(key) = self.again.pop() {
            return key;
        }
        if self.next >= KEYS_MAX || self.next - self.there >= AHEAD_MAX {
            return self.there - 1;
        }
        self.next += 1;
        self.next - 1
    }

    /// An insert has ended.
    pub(super) fn inserted(&mut self, key: u32, stored: bool) {
        if key < self.there {
            return;
        }
        if !stored {
            self.again.push(key);
            return;
        }
        self.ahead.insert(key);
        while self.ahead.remove(&self.there) {
            self.there += 1;
            self.ranks.grow();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_asked_for_most() {
        let (latest, mut rng) = (Latest::new(1000), Rng::new(1));
        let drawn: Vec<_> = (0..10_000).map(|_| latest.draw(&mut rng)).collect();
        assert!(drawn.iter().all(|key| *key < 1000));
        let count = |wanted: u32| drawn.iter().filter(|key| **key == wanted).count();
        assert!(count(999) > 1000 && count(999) > count(998) && count(0) < 100);
        assert_eq!(Latest::new(1).draw(&mut rng), 0);
    }

    #[test]
    fn a_key_is_there_once_all_before_it_are() {
        let mut latest = Latest::new(10);
        assert_eq!([latest.insert(), latest.insert(), latest.insert()], [10, 11, 12]);
        latest.inserted(12, true);
        latest.inserted(10, false);
        assert_eq!((latest.there, latest.insert()), (10, 10));
        latest.inserted(10, true);
        assert_eq!(latest.there, 11);
        latest.inserted(11, true);
        assert_eq!((latest.there, latest.ahead.len()), (13, 0));
    }

    #[test]
    fn inserts_have_bounds() {
        let mut latest = Latest::new(5);
        for _ in 0..AHEAD_MAX {
            let key = latest.insert();
            assert!(key >= 5);
        }
        assert_eq!(latest.insert(), 4, "so many are without an answer");
        assert_eq!(Latest::new(KEYS_MAX).insert(), KEYS_MAX - 1);
    }
}
