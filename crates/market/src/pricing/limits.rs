//! How much the prices remember, and how large their numbers may get.

/// The most card-minutes that one account may have in one hour: a hundred million cards. Keeps every product in range.
pub(super) const CARD_MINUTES_MAX: u64 = 60 * 100_000_000;

/// How many accounts that were turned away are told apart for one price and hour. What they count for in all is capped
/// far below what so many could ask for.
pub(super) const TURNED_AWAY_MAX: usize = 4_096;

/// How many suppliers are remembered for one price. One that is not remembered counts as one that has just come.
pub(super) const SUPPLIERS_MAX: usize = 65_536;

/// How many prices are kept. Beyond that a new combination has the price of its model.
pub(super) const KEYS_MAX: usize = 16_384;

/// How many models have a gauge of their own.
pub(super) const MODELS_MAX: usize = 1_024;
