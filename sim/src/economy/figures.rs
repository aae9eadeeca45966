//! Which plots there are.

use serde_json::{Value, json};

use super::Economy;
use super::plot::{Line, Panel, figure};
use super::sample::Sample;
use super::supplier::Class;
use super::table::{dollars, millions};
use super::town::SCALE;

/// Units of a coin in thousandths of a million coins.
const THOUSANDTH: u128 = 100_000_000_000;
/// The first month: July 2024.
const FROM: (u32, u32) = (2024, 6);
/// How many months the plot of vesting shows: a year more than the longest schedule.
const VESTING_MONTHS: usize = 60;
/// The classes of genesis.
const CLASSES: [&str; 5] = ["community", "ecosystem", "seed", "series A", "core"];

type Value64 = fn(&Sample) -> u64;

fn small(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}

/// Every file: its name and what is in it.
pub(super) fn files(economy: &Economy) -> Vec<(&'static str, String)> {
    vec![
        ("supply.svg", supply(economy)),
        ("burned.svg", burned(economy)),
        ("vesting.svg", vesting(economy)),
        ("staked.svg", staked(economy)),
        ("prices.svg", prices(economy)),
        ("income.svg", income(economy)),
        ("utilisation.svg", utilisation(economy)),
        ("spot.svg", spot(economy)),
        ("years.md", economy.table()),
        ("years.json", years(economy)),
    ]
}

