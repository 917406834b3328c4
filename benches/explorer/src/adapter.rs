//! Runs a stateright model in our explorer.

use std::sync::Arc;

use ombak_sim::explore::{Model, Property, Steps};
use stateright::Expectation;

/// A model of stateright's.
pub struct Adapter<T>(pub T);

impl<T: crate::Theirs> Model for Adapter<T> {
    type State = T::State;
    type Action = T::Action;

    fn initial(&self) -> Vec<T::State> {
        self.0.init_states()
    }

    fn next(&self, state: &T::State, steps: &mut impl Steps<Self>) {
        let mut actions = Vec::new();
        self.0.actions(state, &mut actions);
        for action in actions {
            if let Some(next) = self.0.next_state(state, action.clone()) {
                steps.step(action, next);
            }
        }
    }

    fn properties(&self) -> Vec<Property<T::State>> {
        let model = Arc::new(self.0.clone());
        let properties = self.0.properties().into_iter();
        properties
            .map(|property| {
                let (model, name) = (Arc::clone(&model), property.name);
                let condition = property.condition;
                let holds = move |state: &T::State| condition(&model, state);
                match property.expectation {
                    Expectation::Always => Property::always(name, holds),
                    Expectation::Sometimes => Property::sometimes(name, holds),
                    Expectation::Eventually => Property::eventually(name, holds),
                }
            })
            .collect()
    }
}
