//! What clients come to ask.

use super::{Workload, quorums};
use crate::keys::{BUCKETS, BUSY, RARE, TURNED, is_deleted};
use crate::script::{Ask, Condition};

impl Workload {
    pub(super) fn draw_ask(&mut self, client: usize) -> Ask {
        let key = match self.rng.below(12) {
            0..=7 => self.rng.below(BUSY as u64) as usize,
            8..=10 => BUSY + self.rng.below(TURNED as u64) as usize,
            _ => BUSY + TURNED + self.rng.below(RARE as u64) as usize,
        };
        match self.rng.below(20) {
            0..=7 => self.draw_get(key),
            8..=17 => self.draw_put(client, key),
            18 if self.rng.chance(1, 2) => self.draw_list(),
            _ if is_deleted(key) => {
                let after_read = self.rests_on_a_read(client, key);
                Ask::Delete { key, quorums: quorums::draw(&mut self.rng), after_read }
            }
            _ => self.draw_get(key),
        }
    }

    fn draw_get(&mut self, key: usize) -> Ask {
        let flag = |drawn| if drawn < 2 { Some(drawn == 0) } else { None };
        let quorums = quorums::draw(&mut self.rng);
        let (basic_quorum, notfound_ok) = (flag(self.rng.below(10)), flag(self.rng.below(10)));
        Ask::Get { key, quorums, basic_quorum, notfound_ok }
    }

    fn draw_put(&mut self, client: usize, key: usize) -> Ask {
        let after_read = self.rests_on_a_read(client, key);
        let condition = match (self.rng.below(12), after_read) {
            (0, false) => Condition::NoneMatch,
            (0 | 1, true) => Condition::NotModified,
            _ => Condition::None,
        };
        let is_large = self.rng.chance(1, 8);
        Ask::Put { key, quorums: quorums::draw(&mut self.rng), after_read, condition, is_large }
    }

    fn draw_list(&mut self) -> Ask {
        let drawn = self.rng.below(BUCKETS.len() as u64 + 1) as usize;
        Ask::List(Some(drawn).filter(|drawn| *drawn < BUCKETS.len()))
    }

    /// Two thirds of the writes rest on what their client has read last, if it has.
    fn rests_on_a_read(&mut self, client: usize, key: usize) -> bool {
        self.rng.chance(2, 3) && self.seen.contains_key(&(client, key))
    }
}
