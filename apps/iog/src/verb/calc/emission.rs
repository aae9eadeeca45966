//! What blocks emit: by the month, and by the hour.

use control::Parameters;
use rewards::block::GroupName;
use rewards::emission::Emission;
use rewards::split;
use serde::Serialize;
use units::{Coins, Hour, Month};

use super::{Answer, coins, lines};
use crate::failure::Failure;
use crate::show::percent;

/// The formula of months, in io.net's words.
const MONTHS: &str = "\
The formula (io.net's documents): month m of 240 emits E(m) = 500,000,000 × 8 % ÷ 12 × q^(m-1)
coins. io.net prints q = 0.989849199; with it the months sum to 300,005,579 coins, so here q is
0.989848952962349516, with which they sum to the 300,000,000 of the documents, to the unit.";

/// The formula of hours.
const HOURS: &str = "\
The formula (io.net's documents): a block emits its month's coins ÷ the hours of that month.
The safety module has its share first; the two groups share what is left.";

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{MONTHS}\n\nExample:\n  iog calc emission --month 2025-03"))]
pub(super) struct EmissionArgs {
    /// Which month, as in 2025-03.
    #[arg(long, value_name = "MONTH")]
    month: Month,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{HOURS}\n\nExample:\n  iog calc block --hour 2025-03-05T10"))]
pub(super) struct BlockArgs {
    /// Which hour, in UTC, as in 2025-03-05T10.
    #[arg(long, value_name = "HOUR")]
    hour: Hour,
}

/// What a month emits.
#[derive(Debug, Serialize)]
pub(super) struct MonthAnswer {
    month: Month,
    /// Which month of the schedule it is; none before and after.
    number: Option<u32>,
    months: u32,
    emission: Coins,
    hours: u32,
    block: Coins,
    emitted_before: Coins,
    emitted_through: Coins,
    left: Coins,
}

/// What an hour emits.
#[derive(Debug, Serialize)]
pub(super) struct BlockAnswer {
    hour: Hour,
    emission: Coins,
    safety_module: Coins,
    safety_module_bp: u16,
    groups: [GroupAnswer; 2],
    emitted_through: Coins,
}

/// What a group of machines shares.
#[derive(Debug, Serialize)]
pub(super) struct GroupAnswer {
    name: GroupName,
    share_bp: u16,
    amount: Coins,
}

/// The schedule of parameters that were checked.
pub(super) fn schedule(parameters: &Parameters) -> Result<Emission, Failure> {
    Emission::new(&parameters.emission)
        .map_err(|why| Failure::usage(why.to_string(), "correct the emission's parameters"))
}

impl EmissionArgs {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<MonthAnswer, Failure> {
        let (schedule, month) = (schedule(parameters)?, self.month);
        let first = month.first_hour();
        let last = first.later(month.hours() - 1);
        let emission = schedule.month(month);
        let through = schedule.emitted_through(last);
        let less = |whole: Coins, part| whole.checked_sub(part).unwrap_or(Coins::ZERO);
        Ok(MonthAnswer {
            month,
            number: schedule.month_number(month),
            months: parameters.emission.months,
            emission,
            hours: month.hours(),
            block: schedule.block(first),
            emitted_before: less(through, emission),
            emitted_through: through,
            left: less(schedule.total(), through),
        })
    }
}

impl Answer for MonthAnswer {
    fn text(&self) -> String {
        let place = match self.number {
            Some(number) => format!("{}, {number} of {}", self.month, self.months),
            None => format!("{}, outside the schedule", self.month),
        };
        let figures = [
            ("month", place),
            ("emits", coins(self.emission)),
            ("hours", format!("{:>9}", self.hours)),
            ("an hour of it", coins(self.block)),
            ("emitted before it", coins(self.emitted_before)),
            ("emitted by its end", coins(self.emitted_through)),
            ("still to come", coins(self.left)),
        ];
        lines(&figures)
    }
}

/// What the hour's machines share in their two groups when both have some, and what the safety module gets.
pub(super) fn shares(parameters: &Parameters, emission: Coins) -> (Coins, [GroupAnswer; 2]) {
    let rules = &parameters.blocks;
    let safety_module = emission.share_floor(rules.safety_module_share_bp);
    let left = emission.units() - safety_module.units();
    let groups = rules.groups();
    let parts = split(left, &groups.map(|(_, share)| u64::from(share))).unwrap_or(vec![0, 0]);
    let group = |at: usize| GroupAnswer {
        name: groups[at].0,
        share_bp: groups[at].1,
        amount: Coins::from_units(parts[at]),
    };
    (safety_module, [group(0), group(1)])
}

impl GroupAnswer {
    pub(super) const fn name(&self) -> GroupName {
        self.name
    }

    pub(super) const fn amount(&self) -> Coins {
        self.amount
    }
}

impl BlockArgs {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<BlockAnswer, Failure> {
        let schedule = schedule(parameters)?;
        let emission = schedule.block(self.hour);
        let (safety_module, groups) = shares(parameters, emission);
        Ok(BlockAnswer {
            hour: self.hour,
            emission,
            safety_module,
            safety_module_bp: parameters.blocks.safety_module_share_bp,
            groups,
            emitted_through: schedule.emitted_through(self.hour),
        })
    }
}

impl Answer for BlockAnswer {
    fn text(&self) -> String {
        let share = |amount: Coins, bp: u16| format!("{}  {}", coins(amount), percent(bp));
        let [first, second] = &self.groups;
        let figures = [
            ("block", self.hour.to_string()),
            ("emits", coins(self.emission)),
            ("  the safety module", share(self.safety_module, self.safety_module_bp)),
            (
                group_label(first.name),
                format!("{} of the rest", share(first.amount, first.share_bp)),
            ),
            (
                group_label(second.name),
                format!("{} of the rest", share(second.amount, second.share_bp)),
            ),
            ("emitted by its end", coins(self.emitted_through)),
        ];
        lines(&figures)
    }
}

const fn group_label(name: GroupName) -> &'static str {
    match name {
        GroupName::Gpu => "  machines with GPUs",
        GroupName::Cpu => "  machines without",
        GroupName::Enterprise => "  the enterprise pool",
        GroupName::Community => "  the community",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_outside_the_schedule_emit_nothing() {
        for (month, left) in [("2024-06", "300000000.00000000"), ("2044-07", "0.00000000")] {
            let args = EmissionArgs { month: month.parse().unwrap() };
            let answer = args.answer(&Parameters::default()).unwrap();
            assert_eq!((answer.number, answer.emission), (None, Coins::ZERO), "{month}");
            assert_eq!(answer.left.to_string(), left, "{month}");
        }
    }
}
