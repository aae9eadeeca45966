//! Money that the operator credits a project with.

use std::collections::BTreeSet;

use ledger::{Holder, Kind};
use market::Stage;
use units::{Credits, ProjectId, RentalId, Timestamp};

use crate::effect::Subject;
use crate::record::Actor;
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Reply, usd};

/// The longest note on a top-up, in bytes.
const NOTE_BYTES_MAX: usize = 200;

impl Control {
    pub(crate) fn top_up(
        &mut self,
        by: Actor,
        project: ProjectId,
        amount: Credits,
        note: &str,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        if !self.projects.contains_key(&project) {
            return Err(Refusal::NotFound(Noun::Project));
        }
        if note.len() > NOTE_BYTES_MAX {
            return Err(Refusal::Invalid {
                field: "note",
                why: format!("at most {NOTE_BYTES_MAX} bytes"),
            });
        }
        let (from, to) = (usd(Holder::Outside), usd(Holder::Project(project)));
        self.move_money(&[Kind::Move { from, to, units: amount.units() }], None)?;
        if let Some(known) = self.projects.get_mut(&project) {
            known.granted = known.granted.checked_add(amount).unwrap_or(known.granted);
        }
        self.changed(Subject::Project(project));
        self.pay_what_waits(project, now);
        Ok(Reply::Done)
    }

    /// Pays rentals that wait for money, oldest first, as far as the money goes.
    pub(crate) fn pay_what_waits(&mut self, project: ProjectId, now: Timestamp) {
        self.queue.stir();
        let Some(known) = self.projects.get(&project) else { return };
        let waits = |id: &RentalId| match self.rentals.get(id)?.stage {
            Stage::AwaitingPayment { until } => Some((until, *id)),
            Stage::Quoted { .. }
            | Stage::Deploying { .. }
            | Stage::Running { .. }
            | Stage::Ending { .. }
            | Stage::Ended { .. } => None,
        };
        // All wait equally long, so the one whose time ends first was taken first.
        let waiting: BTreeSet<(Timestamp, RentalId)> =
            known.rentals.iter().filter_map(waits).collect();
        for (_, rental) in waiting {
            self.pay_if_waiting(rental, now);
        }
    }
}
