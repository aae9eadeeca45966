//! How much is remembered of what outsiders can make grow.

/// How many ages of coins are told apart in one position. The youngest are merged, dated as the younger, so that
/// nobody gains a vote by it; eight are enough for a top-up a day within the age that votes.
pub const LOTS_MAX: usize = 8;

/// How many lots of coins may cool down for one device: a co-staker who never withdraws leaves one behind, and each
/// must have waited a week, so that this is more than a year of them.
pub const COOLING_MAX: usize = 64;

/// How many offers are remembered per device beyond which those that are over are forgotten. Payouts for an hour come
/// within days, and no device ends more offers than a few in that time.
pub const OFFERS_KEPT_MAX: usize = 16;

/// How many slashes of one device may await their end at a time.
pub const SLASHES_OPEN_MAX: usize = 16;

/// How many slashes are remembered per device beyond which those that are over are forgotten.
pub const SLASHES_KEPT_MAX: usize = 64;

/// How many pieces of evidence one slash rests on.
pub const EVIDENCE_MAX: usize = 8;

/// How long the summary of a piece of evidence may be, in bytes: a paragraph. The whole of it is a file.
pub const SUMMARY_BYTES_MAX: usize = 1_000;

/// How many statements each side may add to one slash.
pub const STATEMENTS_MAX: usize = 8;

/// How long a statement may be, in bytes: a page. More of it can be a file.
pub const STATEMENT_BYTES_MAX: usize = 4_000;

/// How many parts of one account's coins may cool down in the safety module at a time.
pub const SAFETY_COOLING_MAX: usize = 16;
