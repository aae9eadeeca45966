//! Offers to co-stake that are other than they were because something else was done: to the machine, its stake, or a
//! slash of it. Whoever took one is told.

use stakes::{Home, OfferStatus, Piece};
use units::{Coins, OfferId, SlashId, Timestamp, WorkerId};

use crate::effect::Subject;
use crate::state::Control;

/// What both sides of an offer see of it: where it stands, and how many of its coins are there.
pub(super) type Seen = (OfferId, OfferStatus, Coins);

impl Control {
    /// The offers of a machine that are not over.
    pub(super) fn live_offers(&self, worker: WorkerId, now: Timestamp) -> Vec<Seen> {
        let offers = self.economy.stakes.offers_of(worker);
        let live = offers.filter(|(_, offer)| !offer.state.is_over()).map(|(id, _)| id);
        live.filter_map(|id| self.offer_seen(id, now)).collect()
    }

    fn offer_seen(&self, id: OfferId, now: Timestamp) -> Option<Seen> {
        let stakes = &self.economy.stakes;
        let offer = stakes.offer(id)?;
        let worker = self.workers.get(&offer.worker);
        let need = worker.map_or(Coins::ZERO, |worker| worker.listing.stake_needed);
        Some((id, stakes.offer_status(offer, need, now), stakes.coins_of_offer(id)))
    }

    /// Tells of those offers that are seen otherwise than before.
    pub(super) fn offers_moved(&mut self, before: &[Seen], now: Timestamp) {
        for seen in before {
            if self.offer_seen(seen.0, now) != Some(*seen) {
                self.changed(Subject::Offer(seen.0));
            }
        }
    }

    /// Tells of the offers whose coins a slash took, and of those that its end may have filled up again.
    pub(super) fn slash_ended(&mut self, slash: SlashId, worker: WorkerId, now: Timestamp) {
        let pieces = self.economy.stakes.slash(slash).map(|slash| slash.pieces.iter());
        let taken = pieces.into_iter().flatten().filter_map(offer_of);
        let live = self.live_offers(worker, now);
        let told: Vec<OfferId> = taken.chain(live.iter().map(|seen| seen.0)).collect();
        told.into_iter().for_each(|offer| self.changed(Subject::Offer(offer)));
    }
}

/// By which offer a slash's coins were staked.
fn offer_of(piece: &Piece) -> Option<OfferId> {
    match &piece.home {
        Home::CoStake { offer, .. } => Some(*offer),
        Home::Cooling { offer, .. } => *offer,
        Home::Own { .. } | Home::Rewards => None,
    }
}
