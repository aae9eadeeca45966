//! `iog slash` and `iog appeal`: what is punished, charges, and what is said about them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use units::{BlobId, Coins, SlashId, WorkerId};
use wire::{
    DecisionRequest, EvidenceItem, OffencesView, SlashRequest, SlashView, StatementRequest, Time,
};

use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{coins, count, moment, percent};
use crate::table::Table;

const SLASHES: &str = "/v1/slashes";

/// What is punished, and charges against your machines.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List slashes that take from your coins; for the operator, all of them.
    #[command(after_help = "Examples:\n  iog slash\n  iog slash list --json")]
    List,
    /// Show one: its evidence, everything that was said, and each step.
    #[command(after_help = "Example:\n  iog slash show sla_…")]
    Show {
        /// The slash.
        slash: SlashId,
    },
    /// Show what is punished, how much it costs, and what proves it. Needs no key.
    #[command(after_help = "Example:\n  iog slash offences")]
    Offences,
    /// Fetch a file of a slash: evidence, or what goes with a statement.
    #[command(after_help = "Example:\n  iog slash file sla_… 9f86d0… --to evidence.bin")]
    File {
        /// The slash.
        slash: SlashId,
        /// The file's SHA-256, as `iog slash show` has it.
        sha256: BlobId,
        /// Where to write it.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Say something about a slash; the operator speaks for the network.
    #[command(
        after_help = "Example:\n  iog slash say sla_… 'the log is attached' --file agent.log"
    )]
    Say(StatementArgs),
    /// Charge a machine with an offence; for the operator.
    Charge(ChargeArgs),
    /// Decide a slash; for the operator.
    #[command(after_help = "\
Examples:
  iog slash decide sla_… --uphold --reason 'three verifiers agree'
  iog slash decide sla_… --overturn --reason 'it was another machine'")]
    Decide {
        /// The slash.
        slash: SlashId,
        /// It was right: the coins are burned.
        #[arg(long, conflicts_with = "overturn", required_unless_present = "overturn")]
        uphold: bool,
        /// It was wrong: the coins go back.
        #[arg(long)]
        overturn: bool,
        /// Why, for the accused.
        #[arg(long)]
        reason: String,
    },
}

/// Words about a slash, and a file to go with them.
#[derive(Debug, clap::Args)]
struct StatementArgs {
    /// The slash.
    slash: SlashId,
    /// What you say.
    text: String,
    /// A file to go with it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Appeal against a slash that takes from your coins. Once, within the time for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog appeal sla_… 'the clock of the verifier was wrong'
  iog appeal sla_… 'see the log' --file agent.log")]
pub(crate) struct AppealArgs {
    #[command(flatten)]
    statement: StatementArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  iog slash charge wkr_… forged-proof --at 2026-11-22T16:10:00Z \\
    --evidence proof-transcript=transcript.json='the seed was of another hour'")]
struct ChargeArgs {
    /// The machine.
    worker: WorkerId,
    /// What it did: see `iog slash offences`.
    offence: String,
    /// When it did, as 2026-11-22T16:10:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Time,
    /// How many cards it has, or failed to deliver; all that it offers, if absent.
    #[arg(long, value_name = "N")]
    cards: Option<u32>,
    /// What shows it: the kind of evidence, a file, and what it shows.
    #[arg(long, value_name = "KIND=FILE=WORDS", required = true)]
    evidence: Vec<String>,
}

fn time(text: &str) -> Result<Time, String> {
    serde_json::from_value(text.into()).map_err(|_| "write it as 2026-11-22T16:10:00Z".to_owned())
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let view: SlashView = match self.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                let slashes: Vec<SlashView> = client.pages(SLASHES)?;
                let nothing = "No slash takes from your coins.";
                return session.list(&slashes, nothing, |slashes| table(slashes, screen));
            }
            Verb::Offences => {
                let offences: OffencesView = client.get("/v1/slashing/offences")?;
                return session.show(&offences, |offences| punished(offences, screen));
            }
            Verb::File { slash, sha256, to } => {
                return fetch(session, &client, *slash, *sha256, to);
            }
            Verb::Show { slash } => client.get(&format!("{SLASHES}/{slash}"))?,
            Verb::Say(args) => args.say(&client, "statements")?,
            Verb::Charge(args) => client.post(SLASHES, &args.request(&client)?)?,
            Verb::Decide { slash, uphold, overturn: _, reason } => {
                let request = DecisionRequest { uphold: *uphold, reason: reason.clone() };
                client.post(&format!("{SLASHES}/{slash}/decision"), &request)?
            }
        };
        session.show(&view, |view| whole(view, screen))
    }
}

