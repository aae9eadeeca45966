//! The coin: brought into the world once, moved between purses, changed for other assets, in and out.

use ledger::{AccountKey, Holder, Kind};
use market::{Currency, Exactly, Rate, Reading};
use units::{AccountId, Asset, Coins, Credits, Hour, Money, Month, Timestamp};

use super::Standing;
use crate::effect::Subject;
use crate::record::{Actor, Purse};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Genesis, Reply};

/// The longest address or reference outside, in bytes.
const OUTSIDE_BYTES_MAX: usize = 200;
/// How far the coin may have fallen since a quote for the quote's rate to be good for more hours, in ten-thousandths.
const FALL_MAX_BP: u128 = 200;

impl Control {
    /// Every coin under the cap comes into the world: those of all blocks to come, and those of genesis.
    ///
    /// Hours of the schedule that are over already are nobody's: their coins go to the treasury, so that what the
    /// schedule has emitted is always what has left the emission.
    pub(crate) fn genesis(
        &mut self,
        by: Actor,
        first_month: Month,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        if self.economy.genesis.is_some() {
            return Err(Refusal::Exists(Noun::Genesis));
        }
        let first_hour = Hour::of(now);
        let patch = format!(r#"{{"emission":{{"first_month":"{first_month}"}}}}"#);
        self.versions.add(&patch, first_hour, first_hour)?;
        self.parameters_on(now);
        // By the rules that hold now: versions that were due and nobody had looked at are among them.
        let rules = self.parameters().emission.clone();
        let emission = rewards::emission::Emission::new(&rules).expect("the rules were checked");
        let past =
            emission.emitted_through(Hour::from_number(first_hour.number().saturating_sub(1)));
        let outside = io(Holder::Outside);
        let minted = rules.total.checked_add(rules.genesis).expect("both are under the cap");
        let moves = [
            (outside, io(Holder::Emission), rules.total),
            (outside, io(Holder::Treasury), rules.genesis),
            (io(Holder::Emission), io(Holder::Treasury), past),
        ];
        self.move_coins(&moves)?;
        self.economy.blocks.emitted = past;
        self.nominate(first_hour, now);
        self.economy.genesis = Some(Genesis { at: now, first_hour, first_month, minted });
        self.changed(Subject::Coin);
        Ok(Reply::Done)
    }

    /// Moves coins; nothing for amounts of nothing.
    pub(crate) fn move_coins(
        &mut self,
        moves: &[(AccountKey, AccountKey, Coins)],
    ) -> Result<(), Refusal> {
        let moves: Vec<Kind> = moves
            .iter()
            .filter(|(_, _, coins)| !coins.is_zero())
            .map(|(from, to, coins)| Kind::Move { from: *from, to: *to, units: coins.units() })
            .collect();
        self.move_money(&moves, None).map(|_| ())
    }

    pub(crate) fn deposit(
        &mut self,
        by: Actor,
        to: Purse,
        money: Money,
        reference: &str,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        self.known_purse(to)?;
        short("reference", reference)?;
        self.are_outside(money)?;
        self.move_between(Holder::Outside, holder(to), money)?;
        self.paid_in(to, now);
        Ok(Reply::Done)
    }

    /// What a card has paid becomes credits, less what its provider keeps, which never comes in.
    pub(crate) fn card_paid(
        &mut self,
        by: Actor,
        to: Purse,
        paid: Credits,
        reference: &str,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let top_up = self.parameters().fees.card_top_up(paid);
        let top_up =
            top_up.map_err(|why| Refusal::Invalid { field: "paid", why: why.to_string() })?;
        self.deposit(by, to, top_up.credits.into(), reference, now)
    }

    pub(crate) fn withdraw(
        &mut self,
        by: Actor,
        account: AccountId,
        money: Money,
        to: &str,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, account)?;
        self.known_purse(Purse::Account(account))?;
        short("to", to)?;
        self.move_between(Holder::Account(account), Holder::Outside, money)?;
        self.changed(Subject::Account(account));
        Ok(Reply::Done)
    }

