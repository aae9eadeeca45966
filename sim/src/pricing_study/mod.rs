//! Which way of making prices serves renters and suppliers, and what a supplier can gain by bending it.
//!
//! [`report`] plays a market of a thousand cards of one model over half a year, hour by hour: demand with days, weeks,
//! a season and shocks, of people to whom a card is worth more or less; suppliers who leave when it does not pay and
//! come when it does; and one supplier under watch that is honest or not. Each way of making prices meets the same
//! seeds. It prints three tables; seeds decide all of them.
//!
//! Absent on purpose: everything but prices. There is no journal here, no ledger, and nothing ever fails but supply.

mod attack;
mod demand;
mod policy;
mod tally;
mod town;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use market::PricingRules;

use self::attack::Attack;
use self::demand::World;
use self::policy::Policy;
use self::tally::Tally;

/// The shares of all cards that the supplier under watch has, in hundredths.
const SHARES: [u32; 4] = [5, 10, 20, 40];

/// What many seeds come to, and the mean price of each day.
struct Run {
    tally: Tally,
    days: Vec<u64>,
}

fn over_seeds(policy: &Policy, world: World, deed: (Attack, u32), seeds: u64) -> Run {
    let mut tally = Tally::default();
    let mut hours: Vec<u64> = Vec::new();
    for seed in 0..seeds {
        let (one, prices) = town::play(policy.clone(), world, deed, seed);
        tally.add(&one);
        hours.resize(prices.len(), 0);
        hours.iter_mut().zip(prices).for_each(|(sum, price)| *sum += price);
    }
    let days = hours.chunks(24).map(|day| day.iter().sum::<u64>() / (24 * seeds.max(1))).collect();
    Run { tally, days }
}

/// The tables of the study over this many seeds, and over half as many where other rules are tried.
pub fn report(seeds: u64) -> String {
    let mut text = calm(seeds);
    text += &attacked(seeds);
    text += &tried(seeds.div_ceil(2));
    text
}

fn policies() -> [(&'static str, Policy); 3] {
    let rules = PricingRules::default();
    [
        ("fixed", Policy::Fixed),
        ("naive", Policy::Naive(rules.clone(), 1_000_000)),
        ("iog", Policy::bounded(rules)),
    ]
}

/// Without attacks, with a base price that is right, too low and too high.
fn calm(seeds: u64) -> String {
    let mut text = String::from("Without attacks\n\n");
    text += "| price | utilisation | refused | surplus | mean price | range | mean move an hour | largest |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    let worlds =
        [("base right", 1_000), ("base a third too low", 1_500), ("base half too high", 667)];
    for (world, scale) in worlds {
        for (name, policy) in &policies() {
            let result =
                over_seeds(policy, World::ELASTIC.scaled(scale), (Attack::Honest, 10), seeds);
            line(&mut text, &format!("{name}, {world}"), &result);
        }
    }
    text
}

/// Every attack at every share, where demand is stiff.
fn attacked(seeds: u64) -> String {
    let mut text = String::from(
        "\nAttacks: profit against honesty, mean price, the largest change of a day's price\n\n",
    );
    text += "| attack | share | naive: profit | price | day | iog: profit | price | day |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    let [_, (_, naive), (_, bounded)] = policies();
    let over =
        |policy: &Policy, attack, share| over_seeds(policy, World::STIFF, (attack, share), seeds);
    let honest = SHARES.map(|share| {
        (share, over(&naive, Attack::Honest, share), over(&bounded, Attack::Honest, share))
    });
    for attack in Attack::ALL {
        for (share, honest_naive, honest_bounded) in &honest {
            let _ = write!(text, "| {} | {share} %", attack.text());
            versus(&mut text, &over(&naive, *attack, *share), honest_naive);
            versus(&mut text, &over(&bounded, *attack, *share), honest_bounded);
            text += " |\n";
        }
    }
    text
}

/// The defaults beside other rules: without attacks where demand is elastic, with them where it is stiff.
fn tried(seeds: u64) -> String {
    let mut text = String::from("\nOther rules, and all attacks at a share of 20 %\n\n");
    text += "| rules | utilisation | refused | surplus | mean price | range | mean move an hour | largest ";
    text += "| most profit | by | highest price | by | day when all is withheld |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (name, rules) in variants() {
        variant(&mut text, name, &Policy::bounded(rules), seeds);
    }
    text
}

