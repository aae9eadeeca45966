//! `iog vote`: what holders of stakes decide, and the brake.

use std::path::PathBuf;

use units::{AccountId, Coins, ProposalId, SlashId};
use wire::{
    BallotRequest, BallotView, BrakeRequest, BrakeView, BrakesView, DelegateRequest, PowerView,
    ProposalRequest, ProposalView,
};

use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{coins, moment, percent};
use crate::table::{Table, cut};

const PROPOSALS: &str = "/v1/governance/proposals";
const BRAKES: &str = "/v1/governance/brakes";
/// What the brake can stop.
const STOPPED: [&str; 5] =
    ["claims", "new-rentals", "parameter-changes", "slashing", "withdrawals"];
/// How much of a title is in a table.
const TITLE_WIDTH: usize = 30;

/// What holders of stakes decide: proposals, ballots, delegates, the brake.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what is and was voted on, newest first. Needs no key.
    #[command(after_help = "Examples:\n  iog vote\n  iog vote list --json")]
    List,
    /// Show one proposal. Needs no key.
    #[command(after_help = "Example:\n  iog vote show prp_…")]
    Show {
        /// The proposal.
        proposal: ProposalId,
    },
    /// Put something to the vote.
    #[command(after_help = "\
Examples:
  iog vote propose 'A longer minimum' --patch patch.json --body 'Suppliers ask for it.'
  iog vote propose 'It was right' --slash sla_…
  iog vote propose 'Shall we meet?'")]
    Propose(ProposeArgs),
    /// Cast or change your ballot.
    #[command(after_help = "Example:\n  iog vote cast prp_… yes")]
    Cast {
        /// The proposal.
        proposal: ProposalId,
        /// Your choice.
        #[arg(value_parser = ["yes", "no", "abstain"])]
        choice: String,
    },
    /// Object to a proposal; enough power that objects stops it. It cannot be taken back.
    #[command(after_help = "Example:\n  iog vote veto prp_…")]
    Veto {
        /// The proposal.
        proposal: ProposalId,
    },
    /// Take your proposal back.
    #[command(after_help = "Example:\n  iog vote cancel prp_…")]
    Cancel {
        /// The proposal.
        proposal: ProposalId,
    },
    /// Show what you would vote with now.
    #[command(after_help = "Example:\n  iog vote power")]
    Power,
    /// Let somebody vote with your power, from the next proposal on; without an account, nobody.
    #[command(after_help = "Examples:\n  iog vote delegate acc_…\n  iog vote delegate")]
    Delegate {
        /// Who; nobody, if absent.
        to: Option<AccountId>,
    },
    /// Show the brake, pull it, let go of it, or object to it.
    Brake(BrakeArgs),
}

#[derive(Debug, clap::Args)]
struct ProposeArgs {
    /// One line.
    title: String,
    /// Why.
    #[arg(long, default_value = "")]
    body: String,
    /// A file with a JSON merge patch over the parameters.
    #[arg(long, value_name = "FILE", conflicts_with = "slash")]
    patch: Option<PathBuf>,
    /// The patch is one of the registry of devices alone, which takes a smaller majority.
    #[arg(long, requires = "patch")]
    registry: bool,
    /// A slash to undo.
    #[arg(long, value_name = "ID")]
    slash: Option<SlashId>,
}

