//! What a machine can expect of blocks, beside so much else in its group.

use std::path::PathBuf;

use control::Parameters;
use rewards::block::{GroupName, Grouping};
use serde::Serialize;
use serde_json::Value;
use units::{Coins, DeviceKind, Hour, Pool, Tier};

use super::emission::{schedule, shares};
use super::models::model;
use super::score::tier;
use super::{Answer, coins, lines};
use crate::failure::Failure;
use crate::file;

/// Hours of a day and of thirty days.
const DAY_HOURS: u32 = 24;
const MONTH_HOURS: u32 = 30 * 24;

const HELP: &str = "\
The formula (io.net's documents): of what its group shares in an hour, a machine gets its base
score ÷ the base scores of all machines of the group that earn, its own among them. A day is 24
hours and a month 720, each with its own block. What the others do in them, nobody knows: here the
group stays as it is, and the machine earns in every hour.

Examples:
  iog calc earnings --model H100 --quantity 8 --tier high --group-base 12000000 --hour 2025-03-05T10
  iog calc earnings --model H100 --quantity 8 --tier high --hired --network block.json
  iog blocks 2025-03-05T10 --json > block.json    # a block as a network has it";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The model of its chips.
    #[arg(long)]
    model: String,
    /// How many chips it has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    quantity: u32,
    /// How it is connected: 0 to 4, or none, low, medium, high, ultra-high.
    #[arg(long, value_parser = tier, default_value = "low")]
    tier: Tier,
    /// It is hired in every hour.
    #[arg(long)]
    hired: bool,
    /// The base scores of all other machines of its group that earn.
    #[arg(long, value_name = "N", required_unless_present = "network", conflicts_with = "network")]
    group_base: Option<u128>,
    /// A file with a block as a server writes it: the group is as it was there, and the hour is the next.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// From which hour on, in UTC; needed with --group-base.
    #[arg(long, value_name = "HOUR", required_unless_present = "network")]
    hour: Option<Hour>,
}

/// What it can expect.
#[derive(Debug, Serialize)]
pub(super) struct Expected {
    model: String,
    group: GroupName,
    base: u64,
    group_base_of_others: u128,
    /// Its part of the group, in millionths, rounded down.
    share_millionths: u128,
    from: Hour,
    hour: Coins,
    day: Coins,
    month: Coins,
}

/// The group of a block beside which a machine is put.
struct Beside {
    base: u128,
    from: Hour,
}

impl Args {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<Expected, Failure> {
        let like = |model: &market::Model| (model.multiplier, model.pool, model.kind);
        let model = model(parameters, &self.model, like)?;
        let rules = &parameters.blocks;
        let first = match rules.grouping {
            Grouping::Kind => model.kind == DeviceKind::Gpu,
            Grouping::Pool => model.pool == Pool::Enterprise,
        };
        let group = rules.groups()[usize::from(!first)].0;
        let beside = self.beside(group)?;
        let base = rules.score.base(self.tier, model.multiplier, self.quantity, self.hired);
        let all = beside.base.saturating_add(u128::from(base));
        let schedule = schedule(parameters)?;
        let of_hour = |hour: Hour| {
            let (_, groups) = shares(parameters, schedule.block(hour));
            let amount = groups.iter().find(|it| it.name() == group).map(|it| it.amount().units());
            let part = u128::from(amount.unwrap_or(0)) * u128::from(base);
            u64::try_from(part.checked_div(all).unwrap_or(0)).unwrap_or(u64::MAX)
        };
        let of =
            |hours: u32| Coins::from_units((0..hours).map(|n| of_hour(beside.from.later(n))).sum());
        Ok(Expected {
            model: model.name.clone(),
            group,
            base,
            group_base_of_others: beside.base,
            share_millionths: (u128::from(base) * 1_000_000).checked_div(all).unwrap_or(0),
            from: beside.from,
            hour: of(1),
            day: of(DAY_HOURS),
            month: of(MONTH_HOURS),
        })
    }

    fn beside(&self, group: GroupName) -> Result<Beside, Failure> {
        if let (Some(base), Some(from)) = (self.group_base, self.hour) {
            return Ok(Beside { base, from });
        }
        let Some(path) = &self.network else {
            return Err(Failure::usage(
                "beside what?",
                "say --group-base and --hour, or --network",
            ));
        };
        let text = file::read_text(path)?;
        let beside = beside_in(&text, group).ok_or_else(|| {
            let hint = "`iog blocks HOUR --json` writes one";
            Failure::usage(format!("{}: not a block that is closed", path.display()), hint)
        })?;
        Ok(Beside { from: self.hour.unwrap_or(beside.from), ..beside })
    }
}

/// What a block says of a group.
fn beside_in(text: &str, group: GroupName) -> Option<Beside> {
    let block: Value = serde_json::from_str(text).ok()?;
    let hour: Hour = block["hour"].as_str()?.parse().ok()?;
    let named = |found: &&Value| found["name"] == group.text();
    let found = block["groups"].as_array()?.iter().find(named)?;
    // Sums of scores are text on the wire: they may be more than JSON numbers hold.
    Some(Beside { base: found["base"].as_str()?.parse().ok()?, from: hour.next() })
}

impl Answer for Expected {
    fn text(&self) -> String {
        let (whole, part) = (self.share_millionths / 10_000, self.share_millionths % 10_000);
        let figures = [
            ("machine", format!("{}, of the group {}", self.model, self.group.text())),
            ("base score", format!("{:>9}", self.base)),
            ("… of the others", format!("{:>9}", self.group_base_of_others)),
            ("its part", format!("{whole:>9}.{part:04} %")),
            ("from", self.from.to_string()),
            ("an hour", coins(self.hour)),
            ("a day", coins(self.day)),
            ("thirty days", coins(self.month)),
        ];
        lines(&figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(model: &str, group_base: u128) -> Args {
        Args {
            model: model.to_owned(),
            quantity: 8,
            tier: Tier::High,
            hired: true,
            group_base: Some(group_base),
            network: None,
            hour: Some("2025-03-05T10".parse().unwrap()),
        }
    }

    #[test]
    fn who_is_alone_has_all() {
        let answer = args("H100", 0).answer(&Parameters::default()).unwrap();
        // 95 % of what the safety module leaves of 4,129.11742836.
        assert_eq!(answer.hour.to_string(), "3804.98171023");
        assert_eq!(answer.share_millionths, 1_000_000);
    }

    #[test]
    fn a_block_says_what_the_others_have() {
        let block = r#"{"hour":"2025-03-05T10:00:00","groups":[{"name":"enterprise","base":"7"}]}"#;
        let beside = beside_in(block, GroupName::Enterprise).unwrap();
        assert_eq!((beside.base, beside.from.to_string().as_str()), (7, "2025-03-05T11:00:00"));
        assert!(beside_in(block, GroupName::Community).is_none());
        assert!(beside_in("{}", GroupName::Enterprise).is_none());
    }
}