    pub(crate) fn transfer(
        &mut self,
        by: Actor,
        from: Purse,
        to: Purse,
        money: Money,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.may_spend(by, from)?;
        self.known_purse(to)?;
        if from == to {
            let why = "the two purses are the same".to_owned();
            return Err(Refusal::Invalid { field: "to", why });
        }
        if to != Purse::Fees {
            self.may_leave(from, money)?;
        }
        self.move_between(holder(from), holder(to), money)?;
        self.purse_changed(from);
        self.paid_in(to, now);
        Ok(Reply::Done)
    }

    /// Changes an asset for another at the rate of the moment, through the exchange.
    pub(crate) fn convert(
        &mut self,
        by: Actor,
        purse: Purse,
        (give, take): (Money, Asset),
        (at_least, until): (u64, Option<Timestamp>),
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.may_spend(by, purse)?;
        if purse == Purse::Exchange {
            let why = "the exchange changes nothing with itself".to_owned();
            return Err(Refusal::Invalid { field: "purse", why });
        }
        if until.is_some_and(|until| now >= until) {
            return Err(Refusal::Expired(Noun::Quote));
        }
        let got = self.conversion(Exactly::Give(give), take, now)?.get;
        if got.units < at_least {
            return Err(Refusal::RateMoved { got, wanted: Money::new(take, at_least) });
        }
        let there = self.available(Holder::Exchange, take);
        if there.units < got.units {
            return Err(Refusal::NoLiquidity { available: there, wanted: got });
        }
        self.may_leave(purse, give)?;
        let key = |holder, money: Money| AccountKey { holder, asset: money.asset };
        let (mine, exchange) = (holder(purse), Holder::Exchange);
        let moves = [
            Kind::Move { from: key(mine, give), to: key(exchange, give), units: give.units },
            Kind::Move { from: key(exchange, got), to: key(mine, got), units: got.units },
        ];
        self.move_money(&moves, None)?;
        self.paid_in(purse, now);
        Ok(Reply::Done)
    }

    /// What the sources say a coin is worth. Never refused for what they say: what makes no rate changes none.
    pub(crate) fn observe_rate(
        &mut self,
        by: Actor,
        readings: &[Reading],
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        match by {
            Actor::Operator | Actor::Clock => {}
            Actor::Account(_) | Actor::Worker(_) => Self::only_operator(by)?,
        }
        if readings.len() > market::SOURCES_MAX {
            return Err(Refusal::TooMany { what: "sources", max: market::SOURCES_MAX });
        }
        let rules = self.parameters().oracle.clone();
        let worth = |control: &Self| {
            control.economy.oracle.recent.last().map(|rate| rate.usd_micros_per_coin)
        };
        let before = worth(self);
        if self.economy.oracle.on_readings(readings, now, &rules).is_ok() {
            self.changed(Subject::Coin);
        }
        if worth(self) != before {
            self.changed(Subject::Rate);
        }
        Ok(Reply::Done)
    }

    /// What a coin is worth now.
    ///
    /// # Errors
    /// When there is no rate that is fresh.
    pub fn rate(&self, now: Timestamp) -> Result<Rate, Refusal> {
        self.economy.oracle.rate(now, &self.parameters().oracle).map_err(Refusal::NoRate)
    }

    /// What a rental is paid in when it is quoted now.
    pub(crate) fn currency(&self, asset: Asset, now: Timestamp) -> Result<Currency, Refusal> {
        Ok(match asset {
            Asset::Usd => Currency::Usd,
            Asset::Usdc => Currency::Usdc,
            Asset::Io => Currency::Io { usd_micros_per_coin: self.rate(now)?.usd_micros_per_coin },
        })
    }

    /// Whether the rate of a quote still holds for more hours: coins that have fallen since would buy too much.
    pub(crate) fn still_worth(&self, currency: Currency, now: Timestamp) -> Result<(), Refusal> {
        let Currency::Io { usd_micros_per_coin: quoted } = currency else { return Ok(()) };
        let rate = self.rate(now)?.usd_micros_per_coin;
        let least = u128::from(quoted) * (10_000 - FALL_MAX_BP) / 10_000;
        if u128::from(rate) < least { Err(Refusal::Fallen { quoted, rate }) } else { Ok(()) }
    }

