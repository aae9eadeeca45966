//! `iog operator`: what only the operator of a network may do.

use units::{Credits, GpuModel, Name, ProjectId};
use wire::{
    AccountRequest, AccountView, BookView, ParametersBody, PricesBody, ProjectView, TopUpRequest,
};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{count, percent, usd};
use crate::table::Table;
use crate::verb::login;

/// Accounts, credits, fees, prices and the book: for keys with the scope `operator`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Accounts.
    Account(AccountArgs),
    /// Credit a project.
    #[command(
        after_help = "Example:\n  iog operator top-up prj_… 10.00 --note 'paid by invoice 7'"
    )]
    TopUp {
        /// The project.
        project: ProjectId,
        /// How many USD.
        amount: Credits,
        /// What for.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Show fees and minimums, or change them for quotes from then on.
    #[command(
        after_help = "Examples:\n  iog operator parameters\n  iog operator parameters --minimum-minutes 1"
    )]
    Parameters(ParametersArgs),
    /// Show hourly prices, or change them for quotes from then on.
    #[command(after_help = "\
Examples:
  iog operator prices
  iog operator prices --vcpu 0.02 --gpu 'NVIDIA H100 PCIe=0.95'")]
    Prices(PricesArgs),
    /// Show where all the money is, and whether it adds up.
    #[command(
        after_help = "Examples:\n  iog operator book\n  iog operator book --json | jq .balanced"
    )]
    Book,
}

