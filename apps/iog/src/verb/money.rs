//! `iog balance`, `iog statement`, `iog receipt`: where money is and where it went.

use units::{Asset, RentalId};
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
        let path = self.path(session, &client)?;
        let (transfers, more): (Vec<TransferView>, bool) = match self.all {
            true => (client.pages(&path)?, false),
            false => client.page(&path)?,
        };
        session.list(&transfers, "No money has moved.", |transfers| {
            statement(transfers, session.screen)
        })?;
        if more {
            session.screen.note("There are more: --all shows all of them.");
        }
        Ok(())
    }

    fn path(&self, session: &Session, client: &Client) -> Result<String, Failure> {
        if self.network {
            return Ok("/v1/network/transfers".to_owned());
        }
        if self.account {
            let me: MeView = client.get("/v1/me")?;
            return Ok(format!("/v1/accounts/{}/transfers", me.account.id));
        }
        Ok(format!("/v1/projects/{}/transfers", session.project(client)?))
    }
}

fn statement(transfers: &[TransferView], screen: Screen) -> String {
    let mut table = Table::new(&["WHEN", "KIND", "FROM", "TO", ">AMOUNT", "RENTAL"]);
    for transfer in transfers {
        table.row([
            moment(transfer.at),
            transfer.kind.clone(),
            transfer.from.clone(),
            transfer.to.clone(),
            money(transfer.amount),
            transfer.rental.map(|rental| rental.to_string()).unwrap_or_default(),
        ]);
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