fn line(text: &mut String, name: &str, result: &Run) {
    let tally = &result.tally;
    let (least, most) = tally.price_range();
    let _ = writeln!(
        text,
        "| {name} | {} % | {} % | {} | {} | {} to {} | {} % | {} % |",
        tenths(tally.utilisation_permille()),
        tenths(tally.refused_permille()),
        tally.surplus_an_hour(),
        price(tally.price_mean()),
        price(least),
        price(most),
        hundredths(tally.moved_hundredths_bp() / 100),
        hundredths(tally.moved_max_bp()),
    );
}

fn versus(text: &mut String, attacked: &Run, honest: &Run) {
    let _ = write!(
        text,
        " | {} | {} | {}",
        percent(profit(attacked, honest)),
        percent(change(attacked.tally.price_mean(), honest.tally.price_mean())),
        percent(largest_day(attacked, honest)),
    );
}

/// By how much a day's price differs at most.
fn largest_day(attacked: &Run, honest: &Run) -> i64 {
    let days = attacked.days.iter().zip(&honest.days).map(|(one, other)| change(*one, *other));
    days.max_by_key(|change| change.abs()).unwrap_or(0)
}

fn variant(text: &mut String, name: &str, policy: &Policy, seeds: u64) {
    line(text, name, &over_seeds(policy, World::ELASTIC, (Attack::Honest, 10), seeds));
    let over = |attack| over_seeds(policy, World::STIFF, (attack, 20), seeds);
    let honest = over(Attack::Honest);
    let attacks = Attack::ALL.iter().map(|attack| (*attack, over(*attack)));
    let attacks: BTreeMap<Attack, Run> = attacks.collect();
    let price = |run: &Run| change(run.tally.price_mean(), honest.tally.price_mean());
    let best_by = |of: &dyn Fn(&Run) -> i64| {
        let rated = attacks.iter().map(|(attack, run)| (of(run), attack.text()));
        rated.max_by_key(|(rate, _)| *rate).expect("there are attacks")
    };
    let (profit, profits_by) = best_by(&|run| profit(run, &honest));
    let (price, moved_by) = best_by(&price);
    let day = largest_day(&attacks[&Attack::WithholdPulse], &honest);
    // Goes on in the row that was begun.
    text.truncate(text.trim_end().len());
    let (profit, price, day) = (percent(profit), percent(price), percent(day));
    let _ = writeln!(text, " {profit} | {profits_by} | {price} | {moved_by} | {day} |");
}

