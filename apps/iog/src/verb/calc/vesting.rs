//! What is released of coins that were set aside at the beginning.

use control::Parameters;
use rewards::vesting::Schedule;
use serde::Serialize;
use units::{Coins, Timestamp};
use wire::Time;

use super::{Answer, coins, lines};
use crate::failure::Failure;
use crate::show::{moment, percent};

const HELP: &str = "\
The formula (io.net's documents): a share at the start, and the rest in equal monthly parts after a
wait. Of the cap of 800 million coins, seed 12.5 %, series-a 10.2 % (both: nothing for 12 months,
then 24 parts), core 11.3 % (12 months, then 36 parts), ecosystem 16 % (30 % at the start, 35 parts
from the eighth month on), community 12.5 % (56 % at the start, 41 parts).

Example:
  iog calc vesting --class seed --at 2026-06-11 --from 2024-06-11";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Which class: community, ecosystem, seed, series-a, core.
    #[arg(long)]
    class: String,
    /// On which day, or at which moment, in UTC.
    #[arg(long, value_name = "DATE", value_parser = day)]
    at: Time,
    /// When it began.
    #[arg(long, value_name = "DATE", value_parser = day, default_value = "2024-06-11")]
    from: Time,
    /// Of this many coins; else of the whole class.
    #[arg(long, value_name = "COINS")]
    coins: Option<Coins>,
}

/// `2026-06-11`, or a moment as RFC 3339 writes it.
fn day(text: &str) -> Result<Time, String> {
    let full = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    serde_json::from_value(serde_json::Value::String(full))
        .map_err(|_| "write it as in 2026-06-11 or 2026-06-11T12:00:00Z".to_owned())
}

/// What is released.
#[derive(Debug, Serialize)]
pub(super) struct Released {
    class: String,
    schedule: Schedule,
    from: Time,
    at: Time,
    coins: Coins,
    released: Coins,
    left: Coins,
}

impl Args {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<Released, Failure> {
        let classes = parameters.genesis.classes();
        let found = classes.iter().find(|(name, _)| *name == self.class);
        let Some((_, allocation)) = found else {
            let names: Vec<&str> = classes.iter().map(|(name, _)| *name).collect();
            let what = format!("there is no class `{}`", self.class);
            return Err(Failure::usage(what, format!("it is one of {}", names.join(", "))));
        };
        let coins = self.coins.unwrap_or(allocation.amount);
        let (Time(from), Time(at)): (Time, Time) = (self.from, self.at);
        let released = released(&allocation.schedule, coins, from, at);
        Ok(Released {
            class: self.class.clone(),
            schedule: allocation.schedule,
            from: self.from,
            at: self.at,
            coins,
            released,
            left: coins.checked_sub(released).unwrap_or(Coins::ZERO),
        })
    }
}

fn released(schedule: &Schedule, coins: Coins, from: Timestamp, at: Timestamp) -> Coins {
    schedule.released(coins, from, at)
}

impl Answer for Released {
    fn text(&self) -> String {
        let Schedule { start_bp, cliff_months, parts } = self.schedule;
        let schedule = format!(
            "{} at the start, {parts} monthly parts, the first {cliff_months} months after it",
            percent(start_bp)
        );
        let figures = [
            ("class", format!("{}, {schedule}", self.class)),
            ("from", moment(self.from)),
            ("at", moment(self.at)),
            ("set aside", coins(self.coins)),
            ("released", coins(self.released)),
            ("left", coins(self.left)),
        ];
        lines(&figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(class: &str, at: &str) -> Args {
        Args {
            class: class.to_owned(),
            at: day(at).unwrap(),
            from: day("2024-06-11").unwrap(),
            coins: None,
        }
    }

    #[test]
    fn nothing_before_the_first_part_and_all_at_the_end() {
        let of = |class, at| args(class, at).answer(&Parameters::default()).unwrap().released;
        assert_eq!(of("seed", "2025-06-10"), Coins::ZERO);
        assert_eq!(of("core", "2034-01-01").to_string(), "90400000.00000000");
        assert_eq!(of("ecosystem", "2024-06-11").to_string(), "38400000.00000000");
        assert_eq!(
            args("mine", "2025-06-10").answer(&Parameters::default()).unwrap_err().exit().number(),
            2
        );
        assert!(day("yesterday").is_err());
    }
}
