//! `iog audit`: statements and journals computed again, here, trusting nobody.
//!
//! # Invariants
//! - Nothing is asked of a server and nothing is changed.
//! - What does not add up ends the program with exit code 1 and the first difference.

mod journal;
mod statement;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::screen::Screen;

pub(crate) use statement::{Signed, is_signed};

/// Compute a block's statement again, or a whole journal, and show the first difference; needs no server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog blocks 2026-11-22T16 --statement > block.txt
  iog audit block.txt --key KEY --previous block-before.txt --parameters parameters.json
  iog audit --journal /var/lib/iog/iog.db")]
pub(crate) struct Args {
    /// A file with a statement.
    #[arg(required_unless_present = "journal", conflicts_with = "journal")]
    statement: Option<PathBuf>,
    /// The network's public key, in hexadecimal: only what it signed will do.
    #[arg(long, value_name = "HEX", conflicts_with = "journal")]
    key: Option<String>,
    /// The parameters that the block went by: its rules and its emission must be theirs.
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    parameters: Option<PathBuf>,
    /// The statement of the block before.
    #[arg(long, value_name = "FILE", conflicts_with = "journal")]
    previous: Option<PathBuf>,
    /// A journal: the file of a data folder or a copy of it, or the address of a database.
    #[arg(long, value_name = "PATH")]
    journal: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        if let Some(journal) = &self.journal {
            let figures = journal::audit(journal)?;
            return if json { screen.json(&figures) } else { screen.data(&figures.text()) };
        }
        let Some(file) = &self.statement else {
            return Err(Failure::usage("audit what?", "name a statement, or a --journal"));
        };
        let parameters = self.parameters.as_deref();
        let parameters = parameters.map(|file| super::calc::parameters(Some(file))).transpose()?;
        let against = statement::Against {
            key: self.key.as_deref(),
            parameters: parameters.as_ref(),
            previous: self.previous.as_deref().map(statement::text_of).transpose()?,
        };
        let figures = statement::audit(&statement::text_of(file)?, &against)?;
        if json { screen.json(&figures) } else { screen.data(&figures.text()) }
    }
}

/// What does not add up.
fn wrong(what: impl Into<String>) -> Failure {
    let hint = "it was altered, or made by a program that reckons otherwise";
    Failure::ended(format!("it does not add up: {}", what.into()), hint)
}