impl AppealArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let view = self.statement.say(&session.client()?, "appeal")?;
        session.show(&view, |view| whole(view, session.screen))
    }
}

impl StatementArgs {
    fn say(&self, client: &Client, what: &str) -> Result<SlashView, Failure> {
        let blob = self.file.as_deref().map(|file| put(client, file)).transpose()?;
        let request = StatementRequest { text: self.text.clone(), blob };
        client.post(&format!("{SLASHES}/{}/{what}", self.slash), &request)
    }
}

impl ChargeArgs {
    fn request(&self, client: &Client) -> Result<SlashRequest, Failure> {
        let evidence = self.evidence.iter().map(|text| {
            let mut parts = text.splitn(3, '=');
            let (Some(kind), Some(file), Some(summary)) =
                (parts.next(), parts.next(), parts.next())
            else {
                let what = format!("`{text}` is no evidence");
                return Err(Failure::usage(what, "write it as KIND=FILE=WORDS"));
            };
            let blob = put(client, Path::new(file))?;
            Ok(EvidenceItem { kind: kind.to_owned(), blob, summary: summary.to_owned() })
        });
        Ok(SlashRequest {
            worker: self.worker,
            offence: self.offence.clone(),
            offended_at: self.at,
            cards: self.cards,
            evidence: evidence.collect::<Result<_, _>>()?,
        })
    }
}

/// The longest file that is handed in: what a server takes.
const BLOB_BYTES_MAX: u64 = 256 << 20;

/// Puts a file on the server: its SHA-256.
fn put(client: &Client, path: &Path) -> Result<BlobId, Failure> {
    let bytes = file::read(path, BLOB_BYTES_MAX)?;
    let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
    client.put_bytes(&format!("/v1/blobs/{sha256}"), bytes)?;
    Ok(sha256.parse().context("name the file")?)
}

fn fetch(
    session: &Session,
    client: &Client,
    slash: SlashId,
    sha256: BlobId,
    to: &Path,
) -> Result<(), Failure> {
    let out = file::Output::at(to)?;
    out.write(&client.fetch(&format!("{SLASHES}/{slash}/files/{sha256}"), BLOB_BYTES_MAX)?)?;
    session.screen.note(&format!("Wrote {}.", to.display()));
    Ok(())
}

fn taken(slash: &SlashView) -> Coins {
    slash.stake.checked_add(slash.rewards).unwrap_or(slash.stake)
}

fn table(slashes: &[SlashView], screen: Screen) -> String {
    let mut table = Table::new(&["SLASH", "OFFENCE", ">TAKEN, IO", ">YOURS", "STATE", "UNTIL"]);
    for slash in slashes {
        let until = slash.until.map(moment).unwrap_or_default();
        table.row([
            slash.id.to_string(),
            slash.offence.clone(),
            coins(taken(slash)),
            slash.yours.map(coins).unwrap_or_default(),
            slash.state.clone(),
            until.split(' ').next().unwrap_or_default().to_owned(),
        ]);
    }
    table.text(screen)
}

/// Everything about one slash.
fn whole(slash: &SlashView, screen: Screen) -> String {
    let title = screen.paint(Ink::Strong, &slash.id.to_string());
    let happened = moment(slash.offended_at);
    let mut text = format!("{title}  {}\n  by {} at {happened}\n", slash.offence, slash.worker);
    let (stake, rewards) = (coins(slash.stake), coins(slash.rewards));
    text.push_str(&format!("  {stake} IO of stakes and {rewards} IO of rewards were taken"));
    text.push_str(
        &slash.yours.map_or(String::new(), |yours| format!(", {} IO yours", coins(yours))),
    );
    text.push_str("\n\nEvidence\n");
    for item in &slash.evidence {
        text.push_str(&format!("  {}: {}\n  {}\n", item.kind, item.summary, item.blob));
    }
    if !slash.evidence.is_empty() {
        text.push_str(&format!("To read one:\n  iog slash file {} SHA256 --to FILE\n", slash.id));
    }
    if !slash.statements.is_empty() {
        text.push_str("\nSaid\n");
    }
    for said in &slash.statements {
        text.push_str(&format!("  {}: {}\n", said.by, said.text));
        text.extend(said.blob.map(|blob| format!("  {blob}\n")));
    }
    text.push_str("\nSteps\n");
    for step in &slash.history {
        text.push_str(&format!("  {}  {}\n", moment(step.at), step.what));
    }
    text.push_str(&format!("\n{}\n", next(slash)));
    text
}

