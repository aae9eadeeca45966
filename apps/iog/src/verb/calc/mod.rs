//! `iog calc`: what the network's formulas give, worked out here, without a server.
//!
//! Every figure is made by the code that the server runs; a set of parameters downloaded from a server gives what that
//! network would.
//!
//! # Invariants
//! - Nothing here speaks to anybody or reads a clock: the same words give the same figures, always.

mod earnings;
mod emission;
mod models;
mod quote;
mod score;
mod vesting;

use std::path::{Path, PathBuf};

use anyhow::Context;
use control::Parameters;
use serde::Serialize;
use serde_json::Value;
use units::Coins;

use crate::failure::Failure;
use crate::file;
use crate::screen::Screen;

/// Work out what coins, scores, stakes, earnings and prices come to; needs no server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Go by these parameters, as `iog operator parameters show --json` writes them; else by those that a network
    /// begins with.
    #[arg(long, global = true, value_name = "FILE")]
    parameters: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what a month's blocks emit.
    Emission(emission::EmissionArgs),
    /// Show what an hour's block emits, and for whom.
    Block(emission::BlockArgs),
    /// Show a machine's base score in a block.
    Score(score::ScoreArgs),
    /// Show what must be staked on a machine.
    Stake(score::StakeArgs),
    /// Show what a machine can expect of blocks.
    Earnings(earnings::Args),
    /// Show what a rental costs, and what its receipt would say.
    Quote(quote::Args),
    /// Show what is released of coins set aside at the beginning.
    Vesting(vesting::Args),
}

/// What a calculation came to.
trait Answer: Serialize {
    /// As text: a line for each figure. The formula is in the help.
    fn text(&self) -> String;
}

impl Args {
    pub(crate) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        screen.data(&self.data(json)?)
    }

    fn data(&self, json: bool) -> Result<String, Failure> {
        let parameters = parameters(self.parameters.as_deref())?;
        match &self.verb {
            Verb::Emission(args) => data(json, &args.answer(&parameters)?),
            Verb::Block(args) => data(json, &args.answer(&parameters)?),
            Verb::Score(args) => data(json, &args.answer(&parameters)?),
            Verb::Stake(args) => data(json, &args.answer(&parameters)?),
            Verb::Earnings(args) => data(json, &args.answer(&parameters)?),
            Verb::Quote(args) => data(json, &args.answer(&parameters)?),
            Verb::Vesting(args) => data(json, &args.answer(&parameters)?),
        }
    }
}

fn data(json: bool, answer: &impl Answer) -> Result<String, Failure> {
    if !json {
        return Ok(answer.text());
    }
    let text = serde_json::to_string_pretty(answer).context("write JSON")?;
    Ok(format!("{text}\n"))
}

/// The parameters in a file, alone or as a server's answer holds them; without a file those a network begins with.
pub(crate) fn parameters(path: Option<&Path>) -> Result<Parameters, Failure> {
    let Some(path) = path else { return Ok(Parameters::default()) };
    let text = file::read_text(path)?;
    parameters_in(&text).map_err(|why| {
        let hint = "`iog operator parameters show --json` writes one";
        Failure::usage(format!("{}: {why}", path.display()), hint)
    })
}

fn parameters_in(text: &str) -> Result<Parameters, String> {
    let not = |why: serde_json::Error| format!("not a set of parameters: {why}");
    let mut value: Value = serde_json::from_str(text).map_err(not)?;
    if let Some(inner) = value.get_mut("parameters") {
        value = inner.take();
    }
    let parameters: Parameters = serde_json::from_value(value).map_err(not)?;
    parameters.check()?;
    Ok(parameters)
}

/// Lines of a label and a value, the values under each other.
fn lines(figures: &[(&str, String)]) -> String {
    let width = figures.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    figures.iter().map(|(label, value)| format!("{label:<width$}  {value}\n")).collect()
}

/// An amount, under which others can stand.
fn coins(amount: Coins) -> String {
    format!("{:>18} IO", amount.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb as Top};

    const PAGE: &str = include_str!("../../../../../docs/reference/calc.md");

    /// The words of a command line: quotes hold words together.
    fn words(line: &str) -> Vec<String> {
        let unquoted = |(at, part): (usize, &str)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        };
        line.split('\'').enumerate().flat_map(unquoted).collect::<Vec<_>>()
    }

    fn said(line: &str) -> String {
        let cli = Cli::try_parse_from(words(line)).unwrap_or_else(|why| panic!("{line}: {why}"));
        let Top::Calc(args) = &cli.verb else { panic!("{line}") };
        args.data(cli.json).unwrap_or_else(|why| panic!("{line}: {}", why.text(Screen::PLAIN)))
    }

    #[test]
    fn the_worked_examples_of_the_reference_are_right() {
        let examples: Vec<&str> = PAGE.split("```console\n$ ").skip(1).collect();
        assert!(examples.len() >= 8, "only {} examples", examples.len());
        for example in examples {
            let (line, rest) = example.split_once('\n').unwrap();
            let (shown, _) = rest.split_once("```").unwrap();
            assert_eq!(said(line), shown, "{line}");
        }
    }

    #[test]
    fn parameters_are_read_alone_and_as_an_answer_holds_them() {
        let mut parameters = Parameters::default();
        parameters.blocks.safety_module_share_bp = 500;
        let alone = serde_json::to_value(&parameters).unwrap();
        let answer = serde_json::json!({ "version": 3, "parameters": alone, "waiting": [] });
        for text in [alone.to_string(), answer.to_string()] {
            assert_eq!(parameters_in(&text).unwrap(), parameters);
        }
        for wrong in ["", "[]", "{}", r#"{"parameters":{}}"#] {
            assert!(parameters_in(wrong).unwrap_err().contains("not a set of parameters"));
        }
        let mut nonsense = alone;
        nonsense["emission"]["months"] = 0.into();
        assert!(parameters_in(&nonsense.to_string()).unwrap_err().starts_with("emission: "));
    }
}
