//! The coin: its supply, its rate, and purses of any kind.

use control::{Control, Purse, Refusal};
use ledger::{AccountKey, Holder};
use market::{Conversion, Exactly, NoConversion, Rate};
use rewards::supply::{NotASupply, Parts, Supply};
use units::{Asset, Coins, Credits, Money, Timestamp};
use wire::{
    CoinRate, ConversionQuote, GenesisView, PurseName, PurseView, RateView, SupplyView, Time,
};

/// How many coins there are.
///
/// # Errors
/// When the book does not add up.
pub(crate) fn supply(state: &Control, now: Timestamp) -> Result<SupplyView, NotASupply> {
    let economy = state.economy();
    let genesis = economy.genesis.as_ref();
    let (minted, emitted) =
        (genesis.map_or(Coins::ZERO, |genesis| genesis.minted), economy.blocks.emitted);
    let ahead = coins_of(state, Holder::Emission);
    let unvested = economy
        .grants
        .values()
        .map(|grant| grant.coins.checked_sub(grant.released(now)).map_or(0, Coins::units));
    let staked = [Holder::Stakes, Holder::SafetyModule].map(|it| coins_of(state, it).units());
    let less = |whole: Coins, part: Coins| whole.checked_sub(part).unwrap_or(Coins::ZERO);
    let cap = state.parameters().emission.cap;
    let parts = Parts {
        cap,
        genesis: less(less(minted, ahead), emitted),
        emitted,
        burned: coins_of(state, Holder::Burned),
        unvested: Coins::from_units(unvested.sum()),
        treasury: coins_of(state, Holder::Treasury),
        staked: Coins::from_units(staked.iter().sum()),
    };
    let Supply { cap, total, circulating, burned, locked, liquid } = Supply::of(&parts)?;
    let genesis = genesis.map(|genesis| GenesisView {
        at: Time(genesis.at),
        first_hour: genesis.first_hour,
        first_month: genesis.first_month,
    });
    Ok(SupplyView { genesis, cap, minted, emitted, total, circulating, burned, locked, liquid })
}

/// Everything that a purse of the network itself has of coins.
fn coins_of(state: &Control, holder: Holder) -> Coins {
    let account = state.book().account(AccountKey { holder, asset: Asset::Io });
    Coins::from_units(u64::try_from(account.balance()).unwrap_or(0))
}

/// The last rate, usable or not.
pub(crate) fn rate(state: &Control, now: Timestamp) -> RateView {
    let last = state.economy().oracle.recent.last();
    RateView {
        rate: last.map(|rate| coin_rate(state, *rate)),
        age_s: last.map(|rate| now.since(rate.at).as_secs()),
        usable: state.rate(now).is_ok(),
    }
}

/// A rate, and how long it is good for.
pub(crate) fn coin_rate(state: &Control, rate: Rate) -> CoinRate {
    let valid = u64::from(state.parameters().oracle.staleness_max_s);
    CoinRate {
        usd_per_coin: Credits::from_units(rate.usd_micros_per_coin),
        at: Time(rate.at),
        valid_until: Time(rate.at.after(std::time::Duration::from_secs(valid))),
    }
}

pub(crate) const fn purse_of(name: PurseName) -> Purse {
    match name {
        PurseName::Account(id) => Purse::Account(id),
        PurseName::Project(id) => Purse::Project(id),
        PurseName::Fees => Purse::Fees,
        PurseName::Treasury => Purse::Treasury,
        PurseName::Exchange => Purse::Exchange,
    }
}

const fn holder(name: PurseName) -> Holder {
    match name {
        PurseName::Account(id) => Holder::Account(id),
        PurseName::Project(id) => Holder::Project(id),
        PurseName::Fees => Holder::Fees,
        PurseName::Treasury => Holder::Treasury,
        PurseName::Exchange => Holder::Exchange,
    }
}

/// What is in a purse.
pub(crate) fn purse(state: &Control, name: PurseName) -> PurseView {
    PurseView { purse: name, balances: super::money::balances(state, holder(name)) }
}

/// What an amount would come to in another asset at the rate of the moment.
///
/// # Errors
/// No rate, or an amount that cannot be written down.
pub(crate) fn conversion(
    state: &Control,
    give: Money,
    take: Asset,
    now: Timestamp,
) -> Result<ConversionQuote, Refusal> {
    let invalid = |why: NoConversion| Refusal::Invalid { field: "give", why: why.to_string() };
    let parameters = state.parameters();
    let rate = state.economy().oracle.rate(now, &parameters.oracle);
    let rules = &parameters.conversions;
    let quote = Conversion::quote(Exactly::Give(give), take, rate, now, rules);
    let Conversion { give, get, rate, expires } = quote.map_err(|why| match why {
        NoConversion::NoRate(why) => why.into(),
        NoConversion::TooMuch(_) => Refusal::TooMuch,
        NoConversion::Same { .. } | NoConversion::Nothing => invalid(why),
    })?;
    Ok(ConversionQuote {
        give,
        get,
        rate: rate.map(|rate| coin_rate(state, rate)),
        expires: Time(expires),
        available: state.available(Holder::Exchange, take),
    })
}
