//! Policy files, checked and tried here.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use mesh::policy::{Explanation, Policy, Problem, Step};
use serde::Serialize;

use wire::{NetworkPolicyRequest, NetworkPolicyView};

use crate::client::Client;
use crate::failure::Failure;
use crate::file::read_text;
use crate::join::OPERATOR;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::moment;
use crate::table::Table;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read a policy file to its last word.
    #[command(after_help = "Example:\n  iog net policy check policy.hujson")]
    Check(FileArgs),
    /// Read a policy file and run its tests: exit code 0 if all hold, 10 if not.
    #[command(after_help = "Example:\n  iog net policy test policy.hujson")]
    Test(FileArgs),
    /// Say whether somebody may reach something, and what each grant says about it.
    #[command(after_help = "\
Whoever is named is played by somebody who is that and nothing else: `tag:gpu` by a node with this tag alone.
The target is a tag, a group, a user, a host, or an address, and a port; `*` where the protocol has none.

Examples:
  iog net policy explain policy.hujson --src group:research --dst tag:head:8265
  iog net policy explain policy.hujson --src tag:gpu --dst 10.1.2.3:* --proto icmp")]
    Explain(ExplainArgs),
    /// Print the policy that the private networks of your project go by, or the operator's network.
    #[command(after_help = "\
Examples:
  iog net policy show > policy.hujson
  iog net policy show --network operator")]
    Show(OfArgs),
    /// Let the private networks of your project go by a policy file, or the operator's network. Its tests must hold.
    #[command(after_help = "\
Examples:
  iog net policy set policy.hujson
  iog net policy set --network operator policy.hujson")]
    Set(SetArgs),
    /// Go back to the usual policy: members of a network reach each other, and nobody else.
    #[command(after_help = "Example:\n  iog net policy reset")]
    Reset(OfArgs),
}

/// Which networks go by a policy.
#[derive(Debug, clap::Args)]
struct OfArgs {
    /// A network that is no rental's: that of the operator's own machines.
    #[arg(long, value_name = "NETWORK", value_parser = PossibleValuesParser::new([OPERATOR]))]
    network: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    of: OfArgs,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The policy file.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct ExplainArgs {
    /// The policy file.
    file: PathBuf,
    /// Who begins.
    #[arg(long, value_name = "WHO")]
    src: String,
    /// What is to be reached, and its port.
    #[arg(long, value_name = "TARGET:PORT")]
    dst: String,
    /// By which protocol: its name or number.
    #[arg(long, value_name = "PROTOCOL", default_value = "tcp")]
    proto: String,
}

/// What a file holds, and how its tests went.
#[derive(Debug, Serialize)]
struct Counted {
    grants: usize,
    tests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<Vec<String>>,
}

/// Whether a connection may be made.
#[derive(Debug, Serialize)]
struct Explained {
    is_allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    grants: Vec<Said>,
}

/// What one grant says.
#[derive(Debug, Serialize)]
struct Said {
    grant: u32,
    line: u32,
    src: bool,
    dst: bool,
    ip: bool,
}

impl Args {
    pub(super) fn run(
        &self,
        screen: Screen,
        json: bool,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        match &self.verb {
            Verb::Check(args) => check(&args.file, screen, json),
            Verb::Test(args) => test(&args.file, screen, json),
            Verb::Explain(args) => args.run(screen, json),
            Verb::Show(of) => of.show(&session()?),
            Verb::Set(SetArgs { of, file }) => of.set(&session()?, &file.file),
            Verb::Reset(of) => of.reset(&session()?),
        }
    }
}

impl OfArgs {
    /// Where the server has the policy.
    fn path(&self, session: &Session, client: &Client) -> Result<String, Failure> {
        if self.network.is_some() {
            return Ok(format!("/v1/network/{OPERATOR}/policy"));
        }
        Ok(format!("/v1/projects/{}/network-policy", session.project(client)?))
    }

    fn show(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let policy: NetworkPolicyView = client.get(&self.path(session, &client)?)?;
        if !session.json {
            session.screen.note(&version(&policy));
        }
        session.show(&policy, |policy| format!("{}\n", policy.policy.trim_end()))
    }

    fn set(&self, session: &Session, file: &Path) -> Result<(), Failure> {
        let client = session.client()?;
        let path = self.path(session, &client)?;
        let request = NetworkPolicyRequest { policy: read_text(file)? };
        let policy: NetworkPolicyView = client.put(&path, &request)?;
        session.show(&policy, |policy| format!("{}\n", version(policy)))
    }