    /// Coins come back from where they left to, never out of nothing: all under the cap were minted at genesis.
    fn are_outside(&self, money: Money) -> Result<(), Refusal> {
        let Asset::Io = money.asset else { return Ok(()) };
        let inside = self.book.account(io(Holder::Outside)).balance().unsigned_abs();
        let cap = u128::from(self.economy.genesis.as_ref().map_or(0, |it| it.minted.units()));
        let outside = u64::try_from(cap.saturating_sub(inside)).unwrap_or(u64::MAX);
        if money.units > outside {
            let available = Money::new(Asset::Io, outside);
            return Err(Refusal::NotOutside { available, wanted: money });
        }
        Ok(())
    }

    pub(crate) fn move_between(
        &mut self,
        from: Holder,
        to: Holder,
        money: Money,
    ) -> Result<(), Refusal> {
        let key = |holder| AccountKey { holder, asset: money.asset };
        let kind = Kind::Move { from: key(from), to: key(to), units: money.units };
        self.move_money(&[kind], None).map(|_| ())
    }

    /// What the operator gave a project is for rentals: it does not leave. Spending it comes first.
    fn may_leave(&self, from: Purse, money: Money) -> Result<(), Refusal> {
        let (Purse::Project(project), Asset::Usd) = (from, money.asset) else { return Ok(()) };
        let granted = self.projects.get(&project).map_or(0, |project| project.granted.units());
        let free = self.available(holder(from), Asset::Usd).units.saturating_sub(granted);
        if money.units > free {
            let free = Money::new(Asset::Usd, free);
            return Err(Refusal::Granted { free, wanted: money });
        }
        Ok(())
    }

    fn known_purse(&self, purse: Purse) -> Result<(), Refusal> {
        match purse {
            Purse::Account(id) if self.people.contains_key(&id) => Ok(()),
            Purse::Account(_) => Err(Refusal::NotFound(Noun::Account)),
            Purse::Project(id) if self.projects.contains_key(&id) => Ok(()),
            Purse::Project(_) => Err(Refusal::NotFound(Noun::Project)),
            Purse::Fees | Purse::Treasury | Purse::Exchange => Ok(()),
        }
    }

    fn may_spend(&self, by: Actor, purse: Purse) -> Result<(), Refusal> {
        match purse {
            Purse::Account(account) => Self::only_account(by, account)?,
            Purse::Project(project) => self.only_in_project(by, project, Standing::Owner)?,
            Purse::Fees | Purse::Treasury | Purse::Exchange => Self::only_operator(by)?,
        }
        self.known_purse(purse)
    }

    fn purse_changed(&mut self, purse: Purse) {
        self.changed(match purse {
            Purse::Account(id) => Subject::Account(id),
            Purse::Project(id) => Subject::Project(id),
            Purse::Fees | Purse::Treasury | Purse::Exchange => Subject::Coin,
        });
    }

    /// More is in a purse than before: what waits for money may be paid now.
    fn paid_in(&mut self, purse: Purse, now: Timestamp) {
        self.purse_changed(purse);
        if let Purse::Project(project) = purse {
            self.pay_what_waits(project, now);
        }
    }
}

/// A holder's account in coins.
pub(crate) const fn io(holder: Holder) -> AccountKey {
    AccountKey { holder, asset: Asset::Io }
}

const fn holder(purse: Purse) -> Holder {
    match purse {
        Purse::Account(id) => Holder::Account(id),
        Purse::Project(id) => Holder::Project(id),
        Purse::Fees => Holder::Fees,
        Purse::Treasury => Holder::Treasury,
        Purse::Exchange => Holder::Exchange,
    }
}

fn short(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.len() > OUTSIDE_BYTES_MAX {
        let why = format!("at most {OUTSIDE_BYTES_MAX} bytes");
        return Err(Refusal::Invalid { field, why });
    }
    Ok(())
}
