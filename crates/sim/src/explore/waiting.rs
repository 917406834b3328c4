//! States whose successors are not known yet: one level of an exploration, in segments.
//!
//! A segment is freed when its states have been expanded, while the next level grows: so the two levels are never there
//! in full together. Levels are no long vectors, which would be copied as they grow.

use std::collections::VecDeque;

use super::table::Id;

/// So many states are taken at a time, and bounds are looked at in between.
const SEGMENT: usize = 64;

/// A state whose successors are not known yet.
pub struct Waiting<S> {
    pub state: S,
    pub id: Id,
    /// Which of the properties that are to hold eventually have not been true on the way here.
    pub missing: u32,
}

/// Some of them.
pub struct Segment<S> {
    pub states: Vec<Waiting<S>>,
    /// An estimate of their memory.
    pub bytes: usize,
}

/// States in the order in which they came.
pub struct Level<S> {
    segments: VecDeque<Segment<S>>,
    len: usize,
}

impl<S> Level<S> {
    pub fn new() -> Level<S> {
        Level { segments: VecDeque::new(), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts one behind the others, of which it is known how many bytes it takes.
    pub fn push(&mut self, waiting: Waiting<S>, bytes: usize) {
        if self.segments.back().is_none_or(|last| last.states.len() == SEGMENT) {
            self.segments.push_back(Segment { states: Vec::with_capacity(SEGMENT), bytes: 0 });
        }
        if let Some(last) = self.segments.back_mut() {
            last.states.push(waiting);
            last.bytes += bytes;
            self.len += 1;
        }
    }

    /// Takes out the first of them.
    pub fn pop(&mut self) -> Option<Segment<S>> {
        let segment = self.segments.pop_front()?;
        self.len -= segment.states.len();
        Some(segment)
    }

    /// Puts others behind.
    pub fn append(&mut self, mut other: Level<S>) {
        self.segments.append(&mut other.segments);
        self.len += other.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(states: std::ops::Range<usize>) -> Level<usize> {
        let mut level = Level::new();
        states.for_each(|state| level.push(Waiting { state, id: 1, missing: 0 }, state));
        level
    }

    #[test]
    fn states_come_out_as_they_went_in() {
        let mut all = level(0..SEGMENT + 3);
        all.append(Level::new());
        all.append(level(SEGMENT + 3..3 * SEGMENT));
        assert_eq!((all.len(), all.is_empty()), (3 * SEGMENT, false));
        let (mut out, mut left) = (Vec::new(), all.len());
        while let Some(segment) = all.pop() {
            assert!((1..=SEGMENT).contains(&segment.states.len()));
            let states: Vec<usize> = segment.states.iter().map(|each| each.state).collect();
            assert_eq!(segment.bytes, states.iter().sum::<usize>());
            left -= states.len();
            assert_eq!(all.len(), left);
            out.extend(states);
        }
        assert_eq!(out, (0..3 * SEGMENT).collect::<Vec<_>>());
        assert!(all.is_empty());
    }
}
