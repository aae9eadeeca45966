//! `iog rent`: takes a quote, and waits until the cluster runs.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Context;
use units::{Name, QuoteId};
use wire::{OrderView, Problem, RentRequest, RentalView, WaitRequest};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::Ink;
use crate::session::Session;
use crate::show::{hung, moment, money, tame, usd};
use crate::span::Minutes;
use crate::verb::orders::{self, Followed};
use crate::verb::quote::{self, OrderArgs};
use crate::verb::rentals;
use crate::watch;

/// Rent machines as a Ray cluster. Shows the price and asks before it rents; then waits until every node is ready.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog rent --nodes 3 --vcpus 1 --memory 1GiB --hours 1
  iog rent --gpus 1 --gpu-model 'NVIDIA GeForce RTX 4090' --hours 8 --name training --yes
  iog rent --nodes 3 --pay IO
  iog rent --gpus 8 --nodes 2 --wait 6h --max-price 20
  iog rent --quote quo_… --no-wait --json")]
pub(crate) struct Args {
    #[command(flatten)]
    order: OrderArgs,
    /// Take this quote; what is ordered is in it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["nodes", "vcpus", "memory", "disk", "gpus",
        "hours", "gpu_model", "supplier", "country", "tier_min", "certification", "max_price", "pack", "pay",
        "spot", "near", "apart", "away_from", "alone"])]
    quote: Option<QuoteId>,
    /// What to call the rental.
    #[arg(long, default_value = "rental", value_name = "NAME")]
    name: Name,
    /// Rent without asking.
    #[arg(long, short)]
    yes: bool,
    /// Come back at once, without waiting for the cluster.
    #[arg(long)]
    no_wait: bool,
    /// Keep the machines for 20 minutes when the balance is too small.
    #[arg(long)]
    may_wait: bool,
    /// Where nothing is free, wait so long, as in 90m, 6h or 2d, and rent as soon as there is enough: at the price of
    /// that moment, and at most at --max-price.
    #[arg(long, value_name = "SPAN", conflicts_with = "quote", value_parser = Minutes::of_wait)]
    wait: Option<Minutes>,
    /// Come back at once with the order that waits.
    #[arg(long, requires = "wait")]
    no_follow: bool,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let quote: RentalView = match self.quote {
            Some(id) => client.get(&format!("/v1/quotes/{id}"))?,
            None => match (self.order.quote(&client, session.project(&client)?), self.wait) {
                (Err(Failure::Answered(why)), Some(minutes)) if may_pass(&why) => {
                    return self.wait(session, &client, minutes, &why);
                }
                (quote, _) => quote?,
            },
        };
        screen.note(&quote::text(&quote, screen));
        let question = format!("Set aside {} and rent? [y/N]", money(quote.price.held));
        if !self.yes && !agreed(session, &question)? {
            screen.note("Nothing was rented.");
            return Ok(());
        }
        let request =
            RentRequest { quote: quote.quote, name: self.name.clone(), may_wait: self.may_wait };
        let rental: RentalView = client.post("/v1/rentals", &request)?;
        self.rented(session, &client, rental)
    }

    fn rented(
        &self,
        session: &Session,
        client: &Client,
        mut rental: RentalView,
    ) -> Result<(), Failure> {
        let screen = session.screen;
        screen.note(&format!("Rented as {}.", screen.paint(Ink::Strong, &rental.id.to_string())));
        if !self.no_wait {
            rental = watch::until_running(client, screen, rental.id, &mut || Ok(None))?;
        }
        session.show(&rental, |rental| rentals::text(rental, screen))?;
        if !session.json {
            screen.note(&format!(
                "Next: iog jobs submit {} --dir FOLDER --follow -- python main.py",
                rental.id
            ));
        }
        Ok(())
    }
}

impl Args {
    /// Waits for machines; once there are enough, it goes on as if they had been there.
    fn wait(
        &self,
        session: &Session,
        client: &Client,
        wait: Minutes,
        why: &Problem,
    ) -> Result<(), Failure> {
        let screen = session.screen;
        screen.note(&hung(&tame(&why.detail), 0, screen.columns));
        if !self.yes && !agreed(session, &self.may_rent_later(wait))? {
            screen.note("Nothing waits.");
            return Ok(());
        }
        let request = WaitRequest {
            project: session.project(client)?,
            order: self.order.order(),
            hours: self.order.hours,
            pay: Some(self.order.pay),
            name: self.name.clone(),
            wait_minutes: wait.0,
        };
        let order: OrderView = client.post("/v1/orders", &request)?;
        let id = screen.paint(Ink::Strong, &order.id.to_string());
        screen.note(&format!("Waits as {id} until {}.", moment(order.until)));
        if self.no_follow {
            return session.show(&order, |order| orders::text(order, screen));
        }
        screen.note("Ctrl-C leaves it waiting.");
        match orders::follow(client, screen, order.id)? {
            Followed::Served(order) => {
                let rental = order.rental.context("read the rental of an order that was served")?;
                let rental: RentalView = client.get(&format!("/v1/rentals/{rental}"))?;
                screen.note(&quote::price(&rental, screen));
                self.rented(session, client, rental)
            }
            Followed::Waits(order) => {
                screen.note(&format!("It waits on. See it with: iog orders show {}", order.id));
                screen.note(&format!("Leave with: iog orders cancel {}", order.id));
                session.show(&order, |order| orders::text(order, screen))
            }
        }
    }

    /// What somebody who waits agrees to.
    fn may_rent_later(&self, wait: Minutes) -> String {
        let (node, spot) = (self.order.max_price, self.order.spot);
        let price = match (node, spot) {
            (Some(max), _) => format!("at most {} USD an hour of a node", usd(max)),
            (None, Some(bid)) => format!("at most {} USD an hour of a card", usd(bid)),
            (None, None) => "whatever it costs then: no --max-price".to_owned(),
        };
        format!("Wait {wait} at most, and rent as soon as there is enough,\n{price}? [y/N]")
    }
}

/// Whether what was refused may be there later.
fn may_pass(why: &Problem) -> bool {
    matches!(why.code.as_str(), "no-offer" | "outbid" | "reserved")
}

fn agreed(session: &Session, question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to agree to the price", "say --yes"));
    }
    session.screen.note(question);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
