//! `iog rentals`, `iog rental`, `iog extend`, `iog end`: what was rented, for longer, and ending it.

use units::RentalId;
use wire::{ExtendRequest, ExtensionPrice, RentalView, UnfitView};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::{Named, Session};
use crate::show::{count, mib, moment, money, resources, usd};
use crate::table::Table;
use crate::watch;

/// List rentals, newest first; those that are over only with --all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog rentals
  iog rentals --all --json | jq -r '.[].id'")]
pub(crate) struct ListArgs {
    /// Those that are over, too.
    #[arg(long)]
    all: bool,
}

impl ListArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut rentals: Vec<RentalView> = session.rentals(&session.client()?)?;
        if !self.all {
            rentals.retain(|rental| rental.state != "ended");
        }
        session.list(
            &rentals,
            "Nothing is rented. `iog rentals --all` shows what was.",
            |rentals| table(rentals, session.screen),
        )
    }
}

/// Show one rental and its nodes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog rental training\n  iog rental rnt_… --json")]
pub(crate) struct ShowArgs {
    /// Its id, or its name.
    rental: Named<RentalId>,
}

impl ShowArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.rental(&client, &self.rental)?;
        let rental: RentalView = client.get(&format!("/v1/rentals/{id}"))?;
        session.show(&rental, |rental| text(rental, session.screen))
    }
}

/// Book more hours of a rental that runs, at the price of its quote.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog extend training 3\n  iog extend rnt_… 24 --price")]
pub(crate) struct ExtendArgs {
    /// Its id, or its name.
    rental: Named<RentalId>,
    /// How many more hours.
    hours: u32,
    /// Only show what they would cost.
    #[arg(long)]
    price: bool,
}

impl ExtendArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.rental(&client, &self.rental)?;
        if self.price {
            let path = format!("/v1/rentals/{id}/extension-price?hours={}", self.hours);
            let price: ExtensionPrice = client.get(&path)?;
            return session.show(&price, |price| {
                let hours = count(u64::from(price.hours), "hour");
                format!("{hours} more would set aside {}\n", money(price.held))
            });
        }
        let request = ExtendRequest { hours: self.hours };
        let rental: RentalView = client.post(&format!("/v1/rentals/{id}/extend"), &request)?;
        session.show(&rental, |rental| text(rental, session.screen))
    }
}

/// End a rental. What was not used goes back; `iog receipt` shows what it came to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog end training\n  iog end rnt_… --wait")]
pub(crate) struct EndArgs {
    /// Its id, or its name.
    rental: Named<RentalId>,
    /// Wait until the machines are cleared.
    #[arg(long)]
    wait: bool,
}

impl EndArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.rental(&client, &self.rental)?;
        let mut rental: RentalView = client.tell(&format!("/v1/rentals/{id}/end"))?;
        if self.wait {
            rental = watch::until_ended(&client, session.screen, id)?;
        }
        session.show(&rental, |rental| text(rental, session.screen))
    }
}

fn table(rentals: &[RentalView], screen: Screen) -> String {
    let mut table =
        Table::new(&["RENTAL", "NAME", "STATE", ">NODES", "EACH", ">USD/HOUR", "BOOKED"]);
    for rental in rentals {
        table.row([
            rental.id.to_string(),
            rental.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            state(rental),
            rental.order.nodes.to_string(),
            resources(&rental.order.each),
            usd(rental.price.hourly),
            count(u64::from(rental.price.hours), "hour"),
        ]);
    }
    table.text(screen)
}

fn state(rental: &RentalView) -> String {
    match &rental.ending {
        Some(ending) => format!("{}: {ending}", rental.state),
        None => rental.state.clone(),
    }
}

/// A rental and its nodes.
pub(crate) fn text(rental: &RentalView, screen: Screen) -> String {
    let name = rental.name.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{} {name}\n", screen.paint(Ink::Strong, &rental.id.to_string()))
        .replace(" \n", "\n");
    let mut line = |label: &str, value: String| {
        text.push_str(&format!("  {label:<14}{value}\n"));
    };
    line("state", state(rental));
    if let Some(reason) = &rental.reason {
        line("reason", reason.clone());
    }
    if let Some(unfit) = &rental.unfit {
        let UnfitView { worker, at, why, .. } = unfit;
        line("not as rented", format!("{worker} at {}: {why}", moment(*at)));
        line("", "you may end it: only what was served is charged".to_owned());
    }
    line("project", rental.project.to_string());
    line("each node", resources(&rental.order.each));
    line("price", format!("{} USD an hour", usd(rental.price.hourly)));
    line(
        "set aside",
        format!(
            "{} for {}",
            money(rental.price.held),
            count(u64::from(rental.price.hours), "hour")
        ),
    );
    if let Some(since) = rental.running_since {
        line("running since", moment(since));
    }
    if let Some(until) = rental.until {
        line("until", moment(until));
    }
    if let Some(back) = rental.wanted_back {
        line("must go by", moment(back));
    }
    if let Some(ended) = rental.ended_at {
        line("ended", moment(ended));
    }
    for record in &rental.worked {
        let minutes = count(record.minutes, "minute");
        line(
            "paid out",
            format!("{} for {minutes} until {}", money(record.paid), moment(record.until)),
        );
    }
    if let Some(receipt) = &rental.receipt {
        line(
            "charged",
            format!("{}, {} went back", money(receipt.paid.charged), money(receipt.paid.returned)),
        );
    }
    text.push('\n');
    text.push_str(&nodes(rental, screen));
    text
}

fn nodes(rental: &RentalView, screen: Screen) -> String {
    let mut table =
        Table::new(&[">NODE", "MACHINE", "STATE", ">GPUS", ">VCPUS", ">MEMORY", ">USD/HOUR"]);
    for node in &rental.nodes {
        table.row([
            node.node.to_string(),
            node.worker_name.to_string(),
            node.state.clone(),
            node.resources.gpus.to_string(),
            node.resources.vcpus.to_string(),
            mib(node.resources.memory_mib),
            usd(node.node_hour),
        ]);
    }
    table.text(screen)
}