/// Where it stands, and what is next.
fn next(slash: &SlashView) -> String {
    let until = slash.until.map(moment).unwrap_or_default();
    match slash.state.as_str() {
        "open" if slash.yours.is_some() => {
            format!("Without an appeal by {until} it is burned:\n  iog appeal {} 'why'", slash.id)
        }
        "open" => format!("It can be appealed until {until}, and is burned then."),
        "appealed" => format!("It is decided by {until}, or goes back."),
        "overturned" => "It went back to where it was taken.".to_owned(),
        _ => "It was burned.".to_owned(),
    }
}

fn punished(offences: &OffencesView, screen: Screen) -> String {
    let mut table =
        Table::new(&["OFFENCE", ">OF NEED", ">A CARD, IO", ">AT MOST", ">REWARDS OF", ">EVIDENCE"]);
    for offence in &offences.offences {
        table.row([
            offence.offence.clone(),
            percent(offence.need_bp),
            coins(offence.per_card),
            percent(offence.cap_bp),
            count(u64::from(offence.reward_hours), "hour"),
            count(u64::from(offence.kinds_min), "kind"),
        ]);
    }
    let mut text = table.text(screen);
    for offence in &offences.offences {
        let kinds = offence.evidence.join(", ");
        text.push_str(&format!("\n{}: {}\n  shown by {kinds}\n", offence.offence, offence.what));
    }
    text.push_str(&format!(
        "\nThe accused has {} days to appeal; an appeal is decided within {} days, or is granted.\n",
        offences.appeal_days, offences.decision_days
    ));
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::{OffenceView, SlashStep, StatementView};

    use super::*;
    use crate::verb::testing::at;

    fn slash(number: u128, state: &str, until: Option<Time>) -> SlashView {
        SlashView {
            id: SlashId::from_bits(number),
            worker: WorkerId::from_bits(1),
            owner: None,
            offence: "utilization-breach".to_owned(),
            offended_at: at(0),
            state: state.to_owned(),
            until,
            demanded: "500".parse().unwrap(),
            stake: "500".parse().unwrap(),
            rewards: "12.5".parse().unwrap(),
            yours: Some("387.5".parse().unwrap()),
            burned: false,
            evidence: vec![EvidenceItem {
                kind: "proof-transcript".to_owned(),
                blob: BlobId::from_sha256([7; 32]),
                summary: "the seed was of another hour".to_owned(),
            }],
            statements: vec![StatementView {
                by: "accused".to_owned(),
                text: "the clock of the verifier was wrong".to_owned(),
                blob: None,
            }],
            history: vec![SlashStep { at: at(1), what: "charged".to_owned() }],
        }
    }

    #[test]
    fn slashes_are_listed_and_shown_whole() {
        let slashes = [
            slash(1, "open", Some(at(43_200))),
            slash(2, "appealed", Some(at(86_400))),
            slash(3, "upheld", None),
        ];
        let text = table(&slashes, Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let text = format!("{text}\n{}", whole(&slashes[0], Screen::PLAIN));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn what_is_punished_is_a_table_and_words() {
        let offence = OffenceView {
            offence: "failed-delivery".to_owned(),
            what: "it was hired and did not deliver".to_owned(),
            need_bp: 0,
            per_card: "1".parse().unwrap(),
            cap_bp: 500,
            reward_hours: 1,
            evidence: vec!["rental-record".to_owned(), "renter-claim".to_owned()],
            kinds_min: 2,
        };
        let offences = OffencesView {
            appeal_days: 30,
            decision_days: 30,
            co_staker_liability_bp: 10_000,
            offences: vec![offence],
        };
        assert_snapshot!(punished(&offences, Screen::PLAIN));
    }

    #[test]
    fn a_moment_is_read() {
        assert_eq!(
            time("2026-11-22T16:10:00Z").map(|time| time.to_string()).as_deref(),
            Ok("2026-11-22T16:10:00.000Z")
        );
        assert!(time("yesterday").is_err());
    }
}
