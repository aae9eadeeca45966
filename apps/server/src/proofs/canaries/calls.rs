//! Which card is called for which canary, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proofs::Verdict;
use units::{RentalId, Timestamp, WorkerId};

use super::day_of;
use super::rented::{CanaryCard, CardStage};
use crate::limits::PROOF_SESSIONS_MAX;
use crate::proofs::table::{Asker, Desk, Opening, Place, Session, Table};

/// How long a card waits before it is looked again whether it is its turn.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Table {
    /// What a card of a machine is to do for a renter now; `None` if nobody asked.
    pub(in crate::proofs) fn place_canary(
        &mut self,
        desk: &Desk<'_>,
        (worker, card): (WorkerId, [u8; 32]),
        held: Option<RentalId>,
        now: Timestamp,
    ) -> Option<Place> {
        let fitting: Vec<_> = self.canaries.fitting(worker, &card, held).collect();
        let mut wait: Option<Timestamp> = None;
        for (rental, at) in fitting {
            match self.place_in(desk, (rental, at, card), now) {
                Some(Place::Given(challenge)) => return Some(Place::Given(challenge)),
                Some(Place::Wait(until)) => wait = Some(wait.map_or(until, |it| it.min(until))),
                None => {}
            }
        }
        wait.map(Place::Wait)
    }

    fn place_in(
        &mut self,
        desk: &Desk<'_>,
        (rental, at, card): (RentalId, usize, [u8; 32]),
        now: Timestamp,
    ) -> Option<Place> {
        let canary = self.canaries.of(rental).filter(|canary| now < canary.until)?;
        let part = canary.parts.get(at)?;
        let turn = part.turn(&card, canary.rules(), now)?;
        if turn > now {
            return Some(Place::Wait(turn));
        }
        let known = part.asked.iter().find(|known| known.card == card);
        if let Some(going) = known.filter(|known| known.stage == CardStage::Proving) {
            return self.again(&going.session, now);
        }
        if self.open() >= PROOF_SESSIONS_MAX {
            return Some(Place::Wait(now.after(LOOK_AGAIN)));
        }
        let asker = Asker { worker: part.worker, card, from: None, standing: &part.standing };
        let (cards, barrier) = (part.cards, canary.barrier);
        let opening = Opening { asker, at: now, cards, barrier, rental: Some(rental) };
        let (session, opened) = Session::open(desk, opening)?;
        let tried = known.map_or(0, |known| known.tried) + 1;
        let asked = CanaryCard {
            card,
            session,
            tried,
            stage: CardStage::Proving,
            ended: Timestamp::default(),
        };
        let kept = self.canaries.rentals.get_mut(&rental)?;
        let list = &mut kept.last.parts.get_mut(at)?.asked;
        list.retain(|known| known.card != card);
        list.push(asked);
        Some(Place::Given(self.enter(session, opened)))
    }

    /// What was given is given again while nobody has taken it up: only then can it have been lost on the way.
    fn again(&self, session: &[u8; 16], now: Timestamp) -> Option<Place> {
        let session = self.session(session).filter(|session| session.is_open())?;
        match session.is_taken_up.load(Ordering::Relaxed) {
            false => Some(Place::Given(Arc::clone(session.challenge()))),
            true => Some(Place::Wait(now.after(LOOK_AGAIN))),
        }
    }

    /// A session of a canary has come to this.
    pub(in crate::proofs) fn canary_ended(
        &mut self,
        session: &Session,
        verdict: &Verdict,
        now: Timestamp,
    ) {
        let kept = session.rental.and_then(|rental| self.canaries.rentals.get_mut(&rental));
        let Some(kept) = kept else { return };
        let took: u64 = verdict.tasks.iter().map(|judged| judged.elapsed_us).sum();
        if kept.day != day_of(now) {
            (kept.day, kept.spent_us) = (day_of(now), BTreeMap::new());
        }
        // Cards of a machine prove beside each other: what they took together is what the renter missed at most.
        *kept.spent_us.entry(session.worker).or_default() += took;
        let parts = kept.last.parts.iter_mut().filter(|part| part.worker == session.worker);
        for known in parts.flat_map(|part| &mut part.asked) {
            if known.session == session.id {
                known.stage = CardStage::Over(verdict.outcome(), verdict.reason());
                known.ended = now;
            }
        }
    }
}
