//! `iog proof`: proofs made and checked on this machine, and what a network shows of its machines' proofs.
//!
//! # Invariants
//! - What is checked here is checked by the same code that checks a network's machines.
//! - A transcript that does not hold ends the program with exit code 10 and the reason.

mod attest;
mod canary;
mod check;
mod lock;
mod make;
mod public;
mod show;
mod watched;

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;

/// Prove what this machine's cards can do, and check anybody's proofs.
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
    /// Have what you rent prove that it is what you rented.
    #[command(after_help = canary::EXAMPLES)]
    Canary(canary::Args),
    /// Show what was measured of a machine's cards, and what that makes them.
    #[command(after_help = public::FINGERPRINT_EXAMPLES)]
    Fingerprint(public::FingerprintArgs),
    /// List a machine's proofs.
    #[command(after_help = public::LIST_EXAMPLES)]
    List(public::ListArgs),
    /// Show one proof, and check that it is in the network's log.
    #[command(after_help = public::SHOW_EXAMPLES)]
    Show(public::ShowArgs),
    /// See what machines' own chips say of them, and check it here.
    Attest(attest::Args),
    /// See who was on cards while they were rented, and how busy they were while they were not.
    Lock(lock::Args),
    /// Show the log of proofs, and check that it has only grown.
    #[command(after_help = public::LOG_EXAMPLES)]
    Log(public::LogArgs),
}

impl Args {
    /// Only what asks a server needs a session.
    pub(crate) fn run(
        &self,
        screen: Screen,
        json: bool,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        match &self.verb {
            Verb::Devices => make::devices(screen, json),
            Verb::Prove(args) => args.run(screen, json),
            Verb::Verify(args) => args.run(screen, json),
            Verb::Canary(args) => args.run(&session()?),
            Verb::Fingerprint(args) => args.run(&session()?),
            Verb::List(args) => args.run(&session()?),
            Verb::Show(args) => args.run(&session()?),
            Verb::Attest(args) => args.run(screen, json, session),
            Verb::Lock(args) => args.run(screen, json, session),
            Verb::Log(args) => args.run(&session()?),
        }
    }
}
