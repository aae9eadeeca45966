//! What must hold after every block, reckoned without the code that makes it so.
//!
//! The schedule of emission is worked out here a second time, in 128 bits and from the published formula alone:
//! `E_m = 500 M × 8 % / 12 × q^(m-1)`, an hour's part being a month's divided by its hours.

use std::collections::BTreeMap;

use control::{BlockSummary, Closed, Control};
use ledger::{AccountKey, Holder};
use units::{Asset, Coins, Hour, Month, Timestamp, WorkerId};

/// Units of a coin.
const COIN: u128 = 100_000_000;
/// What blocks emit in all.
pub(super) const TOTAL: u128 = 300_000_000 * COIN;
/// The most coins there can be.
pub(super) const CAP: u128 = 800_000_000 * COIN;
/// What the first month emits, times twelve: 500 M × 8 %.
const FIRST_YEAR: u128 = 500_000_000 * COIN * 8 / 100;
/// What is left of a month's emission in the next, in 10^-18.
const RETAINED_E18: u128 = 989_848_952_962_349_516;
const ONE_E18: u128 = 1_000_000_000_000_000_000;
/// Bits behind the point.
const FRACTION: u32 = 64;
/// How many months the schedule has.
pub(super) const MONTHS: u32 = 240;

/// What was seen so far, in units of a coin.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// What all blocks emitted.
    pub(super) emitted: u128,
    /// What nobody earned of it.
    pub(super) unearned: u128,
    /// What machines were paid, since somebody last asked.
    pub(super) paid: BTreeMap<WorkerId, u128>,
    /// How many blocks there were.
    pub(super) blocks: u64,
    last: Option<Hour>,
    of_month: u128,
}

impl Watch {
    /// Looks at a block that was closed just now.
    pub(super) fn closed(&mut self, control: &Control, closed: &Closed, now: Timestamp) {
        let hour = closed.header.hour;
        let mut summaries = control.economy().blocks.closed.iter().rev();
        let block = summaries.find(|block| block.hour == hour).expect("it is remembered");
        let genesis = control.economy().genesis.as_ref().expect("blocks follow genesis");
        assert_eq!(hour, self.last.map_or(genesis.first_hour, Hour::next), "no hour is skipped");
        assert!(hour.end() <= now, "{hour} was closed before it was over");
        self.last = Some(hour);
        self.look_at_parts(closed, block);
        self.look_at_schedule(block, genesis.first_month, genesis.first_hour);
    }

    /// Looks at the whole, once all blocks that were closed together have been looked at.
    pub(super) fn settled(&self, control: &Control, hour: Hour) {
        self.look_at_purses(control);
        // Looking at each device and account takes longer: once a month is enough.
        if hour.next().month() != hour.month() {
            look_closely(control);
        }
    }

    fn look_at_parts(&mut self, closed: &Closed, block: &BlockSummary) {
        let units = |coins: Coins| u128::from(coins.units());
        let parts = [block.worker_emission, block.safety_module_emission, block.unearned];
        let sum: u128 = parts.into_iter().map(units).sum();
        assert_eq!(sum, units(block.emission), "{}: the parts are the block", block.hour);
        let rows: u128 = closed.rows.iter().map(|row| units(row.outcome.payout())).sum();
        assert_eq!(rows, units(block.worker_emission), "{}: the rows are the block", block.hour);
        for row in &closed.rows {
            *self.paid.entry(row.device.worker).or_default() += units(row.outcome.payout());
        }
        self.emitted += sum;
        self.unearned += units(block.unearned);
        self.blocks += 1;
    }

    fn look_at_schedule(&mut self, block: &BlockSummary, first_month: Month, first_hour: Hour) {
        let month = block.hour.month();
        let number = month.since(first_month);
        let emission = u128::from(block.emission.units());
        if number >= MONTHS {
            assert_eq!(emission, 0, "{}: the schedule is over", block.hour);
            return;
        }
        let (scheduled, hours) = (scheduled(number), u128::from(month.hours()));
        let near = 1 + miss(number) / hours;
        let share = scheduled / hours;
        assert!(emission.abs_diff(share) <= near, "{}: {emission}, not {share}", block.hour);
        if block.hour == month.first_hour() {
            self.of_month = 0;
        }
        self.of_month += emission;
        let is_whole = first_hour <= month.first_hour() && block.hour.next().month() != month;
        let off = self.of_month.abs_diff(scheduled);
        assert!(!is_whole || off <= miss(number), "{month} is off by {off} units");
    }

    fn look_at_purses(&self, control: &Control) {
        let purse = |holder| u128::from(control.available(holder, Asset::Io).units);
        let economy = control.economy();
        assert_eq!(purse(Holder::Emission), TOTAL - self.emitted, "what is not emitted is left");
        assert_eq!(u128::from(economy.blocks.emitted.units()), self.emitted);
        assert_eq!(purse(Holder::Stakes), u128::from(economy.stakes.total().units()));
        assert_eq!(purse(Holder::Rewards), u128::from(economy.accruals.total().units()));
        assert_eq!(purse(Holder::SafetyModule), u128::from(economy.stakes.safety_total().units()));
        assert!(inside(control) <= CAP, "more coins than the cap");
    }
}

/// Coins that are not outside, those that were burned among them.
pub(super) fn inside(control: &Control) -> u128 {
    let key = AccountKey { holder: Holder::Outside, asset: Asset::Io };
    control.book().account(key).balance().unsigned_abs()
}

/// By how much a month may differ from the formula: by rounding; the last takes what the formula misses.
const fn miss(number: u32) -> u128 {
    if number + 1 == MONTHS { COIN } else { 1 }
}

/// What a month emits, by its number from 0.
fn scheduled(number: u32) -> u128 {
    (0..number).fold((FIRST_YEAR << FRACTION) / 12, |emission, _| retained(emission)) >> FRACTION
}

/// So much times `q`, in two parts so that nothing overflows.
const fn retained(emission: u128) -> u128 {
    emission / ONE_E18 * RETAINED_E18 + emission % ONE_E18 * RETAINED_E18 / ONE_E18
}

fn look_closely(control: &Control) {
    control.book().audit().expect("the book balances");
    let economy = control.economy();
    economy.stakes.audit().expect("stakes add up");
    economy.accruals.audit().expect("rewards add up");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_emits_the_total() {
        let sum: u128 = (0..MONTHS).map(scheduled).sum();
        assert!(sum.abs_diff(TOTAL) < COIN, "{sum}");
        assert_eq!(scheduled(0) / COIN, 3_333_333);
        assert_eq!(scheduled(1) / COIN, 3_299_496);
        assert_eq!(scheduled(11) / COIN, 2_979_455);
    }
}
