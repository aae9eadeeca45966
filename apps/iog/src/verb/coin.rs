//! `iog coin` and `iog operator rate`: the network's coin, how many there are, what one is worth.

use units::{Coins, Credits, Money, Month};
use wire::{CoinRate, GenesisRequest, RateView, ReadingBody, ReadingsRequest, SupplyView};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{count, moment, money, usd};

/// The network's coin.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show how many coins there are. Needs no key.
    #[command(
        after_help = "Examples:\n  iog coin supply\n  iog coin supply --json | jq -r .circulating"
    )]
    Supply,
    /// Show what a coin is worth. Needs no key.
    #[command(
        after_help = "Examples:\n  iog coin rate\n  iog coin rate --json | jq -r .rate.usd_per_coin"
    )]
    Rate,
    /// Bring the coin into the world, once and for all. For the operator.
    #[command(after_help = "\
Examples:
  iog coin genesis
  iog coin genesis --first-month 2026-12 --profile operator")]
    Genesis {
        /// The month that the schedule of new coins begins with; else the present one.
        #[arg(long, value_name = "MONTH")]
        first_month: Option<Month>,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.verb {
            Verb::Supply => {
                let view: SupplyView = client.get("/v1/io-token/supply")?;
                session.show(&view, |view| supply(view, screen))
            }
            Verb::Rate => {
                let view: RateView = client.get("/v1/io-token/rate")?;
                session.show(&view, |view| rate(view, screen))
            }
            Verb::Genesis { first_month } => {
                let request = GenesisRequest { first_month: *first_month };
                let view: SupplyView = client.post("/v1/io-token/genesis", &request)?;
                session.show(&view, |view| supply(view, screen))
            }
        }
    }
}

fn supply(view: &SupplyView, screen: Screen) -> String {
    let mut text = match &view.genesis {
        Some(genesis) => {
            format!("Begun {}, with blocks from {} on\n", moment(genesis.at), genesis.first_hour)
        }
        None => "The coin has not begun: `iog coin genesis` is the operator's.\n".to_owned(),
    };
    let mut line = |label: &str, coins: Coins, ink: Option<Ink>| {
        let shown = format!("{:>22}", money(Money::from(coins)));
        let shown = ink.map_or(shown.clone(), |ink| screen.paint(ink, &shown));
        text.push_str(&format!("  {label:<30}{shown}\n"));
    };
    line("at most, ever", view.cap, None);
    line("exist", view.total, Some(Ink::Strong));
    line("  emitted by hours so far", view.emitted, None);
    line("  burned, not counted", view.burned, None);
    line("circulate", view.circulating, Some(Ink::Strong));
    line("  of these not staked", view.liquid, None);
    text
}

fn rate(view: &RateView, screen: Screen) -> String {
    let Some(rate) = &view.rate else {
        return "The coin has no rate yet.\n".to_owned();
    };
    let worth = screen.paint(Ink::Strong, &format!("1 IO = {} USD", usd(rate.usd_per_coin)));
    let age = count(view.age_s.unwrap_or_default(), "second");
    let until = moment(rate.valid_until);
    match view.usable {
        true => format!("{worth}, {age} old, good until {until}\n"),
        false => format!("{worth}, {age} old: too old since {until}; nothing is paid in coins\n"),
    }
}

/// Say what sources outside tell of the coin: all of one call are looked at together.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  iog operator rate --source exchange-a=0.2502 --source exchange-b=0.2499"
)]
pub(crate) struct RateArgs {
    /// What a source says that one coin is worth in USD.
    #[arg(long, value_name = "NAME=USD", value_parser = told, required = true)]
    source: Vec<(String, Credits)>,
}

fn told(text: &str) -> Result<(String, Credits), String> {
    let (source, rate) = text.rsplit_once('=').ok_or("write it as NAME=USD")?;
    let rate = rate.parse().map_err(|why: units::NotAnAmount| why.to_string())?;
    Ok((source.to_owned(), rate))
}

impl RateArgs {
    pub(crate) fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let reading = |(source, usd_per_coin): &(String, Credits)| ReadingBody {
            source: source.clone(),
            usd_per_coin: *usd_per_coin,
            at: None,
        };
        let request = ReadingsRequest { readings: self.source.iter().map(reading).collect() };
        let rate: CoinRate = client.post("/v1/io-token/rate/readings", &request)?;
        session.show(&rate, |rate| {
            let until = moment(rate.valid_until);
            format!("1 IO = {} USD, good until {until}\n", usd(rate.usd_per_coin))
        })
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::GenesisView;

    use super::*;
    use crate::verb::testing::at;

    fn io(text: &str) -> Coins {
        text.parse().unwrap()
    }

    #[test]
    fn the_supply_is_shown_with_its_parts() {
        let genesis = GenesisView {
            at: at(0),
            first_hour: "2026-11-22T16".parse().unwrap(),
            first_month: "2026-11".parse().unwrap(),
        };
        let view = SupplyView {
            genesis: Some(genesis),
            cap: io("800000000"),
            minted: io("800000000"),
            emitted: io("4630.5"),
            total: io("500004630.5"),
            circulating: io("120000000"),
            burned: io("0"),
            locked: io("300000000"),
            liquid: io("119000000"),
        };
        assert_snapshot!(supply(&view, Screen::PLAIN), @r"
        Begun 2026-11-22 16:10:00 UTC, with blocks from 2026-11-22T16:00:00 on
          at most, ever                        800000000.00 IO
          exist                                500004630.50 IO
            emitted by hours so far                 4630.50 IO
            burned, not counted                        0.00 IO
          circulate                            120000000.00 IO
            of these not staked                119000000.00 IO
        ");
        let before = SupplyView { genesis: None, ..view };
        assert!(supply(&before, Screen::PLAIN).starts_with("The coin has not begun"));
    }

    #[test]
    fn a_rate_says_how_old_it_is() {
        let rate_of = |usable| RateView {
            rate: Some(CoinRate {
                usd_per_coin: "0.25".parse().unwrap(),
                at: at(0),
                valid_until: at(10),
            }),
            age_s: Some(61),
            usable,
        };
        let [young, old] = [true, false].map(|usable| rate(&rate_of(usable), Screen::PLAIN));
        assert_snapshot!(young, @r"1 IO = 0.25 USD, 61 seconds old, good until 2026-11-22 16:20:00 UTC");
        assert_eq!(
            old,
            "1 IO = 0.25 USD, 61 seconds old: too old since 2026-11-22 16:20:00 UTC; \
             nothing is paid in coins\n"
        );
        let none = RateView { rate: None, age_s: None, usable: false };
        assert_snapshot!(rate(&none, Screen::PLAIN), @r"The coin has no rate yet.");
        assert!(told("a=1").is_ok() && told("a").is_err() && told("a=x").is_err());
    }
}
