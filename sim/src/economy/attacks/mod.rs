//! What bending the rules brings: each story is played twice through the real control plane, honestly and not, and the
//! bound that the documentation states is asserted.
//!
//! Absent on purpose: attacks on machines and messages; those are the seeded stories' (`sim --seeds`).

mod calendar;
mod identities;
mod oracle;
mod prices;
mod stage;
mod stakes;
mod votes;
mod wash;

use std::fmt::Write as _;

/// What came of one story.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// What was tried.
    pub(super) tried: String,
    /// What it cost.
    pub(super) cost: String,
    /// What it brought, against being honest.
    pub(super) gain: String,
    /// The bound that was asserted.
    pub(super) bound: &'static str,
}

/// The table of all stories.
///
/// # Panics
/// When a bound does not hold.
pub fn report() -> String {
    let mut text = String::from("| tried | cost | gain | asserted |\n|---|---|---|---|\n");
    for told in stories() {
        let Told { tried, cost, gain, bound } = told;
        let _ = writeln!(text, "| {tried} | {cost} | {gain} | {bound} |");
    }
    text
}

fn stories() -> Vec<Told> {
    let mut all = identities::stories();
    all.extend(wash::stories());
    all.extend(prices::stories());
    all.extend(stakes::stories());
    all.extend(votes::stories());
    all.extend(oracle::stories());
    all.extend(calendar::stories());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each story asserts its own bound; the longest are left to `sim attacks`.

    #[test]
    fn names_and_rentals_from_oneself_bring_what_is_said() {
        assert_eq!(identities::stories().len() + wash::short().len(), 6);
    }

    #[test]
    fn who_leaves_in_time_gains_nothing() {
        assert_eq!(stakes::stories().len() + votes::stories().len(), 3);
    }

    #[test]
    fn a_spike_is_believed_late_or_never() {
        assert_eq!(oracle::stories().len(), 2);
    }

    #[test]
    fn no_hour_is_skipped_or_paid_twice() {
        assert_eq!(calendar::short().len(), 2);
    }

    #[test]
    fn who_withdraws_a_fifth_moves_prices_by_no_more_than_is_promised() {
        prices::withhold(4, (2, 3));
    }
}
