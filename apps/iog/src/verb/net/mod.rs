//! `iog net`: private networks and what runs over them.
//!
//! # Invariants
//! - What is checked here is checked by the same code that nodes go by.
//! - A policy or a log that does not do ends the program with exit code 10 and the reason.

mod audit;
mod policy;

use crate::failure::Failure;
use crate::screen::Screen;

/// Private networks: their policies, and records of who talked to whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check a policy file here, before a network goes by it; needs no server.
    Policy(policy::Args),
    /// Check records of connections; needs no server.
    Audit(audit::Args),
}

impl Args {
    pub(crate) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        match &self.verb {
            Verb::Policy(args) => args.run(screen, json),
            Verb::Audit(args) => args.run(screen, json),
        }
    }
}
