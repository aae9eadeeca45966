//! `iog proof`: proofs made and checked on this machine, without any server.
//!
//! # Invariants
//! - What is checked here is checked by the same code that checks a network's machines.
//! - A transcript that does not hold ends the program with exit code 10 and the reason.

mod check;
mod make;
mod show;

use crate::failure::Failure;
use crate::screen::Screen;

/// Prove what this machine's cards can do, and check anybody's proofs; needs no server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what can prove on this machine.
    #[command(after_help = "Example:\n  iog proof devices")]
    Devices,
    /// Prove on this machine, check it here, and write the transcript.
    #[command(after_help = make::EXAMPLES)]
    Prove(make::Args),
    /// Check a transcript: everything in it, and the verdict that follows from it.
    #[command(after_help = check::EXAMPLES)]
    Verify(check::Args),
}

impl Args {
    pub(crate) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        match &self.verb {
            Verb::Devices => make::devices(screen, json),
            Verb::Prove(args) => args.run(screen, json),
            Verb::Verify(args) => args.run(screen, json),
        }
    }
}
