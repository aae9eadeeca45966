//! `iog season`: reward programs, who is ahead, and their planning.

use std::path::{Path, PathBuf};

use serde_json::Value;
use units::{Name, SeasonId};
use wire::{RankView, SeasonIssued, SeasonView};

use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{coins, count, moment};
use crate::table::{Table, cut};

const SEASONS: &str = "/v1/seasons";
/// How much of a title is in a table.
const TITLE_WIDTH: usize = 24;

/// Reward programs: points for work, uptime and quests, and prizes paid by points.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them. Needs no key.
    #[command(after_help = "Examples:\n  iog season\n  iog season list --json")]
    List,
    /// Show one: its prizes and quests. Needs no key.
    #[command(after_help = "Example:\n  iog season show sea_…")]
    Show {
        /// The season.
        season: SeasonId,
    },
    /// Show who is ahead. Needs no key.
    #[command(
        after_help = "Examples:\n  iog season board sea_…\n  iog season board sea_… --basis quests"
    )]
    Board {
        /// The season.
        season: SeasonId,
        /// By which points.
        #[arg(long, default_value = "all", value_parser = ["work", "quests", "all"])]
        basis: String,
    },
    /// Plan a season; for the operator. Writes the secrets that sign the calls of its quests, once.
    #[command(after_help = "Example:\n  iog season open plan.json --json > secrets.json")]
    Open {
        /// A file with the plan, as POST /v1/seasons takes it.
        plan: PathBuf,
    },
    /// Take a season back before it begins; for the operator.
    #[command(after_help = "Example:\n  iog season withdraw sea_…")]
    Withdraw {
        /// The season.
        season: SeasonId,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match self.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                let seasons: Vec<SeasonView> = client.pages(SEASONS)?;
                session.list(&seasons, "There is no season.", |seasons| table(seasons, screen))
            }
            Verb::Show { season } => {
                let season: SeasonView = client.get(&format!("{SEASONS}/{season}"))?;
                session.show(&season, |season| whole(season, screen))
            }
            Verb::Board { season, basis } => {
                let basis = crate::client::escaped(basis);
                let path = format!("{SEASONS}/{season}/leaderboard?basis={basis}");
                let (ranks, is_more): (Vec<RankView>, bool) = client.page(&path)?;
                session.list(&ranks, "Nobody has points yet.", |ranks| board(ranks, screen))?;
                if is_more {
                    screen.note("These are the first; the API has all of them.");
                }
                Ok(())
            }
            Verb::Open { plan } => {
                let issued = open(&client, plan)?;
                session.show(&issued, |issued| secrets(issued, screen))?;
                screen.note("The secrets of its quests are not shown again.");
                Ok(())
            }
            Verb::Withdraw { season } => {
                client.remove(&format!("{SEASONS}/{season}"))?;
                screen.note(&format!("{season} is taken back."));
                Ok(())
            }
        }
    }
}

fn open(client: &Client, plan: &Path) -> Result<SeasonIssued, Failure> {
    let text = file::read_text(plan)?;
    let plan: Value = serde_json::from_str(&text)
        .map_err(|why| Failure::usage(format!("the plan is no JSON: {why}"), "see /docs"))?;
    client.post(SEASONS, &plan)
}

fn table(seasons: &[SeasonView], screen: Screen) -> String {
    let mut table = Table::new(&["SEASON", "TITLE", "STATE", "FROM", "UNTIL", ">ACCOUNTS"]);
    for season in seasons {
        let day =
            |hour: units::Hour| hour.to_string().split('T').next().unwrap_or_default().to_owned();
        table.row([
            season.id.to_string(),
            cut(&season.title, TITLE_WIDTH),
            season.state.clone(),
            day(season.from),
            day(season.until),
            season.accounts.to_string(),
        ]);
    }
    table.text(screen)
}

