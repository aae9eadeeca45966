//! The command line: its verbs, and the flags that all of them take.

use clap::{Parser, Subcommand};

use crate::config::Flags;
use crate::verb;
use crate::{exit, role, up};

/// iog: rent GPUs and CPUs of an open network, or offer yours.
#[derive(Debug, Parser)]
#[command(
    name = "iog",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Start here:
  iog up                                   a whole network on this machine, with a first rental
  iog login --server http://127.0.0.1:4870 remember a server and a key
  iog offers                               what can be rented now
  iog rent --nodes 3 --vcpus 1 --hours 1   rent a Ray cluster
  iog worker join TOKEN --server URL       offer this machine

`iog help VERB` explains one verb; `iog exit-codes` explains how the program ends."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Write data as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Which server, key and project.
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a whole network on this machine and play a first rental.
    Up(up::Args),
    /// Remember a server and a key.
    Login(verb::login::Args),
    /// Show whose key this is.
    Whoami(verb::login::WhoamiArgs),
    /// Show what can be rented now.
    Offers(verb::offers::Args),
    /// Show what devices cost.
    Prices(verb::parameters::ListArgs),
    /// Ask for a price without renting.
    Quote(verb::quote::Args),
    /// Rent machines as a Ray cluster, and wait until it runs.
    Rent(verb::rent::Args),
    /// List rentals.
    Rentals(verb::rentals::ListArgs),
    /// Show one rental.
    Rental(verb::rentals::ShowArgs),
    /// Book more hours of a rental that runs.
    Extend(verb::rentals::ExtendArgs),
    /// End a rental.
    End(verb::rentals::EndArgs),
    /// Run work on a rental.
    Jobs(verb::jobs::Args),
    /// Show what a job writes.
    Logs(verb::logs::Args),
    /// List or fetch the files a job wrote.
    Files(verb::files::Args),
    /// Show what a project can spend.
    Balance(verb::money::BalanceArgs),
    /// List the movements of a project's money.
    Statement(verb::money::StatementArgs),
    /// Show what a rental cost, and recompute it.
    Receipt(verb::money::ReceiptArgs),
    /// Move money between purses.
    Transfer(verb::purses::TransferArgs),
    /// Change an asset for another.
    Convert(verb::purses::ConvertArgs),
    /// Take money out.
    Withdraw(verb::purses::WithdrawArgs),
    /// The network's coin: supply and rate.
    Coin(verb::coin::Args),
    /// Coins staked on your machines.
    Stake(verb::stake::Args),
    /// Stake beside others, for a share of their rewards.
    Costake(verb::costake::Args),
    /// The safety module: coins that share in every block.
    Safety(verb::safety::Args),
    /// What is punished, and charges against your machines.
    Slash(verb::slash::Args),
    /// Appeal against a slash.
    Appeal(verb::slash::AppealArgs),
    /// Coins of genesis set aside for you.
    Grants(verb::grants::Args),
    /// What holders of stakes decide.
    Vote(verb::vote::Args),
    /// Reward programs, and who is ahead.
    Season(verb::season::Args),
    /// API keys.
    Keys(verb::keys::Args),
    /// Projects and their members.
    Projects(verb::projects::Args),
    /// Follow what changes, as it changes.
    Events(verb::events::Args),
    /// Show the network as a whole.
    Network(verb::network::Args),
    /// Offer this machine, and look after machines you offer.
    Worker(verb::worker::Args),
    /// Show what your machines earned in blocks, claim it, prove it.
    Rewards(verb::rewards::Args),
    /// Show what a machine lacks to earn in blocks.
    Ready(verb::rewards::ReadyArgs),
    /// Show blocks: what each hour's coins came to.
    Blocks(verb::rewards::BlocksArgs),
    /// Compute a statement or a journal again; needs no server.
    Audit(verb::audit::Args),
    /// Work out what coins, scores, stakes, earnings and prices come to; needs no server.
    Calc(verb::calc::Args),
    /// Run a control plane.
    Server(role::server::Args),
    /// Run a network: for its operator.
    Operator(verb::operator::Args),
    /// Write completions for a shell.
    Completions(verb::completions::Args),
    /// Explain how the program ends.
    #[command(long_about = exit::TEXT)]
    ExitCodes,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        fn look(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                let shown = help.contains("Example")
                    || path.contains(" help")
                    || path.ends_with("exit-codes");
                if !inner.has_subcommands() && !shown {
                    without.push(path.clone());
                }
                look(inner, &path, without);
            }
        }
        let mut without = Vec::new();
        look(&Cli::command(), "iog", &mut without);
        assert_eq!(without, [""; 0]);
    }
}
