//! `iog proof attest`: what machines' own chips say of them, checked here, and what it is checked with.
//!
//! # Invariants
//! - What is checked here is checked by the same code that lists machines as attested.
//! - Evidence that is not admitted ends the program with exit code 10 and the reason.

mod import;
mod public;
mod verify;

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;

/// What a folder calls a machine's evidence.
const EVIDENCE: &str = "evidence.json";
/// What a folder calls the network's key, in hexadecimal digits.
const NETWORK_KEY: &str = "network-key";

/// See what machines' own chips say of them, and check it here.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what a machine has attested.
    #[command(after_help = public::SHOW_EXAMPLES)]
    Show(public::ShowArgs),
    /// Fetch a machine's evidence, and all it takes to check it, into a folder.
    #[command(after_help = public::GET_EXAMPLES)]
    Get(public::GetArgs),
    /// Check evidence here, asking nobody.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Keep what attestations are verified with: convert what makers publish, sign it, and say what is stale.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Args),
}

impl Args {
    /// Only what asks a server needs a session.
    pub(super) fn run(
        &self,
        screen: Screen,
        json: bool,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        match &self.verb {
            Verb::Show(args) => args.run(&session()?),
            Verb::Get(args) => args.run(&session()?),
            Verb::Verify(args) => args.run(screen, json),
            Verb::Import(args) => args.run(screen),
        }
    }
}
