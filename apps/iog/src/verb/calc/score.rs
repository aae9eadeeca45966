//! What a machine counts for in a block, and what must be staked on it.

use control::Parameters;
use rewards::score::{QUANTITY_MAX, tier_number};
use serde::Serialize;
use units::{Coins, Multiplier, Tier};

use super::models::model;
use super::{Answer, coins, lines};
use crate::failure::Failure;

const SCORE: &str = "\
The formula (io.net's documents): 100 × (100 × (0.02 × tier ÷ 4 + 2.0 × multiplier × quantity)
+ 0.05 × hired). Multiplied out: 50 a tier, 200 for each hundredth of the multiplier of each chip,
5 for being hired. Tiers are numbered from 0, none, to 4, ultra-high.";

const STAKE: &str = "\
The formula (io.net's documents): 200 coins × the multiplier, at least 1 × the number of chips.";

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{SCORE}\n\nExamples:
  iog calc score --tier 4 --multiplier 10 --quantity 8 --hired
  iog calc score --tier low --model 'RTX 4090' --quantity 2"))]
#[group(skip)]
pub(super) struct ScoreArgs {
    /// How it is connected: 0 to 4, or none, low, medium, high, ultra-high.
    #[arg(long, value_parser = tier)]
    tier: Tier,
    /// How much one of its chips counts for.
    #[arg(long, value_name = "N", required_unless_present = "model", conflicts_with = "model")]
    multiplier: Option<Multiplier>,
    /// The model whose multiplier it is.
    #[arg(long)]
    model: Option<String>,
    /// How many chips it has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    quantity: u32,
    /// It was hired in the hour.
    #[arg(long)]
    hired: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{STAKE}\n\nExample:\n  iog calc stake --model H100 --quantity 8"))]
pub(super) struct StakeArgs {
    /// The model.
    #[arg(long)]
    model: String,
    /// How many of them the machine has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    quantity: u32,
}

/// A tier by its number or its word.
pub(super) fn tier(text: &str) -> Result<Tier, String> {
    let numbered = Tier::ALL.iter().copied().find(|tier| tier_number(*tier).to_string() == text);
    numbered.map_or_else(|| text.parse().map_err(|why: units::UnknownWord| why.to_string()), Ok)
}

/// A machine's score.
#[derive(Debug, Serialize)]
pub(super) struct ScoreAnswer {
    tier: Tier,
    multiplier: Multiplier,
    quantity: u32,
    hired: bool,
    for_tier: u64,
    for_hardware: u64,
    for_hire: u64,
    base: u64,
}

impl ScoreArgs {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<ScoreAnswer, Failure> {
        let multiplier = match (&self.multiplier, &self.model) {
            (Some(multiplier), _) => *multiplier,
            (None, Some(name)) => model(parameters, name, |model| model.multiplier)?.multiplier,
            (None, None) => Multiplier::default(),
        };
        let Self { tier, hired, .. } = *self;
        let quantity = self.quantity.min(QUANTITY_MAX);
        let rules = &parameters.blocks.score;
        let nothing = Multiplier::default();
        Ok(ScoreAnswer {
            tier,
            multiplier,
            quantity,
            hired,
            for_tier: rules.base(tier, nothing, 0, false),
            for_hardware: rules.base(Tier::None, multiplier, quantity, false),
            for_hire: rules.base(Tier::None, nothing, 0, hired),
            base: rules.base(tier, multiplier, quantity, hired),
        })
    }
}

impl Answer for ScoreAnswer {
    fn text(&self) -> String {
        let Self { tier, multiplier, quantity, .. } = self;
        let hired = if self.hired { "hired" } else { "not hired" };
        let figures = [
            ("its tier", format!("{:>9}  {tier}, {} of 4", self.for_tier, tier_number(*tier))),
            ("its chips", format!("{:>9}  {quantity} × {multiplier}", self.for_hardware)),
            ("being hired", format!("{:>9}  {hired}", self.for_hire)),
            ("base score", format!("{:>9}", self.base)),
        ];
        lines(&figures)
    }
}

/// A machine's stake.
#[derive(Debug, Serialize)]
pub(super) struct StakeAnswer {
    model: String,
    multiplier: Multiplier,
    quantity: u32,
    stake_per_unit: Coins,
    stake: Coins,
}

impl StakeArgs {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<StakeAnswer, Failure> {
        let found = model(parameters, &self.model, |model| model.multiplier)?;
        let rules = &parameters.stakes;
        Ok(StakeAnswer {
            model: found.name.clone(),
            multiplier: found.multiplier,
            quantity: self.quantity,
            stake_per_unit: rules.stake_per_unit,
            stake: rules.need(found.multiplier, self.quantity),
        })
    }
}

impl Answer for StakeAnswer {
    fn text(&self) -> String {
        let Self { model, multiplier, quantity, stake_per_unit, stake } = self;
        let figures = [
            ("machine", format!("{quantity} × {model}, which counts {multiplier} each")),
            ("a unit", coins(*stake_per_unit)),
            ("must be staked", coins(*stake)),
        ];
        lines(&figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(tier: &str, multiplier: &str, quantity: u32, hired: bool) -> ScoreAnswer {
        let tier = super::tier(tier).unwrap();
        let multiplier = Some(multiplier.parse().unwrap());
        let args = ScoreArgs { tier, multiplier, model: None, quantity, hired };
        args.answer(&Parameters::default()).unwrap()
    }

    #[test]
    fn scores_as_io_net_showed_them() {
        // A100 80 PCIe of 2024-06-20 and RTX 3080 × 6.
        assert_eq!(score("4", "5", 1, false).base, 100_200);
        assert_eq!(score("low", "0.25", 6, false).base, 30_050);
    }

    #[test]
    fn a_tier_is_a_number_or_a_word() {
        assert_eq!(tier("0"), Ok(Tier::None));
        assert_eq!(tier("4"), tier("ultra-high"));
        assert!(tier("5").is_err());
    }

    #[test]
    fn eight_h100_need_sixteen_thousand_coins() {
        let args = StakeArgs { model: "H100".to_owned(), quantity: 8 };
        let answer = args.answer(&Parameters::default()).unwrap();
        assert_eq!(answer.stake.to_string(), "16000.00000000");
    }
}
