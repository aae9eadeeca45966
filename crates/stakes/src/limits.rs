//! How much is remembered of what outsiders can make grow.

/// How many ages of coins are told apart in one position. The youngest are merged, dated as the younger, so that
/// nobody gains a vote by it; eight are enough for a top-up a day within the age that votes.
pub const LOTS_MAX: usize = 8;

/// How many lots of coins may cool down for one device: a co-staker who never withdraws leaves one behind, and each
/// must have waited a week, so that this is more than a year of them.
pub const COOLING_MAX: usize = 64;
