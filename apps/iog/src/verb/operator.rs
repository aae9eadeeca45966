//! `iog operator`: what only the operator of a network may do.

use units::{Asset, Credits, Money, Name, ProjectId};
use wire::{AccountRequest, AccountView, AssetBook, BookView, ProjectView, TopUpRequest};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::money;
use crate::verb::{coin, login, parameters, purses};

/// Purses that are shown of dollars even when nothing is in them: where the money of rentals goes.
const DOLLAR_PURSES: [&str; 4] = ["projects", "escrow", "accounts", "fees"];
/// How wide the column of amounts is at least, the asset included.
const AMOUNT_WIDTH: usize = 16;

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
    /// Show what the network goes by, or change it.
    Parameters(parameters::Args),
    /// Show what the network takes, or change it for quotes from then on.
    Fees(parameters::FeesArgs),
    /// Show what devices cost, or change it for quotes from then on.
    Prices(parameters::PricesArgs),
    /// Say what has arrived for somebody from outside.
    Deposit(purses::DepositArgs),
    /// Say what sources outside tell of the coin.
    Rate(coin::RateArgs),
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
            Verb::Parameters(args) => args.run(session, &client),
            Verb::Fees(args) => args.run(session, &client),
            Verb::Prices(args) => args.run(session, &client),
            Verb::Deposit(args) => args.run(session, &client),
            Verb::Rate(args) => args.run(session, &client),
            Verb::Book => {
                let view: BookView = client.get("/v1/network/book")?;
                session.show(&view, |view| book(view, screen))
            }
        }
    }
}

/// The book, an asset after the other; its last line says whether it adds up.
pub(crate) fn book(book: &BookView, screen: Screen) -> String {
    let mut text = String::new();
    for asset in &book.assets {
        text.push_str(&asset_book(asset, screen));
        text.push('\n');
    }
    text.push_str(&match adds_up(book) {
        true => screen.paint(Ink::Good, "✓ The book balances."),
        false => screen.paint(Ink::Bad, "✗ The book does not balance."),
    });
    text.push('\n');
    text
}

fn asset_book(book: &AssetBook, screen: Screen) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for sum in &book.purses {
        let is_always = book.asset == Asset::Usd && DOLLAR_PURSES.contains(&sum.purse.as_str());
        if !is_always && sum.balance.units == 0 {
            continue;
        }
        let free = sum.balance.units.saturating_sub(sum.held.units);
        lines.push((purse(&sum.purse), money(Money::new(book.asset, free))));
        if sum.held.units > 0 || sum.purse == "projects" {
            lines.push(("set aside", money(sum.held)));
        }
    }
    let total = money(book.entered);
    let amounts = lines.iter().map(|(_, amount)| amount.len()).chain([total.len()]);
    let width = amounts.fold(AMOUNT_WIDTH, usize::max);
    let mut text = String::new();
    for (label, amount) in lines {
        text.push_str(&format!("  {label:<36}{amount:>width$}\n"));
    }
    let total = screen.paint(Ink::Strong, &format!("{total:>width$}"));
    text.push_str(&format!("{:<38}{total}\n", "= came in from outside"));
    text
}

/// A kind of purse in words; one that this program does not know stays as it is.
fn purse(kind: &str) -> &str {
    match kind {
        "projects" => "projects can spend",
        "escrow" => "paid, not yet handed on",
        "accounts" => "in accounts of people",
        "fees" => "kept by the network",
        "emission" => "not yet emitted",
        "rewards" => "emitted, not yet claimed",
        "stakes" => "staked on machines",
        "safety-module" => "in the safety module",
        "grants" => "granted, not yet released",
        "treasury" => "in the treasury",
        "exchange" => "with the exchange",
        "burned" => "burned",
        "seasons" => "for reward programs",
        other => other,
    }
}

/// Whether the server says so and the sums say so too.
pub(crate) fn adds_up(book: &BookView) -> bool {
    book.balanced && book.assets.iter().all(asset_adds_up)
}

fn asset_adds_up(book: &AssetBook) -> bool {
    let sum = book.purses.iter().try_fold(0_u64, |sum, purse| {
        let is_whole = purse.balance.asset == book.asset && purse.held <= purse.balance;
        sum.checked_add(purse.balance.units).filter(|_| is_whole)
    });
    sum.map(|units| Money::new(book.asset, units)) == Some(book.entered)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::PurseSum;

    use super::*;

    /// The purses `kind amount held` of an asset.
    fn of(asset: Asset, entered: &str, purses: &[(&str, &str, &str)]) -> AssetBook {
        let money = |amount: &str| format!("{amount} {asset}").parse().unwrap();
        let sum = |(purse, balance, held): &(&str, &str, &str)| PurseSum {
            purse: (*purse).to_owned(),
            balance: money(balance),
            held: money(held),
        };
        AssetBook { asset, entered: money(entered), purses: purses.iter().map(sum).collect() }
    }

    fn dollars() -> AssetBook {
        let purses = [
            ("projects", "9.996494", "1"),
            ("escrow", "0", "0"),
            ("accounts", "0.003492", "0"),
            ("fees", "0.000014", "0"),
            ("emission", "0", "0"),
        ];
        of(Asset::Usd, "10", &purses)
    }

    fn coins() -> AssetBook {
        let purses = [
            ("projects", "0", "0"),
            ("accounts", "200.00000001", "0.5"),
            ("emission", "799999800", "0"),
            ("burned", "0", "0"),
        ];
        of(Asset::Io, "800000000.00000001", &purses)
    }

    fn whole() -> BookView {
        BookView { assets: vec![dollars(), coins()], balanced: true }
    }

    #[test]
    fn the_book_is_shown_with_its_sum() {
        let dollars_only = BookView { assets: vec![dollars()], balanced: true };
        assert_snapshot!(book(&dollars_only, Screen::PLAIN), @r"
          projects can spend                      8.996494 USD
          set aside                                   1.00 USD
          paid, not yet handed on                     0.00 USD
          in accounts of people                   0.003492 USD
          kept by the network                     0.000014 USD
        = came in from outside                       10.00 USD

        ✓ The book balances.
        ");
    }

    #[test]
    fn each_asset_that_is_used_has_its_own_sum() {
        assert_snapshot!(book(&whole(), Screen::PLAIN), @r"
          projects can spend                      8.996494 USD
          set aside                                   1.00 USD
          paid, not yet handed on                     0.00 USD
          in accounts of people                   0.003492 USD
          kept by the network                     0.000014 USD
        = came in from outside                       10.00 USD

          in accounts of people                     199.50000001 IO
          set aside                                         0.50 IO
          not yet emitted                           799999800.00 IO
        = came in from outside                800000000.00000001 IO

        ✓ The book balances.
        ");
    }

    #[test]
    fn a_book_is_summed_here_too() {
        assert!(adds_up(&whole()));
        assert!(!adds_up(&BookView { balanced: false, ..whole() }));
        let changes: [fn(&mut AssetBook); 4] = [
            |coins| coins.purses[2].balance.units += 1,
            |coins| coins.purses[2].balance.asset = Asset::Usdc,
            |coins| coins.purses[2].held.units = u64::MAX,
            |coins| coins.entered.asset = Asset::Usdc,
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut whole = whole();
            change(&mut whole.assets[1]);
            assert!(!adds_up(&whole), "change {at}");
        }
    }
}
