//! The years as a table, for people and for programs.

use std::fmt::Write as _;

use super::Economy;
use super::sample::Sample;
use super::supplier::Class;
use super::town::SCALE;

/// Units of a million coins.
const MILLION: u128 = 100_000_000_000_000;

/// Millions of coins with two decimals.
pub(super) fn millions(units: u128) -> String {
    let hundredths = (units + MILLION / 200) / (MILLION / 100);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Thousands of dollars of millionths, of the whole network.
fn thousands(micros: u128) -> String {
    let thousands = micros * u128::from(SCALE) / 1_000_000_000;
    let mut text = thousands.to_string();
    let mut at = text.len();
    while at > 3 {
        at -= 3;
        text.insert(at, ',');
    }
    text
}

/// Dollars with so many decimals, of millionths.
pub(super) fn dollars(micros: u64, decimals: u32) -> String {
    let step = 10_u64.pow(6 - decimals);
    let rounded = (micros + step / 2) / step;
    let whole = 10_u64.pow(decimals);
    let width = usize::try_from(decimals).expect("at most six");
    format!("{}.{:0width$}", rounded / whole, rounded % whole)
}

fn percent(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

pub(super) fn years(economy: &Economy) -> String {
    let mut text = String::from(
        "| year to | total M | circulating M | emitted M | burned M | staked M | safety M | unvested M | coin USD | \
         H100 USD/h | 3090 USD/h | H100 used % | 3090 used % | machines | rentals kUSD | enterprise kUSD | \
         community kUSD | cpu kUSD | refused |\n",
    );
    text += "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|\n";
    for year in economy.years() {
        row(&mut text, &year);
    }
    text += "\n| year to | H100 spot % of hours | 3090 spot % of hours | H100 spot % of the price on demand | \
        3090 spot % of the price on demand | enterprise spot kUSD | community spot kUSD | spot % of rentals | \
        went for others | went outbid |\n";
    text += "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
    for year in economy.years() {
        spot_row(&mut text, &year);
    }
    let _ = writeln!(
        text,
        "\nseed {:#x}: {} journal entries, {} blocks, {} M coins of hours that nobody earned, {} quotes without a \
         rate, state {:016x}",
        economy.seed,
        economy.entries,
        economy.blocks,
        millions(economy.unearned),
        economy.no_rate,
        economy.hash,
    );
    text
}

fn row(text: &mut String, year: &Sample) {
    let coins = &year.coins;
    let month = year.month.map_or_else(String::new, |month| month.to_string());
    let income = |class: Class| {
        let of = &year.classes[class.index()];
        format!("{}+{}", thousands(of.rewards), thousands(of.rentals))
    };
    let machines = year.classes.map(|class| (class.machines * SCALE).to_string()).join("/");
    let _ = writeln!(
        text,
        "| {month} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {machines} | {} | {} | {} | {} | {} |",
        millions(coins.total),
        millions(coins.circulating),
        millions(coins.emitted),
        millions(coins.burned),
        millions(coins.staked),
        millions(coins.safety),
        millions(coins.unvested),
        dollars(year.micros * SCALE, 3),
        dollars(year.prices[0], 2),
        dollars(year.prices[1], 3),
        percent(year.utilisation(0)),
        percent(year.utilisation(1)),
        thousands(year.rentals()),
        income(Class::Enterprise),
        income(Class::Community),
        income(Class::Processor),
        year.refused,
    );
}

fn spot_row(text: &mut String, year: &Sample) {
    let month = year.month.map_or_else(String::new, |month| month.to_string());
    let income = |class: Class| year.classes[class.index()].spot.income;
    let all: u128 = Class::ALL.into_iter().map(income).sum();
    let of_rentals = u64::try_from(all * 1_000 / year.rentals().max(1)).unwrap_or(u64::MAX);
    let _ = writeln!(
        text,
        "| {month} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        percent(year.spot_share(0)),
        percent(year.spot_share(1)),
        percent(year.spot_price(0)),
        percent(year.spot_price(1)),
        thousands(income(Class::Enterprise)),
        thousands(income(Class::Community)),
        percent(of_rentals),
        year.wanted_back,
        year.outbid,
    );
}
