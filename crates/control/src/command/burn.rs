//! Revenue that becomes burned coins, and what assets are changed at.
//!
//! ```text
//!  revenue ──► fees ──share──► exchange ──bought at the oracle's rate──► burned
//!                └── of coins ──────────────────────────────────────────────▲
//! ```
//!
//! Once an interval the share of the revenue is set aside: the dollars move to the exchange, where holders can sell
//! their coins for them, and the exchange's coins are bought with them and burned. Coins that came in as revenue are
//! burned without that. Where there is no fresh rate, or no coins, what was set aside waits.
//!
//! # Invariants
//! - Revenue is set aside once. What the operator has spent of it before is set aside of the next that comes in.
//! - What is refunded before it was set aside is no revenue.
//! - Coins are burned for no more dollars than were set aside.
//!
//! Absent on purpose: coins burned for an offence.

use std::time::Duration;

use ledger::{Holder, Kind};
use market::{Burn, BurnRules, Conversion, Exactly, NoConversion, NotNow};
use units::{Asset, Coins, Credits, HOUR, Money, Timestamp};

use super::coin::io;
use crate::effect::Subject;
use crate::refusal::Refusal;
use crate::state::{BurnRecord, BurnStep, Control};

/// How often it is tried again when there is no rate, or no coins: both may come within a day.
const RETRY_EVERY: Duration = HOUR;

impl Control {
    /// Notes what comes into the network's own purse as revenue: from whoever pays for something. What the operator
    /// moves there is none, nor is what came in before there was a coin to burn.
    pub(crate) fn see_revenue(&mut self, kind: &Kind) {
        let Kind::Move { from, to, units } = kind else { return };
        let pays =
            matches!(from.holder, Holder::Escrow(_) | Holder::Project(_) | Holder::Account(_));
        if to.holder == Holder::Fees && pays && self.economy.genesis.is_some() {
            let revenue = self.economy.burning.revenue.of_mut(to.asset);
            *revenue = revenue.saturating_add(*units);
        }
    }

    /// Notes what of the revenue goes back to whom it came from. What was set aside of it already stays burned.
    pub(crate) fn give_revenue_back(&mut self, asset: Asset, units: u64) {
        let revenue = self.economy.burning.revenue.of_mut(asset);
        *revenue = revenue.saturating_sub(units);
    }

    /// When revenue is looked at next.
    pub(crate) fn burn_due(&self) -> Option<Timestamp> {
        let genesis = self.economy.genesis.as_ref()?;
        let first = || genesis.at.after(every(&self.parameters().burn));
        Some(self.economy.burning.next_at.unwrap_or_else(first))
    }

    /// The purchase that is due, from the coins of the exchange.
    ///
    /// # Errors
    /// Why none is.
    pub fn next_burn(&self, now: Timestamp) -> Result<Burn, NotNow> {
        let parameters = self.parameters();
        let purse = Coins::from_units(self.available(Holder::Exchange, Asset::Io).units);
        let rate = self.economy.oracle.rate(now, &parameters.oracle);
        self.economy.burning.burns.plan(purse, rate, now, &parameters.burn)
    }

    /// Sets the share of the revenue aside and burns what it buys, once an interval.
    pub(crate) fn wake_burn(&mut self, now: Timestamp) {
        if self.burn_due().is_none_or(|due| now < due) {
            return;
        }
        let rules = self.parameters().burn.clone();
        let before = self.economy.burning.records.back().map(|last| last.steps.clone());
        let mut record = self.economy.burning.take_open(now);
        for asset in [Asset::Usd, Asset::Usdc] {
            self.set_aside(asset, &mut record, &rules);
        }
        self.burn_revenue_in_coins(&mut record, &rules);
        let waits = self.buy_and_burn(&mut record, now).err();
        let wait = waits.map_or(every(&rules), |why| self.wait_for(why, &rules, now));
        self.economy.burning.next_at = Some(now.after(wait));
        if record.steps.is_empty() {
            return;
        }
        if before.as_ref() != Some(&record.steps) {
            record.until = now;
            self.changed(Subject::Coin);
        }
        self.economy.burning.keep(record);
    }

