//! Renting from oneself under another name, for the points that a hired machine gets.

use ledger::Holder;
use units::{Asset, Coins};

use super::Told;
use super::stage::{COIN, Stage, coins, wanted};
use crate::economy::supplier::Class;

/// Hours that are rented.
const HOURS: u32 = 48;
/// Hours until a machine is nominated.
const BEFORE: u32 = 7;

/// A dollar a coin, in millionths.
const RATE: u64 = 1_000_000;

pub(super) fn stories() -> Vec<Told> {
    let mut all = short();
    all.push(wash(Class::Processor, 100, Asset::Usd));
    all.push(wash(Class::Processor, 100, Asset::Io));
    all
}

/// Those that are told in a moment.
pub(super) fn short() -> Vec<Told> {
    Class::ALL.map(|class| wash(class, 10, Asset::Usd)).into()
}

/// What one earns in blocks, in units of a coin, and what the network keeps, in millionths of a dollar.
fn play(class: Class, machines: usize, pays: Option<Asset>) -> (u128, u128) {
    let mut stage = Stage::new();
    let mine = stage.suppliers(class, machines)[0].0;
    let stooge = stage.holder("stooge", 0);
    let project = stage.network.open_project(stooge, "stooge");
    stage.hours(BEFORE);
    if let Some(pay) = pays {
        let purse = stage.holder("wallet", 1_000);
        stage.network.sell(purse, Coins::from_units(1_000 * COIN));
        stage.network.told_rates(&[("north", RATE), ("south", RATE), ("west", RATE)]);
        let mut order = wanted(class, class.parts());
        order.filters.suppliers = [mine].into();
        stage.network.rent((project, stooge), order, HOURS, Some(pay)).expect("it is free");
    }
    stage.hours(HOURS);
    stage.settle();
    (stage.earned(mine), kept(&stage))
}

/// What the network has kept of rentals, burned or not, in millionths of a dollar.
fn kept(stage: &Stage) -> u128 {
    let control = &stage.network.control;
    let purse = |holder, asset| u128::from(control.available(holder, asset).units);
    let burns = &control.economy().burning.burns;
    let dollars = purse(Holder::Fees, Asset::Usd)
        + u128::from(burns.set_aside.units())
        + u128::from(burns.spent.units());
    let coins = purse(Holder::Fees, Asset::Io) + purse(Holder::Burned, Asset::Io);
    dollars + coins * u128::from(RATE) / u128::from(COIN)
}

fn wash(class: Class, machines: usize, pay: Asset) -> Told {
    let (honest, _) = play(class, machines, None);
    let (washed, fees) = play(class, machines, Some(pay));
    let gain = washed.saturating_sub(honest);
    assert!(gain > 0 && fees > 0, "being hired brings something and costs something");
    // Millionths of a dollar for a coin, above which it would pay.
    let breaks_even = fees * u128::from(COIN) / gain;
    let bonus_ppm = gain * 1_000_000 / honest;
    assert!(bonus_ppm <= 250, "the bonus is {bonus_ppm} millionths");
    Told {
        tried: format!(
            "{HOURS} hours of one's own {} machine, one of {machines} like it, rented through a stranger who pays in \
             {}",
            class.text(),
            pay.code(),
        ),
        cost: format!("{}.{:03} USD in fees", fees / 1_000_000, fees % 1_000_000 / 1_000),
        gain: format!(
            "{} ({bonus_ppm} millionths of its rewards); pays above {}.{:02} USD a coin",
            coins(gain),
            breaks_even / 1_000_000,
            breaks_even % 1_000_000 / 10_000,
        ),
        bound: "the bonus is at most 250 millionths of a machine's rewards",
    }
}
