//! What the auditor believes of the coin: who may move what, what a conversion comes to, what a coin is worth.

use std::collections::BTreeMap;

use control::{Actor, Body, Command, Control, Purse, Refusal};
use ledger::Holder;
use market::{Currency, Reading};
use units::{Asset, Money, Timestamp};

use super::Belief;
use crate::broken::{Broken, Invariant, Step, must};
use crate::rates::is_honest;

/// All coins there may ever be, in the smallest unit.
const CAP: u64 = 800_000_000 * 100_000_000;
/// Smallest units in one coin.
const COIN: u128 = 100_000_000;

/// Above a million dollars, in millionths, nobody is believed.
const RATE_MAX: u64 = 1_000_000_000_000;

/// What a coin is worth, and since when.
pub(super) type Worth = (u64, Timestamp);

const fn holder(purse: Purse) -> Holder {
    match purse {
        Purse::Account(id) => Holder::Account(id),
        Purse::Project(id) => Holder::Project(id),
        Purse::Fees => Holder::Fees,
        Purse::Treasury => Holder::Treasury,
        Purse::Exchange => Holder::Exchange,
    }
}

impl Belief {
    /// What a command about money does to purses; whether it is one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_coin(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        use Command as C;
        self.see_rate(control, &body.command)?;
        match &body.command {
            C::TopUp { project, amount, .. } => {
                self.only_operator(body)?;
                let to = Holder::Project(*project);
                self.money.flow(Asset::Usd, Holder::Outside, to, amount.units())?;
            }
            C::Genesis { .. } => self.see_genesis(control, body)?,
            C::Deposit { to, money, .. } => {
                self.only_operator(body)?;
                let outside = self.money.coins_outside();
                let fits = money.asset != Asset::Io || i128::from(money.units) <= outside;
                must(fits, Invariant::I1Supply, || format!("{money} came in of {outside}"))?;
                self.money.flow(money.asset, Holder::Outside, holder(*to), money.units)?;
            }
            C::CardPaid { to, paid, .. } => {
                self.only_operator(body)?;
                self.tale.cards += 1;
                let credits = self.left_of_card(control, paid.units())?;
                self.money.flow(Asset::Usd, Holder::Outside, holder(*to), credits)?;
            }
            C::Withdraw { account, money, .. } => {
                self.may_spend(body, Purse::Account(*account))?;
                let from = Holder::Account(*account);
                self.money.flow(money.asset, from, Holder::Outside, money.units)?;
            }
            C::Transfer { from, to, money } => {
                self.may_spend(body, *from)?;
                self.money.flow(money.asset, holder(*from), holder(*to), money.units)?;
            }
            C::Convert { purse, give, take, at_least, quoted_until_millis } => {
                self.may_spend(body, *purse)?;
                let in_time = quoted_until_millis.is_none_or(|until| self.at.millis() < until);
                must(in_time, Invariant::Promise, || format!("{body:?} at {:?}", self.at))?;
                self.see_conversion(control, holder(*purse), *give, Money::new(*take, *at_least))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn see_genesis(&mut self, control: &Control, body: &Body) -> Step {
        self.only_operator(body)?;
        let emission = &control.parameters().emission;
        let (total, genesis) = (emission.total.units(), emission.genesis.units());
        let before = self.money.coins_outside();
        must(before == 0 && total + genesis <= CAP, Invariant::I1Supply, || {
            format!("{total} and {genesis} are made when there are {before}")
        })?;
        self.money.mint(total + genesis);
        self.money.flow(Asset::Io, Holder::Outside, Holder::Emission, total)?;
        self.money.flow(Asset::Io, Holder::Outside, Holder::Treasury, genesis)?;
        let past = control.economy().blocks.emitted.units();
        self.money.flow(Asset::Io, Holder::Emission, Holder::Treasury, past)
    }

    /// What a payment by card leaves after its provider's share, rounded up and at least its minimum.
    fn left_of_card(&self, control: &Control, paid: u64) -> Result<u64, Broken> {
        let fees = &control.parameters().fees;
        let share = (u128::from(paid) * u128::from(fees.card_bp)).div_ceil(10_000);
        let share = u64::try_from(share).unwrap_or(u64::MAX).max(fees.card_min.units());
        let left = paid.saturating_sub(share);
        must(left >= fees.credits_min.units(), Invariant::Promise, || {
            format!("a card paid {paid}, and {left} was let in")
        })?;
        Ok(left)
    }

    fn only_operator(&self, body: &Body) -> Step {
        must(body.by == Actor::Operator, Invariant::Authority, || {
            format!("{:?} did {:?} at #{}", body.by, body.command, self.seq)
        })
    }

    fn may_spend(&self, body: &Body, purse: Purse) -> Step {
        let owner = match purse {
            Purse::Account(account) => Some(account),
            Purse::Project(project) => self.owners.get(&project).copied(),
            Purse::Fees | Purse::Treasury | Purse::Exchange => None,
        };
        let may =
            body.by == Actor::Operator || owner.is_some_and(|it| body.by == Actor::Account(it));
        must(may, Invariant::Authority, || format!("{:?} did {:?}", body.by, body.command))
    }

    /// What is given goes to the exchange, and what it is worth comes out of it, rounded down.
    fn see_conversion(
        &mut self,
        control: &Control,
        mine: Holder,
        give: Money,
        least: Money,
    ) -> Step {
        // A dollar of one kind is one of the other, whatever a coin is worth.
        let coins = give.asset == Asset::Io || least.asset == Asset::Io;
        let rate = if coins { self.fresh_rate(control)? } else { 1 };
        let got = converted(rate, give, least.asset);
        must(got >= least.units, Invariant::Promise, || {
            format!("{give} became {got}, not {least}")
        })?;
        self.money.flow(give.asset, mine, Holder::Exchange, give.units)?;
        self.money.flow(least.asset, Holder::Exchange, mine, got)
    }

    /// The rate that may be used now.
    pub(super) fn fresh_rate(&self, control: &Control) -> Result<u64, Broken> {
        let most = u64::from(control.parameters().oracle.staleness_max_s);
        let fresh =
            |(_, since): &Worth| self.at.since(*since).as_millis() <= u128::from(most) * 1000;
        let rate = self.worth.filter(fresh).map(|(rate, _)| rate);
        rate.ok_or_else(|| {
            let seen = format!("a rate of {:?} was used at {:?}", self.worth, self.at);
            Broken { invariant: Invariant::Rate, seen }
        })
    }

    /// A quote in coins has the rate of its moment.
    pub(super) fn is_rate_of_now(&self, control: &Control, currency: Currency) -> Step {
        let Currency::Io { usd_micros_per_coin } = currency else { return Ok(()) };
        let rate = self.fresh_rate(control)?;
        must(rate == usd_micros_per_coin, Invariant::Rate, || {
            format!("{usd_micros_per_coin} is quoted, the rate is {rate}")
        })
    }

    /// The rate of a quote is good for more hours only while a coin is worth what it was, or two percent less.
    pub(super) fn has_not_fallen(&self, control: &Control, currency: Currency) -> Step {
        let Currency::Io { usd_micros_per_coin: quoted } = currency else { return Ok(()) };
        let rate = self.fresh_rate(control)?;
        must(u128::from(rate) * 100 >= u128::from(quoted) * 98, Invariant::Rate, || {
            format!("a coin was worth {quoted}, and is worth {rate}")
        })
    }

    /// The rate changes only by readings, and never against most of them.
    fn see_rate(&mut self, control: &Control, command: &Command) -> Step {
        let last = control.economy().oracle.recent.last();
        let worth = last.map(|rate| (rate.usd_micros_per_coin, rate.at));
        if worth == self.worth {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.worth, worth);
        let (Command::ObserveRate { readings }, Some((rate, at))) = (command, worth) else {
            let seen = format!("the rate went from {before:?} to {worth:?} by {command:?}");
            return Err(Broken { invariant: Invariant::Rate, seen });
        };
        let fresh = fresh(readings, self.at, u64::from(control.parameters().oracle.reading_max_s));
        must(at == self.at && agrees(rate, &fresh), Invariant::Rate, || {
            format!("{fresh:?} were told at {:?}, and {rate} is the rate since {at:?}", self.at)
        })?;
        let Some((earlier, since)) = before else { return Ok(()) };
        let rules = &control.parameters().oracle;
        let moved = u128::from(rate.abs_diff(earlier)) * 10_000;
        let small = moved <= u128::from(earlier) * u128::from(rules.jump_max_bp);
        let settled = at.since(since).as_secs() >= u64::from(rules.settle_s);
        must(small || settled, Invariant::Rate, || {
            format!("the rate went from {earlier} to {rate} after {:?}", at.since(since))
        })
    }

    /// Nobody is refused for want of money that is there.
    pub(super) fn refused_for_a_reason(&self, body: &Body, refusal: &Refusal) -> Step {
        let (purse, wanted) = match (&body.command, refusal) {
            (Command::Withdraw { account, money, .. }, Refusal::Insufficient { .. }) => {
                (Holder::Account(*account), *money)
            }
            (Command::Transfer { from, money, .. }, Refusal::Insufficient { .. }) => {
                (holder(*from), *money)
            }
            (Command::Convert { purse, give, .. }, Refusal::Insufficient { .. }) => {
                (holder(*purse), *give)
            }
            (Command::Convert { .. }, Refusal::NoLiquidity { wanted, .. }) => {
                (Holder::Exchange, *wanted)
            }
            _ => return Ok(()),
        };
        let there = self.money.available(wanted.asset, purse);
        must(there < wanted.units, Invariant::Refused, || {
            format!("{wanted} of {there} were refused to {purse}: {refusal}")
        })
    }
}

/// What an amount comes to in another asset, rounded down.
fn converted(rate: u64, give: Money, take: Asset) -> u64 {
    let (units, rate) = (u128::from(give.units), u128::from(rate));
    let got = match (give.asset, take) {
        (Asset::Io, _) => units * rate / COIN,
        (_, Asset::Io) => units * COIN / rate,
        (_, _) => units,
    };
    u64::try_from(got).unwrap_or(u64::MAX)
}

/// The newest usable reading of each source.
fn fresh(readings: &[Reading], now: Timestamp, seconds_max: u64) -> BTreeMap<&str, u64> {
    let mut newest: BTreeMap<&str, (Timestamp, u64)> = BTreeMap::new();
    for reading in readings.iter().filter(|reading| reading.at <= now) {
        let told = (reading.at, reading.usd_micros_per_coin);
        let known = newest.entry(&reading.source).or_insert(told);
        if known.0 < told.0 {
            *known = told;
        }
    }
    let in_time =
        |(at, _): &(Timestamp, u64)| now.since(*at).as_millis() <= u128::from(seconds_max) * 1000;
    newest.retain(|_, told| in_time(told) && (1..=RATE_MAX).contains(&told.1));
    newest.into_iter().map(|(source, (_, rate))| (source, rate)).collect()
}

/// Whether a rate is what most sources say, and what the honest say when they are most.
fn agrees(rate: u64, told: &BTreeMap<&str, u64>) -> bool {
    let near = |other: &&u64| other.abs_diff(rate) <= rate / 15;
    let witnesses = told.values().filter(near).count();
    let honest: Vec<u64> =
        told.iter().filter(|(source, _)| is_honest(source)).map(|(_, rate)| *rate).collect();
    let deceived = honest.len() * 2 > told.len()
        && !(honest.iter().min() <= Some(&rate) && Some(&rate) <= honest.iter().max());
    witnesses * 2 > told.len() && !deceived
}