/// The rules that were tried beside the defaults.
fn variants() -> Vec<(&'static str, PricingRules)> {
    let with = |change: fn(&mut PricingRules)| {
        let mut rules = PricingRules::default();
        change(&mut rules);
        rules
    };
    vec![
        ("default", with(|_| {})),
        ("gain 1", with(|rules| rules.gain_bp = 10_000)),
        ("gain 1.5", with(|rules| rules.gain_bp = 15_000)),
        ("gain 3", with(|rules| rules.gain_bp = 30_000)),
        ("gain 4", with(|rules| rules.gain_bp = 40_000)),
        ("target 70 %", with(|rules| rules.target_utilisation_bp = 7_000)),
        ("target 75 %", with(|rules| rules.target_utilisation_bp = 7_500)),
        ("target 85 %", with(|rules| rules.target_utilisation_bp = 8_500)),
        (
            "windows 1 and 1 h",
            with(|rules| (rules.short_window_hours, rules.long_window_hours) = (1, 1)),
        ),
        (
            "windows 3 and 12 h",
            with(|rules| (rules.short_window_hours, rules.long_window_hours) = (3, 12)),
        ),
        (
            "windows 6 and 48 h",
            with(|rules| (rules.short_window_hours, rules.long_window_hours) = (6, 48)),
        ),
        (
            "windows 24 and 24 h",
            with(|rules| (rules.short_window_hours, rules.long_window_hours) = (24, 24)),
        ),
        (
            "windows 6 and 168 h",
            with(|rules| (rules.short_window_hours, rules.long_window_hours) = (6, 168)),
        ),
        ("half a percent an hour", with(|rules| (rules.rise_max_bp, rules.fall_max_bp) = (50, 50))),
        ("2 % an hour", with(|rules| (rules.rise_max_bp, rules.fall_max_bp) = (200, 200))),
        ("5 % an hour", with(|rules| (rules.rise_max_bp, rules.fall_max_bp) = (500, 500))),
        ("swing 5 %", with(|rules| rules.supplier_swing_max_bp = 500)),
        ("swing 10 %", with(|rules| rules.supplier_swing_max_bp = 1_000)),
        ("memory of 3 days", with(|rules| rules.withdrawal_window_hours = 72)),
        ("memory of 60 days", with(|rules| rules.withdrawal_window_hours = 60 * 24)),
        ("suppliers to 10 %", with(|rules| rules.supplier_share_max_bp = 1_000)),
        ("suppliers to 33 %", with(|rules| rules.supplier_share_max_bp = 3_300)),
        ("renters to 5 %", with(|rules| rules.renter_share_max_bp = 500)),
        ("renters to 20 %", with(|rules| rules.renter_share_max_bp = 2_000)),
        (
            "requests do not count",
            with(|rules| (rules.refused_each_max_bp, rules.refused_all_max_bp) = (0, 0)),
        ),
        ("requests to 10 % in all", with(|rules| rules.refused_all_max_bp = 1_000)),
        ("requests to 20 % in all", with(|rules| rules.refused_all_max_bp = 2_000)),
        ("requests to 50 % in all", with(|rules| rules.refused_all_max_bp = 5_000)),
        ("requests to 3 % each", with(|rules| rules.refused_each_max_bp = 300)),
        (
            "no caps at all",
            with(|rules| {
                (rules.supplier_swing_max_bp, rules.supplier_share_max_bp) = (10_000, 10_000);
                (rules.renter_share_max_bp, rules.withdrawn_max_bp) = (10_000, 9_999);
                (rules.refused_each_max_bp, rules.refused_all_max_bp) = (10_000, 10_000);
            }),
        ),
    ]
}

/// What the supplier under watch made more than it would have by honesty, in hundredths of a percent of that.
fn profit(attacked: &Run, honest: &Run) -> i64 {
    let (attacked, honest) = (attacked.tally.watched_ppm, honest.tally.watched_ppm);
    i64::try_from((attacked - honest) * 10_000 / honest.abs().max(1)).expect("a change of a profit")
}

fn change(to: u64, from: u64) -> i64 {
    let (to, from) = (i128::from(to), i128::from(from));
    i64::try_from((to - from) * 10_000 / from.max(1)).expect("a change of a price")
}

fn tenths(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

fn hundredths(bp: u64) -> String {
    format!("{}.{:02}", bp / 100, bp % 100)
}

fn price(ppm: u64) -> String {
    format!("{}.{:02}", ppm / 1_000_000, ppm % 1_000_000 / 10_000)
}

fn percent(bp: i64) -> String {
    let sign = if bp < 0 { '-' } else { '+' };
    format!("{sign}{}.{} %", bp.abs() / 100, bp.abs() % 100 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_that_follow_demand_turn_fewer_people_away() {
        let play = |policy: &Policy| over_seeds(policy, World::ELASTIC, (Attack::Honest, 10), 1);
        let [(_, fixed), _, (_, bounded)] = policies();
        let (fixed, bounded) = (play(&fixed), play(&bounded));
        assert!(bounded.tally.refused_permille() * 4 < fixed.tally.refused_permille());
        assert!(bounded.tally.moved_max_bp() <= u64::from(PricingRules::default().rise_max_bp));
    }
}