#[derive(Debug, clap::Args)]
struct BrakeArgs {
    #[command(subcommand)]
    verb: Option<BrakeVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum BrakeVerb {
    /// Show the brake, and those that were lifted. Needs no key.
    #[command(after_help = "Example:\n  iog vote brake show")]
    Show,
    /// Stop parts of the network at once, for a short time; for the operator.
    #[command(
        after_help = "Example:\n  iog vote brake pull withdrawals claims --hours 24 --reason 'a bug in payouts'"
    )]
    Pull {
        /// Which parts.
        #[arg(required = true, value_parser = STOPPED)]
        what: Vec<String>,
        /// For how long.
        #[arg(long, value_name = "N")]
        hours: u32,
        /// Why, for everybody to read.
        #[arg(long)]
        reason: String,
    },
    /// Let go of it; for the operator.
    #[command(after_help = "Example:\n  iog vote brake lift")]
    Lift,
    /// Object to it; enough power that objects lifts it.
    #[command(after_help = "Example:\n  iog vote brake veto")]
    Veto,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let at = |proposal: &ProposalId| format!("{PROPOSALS}/{proposal}");
        let proposal: ProposalView = match self.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                let mut all: Vec<ProposalView> = client.pages(PROPOSALS)?;
                all.sort_by_key(|proposal| std::cmp::Reverse(proposal.proposed_at));
                return session.list(&all, "Nothing was proposed yet.", |all| table(all, screen));
            }
            Verb::Cast { proposal, choice } => {
                let request = BallotRequest { choice: choice.clone() };
                let cast: BallotView = client.post(&format!("{}/votes", at(proposal)), &request)?;
                return session.show(&cast, ballot);
            }
            Verb::Power => return session.show(&client.get("/v1/governance/power")?, power),
            Verb::Delegate { to } => {
                let request = DelegateRequest { to: *to };
                let view: PowerView = client.put("/v1/governance/delegate", &request)?;
                return session.show(&view, power);
            }
            Verb::Brake(args) => {
                return session.show(&args.tell(&client)?, |brakes| all_brakes(brakes, screen));
            }
            Verb::Show { proposal } => client.get(&at(proposal))?,
            Verb::Propose(args) => client.post(PROPOSALS, &args.request()?)?,
            Verb::Veto { proposal } => client.tell(&format!("{}/veto", at(proposal)))?,
            Verb::Cancel { proposal } => client.delete(&at(proposal))?,
        };
        session.show(&proposal, |proposal| whole(proposal, screen))
    }
}

impl ProposeArgs {
    fn request(&self) -> Result<ProposalRequest, Failure> {
        let kind = match (&self.patch, self.slash) {
            (Some(_), _) if self.registry => "registry",
            (Some(_), _) => "parameters",
            (None, Some(_)) => "appeal-jury",
            (None, None) => "text",
        };
        let patch = self.patch.as_ref().map(|path| {
            serde_json::from_str(&file::read_text(path)?).map_err(|why| {
                Failure::usage(format!("the patch is no JSON object: {why}"), "see --help")
            })
        });
        Ok(ProposalRequest {
            kind: kind.to_owned(),
            title: self.title.clone(),
            body: self.body.clone(),
            patch: patch.transpose()?,
            slash: self.slash,
        })
    }
}

impl BrakeArgs {
    fn tell(&self, client: &Client) -> Result<BrakesView, Failure> {
        match self.verb.as_ref().unwrap_or(&BrakeVerb::Show) {
            BrakeVerb::Show => client.get(BRAKES),
            BrakeVerb::Pull { what, hours, reason } => {
                let (what, reason) = (what.clone(), reason.clone());
                client.post(BRAKES, &BrakeRequest { what, reason, hours: *hours })
            }
            BrakeVerb::Lift => client.delete(BRAKES),
            BrakeVerb::Veto => client.tell(&format!("{BRAKES}/veto")),
        }
    }
}

