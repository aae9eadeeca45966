//! `iog grants`: coins of genesis set aside for somebody.

use units::{AccountId, Coins, GrantId};
use wire::{GrantRequest, GrantView};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{coins, moment};
use crate::table::Table;

const GRANTS: &str = "/v1/io-token/grants";

/// Coins of genesis set aside for you.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List your grants, what of them is released, and when there is more; for the operator, everyone's.
    #[command(after_help = "Examples:\n  iog grants\n  iog grants list --json")]
    List,
    /// Claim what a grant has released.
    #[command(after_help = "Example:\n  iog grants claim gra_…")]
    Claim {
        /// The grant.
        grant: GrantId,
    },
    /// Set coins of genesis aside for somebody; for the operator.
    #[command(after_help = "Example:\n  iog grants open acc_… seed 1000000")]
    Open {
        /// Who may claim them.
        account: AccountId,
        /// The class whose schedule they follow: community, ecosystem, seed, series-a or core.
        class: String,
        /// How many coins.
        coins: Coins,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let grant: GrantView = match self.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                let grants: Vec<GrantView> = client.pages(GRANTS)?;
                return session.list(&grants, "You have no grant.", |it| text(it, screen));
            }
            Verb::Claim { grant } => client.tell(&format!("{GRANTS}/{grant}/claim"))?,
            Verb::Open { account, class, coins } => {
                let (account, class, coins) = (*account, class.clone(), *coins);
                client.post(GRANTS, &GrantRequest { account, class, coins })?
            }
        };
        session.show(&grant, |grant| text(std::slice::from_ref(grant), screen))
    }
}

fn text(grants: &[GrantView], screen: Screen) -> String {
    let mut table =
        Table::new(&["GRANT", "CLASS", ">COINS, IO", ">RELEASED", ">CLAIMED", ">TO CLAIM"]);
    for grant in grants {
        table.row([
            grant.id.to_string(),
            grant.class.clone(),
            coins(grant.coins),
            coins(grant.released),
            coins(grant.claimed),
            coins(grant.claimable),
        ]);
    }
    let mut text = table.text(screen);
    text.push('\n');
    text.extend(grants.iter().map(next));
    text
}

/// What is to be done or waited for next.
fn next(grant: &GrantView) -> String {
    if !grant.claimable.is_zero() {
        let coins = coins(grant.claimable);
        return format!("{coins} IO can be claimed:\n  iog grants claim {}\n", grant.id);
    }
    match (grant.next_at, grant.next_coins) {
        (Some(at), Some(next)) => {
            format!("{}: {} IO more on {}\n", grant.id, coins(next), moment(at))
        }
        (_, _) => format!("{}: all of it was released and claimed\n", grant.id),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing::at;

    #[test]
    fn grants_say_when_there_is_more() {
        let grant = |number, claimed: &str, claimable: &str, next| GrantView {
            id: GrantId::from_bits(number),
            account: AccountId::from_bits(1),
            class: "community".to_owned(),
            coins: "1000000".parse().unwrap(),
            from: at(0),
            released: "560000".parse().unwrap(),
            claimed: claimed.parse().unwrap(),
            claimable: claimable.parse().unwrap(),
            next_at: next,
            next_coins: next.map(|_| "10731.70731707".parse().unwrap()),
        };
        let grants = [
            grant(1, "0", "560000", Some(at(43_200))),
            grant(2, "560000", "0", Some(at(43_200))),
            grant(3, "1000000", "0", None),
        ];
        let text = text(&grants, Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }
}