fn lines(economy: &Economy, rows: &[(&'static str, bool, Value64)]) -> Vec<Line> {
    let line = |(name, is_bound, value): &(&'static str, bool, Value64)| Line {
        name,
        values: economy.months.iter().map(value).collect(),
        is_bound: *is_bound,
    };
    rows.iter().map(line).collect()
}

fn panel(title: &str, lines: Vec<Line>) -> Panel {
    Panel { title: title.to_owned(), lines }
}

fn supply(economy: &Economy) -> String {
    let rows: [(&str, bool, Value64); 4] = [
        ("total supply", false, |it| small(it.coins.total / THOUSANDTH)),
        ("circulating", false, |it| small(it.coins.circulating / THOUSANDTH)),
        ("emitted", false, |it| small(it.coins.emitted / THOUSANDTH)),
        ("cap", true, |_| 800_000),
    ];
    figure(&[panel("Supply, millions of coins", lines(economy, &rows))], FROM)
}

fn burned(economy: &Economy) -> String {
    let rows: [(&str, bool, Value64); 1] =
        [("burned in all", false, |it| small(it.coins.burned / THOUSANDTH))];
    let a_month = |value: fn(&Sample) -> u128| {
        let before = std::iter::once(0).chain(economy.months.iter().map(value));
        let both = economy.months.iter().map(value).zip(before);
        both.map(|(now, before)| small((now - before) / THOUSANDTH)).collect()
    };
    let monthly = a_month(|it| it.coins.burned);
    let emitted = a_month(|it| it.coins.emitted);
    let month = |name, values| Line { name, values, is_bound: false };
    let panels = [
        panel("Burned, millions of coins", lines(economy, &rows)),
        panel(
            "A month, millions of coins",
            vec![month("burned", monthly), month("emitted", emitted)],
        ),
    ];
    figure(&panels, FROM)
}

fn vesting(economy: &Economy) -> String {
    let of = |(index, name): (usize, &'static str)| {
        let months = economy.months.iter().take(VESTING_MONTHS);
        let values = months.map(|it| small(it.released[index] / THOUSANDTH)).collect();
        Line { name, values, is_bound: false }
    };
    let lines = CLASSES.into_iter().enumerate().map(of).collect();
    figure(&[panel("Released of genesis, millions of coins", lines)], FROM)
}

fn staked(economy: &Economy) -> String {
    let rows: [(&str, bool, Value64); 2] = [
        ("on machines", false, |it| small(it.coins.staked / THOUSANDTH)),
        ("in the safety module", false, |it| small(it.coins.safety / THOUSANDTH)),
    ];
    figure(&[panel("Staked, millions of coins", lines(economy, &rows))], FROM)
}

fn prices(economy: &Economy) -> String {
    let coin: [(&str, bool, Value64); 1] =
        [("coin, at full size", false, |it| it.micros * SCALE / 1_000)];
    let card: [(&str, bool, Value64); 1] = [("H100, an hour", false, |it| it.prices[0] / 1_000)];
    let home: [(&str, bool, Value64); 1] =
        [("RTX 3090, an hour", false, |it| it.prices[1] / 1_000)];
    let panels = [
        panel("A coin, US dollars", lines(economy, &coin)),
        panel("An H100 for an hour, US dollars", lines(economy, &card)),
        panel("An RTX 3090 for an hour, US dollars", lines(economy, &home)),
    ];
    figure(&panels, FROM)
}

fn income(economy: &Economy) -> String {
    // A month in thousandths of a thousand dollars, of the whole network.
    let thousand = |micros: u128| small(micros * u128::from(SCALE) / 1_000_000);
    let of = |class: Class| {
        let index = class.index();
        let line = |name, value: fn(&super::sample::OfClass) -> u128| Line {
            name,
            values: economy.months.iter().map(|it| thousand(value(&it.classes[index]))).collect(),
            is_bound: false,
        };
        let lines = vec![
            line("rentals", |it| it.rentals),
            line("block rewards", |it| it.rewards),
            Line { is_bound: true, ..line("running costs", |it| it.cost) },
        ];
        panel(&format!("Income of {} suppliers, thousand US dollars a month", class.text()), lines)
    };
    figure(&Class::ALL.map(of), FROM)
}

fn utilisation(economy: &Economy) -> String {
    let rows: [(&str, bool, Value64); 4] = [
        ("H100", false, |it| it.utilisation(0) * 100),
        ("RTX 3090", false, |it| it.utilisation(1) * 100),
        ("processors", false, |it| it.utilisation(2) * 100),
        ("target of prices", true, |_| 80_000),
    ];
    let machines: [(&str, bool, Value64); 3] = [
        ("enterprise", false, |it| it.classes[0].machines * SCALE * 1_000),
        ("community", false, |it| it.classes[1].machines * SCALE * 1_000),
        ("cpu", false, |it| it.classes[2].machines * SCALE * 1_000),
    ];
    let panels = [
        panel("Rented, percent of what there is", lines(economy, &rows)),
        panel("Machines", lines(economy, &machines)),
    ];
    figure(&panels, FROM)
}

fn spot(economy: &Economy) -> String {
    let share: [(&str, bool, Value64); 2] = [
        ("H100", false, |it| it.spot_share(0) * 100),
        ("RTX 3090", false, |it| it.spot_share(1) * 100),
    ];
    let price: [(&str, bool, Value64); 2] = [
        ("H100", false, |it| it.spot_price(0) * 100),
        ("RTX 3090", false, |it| it.spot_price(1) * 100),
    ];
    let gone: [(&str, bool, Value64); 2] = [
        ("for somebody on demand", false, |it| it.wanted_back * 1_000),
        ("outbid", false, |it| it.outbid * 1_000),
    ];
    let panels = [
        panel("Spot, percent of rented hours", lines(economy, &share)),
        panel("What spot costs, percent of the price on demand", lines(economy, &price)),
        panel("Spot rentals that had to go, a month", lines(economy, &gone)),
    ];
    figure(&panels, FROM)
}

/// The years for programs: coins in millions, dollars of the whole network.
fn years(economy: &Economy) -> String {
    let row = |year: &Sample| {
        let coins = &year.coins;
        let class = |class: Class| {
            let of = &year.classes[class.index()];
            let scale = u128::from(SCALE);
            let whole = |micros: u128| small(micros * scale / 1_000_000);
            json!({
                "machines": of.machines * SCALE,
                "rewards_usd": whole(of.rewards),
                "rentals_usd": whole(of.rentals),
                "costs_usd": whole(of.cost),
                "utilisation_permille": year.utilisation(class.index()),
                "spot_usd": whole(of.spot.income),
                "spot_hours_permille": year.spot_share(class.index()),
                "spot_price_permille": year.spot_price(class.index()),
            })
        };
        json!({
            "to": year.month.map(|month| month.to_string()),
            "coins_millions": {
                "total": millions(coins.total),
                "circulating": millions(coins.circulating),
                "emitted": millions(coins.emitted),
                "burned": millions(coins.burned),
                "staked": millions(coins.staked),
                "safety_module": millions(coins.safety),
                "unvested": millions(coins.unvested),
                "treasury": millions(coins.treasury),
            },
            "coin_usd": dollars(year.micros * SCALE, 4),
            "h100_hour_usd": dollars(year.prices[0], 3),
            "rtx_3090_hour_usd": dollars(year.prices[1], 3),
            "enterprise": class(Class::Enterprise),
            "community": class(Class::Community),
            "cpu": class(Class::Processor),
            "refused": year.refused,
            "spot_went_for_others": year.wanted_back,
            "spot_went_outbid": year.outbid,
        })
    };
    let years: Vec<Value> = economy.years().iter().map(row).collect();
    let all = json!({ "seed": economy.seed, "scale": SCALE, "years": years });
    serde_json::to_string_pretty(&all).expect("plain data") + "\n"
}
