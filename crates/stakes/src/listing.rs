//! The marketplace of offers: what is listed, and what it is narrowed by.

use std::ops::Bound;

use units::{Coins, OfferId, Timestamp, WorkerId};

use crate::offer::{Offer, OfferStatus};
use crate::stakes::Stakes;

/// What the caller knows of a device that is on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What people call it: `8x H100`.
    pub model: String,
    /// What it needs.
    pub need: Coins,
    /// How reliable it was, in ten-thousandths.
    pub reliability_bp: u16,
    /// What it earned in the last seven days.
    pub earned_week: Coins,
}

/// What a reader of the marketplace wants to see. What is `None` narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferFilter {
    /// One device.
    pub worker: Option<WorkerId>,
    /// A part of the model's name, in any case.
    pub model: Option<String>,
    /// The least share of rewards, in ten-thousandths.
    pub share_min_bp: Option<u16>,
    /// The least that is asked for.
    pub amount_min: Option<Coins>,
    /// The most that is asked for.
    pub amount_max: Option<Coins>,
    /// What state it is in.
    pub status: Option<OfferStatus>,
    /// Without those that are over.
    pub live: bool,
    /// The least reliability, in ten-thousandths.
    pub reliability_min_bp: Option<u16>,
    /// The last offer of the page before.
    pub after: Option<OfferId>,
}

/// One row of the marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRow {
    /// The offer's name.
    pub id: OfferId,
    /// Its terms and state.
    pub offer: Offer,
    /// What its state is called.
    pub status: OfferStatus,
    /// The device.
    pub device: Listed,
    /// What the co-staker would get in a week like the last one.
    pub simulated_week: Coins,
}

impl Stakes {
    /// At most `limit` offers that pass the filter, by id. `device` tells of a device, or that it is not to be listed.
    pub fn list_offers(
        &self,
        filter: &OfferFilter,
        limit: usize,
        now: Timestamp,
        device: impl Fn(WorkerId) -> Option<Listed>,
    ) -> Vec<OfferRow> {
        let from = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let offers = self.offers.range((from, Bound::Unbounded));
        let row = |(id, offer): (&OfferId, &Offer)| {
            if !filter.wants_terms(offer) {
                return None;
            }
            let device = device(offer.worker)?;
            let status = self.offer_status(offer, device.need, now);
            let simulated_week = device.earned_week.share_floor(offer.share_bp);
            let row = OfferRow { id: *id, offer: offer.clone(), status, device, simulated_week };
            filter.wants_device(&row).then_some(row)
        };
        offers.filter_map(row).take(limit).collect()
    }
}

impl OfferFilter {
    fn wants_terms(&self, offer: &Offer) -> bool {
        (!self.live || !offer.state.is_over())
            && self.worker.is_none_or(|worker| worker == offer.worker)
            && self.share_min_bp.is_none_or(|min| offer.share_bp >= min)
            && self.amount_min.is_none_or(|min| offer.amount >= min)
            && self.amount_max.is_none_or(|max| offer.amount <= max)
    }

    fn wants_device(&self, row: &OfferRow) -> bool {
        let model = row.device.model.to_lowercase();
        self.model.as_ref().is_none_or(|part| model.contains(&part.to_lowercase()))
            && self.status.is_none_or(|status| status == row.status)
            && self.reliability_min_bp.is_none_or(|min| row.device.reliability_bp >= min)
    }
}