#[derive(Debug, clap::Args)]
struct AccountArgs {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, clap::Subcommand)]
enum AccountVerb {
    /// Open an account.
    #[command(after_help = "Example:\n  iog operator account create ada --email ada@example.org")]
    Create {
        /// What it is called.
        name: Name,
        /// Where it can be written to.
        #[arg(long)]
        email: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct ParametersArgs {
    /// The renter's fee, in ten-thousandths.
    #[arg(long, value_name = "BP")]
    renter_fee_bp: Option<u16>,
    /// The supplier's fee, in ten-thousandths.
    #[arg(long, value_name = "BP")]
    supplier_fee_bp: Option<u16>,
    /// Minutes charged even when the renter ends earlier.
    #[arg(long, value_name = "N")]
    minimum_minutes: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct PricesArgs {
    /// USD an hour for one vCPU of a machine rented without GPUs.
    #[arg(long, value_name = "USD")]
    vcpu: Option<Credits>,
    /// USD an hour for one GPU of a model that has no price of its own.
    #[arg(long, value_name = "USD")]
    other_gpu: Option<Credits>,
    /// USD an hour for one GPU of this model.
    #[arg(long, value_name = "MODEL=USD", value_parser = gpu_price)]
    gpu: Vec<(GpuModel, Credits)>,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.verb {
            Verb::Account(AccountArgs { verb: AccountVerb::Create { name, email } }) => {
                let request = AccountRequest { name: name.clone(), email: email.clone() };
                let account: AccountView = client.post("/v1/accounts", &request)?;
                session.show(&account, |account| format!("{}\n", account.id))
            }
            Verb::TopUp { project, amount, note } => {
                let request = TopUpRequest { amount: *amount, note: note.clone() };
                let project: ProjectView =
                    client.post(&format!("/v1/projects/{project}/top-ups"), &request)?;
                session.show(&project, |project| {
                    login::projects(std::slice::from_ref(project), screen)
                })
            }
            Verb::Parameters(args) => {
                let path = "/v1/network/parameters";
                let now: ParametersBody = client.get(path)?;
                let wanted = args.over(now);
                let set = if wanted == now { now } else { client.put(path, &wanted)? };
                session.show(&set, parameters)
            }
            Verb::Prices(args) => {
                let path = "/v1/network/prices";
                let now: PricesBody = client.get(path)?;
                let wanted = args.over(now.clone());
                let set = if wanted == now { now } else { client.put(path, &wanted)? };
                session.show(&set, |prices| price_table(prices, screen))
            }
            Verb::Book => {
                let view: BookView = client.get("/v1/network/book")?;
                session.show(&view, |view| book(view, screen))
            }
        }
    }
}

impl ParametersArgs {
    fn over(&self, now: ParametersBody) -> ParametersBody {
        ParametersBody {
            renter_fee_bp: self.renter_fee_bp.unwrap_or(now.renter_fee_bp),
            supplier_fee_bp: self.supplier_fee_bp.unwrap_or(now.supplier_fee_bp),
            minimum_minutes: self.minimum_minutes.unwrap_or(now.minimum_minutes),
        }
    }
}

impl PricesArgs {
    fn over(&self, mut now: PricesBody) -> PricesBody {
        now.gpus.extend(self.gpu.iter().cloned());
        PricesBody {
            gpus: now.gpus,
            other_gpu: self.other_gpu.unwrap_or(now.other_gpu),
            vcpu: self.vcpu.unwrap_or(now.vcpu),
        }
    }
}

fn gpu_price(text: &str) -> Result<(GpuModel, Credits), String> {
    let (model, price) = text.rsplit_once('=').ok_or("write it as MODEL=USD")?;
    let model = model.parse().map_err(|why: units::NotHardware| why.to_string())?;
    Ok((model, price.parse().map_err(|why: units::NotAnAmount| why.to_string())?))
}

fn parameters(parameters: &ParametersBody) -> String {
    format!(
        "renter's fee    {:>8}\nsupplier's fee  {:>8}\nat least        {:>8}\n",
        percent(parameters.renter_fee_bp),
        percent(parameters.supplier_fee_bp),
        count(u64::from(parameters.minimum_minutes), "minute"),
    )
}

fn price_table(prices: &PricesBody, screen: Screen) -> String {
    let mut table = Table::new(&["FOR", ">USD/HOUR"]);
    for (model, price) in &prices.gpus {
        table.row([model.to_string(), usd(*price)]);
    }
    table.row(["any other GPU".to_owned(), usd(prices.other_gpu)]);
    table.row(["one vCPU without GPUs".to_owned(), usd(prices.vcpu)]);
    table.text(screen)
}

/// The book; its last line says whether it adds up.
pub(crate) fn book(book: &BookView, screen: Screen) -> String {
    let lines = [
        ("projects can spend", book.projects.available),
        ("set aside", book.projects.held),
        ("paid, not yet handed on", book.escrow),
        ("earned by suppliers", book.suppliers),
        ("kept by the network", book.fees),
    ];
    let mut text = String::new();
    for (label, amount) in lines {
        text.push_str(&format!("  {label:<36}{:>12} USD\n", usd(amount)));
    }
    let total = format!("{:>12} USD", usd(book.entered));
    text.push_str(&format!(
        "{:<38}{}\n\n",
        "= came in from outside",
        screen.paint(Ink::Strong, &total)
    ));
    text.push_str(&match adds_up(book) {
        true => screen.paint(Ink::Good, "✓ The book balances."),
        false => screen.paint(Ink::Bad, "✗ The book does not balance."),
    });
    text.push('\n');
    text
}

/// Whether the server says so and the sums say so too.
pub(crate) fn adds_up(book: &BookView) -> bool {
    let parts =
        [book.projects.available, book.projects.held, book.escrow, book.suppliers, book.fees];
    let sum = parts.iter().try_fold(Credits::ZERO, |sum, part| sum.checked_add(*part));
    book.balanced && sum == Some(book.entered)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::Balances;

    use super::*;

    fn whole() -> BookView {
        let usd = |text: &str| text.parse().unwrap();
        BookView {
            entered: usd("10"),
            projects: Balances { available: usd("9.996494"), held: usd("0") },
            suppliers: usd("0.003492"),
            escrow: usd("0"),
            fees: usd("0.000014"),
            balanced: true,
        }
    }

    #[test]
    fn the_book_is_shown_with_its_sum() {
        assert_snapshot!(book(&whole(), Screen::PLAIN), @r"
          projects can spend                      9.996494 USD
          set aside                                   0.00 USD
          paid, not yet handed on                     0.00 USD
          earned by suppliers                     0.003492 USD
          kept by the network                     0.000014 USD
        = came in from outside                       10.00 USD

        ✓ The book balances.
        ");
    }

    #[test]
    fn a_book_is_summed_here_too() {
        assert!(adds_up(&whole()));
        assert!(!adds_up(&BookView { balanced: false, ..whole() }));
        assert!(!adds_up(&BookView { fees: Credits::ZERO, ..whole() }));
    }

    #[test]
    fn a_price_of_a_model_is_read() {
        let (model, price) = gpu_price("NVIDIA H100 PCIe=0.95").unwrap();
        assert_eq!((model.text(), price.to_string().as_str()), ("NVIDIA H100 PCIe", "0.950000"));
        assert!(gpu_price("0.95").is_err() && gpu_price("x=").is_err());
    }
}