fn whole(season: &SeasonView, screen: Screen) -> String {
    let title = screen.paint(Ink::Strong, &season.title);
    let accounts = count(season.accounts, "account");
    let mut text = format!(
        "{title}\n  {}, {}, {accounts}\n  from {} to {}\n\n",
        season.id, season.state, season.from, season.until
    );
    let mut pools = Table::new(&["PRIZE POOL", ">COINS, IO", "SHARED BY"]);
    for pool in &season.pools {
        let basis = match pool.basis.as_str() {
            "all" => "all points",
            "quests" => "points of quests",
            "work" => "points of work",
            other => other,
        };
        pools.row([pool.name.to_string(), coins(pool.prize), basis.to_owned()]);
    }
    text.push_str(&pools.text(screen));
    if !season.quests.is_empty() {
        let mut quests = Table::new(&["QUEST", "WHAT TO DO", ">POINTS", ">DONE BY", ">OF"]);
        for quest in &season.quests {
            quests.row([
                quest.name.to_string(),
                cut(&quest.title, TITLE_WIDTH * 2),
                quest.points.to_string(),
                quest.completions.to_string(),
                quest.completions_max.to_string(),
            ]);
        }
        text.push_str(&format!("\n{}", quests.text(screen)));
    }
    text.push_str(&format!("\n{}\n", next(season)));
    text
}

fn next(season: &SeasonView) -> String {
    let paid = season.paid_at.map(moment).unwrap_or_default();
    match season.state.as_str() {
        "planned" => format!("It begins {}.", season.from),
        "running" => format!("Who is ahead:\n  iog season board {}", season.id),
        "ended" => "Its prizes are about to be paid.".to_owned(),
        _ => format!("Its prizes were paid {paid}."),
    }
}

fn board(ranks: &[RankView], screen: Screen) -> String {
    let mut table = Table::new(&[">PLACE", "ACCOUNT", ">POINTS"]);
    for rank in ranks {
        table.row([rank.place.to_string(), rank.account.to_string(), rank.points.clone()]);
    }
    table.text(screen)
}

/// The season, and a line with the secret of each quest.
fn secrets(issued: &SeasonIssued, screen: Screen) -> String {
    let mut text = whole(&issued.season, screen);
    let line = |(quest, secret): (&Name, &String)| format!("  {quest}\n  {secret}\n");
    if !issued.secrets.is_empty() {
        text.push_str("\nWhat signs the calls of each quest\n");
        text.extend(issued.secrets.iter().map(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use units::AccountId;
    use wire::{PoolView, QuestView};

    use super::*;

    fn season() -> SeasonView {
        SeasonView {
            id: SeasonId::from_bits(1),
            title: "Ignition, the fourth season".to_owned(),
            state: "running".to_owned(),
            from: "2126-01-01T00".parse().unwrap(),
            until: "2126-02-01T00".parse().unwrap(),
            paid_at: None,
            recorded: None,
            accounts: 1_204,
            pools: vec![PoolView {
                name: "machines".parse().unwrap(),
                prize: "100000".parse().unwrap(),
                basis: "all".to_owned(),
            }],
            quests: vec![QuestView {
                name: "join-the-forum".parse().unwrap(),
                title: "Join the forum".to_owned(),
                points: 100,
                completions: 7,
                completions_max: 1_000,
            }],
        }
    }

    #[test]
    fn seasons_are_listed_and_shown_whole() {
        let text =
            format!("{}\n{}", table(&[season()], Screen::PLAIN), whole(&season(), Screen::PLAIN));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn the_board_and_the_secrets() {
        let rank = |place, points: &str| RankView {
            place,
            account: AccountId::from_bits(u128::from(place)),
            points: points.to_owned(),
        };
        let text = board(&[rank(1, "1204.500"), rank(2, "99.000")], Screen::PLAIN);
        let quest: Name = "join-the-forum".parse().unwrap();
        let issued = SeasonIssued { season: season(), secrets: [(quest, "5e".repeat(32))].into() };
        assert_snapshot!(format!("{text}\n{}", secrets(&issued, Screen::PLAIN)));
    }
}
