//! The iog binary: the roles of a network as subcommands, and the client of its API.
//!
//! # Invariants
//! - Standard output carries data only; everything else goes to standard error.
//! - The client has no privileges: whatever it does, any program can do through the API.

mod cli;
mod client;
mod config;
mod exit;
mod failure;
mod file;
mod join;
mod package;
mod receipt;
mod role;
mod screen;
mod session;
mod show;
mod size;
mod span;
mod sse;
mod table;
mod up;
mod verb;
mod visit;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::config::{ConfigFile, Environment, Settings};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is no error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    let environment = Environment::of_process();
    let screen = Screen::detect(environment.no_color);
    let exit = match run(&cli, &environment, screen) {
        Ok(()) => Exit::Ok,
        Err(failure) if failure.nobody_reads() => Exit::Ok,
        Err(failure) => {
            screen.note(&failure.text(screen));
            failure.exit()
        }
    };
    exit.into()
}

fn run(cli: &Cli, environment: &Environment, screen: Screen) -> Result<(), Failure> {
    // Made only for verbs that use it: the others work with a broken configuration too.
    let session = || session(cli, environment, screen);
    match &cli.verb {
        Verb::Up(args) => args.run(screen, cli.json),
        Verb::Server(args) => args.run(screen),
        Verb::Relay(args) => args.run(screen, session),
        Verb::Completions(args) => args.run(screen),
        Verb::Calc(args) => args.run(screen, cli.json),
        Verb::Proof(args) => args.run(screen, cli.json, session),
        Verb::Audit(args) => args.run(screen, cli.json),
        Verb::Net(args) => args.run(screen, cli.json, session),
        Verb::Forward(args) => args.run(&session()?),
        Verb::Ssh(args) => args.run(&session()?),
        Verb::Tunnel(args) => args.run(&session()?),
        Verb::Rewards(args) => args.run(&session()?),
        Verb::Ready(args) => args.run(&session()?),
        Verb::Blocks(args) => args.run(&session()?),
        Verb::ExitCodes => screen.data(&format!("{}\n", exit::TEXT)),
        Verb::Login(args) => args.run(cli, environment, screen),
        Verb::Whoami(args) => args.run(&session()?),
        Verb::Offers(args) => args.run(&session()?),
        Verb::Prices(args) => args.run(&session()?),
        Verb::Quote(args) => args.run(&session()?),
        Verb::Rent(args) => args.run(&session()?),
        Verb::Orders(args) => args.run(&session()?),
        Verb::Rentals(args) => args.run(&session()?),
        Verb::Rental(args) => args.run(&session()?),
        Verb::Extend(args) => args.run(&session()?),
        Verb::End(args) => args.run(&session()?),
        Verb::Jobs(args) => args.run(&session()?),
        Verb::Logs(args) => args.run(&session()?),
        Verb::Files(args) => args.run(&session()?),
        Verb::Balance(args) => args.run(&session()?),
        Verb::Statement(args) => args.run(&session()?),
        Verb::Receipt(args) => args.run(&session()?),
        Verb::Transfer(args) => args.run(&session()?),
        Verb::Convert(args) => args.run(&session()?),
        Verb::Withdraw(args) => args.run(&session()?),
        Verb::Coin(args) => args.run(&session()?),
        Verb::Stake(args) => args.run(&session()?),
        Verb::Costake(args) => args.run(&session()?),
        Verb::Safety(args) => args.run(&session()?),
        Verb::Slash(args) => args.run(&session()?),
        Verb::Appeal(args) => args.run(&session()?),
        Verb::Grants(args) => args.run(&session()?),
        Verb::Vote(args) => args.run(&session()?),
        Verb::Season(args) => args.run(&session()?),
        Verb::Keys(args) => args.run(&session()?),
        Verb::Projects(args) => args.run(&session()?),
        Verb::Events(args) => args.run(&session()?),
        Verb::Network(args) => args.run(&session()?),
        Verb::Worker(args) => match args.in_node() {
            Some(served) => served,
            None => args.run(&session()?),
        },
        Verb::Operator(args) => args.run(&session()?),
    }
}

fn session(cli: &Cli, environment: &Environment, screen: Screen) -> Result<Session, Failure> {
    let file = match &environment.file {
        Some(path) => ConfigFile::load(path)?,
        None => ConfigFile::default(),
    };
    let settings = Settings::resolve(&cli.flags, environment, &file)?;
    let named_server = cli.flags.server.clone().or_else(|| environment.server.clone());
    let folder = environment.file.as_deref().and_then(Path::parent).map(Path::to_owned);
    Ok(Session::new(screen, cli.json, settings)
        .with_named_server(named_server)
        .with_connection(cli.flags.words())
        .with_folder(folder))
}
