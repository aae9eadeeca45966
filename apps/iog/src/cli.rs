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
    /// Orders that wait for machines.
    Orders(verb::orders::Args),
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
    /// Lead ports of this machine to services of a rental.
    Forward(verb::forward::Args),
    /// Open a shell on a node of a rental.
    Ssh(verb::ssh::Args),
    /// Services of rentals: publish ports of nodes, and visit them.
    Tunnel(verb::tunnel::Args),
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
    /// Private networks of rentals: ways, relays, policies, and records of who talked to whom.
    Net(verb::net::Args),
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
    /// Prove what this machine's cards can do, and check anybody's proofs.
    Proof(verb::proof::Args),
    /// Run a control plane.
    Server(role::server::Args),
    /// Run a relay: machines that nobody can dial are reached through it.
    Relay(role::relay::Args),
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
    use std::path::{Path, PathBuf};

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// The files of a folder of the repository with this ending, those in folders within too.
    fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pages(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }

    /// The commands of a page: what follows `$` in its `console` blocks, lines that end in a backslash put together.
    fn commands(page: &str) -> Vec<String> {
        let (mut commands, mut in_block, mut goes_on) = (Vec::<String>::new(), false, false);
        for line in page.lines() {
            if line.starts_with("```") {
                in_block = line == "```console";
            } else if goes_on && let Some(last) = commands.last_mut() {
                last.push_str(line);
            } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
                commands.push(command.to_owned());
            } else {
                continue;
            }
            goes_on = line.ends_with('\\') && in_block;
            if let Some(last) = commands.last_mut().filter(|_| goes_on) {
                last.pop();
            }
        }
        commands
    }

    /// The words of each call of this program in a line of the shell.
    fn calls(command: &str) -> Vec<Vec<String>> {
        let (mut words, mut word, mut quote) = (vec![String::new()], None::<String>, None);
        for letter in command.chars().chain([' ']) {
            match (quote, letter) {
                (Some(open), _) if open == letter => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (None, ' ') => words.extend(word.take()),
                (_, letter) => word.get_or_insert_default().push(letter),
            }
        }
        let ends =
            |word: &String| matches!(word.as_str(), "" | "|" | ">" | ">>" | "<" | "&&" | ";");
        let calls = words.split(ends).filter(|call| call.first().is_some_and(|it| it == "iog"));
        calls.map(<[String]>::to_vec).collect()
    }

    /// A word as it stands in a page, with something of its kind in place of what is left open.
    fn filled(word: &str) -> String {
        let id = |kind: &str| format!("{kind}_{}", "0".repeat(26));
        match word {
            "JOB" => id("job"),
            "WORKER" => id("wkr"),
            "SHA256" => "0".repeat(64),
            _ => word.strip_suffix("_…").map_or_else(|| word.to_owned(), id),
        }
    }

    #[test]
    fn every_command_of_the_documentation_is_one_of_this_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = vec![root.join("README.md")];
        pages(&root.join("docs"), &mut files);
        let (mut seen, mut wrong) = (0, String::new());
        for file in files {
            let page = std::fs::read_to_string(&file).unwrap();
            for call in commands(&page).iter().flat_map(|command| calls(command)) {
                seen += 1;
                let Err(why) = Cli::try_parse_from(call.iter().map(|word| filled(word))) else {
                    continue;
                };
                if why.use_stderr() {
                    let (file, call) = (file.display(), call.join(" "));
                    wrong.push_str(&format!("{file}: {call}\n{why}\n"));
                }
            }
        }
        assert!(seen > 50, "{seen} commands were found");
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn every_verb_shows_an_example() {
        fn look(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                let shown = help.contains("Example")
                    || path.contains(" help")
                    || path.ends_with("exit-codes")
                    // Programs call it, and no person does.
                    || inner.is_hide_set();
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
