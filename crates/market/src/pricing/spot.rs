//! Spot rentals: who bids too little, who goes first when machines are wanted back, and how long they have to go.
//!
//! # Invariants
//! - Whoever bids more never goes before one who bids less; among equal bids the newest goes first.
//! - No more are told to go than are needed.

use units::{Credits, MINUTE, RentalId, Timestamp};

use super::rules::PricingRules;

/// A spot rental, as far as its end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotRental {
    /// The rental.
    pub rental: RentalId,
    /// The most that its renter pays for one hour of one card.
    pub bid: Credits,
    /// When it began.
    pub since: Timestamp,
    /// How many of the wanted cards it would free.
    pub cards: u32,
}

/// Those that the spot price has outgrown, in the order in which they go.
pub fn outbid(rentals: &[SpotRental], spot_price: Credits) -> Vec<RentalId> {
    let below = rentals.iter().filter(|rental| rental.bid < spot_price);
    in_order(below).into_iter().map(|rental| rental.rental).collect()
}

/// Those that go so that `cards` become free: lowest bid first, newest first among equals, then by id. All that hold
/// any of them, when they do not suffice.
pub fn reclaim(rentals: &[SpotRental], cards: u32) -> Vec<RentalId> {
    let mut missing = cards;
    let holds = rentals.iter().filter(|rental| rental.cards > 0);
    let goes = |rental: &SpotRental| {
        let is_needed = missing > 0;
        missing = missing.saturating_sub(rental.cards);
        is_needed.then_some(rental.rental)
    };
    in_order(holds).into_iter().map_while(goes).collect()
}

/// When a spot rental that is told to go at `now` must be gone.
pub fn leaves_at(now: Timestamp, rules: &PricingRules) -> Timestamp {
    now.after(MINUTE * u32::from(rules.spot_notice_minutes))
}

fn in_order<'a>(rentals: impl Iterator<Item = &'a SpotRental>) -> Vec<&'a SpotRental> {
    let mut order: Vec<&SpotRental> = rentals.collect();
    order.sort_by(|one, other| {
        let newest_first = other.since.cmp(&one.since);
        one.bid.cmp(&other.bid).then(newest_first).then(one.rental.cmp(&other.rental))
    });
    order
}
