//! `iog net`: private networks and what runs over them.
//!
//! # Invariants
//! - What is checked here is checked by the same code that nodes go by.
//! - A policy or a log that does not do ends the program with exit code 10 and the reason.

mod audit;
mod leave;
mod ping;
mod policy;
mod relays;
pub(crate) mod status;
mod up;

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;

/// Private networks: their policies, and records of who talked to whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make this machine a member of a rental's private network, until Ctrl-C: every program here reaches its nodes by
    /// address, and by name. Needs root's rights.
    #[command(after_help = "\
A network device is made, with addresses and routes to this network alone; all of it is gone afterwards. What
may pass is what the policy says, here and there.

Examples:
  sudo -E iog net up training
  iog net up --network operator --tag relay")]
    Up(up::UpArgs),
    /// End `iog net up` from another terminal.
    #[command(after_help = "Example:\n  sudo -E iog net down training")]
    Down(up::DownArgs),
    /// Show the members of a private network, and which way packets take between them, and why.
    #[command(after_help = "\
Examples:
  iog net status training
  iog net status training --json
  iog net status --network operator")]
    Status(status::Args),
    /// Measure the way from here to a node, and show how other nodes reach it.
    #[command(
        after_help = "Examples:\n  iog net ping training\n  iog net ping training 2 --count 20"
    )]
    Ping(ping::Args),
    /// Give up this user's place in a rental's private network.
    #[command(after_help = "Example:\n  iog net leave training")]
    Leave(leave::Args),
    /// List the relays of the network, best first.
    #[command(after_help = "Example:\n  iog net relays")]
    Relays(relays::Args),
    /// Check a policy file here, or let your project's networks go by it.
    Policy(policy::Args),
    /// Check records of connections; needs no server.
    Audit(audit::Args),
}

impl Args {
    pub(crate) fn run(
        &self,
        screen: Screen,
        json: bool,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        match &self.verb {
            Verb::Up(args) => args.run(&session()?),
            Verb::Down(args) => args.run(&session()?),
            Verb::Status(args) => args.run(&session()?),
            Verb::Ping(args) => args.run(&session()?),
            Verb::Leave(args) => args.run(&session()?),
            Verb::Relays(args) => args.run(&session()?),
            Verb::Policy(args) => args.run(screen, json, session),
            Verb::Audit(args) => args.run(screen, json),
        }
    }
}
