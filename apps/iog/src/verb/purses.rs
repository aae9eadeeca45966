//! `iog transfer`, `iog convert`, `iog withdraw`, `iog operator deposit`: money between purses, into other assets, out
//! and in.

use std::io::{self, BufRead, IsTerminal};
use std::str::FromStr;

use anyhow::Context;
use units::{Asset, Money};
use wire::{
    ConversionQuote, ConversionRequest, DepositRequest, MeView, NotAPurse, PurseName, PurseView,
    TransferRequest, WithdrawalRequest,
};

use crate::client::{Client, escaped};
use crate::failure::Failure;
use crate::session::Session;
use crate::show::{clock, money, usd};

/// A purse as people name it: one's own `account`, the `project` that pays, or any by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purse {
    /// One's own account.
    Account,
    /// The project that pays.
    Project,
    /// This one.
    Named(PurseName),
}

impl FromStr for Purse {
    type Err = NotAPurse;

    fn from_str(text: &str) -> Result<Self, NotAPurse> {
        match text {
            "account" => Ok(Self::Account),
            "project" => Ok(Self::Project),
            name => name.parse().map(Self::Named),
        }
    }
}

impl Purse {
    fn name(self, session: &Session, client: &Client) -> Result<PurseName, Failure> {
        Ok(match self {
            Self::Account => PurseName::Account(client.get::<MeView>("/v1/me")?.account.id),
            Self::Project => PurseName::Project(session.project(client)?),
            Self::Named(name) => name,
        })
    }
}

/// An amount of an asset, in two words: `12.50 USD`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Amount {
    /// How much.
    amount: String,
    /// Of what: USD, USDC or IO.
    asset: Asset,
}

impl Amount {
    fn money(&self) -> Result<Money, Failure> {
        let text = format!("{} {}", self.amount, self.asset);
        text.parse().map_err(|_| {
            let decimals = self.asset.decimals();
            let hint = format!("write whole ones and at most {decimals} decimals, as in 12.50");
            Failure::usage(format!("`{}` is not an amount of {}", self.amount, self.asset), hint)
        })
    }
}

fn purse(view: &PurseView) -> String {
    let mut text = format!("{}\n", view.purse);
    for balance in &view.balances {
        text.push_str(&format!("  {:>20}\n", money(*balance)));
    }
    text
}

/// Move money between purses: from your account, or from a project you own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog transfer account project 20 USDC
  iog transfer project acc_… 1.5 IO
  iog transfer treasury exchange 1000 IO --profile operator")]
pub(crate) struct TransferArgs {
    /// From which: account, project, an id, or, for the operator, fees, treasury, exchange.
    from: Purse,
    /// To which.
    to: Purse,
    #[command(flatten)]
    amount: Amount,
}

impl TransferArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let request = TransferRequest {
            from: self.from.name(session, &client)?,
            to: self.to.name(session, &client)?,
            money: self.amount.money()?,
        };
        let view: PurseView = client.post("/v1/transfers", &request)?;
        session.show(&view, purse)
    }
}

/// Change an asset for another at the rate of the moment. Shows what it comes to and asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog convert 12.50 USD IO
  iog convert 100 IO USDC --purse account --yes")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    give: Amount,
    /// What to take for it: USD, USDC or IO.
    take: Asset,
    /// In which purse: project, account, or an id.
    #[arg(long, default_value = "project", value_name = "PURSE")]
    purse: Purse,
    /// Convert without asking.
    #[arg(long, short)]
    yes: bool,
}

impl ConvertArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let purse_name = self.purse.name(session, &client).map_err(or_of_account)?;
        let (give, take) = (self.give.money()?, self.take);
        let path = format!("/v1/conversions/quote?give={}&take={take}", escaped(&give.to_string()));
        let quote: ConversionQuote = client.get(&path)?;
        session.screen.note(&quoted(&quote));
        if !self.yes && !agreed(session)? {
            session.screen.note("Nothing was changed.");
            return Ok(());
        }
        let request = ConversionRequest {
            purse: purse_name,
            give,
            take,
            at_least: Some(quote.get),
            quoted_until: Some(quote.expires),
        };
        let view: PurseView = client.post("/v1/conversions", &request)?;
        session.show(&view, purse)
    }
}

