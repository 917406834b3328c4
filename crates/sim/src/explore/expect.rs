//! What is expected of a model, and what is said when it does not hold.

use super::{Property, When};

/// The properties of a model.
pub struct Expected<S>(Vec<Property<S>>);

impl<S> Expected<S> {
    pub fn new(properties: Vec<Property<S>>) -> Expected<S> {
        let expected = Expected(properties);
        let count = expected.eventually().count();
        assert!(count <= 32, "a model has at most 32 properties that hold eventually");
        expected
    }

    pub fn all(&self) -> &[Property<S>] {
        &self.0
    }

    fn eventually(&self) -> impl Iterator<Item = &Property<S>> {
        self.0.iter().filter(|each| each.when == When::Eventually)
    }

    /// Bit i: property number i of those that are to hold eventually.
    pub fn all_missing(&self) -> u32 {
        (0..self.eventually().count()).fold(0, |bits, bit| bits | 1 << bit)
    }

    /// Of those that have not been true so far, which still have not when this state has been reached.
    pub fn still_missing(&self, state: &S, missing: u32) -> u32 {
        if missing == 0 {
            return 0;
        }
        let came_true = (0..).zip(self.eventually()).filter(|(_, property)| property.holds(state));
        came_true.fold(missing, |missing, (bit, _)| missing & !(1 << bit))
    }

    /// What does not hold in this state and should always.
    pub fn broken_in(&self, state: &S) -> Option<String> {
        let mut always = self.0.iter().filter(|each| each.when == When::Always);
        let broken = always.find(|each| !each.holds(state))?;
        Some(format!("always \"{}\"", broken.name))
    }

    /// What does not hold if a run ends here.
    pub fn broken_at_end(&self, missing: u32) -> Option<String> {
        let missed = self.eventually().nth(missing.trailing_zeros() as usize)?;
        Some(format!("eventually \"{}\" has not come true by the end", missed.name))
    }
}