/// A part of a whole in percent, rounded down to the tenth.
fn part(part: Coins, whole: Coins) -> String {
    let thousandths = part.mul_div_floor(1_000, whole.units().max(1)).map_or(0, Coins::units);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

fn table(proposals: &[ProposalView], screen: Screen) -> String {
    let mut table = Table::new(&["PROPOSAL", "TITLE", "STATE", ">YES", ">NO", "UNTIL"]);
    for proposal in proposals {
        let until = proposal.until.map(moment).unwrap_or_default();
        table.row([
            proposal.id.to_string(),
            cut(&proposal.title, TITLE_WIDTH),
            proposal.state.clone(),
            part(proposal.yes, proposal.total),
            part(proposal.no, proposal.total),
            until.split(' ').next().unwrap_or_default().to_owned(),
        ]);
    }
    table.text(screen)
}

fn whole(proposal: &ProposalView, screen: Screen) -> String {
    let title = screen.paint(Ink::Strong, &proposal.title);
    let (by, at) = (proposal.proposer, moment(proposal.proposed_at));
    let mut text = format!("{title}\n  {}, {}\n  by {by}, {at}\n", proposal.id, proposal.kind);
    if !proposal.body.is_empty() {
        text.push_str(&format!("\n{}\n", proposal.body));
    }
    text.extend(proposal.patch.iter().map(|patch| format!("\nchanges {patch}\n")));
    text.extend(proposal.slash.iter().map(|slash| format!("\nundoes {slash}\n")));
    text.push('\n');
    let line = |what: &str, power: Coins, note: String| {
        let (coins, part) = (coins(power), part(power, proposal.total));
        format!("  {what:<10}{coins:>20} IO {part:>8}  {note}").trim_end().to_owned() + "\n"
    };
    let threshold = percent(proposal.threshold_bp);
    text.push_str(&line("yes", proposal.yes, format!("takes more than {threshold} of yes and no")));
    text.push_str(&line("no", proposal.no, String::new()));
    let quorum = format!("yes and these must reach {} IO", coins(proposal.quorum));
    text.push_str(&line("abstained", proposal.abstain, quorum));
    let veto = format!("{} IO stop it", coins(proposal.veto));
    text.push_str(&line("object", proposal.objected, veto));
    text.push_str(&format!("\n{}\n", next(proposal)));
    text
}

/// Where it stands, and what is next.
fn next(proposal: &ProposalView) -> String {
    let until = proposal.until.map(moment).unwrap_or_default();
    let reason = proposal.reason.as_deref().map_or("no reason is known", in_words);
    match proposal.state.as_str() {
        "pending" => format!("Voting begins {until}."),
        "voting" => {
            let passes = if proposal.passes { "it would pass" } else { "it would not pass" };
            format!("As it stands {passes}. Until {until}:\n  iog vote cast {} yes", proposal.id)
        }
        "queued" => format!("It was voted through, and is carried out from {until} on."),
        "succeeded" => "It was voted through.".to_owned(),
        "executed" => "It was voted through and carried out.".to_owned(),
        "failed" => format!("It could not be carried out: {reason}."),
        "defeated" | "cancelled" => format!("It was {}: {reason}.", proposal.state),
        "vetoed" => "It was stopped: enough power objected.".to_owned(),
        "expired" => {
            "It was voted through, and not carried out within the time for that.".to_owned()
        }
        other => format!("It is {other}."),
    }
}

/// Why a proposal came to nothing: the code in words, and what is said already as it is.
fn in_words(reason: &str) -> &str {
    match reason {
        "no-quorum" => "too little power took part",
        "outvoted" => "too small a part of yes and no was yes",
        "by-proposer" => "its proposer took it back",
        "power-lost" => "its proposer has not the power any more that proposing takes",
        said => said,
    }
}

fn ballot(view: &BallotView) -> String {
    let choice = view.choice.as_deref().unwrap_or("nothing");
    let weight = view.own.checked_add(view.entrusted).unwrap_or(view.own);
    let lent = match view.entrusted.is_zero() {
        true => String::new(),
        false => format!(", {} of them lent by others", coins(view.entrusted)),
    };
    format!("voted {choice} with {} IO{lent}\n", coins(weight))
}

fn power(view: &PowerView) -> String {
    let line = |what: &str, amount: Coins| format!("{what:<24}{:>24} IO\n", coins(amount));
    let mut text = line("your own", view.own);
    text.push_str(&line("lent by others", view.entrusted));
    text.push_str(&line("of all there is", view.total));
    text.push_str(&line("it takes to propose", view.propose_min));
    match view.delegate {
        Some(delegate) => text.push_str(&format!("\n{delegate} votes with yours until you do.\n")),
        None if view.own.is_zero() => {
            let days = view.age_days;
            text.push_str(&format!("\nCoins vote when they have been staked for {days} days:\n"));
            text.push_str("  iog safety stake COINS\n");
        }
        None => {}
    }
    text
}

fn all_brakes(brakes: &BrakesView, screen: Screen) -> String {
    let mut text = match &brakes.on {
        Some(brake) => {
            let (objected, veto) = (coins(brake.objected), coins(brake.veto));
            let on = screen.paint(Ink::Bad, "The brake is on.");
            format!("{on}\n{}  {objected} of {veto} IO that lift it object\n", one(brake))
        }
        None => "No brake is on.\n".to_owned(),
    };
    for brake in &brakes.lifted {
        let at = brake.lifted_at.map(moment).unwrap_or_default();
        let by = brake.lifted_by.as_deref().unwrap_or_default();
        text.push_str(&format!("\nlifted {at} ({by})\n{}", one(brake)));
    }
    text
}

fn one(brake: &BrakeView) -> String {
    let (what, from, until) = (brake.what.join(", "), moment(brake.from), moment(brake.until));
    format!("  stops {what}\n  from {from} to {until}\n  {}\n", brake.reason)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing::at;

    fn io(text: &str) -> Coins {
        text.parse().unwrap()
    }

    fn proposal(state: &str) -> ProposalView {
        ProposalView {
            id: ProposalId::from_bits(1),
            kind: "parameters".to_owned(),
            title: "A longer minimum, because suppliers ask".to_owned(),
            body: "Suppliers ask for it.".to_owned(),
            patch: Some(r#"{"fees":{"nonrefundable_minutes":90}}"#.to_owned()),
            slash: None,
            proposer: AccountId::from_bits(1),
            proposed_at: at(0),
            state: state.to_owned(),
            until: (state == "voting").then_some(at(10_080)),
            decided_at: None,
            reason: Some("no-quorum".to_owned()),
            yes: io("600000"),
            no: io("0.5"),
            abstain: io("0"),
            voters: 2,
            quorum: io("1000000"),
            threshold_bp: 6_000,
            passes: false,
            objected: io("0"),
            veto: io("3334000"),
            total: io("10000000"),
        }
    }

    #[test]
    fn proposals_are_listed_and_shown_whole() {
        let all = [proposal("voting"), proposal("defeated")];
        let text = table(&all, Screen::PLAIN);
        let text = format!("{text}\n{}\n{}", whole(&all[0], Screen::PLAIN), next(&all[1]));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn power_says_how_to_get_some() {
        let none = PowerView {
            own: io("0"),
            entrusted: io("0"),
            delegate: None,
            total: io("1000"),
            propose_min: io("2.5"),
            age_days: 7,
        };
        let lent = PowerView { own: io("400"), delegate: Some(AccountId::from_bits(2)), ..none };
        let cast = BallotView {
            proposal: ProposalId::from_bits(1),
            own: io("600"),
            entrusted: io("400"),
            delegate: None,
            choice: Some("yes".to_owned()),
            objects: false,
        };
        assert_snapshot!(format!("{}\n{}\n{}", power(&none), power(&lent), ballot(&cast)));
    }

    #[test]
    fn a_brake_says_what_it_stops_and_what_lifts_it() {
        let brake = BrakeView {
            what: vec!["claims".to_owned(), "withdrawals".to_owned()],
            reason: "a bug in payouts".to_owned(),
            from: at(0),
            until: at(1_440),
            objected: io("60"),
            veto: io("100"),
            lifted_at: None,
            lifted_by: None,
        };
        let lifted = BrakeView {
            lifted_at: Some(at(60)),
            lifted_by: Some("holders".to_owned()),
            ..brake.clone()
        };
        let on = BrakesView { on: Some(brake), lifted: vec![lifted] };
        let off = BrakesView { on: None, lifted: vec![] };
        let text =
            format!("{}\n{}", all_brakes(&on, Screen::PLAIN), all_brakes(&off, Screen::PLAIN));
        assert_snapshot!(text);
    }
}