    /// How long to wait before it is tried again.
    fn wait_for(&self, why: NotNow, rules: &BurnRules, now: Timestamp) -> Duration {
        let burns = &self.economy.burning.burns;
        match why {
            NotNow::TooSoon { .. } => {
                burns.last_at.map_or(every(rules), |last| last.after(every(rules)).since(now))
            }
            NotNow::NoRate(_) | NotNow::TooFewCoins { .. } => RETRY_EVERY.min(every(rules)),
            NotNow::TooLittle { .. } | NotNow::TooMuch(_) => every(rules),
        }
    }

    /// As much of the revenue as is still there.
    fn revenue_there(&mut self, asset: Asset) -> u64 {
        let there = self.available(Holder::Fees, asset).units;
        there.min(*self.economy.burning.revenue.of_mut(asset))
    }

    /// Moves the share of the revenue to the exchange.
    fn set_aside(&mut self, asset: Asset, record: &mut BurnRecord, rules: &BurnRules) {
        let revenue = self.revenue_there(asset);
        let burning = &mut self.economy.burning;
        let Ok(share) = burning.burns.on_revenue(Credits::from_units(revenue), rules) else {
            return;
        };
        *burning.revenue.of_mut(asset) -= revenue;
        if share.is_zero() {
            return;
        }
        self.move_between(Holder::Fees, Holder::Exchange, Money::new(asset, share.units()))
            .expect("a share of what is there is there");
        record.set_aside(Money::new(asset, revenue), Money::new(asset, share.units()));
    }

    /// Burns the share of the revenue that came in as coins.
    fn burn_revenue_in_coins(&mut self, record: &mut BurnRecord, rules: &BurnRules) {
        let revenue = Coins::from_units(self.revenue_there(Asset::Io));
        let coins = revenue.share_floor(rules.share_of_revenue_bp);
        if coins.is_zero() {
            return;
        }
        self.move_coins(&[(io(Holder::Fees), io(Holder::Burned), coins)])
            .expect("a share of what is there is there");
        let burning = &mut self.economy.burning;
        *burning.revenue.of_mut(Asset::Io) -= revenue.units();
        burning.directly = burning.directly.checked_add(coins).expect("coins are under the cap");
        record.burn_revenue(revenue, coins);
    }

    /// Buys coins of the exchange with all that was set aside, or as many as it has, and burns them.
    fn buy_and_burn(&mut self, record: &mut BurnRecord, now: Timestamp) -> Result<(), NotNow> {
        if self.economy.burning.burns.set_aside.is_zero() {
            return Ok(());
        }
        let burn = match self.next_burn(now) {
            Ok(burn) => burn,
            Err(why) => {
                record.steps.push(BurnStep::Waits { why: why.to_string() });
                return Err(why);
            }
        };
        self.move_coins(&[(io(Holder::Exchange), io(Holder::Burned), burn.coins)])
            .expect("no more is planned than the exchange has");
        let Burn { spend, coins, coins_min, rate } = burn;
        self.economy.burning.burns.done(&burn, coins, now).expect("as planned, just now");
        record.steps.push(BurnStep::Bought { spend, coins, coins_min, rate });
        record.steps.push(BurnStep::Burned { coins });
        Ok(())
    }

    /// What an amount comes to in another asset now, and for how long.
    ///
    /// # Errors
    /// When there is no fresh rate, or nothing to change.
    pub fn conversion(
        &self,
        exactly: Exactly,
        other: Asset,
        now: Timestamp,
    ) -> Result<Conversion, Refusal> {
        let parameters = self.parameters();
        let rate = self.economy.oracle.rate(now, &parameters.oracle);
        let quote = Conversion::quote(exactly, other, rate, now, &parameters.conversions);
        quote.map_err(|why| match why {
            NoConversion::NoRate(why) => Refusal::NoRate(why),
            NoConversion::TooMuch(_) => Refusal::TooMuch,
            NoConversion::Same { .. } => Refusal::Invalid { field: "take", why: why.to_string() },
            NoConversion::Nothing => Refusal::Invalid { field: "amount", why: why.to_string() },
        })
    }
}

fn every(rules: &BurnRules) -> Duration {
    HOUR * rules.interval_hours
}
