//! `iog login` and `iog whoami`: a server, and who one is there.

use std::io::{self, IsTerminal, Read};

use anyhow::Context;
use wire::{MeView, ProjectView};

use crate::cli::Cli;
use crate::client::Client;
use crate::config::{ConfigFile, Environment, Profile, checked_key, read_key, trimmed};
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{money, usd};
use crate::table::Table;

/// The longest key that is read.
const KEY_BYTES_MAX: u64 = 1024;

/// Remember a server and a key in the configuration file, after asking the server whether the key is good.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is read from standard input, or from the file named by --key-file.

Examples:
  iog login --server http://127.0.0.1:4870
  iog login --server https://iog.example --key-file key.txt --profile work
  pass iog/key | iog login --server https://iog.example")]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(
        &self,
        cli: &Cli,
        environment: &Environment,
        screen: Screen,
    ) -> Result<(), Failure> {
        let flags = &cli.flags;
        let Some(path) = &environment.file else {
            let hint = "set HOME, XDG_CONFIG_HOME or IOG_CONFIG";
            return Err(Failure::usage("there is no place for a configuration file", hint));
        };
        let Some(server) = flags.server.as_ref().or(environment.server.as_ref()) else {
            return Err(Failure::usage("which server?", "say --server URL"));
        };
        let key = match &flags.key_file {
            Some(file) => read_key(file)?,
            None => ask_for_key(screen)?,
        };
        let client = Client::new(server, Some(key.clone()))?;
        let me: MeView = client.get("/v1/me")?;
        let mut file = ConfigFile::load(path)?;
        let profile = Profile { server: trimmed(server).to_owned(), key, project: flags.project };
        file.put(flags.profile.as_deref(), profile);
        file.save(path)?;
        screen.note(&format!("Logged in to {} as {}.", client.server(), me.account.name));
        screen.note(&format!("Remembered in {}.", path.display()));
        Ok(())
    }
}

fn ask_for_key(screen: Screen) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        screen.note("Paste the key and end the line (it is shown as you type; --key-file is not):");
        let mut line = String::new();
        io::stdin().read_line(&mut line).context("read the key")?;
        return checked_key(&line);
    }
    let mut text = String::new();
    io::stdin().lock().take(KEY_BYTES_MAX).read_to_string(&mut text).context("read the key")?;
    checked_key(&text)
}

/// Show whose key this is, what it may do, and the projects it reaches.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog whoami\n  iog whoami --json | jq -r .account.id")]
pub(crate) struct WhoamiArgs {}

impl WhoamiArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let me: MeView = client.get("/v1/me")?;
        session.show(&me, |me| text(me, client.server(), session.screen))
    }
}

fn text(me: &MeView, server: &str, screen: Screen) -> String {
    let scopes: Vec<&str> = me.scopes.iter().map(|scope| super::keys::scope_text(*scope)).collect();
    let mut text = format!(
        "{} ({}) on {server}\nThe key may: {}\n",
        screen.paint(Ink::Strong, me.account.name.text()),
        me.account.id,
        scopes.join(", "),
    );
    let has: Vec<String> =
        me.account.balances.iter().filter(|it| it.units > 0).map(|it| money(*it)).collect();
    if !has.is_empty() {
        text.push_str(&format!("The account has: {}\n", has.join(", ")));
    }
    if !me.projects.is_empty() {
        text.push('\n');
        text.push_str(&projects(&me.projects, screen));
    }
    text
}

/// The table of projects.
pub(crate) fn projects(projects: &[ProjectView], screen: Screen) -> String {
    let mut table =
        Table::new(&["PROJECT", "NAME", ">AVAILABLE USD", ">SET ASIDE USD", ">MEMBERS"]);
    for project in projects {
        table.row([
            project.id.to_string(),
            project.name.to_string(),
            usd(project.available),
            usd(project.held),
            project.members.len().to_string(),
        ]);
    }
    table.text(screen)
}
