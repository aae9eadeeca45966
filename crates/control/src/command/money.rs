//! Money that comes in, and what things cost.

use std::collections::BTreeSet;

use ledger::{Holder, Kind};
use market::{PriceList, Stage};
use units::{Credits, ProjectId, RentalId, Timestamp};

use crate::effect::Subject;
use crate::record::{Actor, Parameters, PriceRecord};
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
        self.changed(Subject::Project(project));
        self.pay_what_waits(project, now);
        Ok(Reply::Done)
    }

    /// Pays rentals that wait for money, oldest first, as far as the money goes.
    fn pay_what_waits(&mut self, project: ProjectId, now: Timestamp) {
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

    pub(crate) fn set_parameters(
        &mut self,
        by: Actor,
        parameters: Parameters,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        if parameters.renter_fee_bp > 10_000 || parameters.supplier_fee_bp > 10_000 {
            let why = "a fee is at most 10,000 ten-thousandths".to_owned();
            return Err(Refusal::Invalid { field: "fee_bp", why });
        }
        self.parameters = parameters;
        Ok(Reply::Done)
    }

    pub(crate) fn set_prices(&mut self, by: Actor, prices: PriceRecord) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let PriceRecord { gpus, other_gpu, vcpu } = prices;
        self.prices = PriceList { gpus, other_gpu, vcpu };
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            self.list(worker);
            self.changed(Subject::Worker(worker));
        }
        Ok(Reply::Done)
    }
}
