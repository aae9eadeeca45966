//! What happens because time passes.

use market::{Ending, Event, NODE_SILENCE_MAX, Stage};
use units::{RentalId, Timestamp};

use super::supply::only_clock;
use crate::limits::ENDED_KEPT_FOR;
use crate::record::Actor;
use crate::refusal::Refusal;
use crate::state::{Control, Reply};

impl Control {
    pub(crate) fn wake(&mut self, by: Actor, now: Timestamp) -> Result<Reply, Refusal> {
        only_clock(by)?;
        self.parameters_on(now);
        self.move_prices(now);
        self.wake_seasons(now);
        self.wake_attestations(now);
        self.close_blocks(now);
        self.wake_votes(now);
        self.wake_stakes(now);
        while let Some((at, rental)) = self.due.first().copied() {
            if at > now {
                break;
            }
            self.due.pop_first();
            self.look_at(rental, now);
        }
        self.wake_queue(now);
        self.wake_trials(now);
        self.wake_newcomers(now);
        self.wake_burn(now);
        Ok(Reply::Done)
    }

    fn look_at(&mut self, id: RentalId, now: Timestamp) {
        self.give_up_silent(id, now);
        self.look_at_worked(id, now);
        let Some(rental) = self.rentals.get(&id) else { return };
        match rental.stage {
            Stage::Ended { at, .. } if now >= at.after(ENDED_KEPT_FOR) => self.forget(id, now),
            Stage::Ended { .. } => self.schedule(id),
            Stage::Quoted { until }
            | Stage::AwaitingPayment { until }
            | Stage::Deploying { until }
            | Stage::Running { until, .. }
            | Stage::Ending { until, .. } => {
                if now >= until {
                    self.time_is_over(id, now);
                }
                self.schedule(id);
            }
        }
    }

    fn time_is_over(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get_mut(&id) else { return };
        if let (Stage::Deploying { .. }, None) = (rental.stage, &rental.reason) {
            rental.reason = Some("the machines did not come up in time".to_owned());
        }
        let over = match (rental.stage, rental.wanted_back) {
            (Stage::Running { .. }, Some(_)) => Event::Reclaimed,
            // What was wanted back and is being cleared ends as all clearing does: when its time is over.
            (_, _) => Event::Expired,
        };
        self.advance(id, over, now);
    }

    fn give_up_silent(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get(&id) else { return };
        let over = |since: Timestamp| now >= since.after(NODE_SILENCE_MAX);
        let silent =
            (0_u32..).zip(&rental.nodes).filter(|(_, node)| node.silent_since.is_some_and(over));
        let silent: Vec<u32> = silent.map(|(index, _)| index).collect();
        for index in silent {
            self.node_lost(id, index, "its machine has been silent for too long", now);
        }
    }

    fn forget(&mut self, id: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.remove(&id) else { return };
        for job in &rental.jobs {
            self.jobs.remove(job);
        }
        if let Some(project) = self.projects.get_mut(&rental.project) {
            project.rentals.remove(&id);
        }
        debug_assert!(rental.stage.ending() != Some(Ending::Lapsed) || rental.holds.is_empty());
        self.refundable.keep(rental);
        self.refundable.forget_before(now);
    }
}
