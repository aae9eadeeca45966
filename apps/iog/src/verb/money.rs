//! `iog balance`, `iog statement`, `iog receipt`: where money is and where it went.

use units::{AccountId, Asset, RentalId};
use wire::{MeView, ProjectView, RentalView, TransferView};

use crate::client::Client;
use crate::failure::Failure;
use crate::receipt;
use crate::screen::{Ink, Screen};
use crate::session::{Named, Session};
use crate::show::{moment, money, usd};
use crate::table::Table;

/// Show what the project can spend, and what is set aside for rentals that run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog balance\n  iog balance --json | jq -r .available")]
pub(crate) struct BalanceArgs {}

impl BalanceArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.project(&client)?;
        let project: ProjectView = client.get(&format!("/v1/projects/{id}"))?;
        session.show(&project, |project| balance(project, session.screen))
    }
}

fn balance(project: &ProjectView, screen: Screen) -> String {
    let available = format!("{:>12} USD", usd(project.available));
    let mut text = format!(
        "{} ({})\n  available {}\n  set aside {:>12} USD\n",
        screen.paint(Ink::Strong, project.name.text()),
        project.id,
        screen.paint(Ink::Strong, &available),
        usd(project.held),
    );
    for other in project.balances.iter().filter(|it| it.asset != Asset::Usd) {
        text.push_str(&format!("  available {:>16}\n", money(*other)));
    }
    text
}

/// List the movements of the project's money, newest first; or of one's account, or of the network.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog statement
  iog statement --account
  iog statement --all --json > statement.json")]
pub(crate) struct StatementArgs {
    /// Of one's own account: what it earned, claimed and paid.
    #[arg(long, conflicts_with = "network")]
    account: bool,
    /// Of the network's own purses.
    #[arg(long)]
    network: bool,
    /// All of them, not only the last hundred.
    #[arg(long)]
    all: bool,
}

impl StatementArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let own = self.own(&client)?;
        let path = self.path(session, &client, own)?;
        let (transfers, more): (Vec<TransferView>, bool) = match self.all {
            true => (client.pages(&path)?, false),
            false => client.page(&path)?,
        };
        session.list(&transfers, "No money has moved.", |transfers| {
            statement(transfers, own, session.screen)
        })?;
        if more {
            session.screen.note("There are more: --all shows all of them.");
        }
        Ok(())
    }

    /// One's own account, where its statement is asked for.
    fn own(&self, client: &Client) -> Result<Option<AccountId>, Failure> {
        let asked = self.account.then(|| client.get::<MeView>("/v1/me")).transpose()?;
        Ok(asked.map(|me| me.account.id))
    }

    fn path(
        &self,
        session: &Session,
        client: &Client,
        own: Option<AccountId>,
    ) -> Result<String, Failure> {
        Ok(match own {
            _ if self.network => "/v1/network/transfers".to_owned(),
            Some(account) => format!("/v1/accounts/{account}/transfers"),
            None => format!("/v1/projects/{}/transfers", session.project(client)?),
        })
    }
}

/// Movements of money; one's own account goes without its id, and no column is for rentals where there are none.
fn statement(transfers: &[TransferView], own: Option<AccountId>, screen: Screen) -> String {
    let headings = ["WHEN", "KIND", "FROM", "TO", ">AMOUNT", "RENTAL"];
    let has_rentals = transfers.iter().any(|transfer| transfer.rental.is_some());
    let mut table = Table::new(if has_rentals { &headings } else { &headings[..5] });
    let own = own.map(|account| format!("account {account}"));
    let purse = |name: &String| match own.as_ref() == Some(name) {
        true => "account".to_owned(),
        false => name.clone(),
    };
    for transfer in transfers {
        let when = moment(transfer.at);
        let (kind, amount) = (transfer.kind.clone(), money(transfer.amount));
        let (from, to) = (purse(&transfer.from), purse(&transfer.to));
        match transfer.rental.map(|rental| rental.to_string()) {
            rental if has_rentals => {
                table.row([when, kind, from, to, amount, rental.unwrap_or_default()]);
            }
            _ => table.row([when, kind, from, to, amount]),
        }
    }
    table.text(screen)
}

/// Show what a rental came to, line by line, and recompute it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog receipt training\n  iog receipt rnt_… --json")]
pub(crate) struct ReceiptArgs {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
}

impl ReceiptArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.rental(&client, &self.rental)?;
        let rental: RentalView = client.get(&format!("/v1/rentals/{id}"))?;
        // Asked for by itself, so that a rental that is not settled is refused with its reason.
        let told = client.get(&format!("/v1/rentals/{id}/receipt"))?;
        session.show(&told, |told| receipt::text(&rental, told, session.screen))?;
        receipt::checked(&rental, &told)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing::at;

    #[test]
    fn ones_own_account_has_no_id_and_no_column_is_empty() {
        let (me, other) = (AccountId::from_bits(1), AccountId::from_bits(2));
        let moved = |from: String, to: String| TransferView {
            id: units::TransferId::from_bits(1),
            at: at(0),
            kind: "move".to_owned(),
            from,
            to,
            amount: "20 IO".parse().unwrap(),
            rental: None,
        };
        let (mine, theirs) = (format!("account {me}"), format!("account {other}"));
        let all = [moved("rewards".to_owned(), mine.clone()), moved(mine, theirs)];
        assert_snapshot!(statement(&all, Some(me), Screen::PLAIN));
        let rented = TransferView { rental: Some(RentalId::from_bits(3)), ..all[0].clone() };
        let text = statement(&[rented], None, Screen::PLAIN);
        assert!(text.contains("RENTAL") && text.contains(&me.to_string()), "{text}");
    }
}
