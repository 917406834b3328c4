//! What an exploration found, as a schedule that can be played and a page that draws it.

use ombak_sim::explore::Violation;
use ombak_worlds::{Ended, Exploration, Explored, Kept, Route, broken_name};

use super::failing::{self, Files};
use super::planted::Plant;
use super::replay::DIAGRAM_EVENTS;
use crate::error::CliError;

/// Writes both, and says where they are. What comes back ends the command.
pub(super) fn written(
    exploration: Exploration,
    violation: &Violation<Explored>,
    plant: Plant,
) -> CliError {
    match write(exploration, violation, plant) {
        Ok(files) => files.played_by(plant),
        Err(error) => error,
    }
}

fn write(
    exploration: Exploration,
    violation: &Violation<Explored>,
    plant: Plant,
) -> Result<Files, CliError> {
    let route = Route::to(exploration, violation).map_err(CliError::failed)?;
    let text = route.commented().map_err(CliError::failed)?;
    let text = failing::with_comment(&text, &plant.comment(broken_name(&violation.broken)));
    let kept = Kept { trace_lines: 0, diagram_events: DIAGRAM_EVENTS };
    let taken = route.take(kept).map_err(CliError::failed)?;
    if taken.ended != Ended::Broken(violation.broken.clone()) {
        return Err(CliError::failed(format!(
            "what was found cannot be found again, so the machine is not deterministic: {:?}",
            taken.ended
        )));
    }
    let page = taken.diagram.unwrap_or_default();
    Files::write(&format!("ombak-explore-{}", exploration.name), &text, &page)
}
