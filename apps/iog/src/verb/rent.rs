//! `iog rent`: takes a quote, and waits until the cluster runs.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Context;
use units::{Name, QuoteId};
use wire::{RentRequest, RentalView};

use crate::failure::Failure;
use crate::screen::Ink;
use crate::session::Session;
use crate::show::money;
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
  iog rent --quote quo_… --no-wait --json")]
pub(crate) struct Args {
    #[command(flatten)]
    order: OrderArgs,
    /// Take this quote; what is ordered is in it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["nodes", "vcpus", "memory", "disk", "gpus",
        "hours", "gpu_model", "supplier", "country", "tier_min", "certification", "max_price", "pack", "pay", "spot"])]
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
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let quote: RentalView = match self.quote {
            Some(id) => client.get(&format!("/v1/quotes/{id}"))?,
            None => self.order.quote(&client, session.project(&client)?)?,
        };
        screen.note(&quote::text(&quote, screen));
        if !self.yes && !agreed(session, &quote)? {
            screen.note("Nothing was rented.");
            return Ok(());
        }
        let request =
            RentRequest { quote: quote.quote, name: self.name.clone(), may_wait: self.may_wait };
        let mut rental: RentalView = client.post("/v1/rentals", &request)?;
        screen.note(&format!("Rented as {}.", screen.paint(Ink::Strong, &rental.id.to_string())));
        if !self.no_wait {
            rental = watch::until_running(&client, screen, rental.id, &mut || Ok(None))?;
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

fn agreed(session: &Session, quote: &RentalView) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to agree to the price", "say --yes"));
    }
    session.screen.note(&format!("Set aside {} and rent? [y/N]", money(quote.price.held)));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