    fn reset(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        client.remove(&self.path(session, &client)?)
    }
}

fn version(policy: &NetworkPolicyView) -> String {
    match policy.changed {
        Some(at) => format!("version {}, of {}", policy.version, moment(at)),
        None => "the usual policy, which nobody has written".to_owned(),
    }
}

/// A policy file as it was understood.
fn policy_of(file: &Path) -> Result<Policy, Failure> {
    let text = read_text(file)?;
    Policy::parse(&text).map_err(|wrong| {
        let place = format!("{}:{wrong}", file.display());
        Failure::refused(place, hint(&wrong.problem))
    })
}

fn hint(problem: &Problem) -> &'static str {
    match problem {
        Problem::Undeclared { .. } => "declare it there, or correct its spelling",
        Problem::UnknownField { .. } => {
            "what is not understood is refused, so that nothing is left out in silence"
        }
        Problem::Expected { .. }
        | Problem::OpenComment
        | Problem::TooDeep
        | Problem::Twice { .. }
        | Problem::Missing { .. }
        | Problem::TooMany { .. } => "the place is line:column",
    }
}

fn check(file: &Path, screen: Screen, json: bool) -> Result<(), Failure> {
    let policy = policy_of(file)?;
    let (grants, tests) = (policy.grants().len(), policy.tests().len());
    if json {
        return screen.json(&Counted { grants, tests, failures: None });
    }
    screen.data(&format!("understood: {}, {}\n", count(grants, "grant"), count(tests, "test")))
}

fn test(file: &Path, screen: Screen, json: bool) -> Result<(), Failure> {
    let policy = policy_of(file)?;
    let failures: Vec<String> = policy.failures().iter().map(ToString::to_string).collect();
    let (grants, tests) = (policy.grants().len(), policy.tests().len());
    let failed = failures.len();
    if json {
        screen.json(&Counted { grants, tests, failures: Some(failures) })?;
    } else if failed == 0 {
        let held = if tests == 1 { "holds" } else { "hold" };
        screen.data(&format!("{} {held}\n", screen.paint(Ink::Good, &count(tests, "test"))))?;
    } else {
        let lines = failures.iter().map(|failure| format!("{}:{failure}\n", file.display()));
        screen.data(&lines.collect::<String>())?;
    }
    if failed == 0 {
        return Ok(());
    }
    let what = format!("{} of {} failed", count(failed, "target"), count(tests, "test"));
    Err(Failure::refused(what, "`iog net policy explain` says what each grant lacks"))
}

fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

impl ExplainArgs {
    fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let policy = policy_of(&self.file)?;
        let explained = policy.explain(&self.src, &self.dst, &self.proto).map_err(|wrong| {
            Failure::usage(wrong.problem.to_string(), "words mean what the file says they mean")
        })?;
        if json {
            screen.json(&Explained::of(&explained))?;
        } else {
            screen.data(&table(&explained.steps).text(screen))?;
        }
        let Self { src, dst, proto, .. } = self;
        match explained.allowed {
            Some(by) if !json => {
                let line = by.line;
                screen.note(&format!(
                    "{src} may reach {dst} by {proto}: the grant of line {line} allows it"
                ));
                Ok(())
            }
            Some(_) => Ok(()),
            None => {
                let what = format!("{src} may not reach {dst} by {proto}");
                Err(Failure::refused(what, "a grant allows what its src, dst, and ip all say"))
            }
        }
    }
}

fn table(steps: &[Step]) -> Table {
    let word = |says: bool| if says { "yes" } else { "no" }.to_owned();
    let mut table = Table::new(&[">grant", ">line", "src", "dst", "ip"]);
    for step in steps {
        let (src, dst, ip) = (word(step.is_src), word(step.is_dst), word(step.is_port));
        table.row([step.grant.to_string(), step.line.to_string(), src, dst, ip]);
    }
    table
}

impl Explained {
    fn of(explained: &Explanation) -> Self {
        let said = |step: &Step| Said {
            grant: step.grant,
            line: step.line,
            src: step.is_src,
            dst: step.is_dst,
            ip: step.is_port,
        };
        Self {
            is_allowed: explained.allowed.is_some(),
            grant: explained.allowed.map(|by| by.grant),
            line: explained.allowed.map(|by| by.line),
            grants: explained.steps.iter().map(said).collect(),
        }
    }
}