/// Coins are mostly in one's own account: who has no project, or several, may mean that.
fn or_of_account(why: Failure) -> Failure {
    let Failure::Usage { what, hint } = why else { return why };
    let own = "--purse account converts what is in your own account";
    let hint = hint.map_or_else(|| own.to_owned(), |hint| format!("{own}; {hint}"));
    Failure::usage(what, hint)
}

fn quoted(quote: &ConversionQuote) -> String {
    let rate = quote.rate.as_ref().map(|rate| format!(" at {} USD a coin", usd(rate.usd_per_coin)));
    let (give, get) = (money(quote.give), money(quote.get));
    let until = clock(quote.expires);
    format!("{give} for {get}{}, until {until}", rate.unwrap_or_default())
}

fn agreed(session: &Session) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to agree to the rate", "say --yes"));
    }
    session.screen.note("Convert? [y/N]");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Take money out of your account, to an address outside.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  iog withdraw 5 USDC 7xKX…9fQp")]
pub(crate) struct WithdrawArgs {
    #[command(flatten)]
    amount: Amount,
    /// To which address outside.
    to: String,
}

impl WithdrawArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let money = self.amount.money()?;
        let request = WithdrawalRequest { account: None, money, to: self.to.clone() };
        let view: PurseView = client.post("/v1/withdrawals", &request)?;
        session.show(&view, purse)
    }
}

/// Say what has arrived for somebody from outside.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog operator deposit acc_… 20 USDC --reference 5h3k…
  iog operator deposit prj_… 100 USD --card --reference ch_…
  iog operator deposit exchange 1000 USD")]
pub(crate) struct DepositArgs {
    /// For which purse: an id, or fees, treasury, exchange.
    to: PurseName,
    #[command(flatten)]
    amount: Amount,
    /// Where it came from, such as a transaction's id.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reference: String,
    /// A card paid it: its provider's fee is taken off first.
    #[arg(long)]
    card: bool,
}

impl DepositArgs {
    pub(crate) fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let (to, money, reference) = (self.to, self.amount.money()?, self.reference.clone());
        let view: PurseView = client
            .post("/v1/deposits", &DepositRequest { to, money, reference, by_card: self.card })?;
        session.show(&view, purse)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::CoinRate;

    use super::*;
    use crate::verb::testing::at;

    #[test]
    fn purses_have_short_names() {
        assert_eq!("account".parse(), Ok(Purse::Account));
        assert_eq!("project".parse(), Ok(Purse::Project));
        assert_eq!("treasury".parse(), Ok(Purse::Named(PurseName::Treasury)));
        assert_eq!("escrow".parse::<Purse>(), Err(NotAPurse));
    }

    #[test]
    fn who_has_no_project_hears_of_the_own_account() {
        let told = or_of_account(Failure::usage("which project?", "name one with --project: …"));
        assert_snapshot!(told.text(crate::screen::Screen::PLAIN), @r"
        error: which project?
        hint: --purse account converts what is in your own account; name one with --project: …
        ");
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_asset() {
        let amount = |amount: &str, asset| Amount { amount: amount.to_owned(), asset };
        assert_eq!(amount("1.5", Asset::Io).money().unwrap().to_string(), "1.50000000 IO");
        assert!(amount("1.12345678", Asset::Io).money().is_ok());
        assert!(amount("1.12345678", Asset::Usd).money().is_err());
        assert!(amount("-1", Asset::Usd).money().is_err());
    }

    #[test]
    fn a_purse_and_a_conversion_are_shown() {
        let io: Money = "50 IO".parse().unwrap();
        let view = PurseView {
            purse: PurseName::Exchange,
            balances: vec!["7.25 USD".parse().unwrap(), io],
        };
        assert_snapshot!(purse(&view), @r"
        exchange
                      7.25 USD
                      50.00 IO
        ");
        let rate =
            CoinRate { usd_per_coin: "0.25".parse().unwrap(), at: at(0), valid_until: at(10) };
        let quote = ConversionQuote {
            give: "12.5 USD".parse().unwrap(),
            get: io,
            rate: Some(rate),
            expires: at(1),
            available: io,
        };
        assert_snapshot!(quoted(&quote), @r"12.50 USD for 50.00 IO at 0.25 USD a coin, until 16:11:00 UTC");
    }
}
