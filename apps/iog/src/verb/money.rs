//! `iog balance`, `iog statement`, `iog receipt`: a project's money.

use units::RentalId;
use wire::{ProjectView, RentalView, TransferView};

use crate::failure::Failure;
use crate::receipt;
use crate::screen::{Ink, Screen};
use crate::session::{Named, Session};
use crate::show::{moment, usd};
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
    format!(
        "{} ({})\n  available {}\n  set aside {:>12} USD\n",
        screen.paint(Ink::Strong, project.name.text()),
        project.id,
        screen.paint(Ink::Strong, &available),
        usd(project.held),
    )
}

/// List the movements of the project's money, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog statement\n  iog statement --all --json > statement.json")]
pub(crate) struct StatementArgs {
    /// All of them, not only the last hundred.
    #[arg(long)]
    all: bool,
}

impl StatementArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let path = format!("/v1/projects/{}/transfers", session.project(&client)?);
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
}

fn statement(transfers: &[TransferView], screen: Screen) -> String {
    let mut table = Table::new(&["WHEN", "KIND", "FROM", "TO", ">USD", "RENTAL"]);
    for transfer in transfers {
        table.row([
            moment(transfer.at),
            transfer.kind.clone(),
            transfer.from.clone(),
            transfer.to.clone(),
            usd(transfer.amount),
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
