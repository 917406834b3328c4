//! What waits for a stamp to become durable.

use std::collections::VecDeque;

use ombak_base::Stamp;

/// Effects in the order of the stamps that they wait for; equal stamps in the order in which they came.
pub(crate) struct Held<T> {
    queue: VecDeque<(Stamp, T)>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Held { queue: VecDeque::new() }
    }
}

impl<T> Held<T> {
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Nearly always an append: machines wait for the stamp that they were given last.
    pub fn push(&mut self, after: Stamp, effect: T) {
        if self.queue.back().is_none_or(|(last, _)| *last <= after) {
            self.queue.push_back((after, effect));
        } else {
            let place = self.queue.partition_point(|(stamp, _)| *stamp <= after);
            self.queue.insert(place, (after, effect));
        }
    }

    /// Takes one effect whose stamp is durable.
    pub fn pop(&mut self, durable: Stamp) -> Option<T> {
        match self.queue.front() {
            Some((stamp, _)) if *stamp <= durable => {
                self.queue.pop_front().map(|(_, effect)| effect)
            }
            _ => None,
        }
    }

    /// Forgets everything: the device failed, so nothing here may ever leave.
    pub fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests;
