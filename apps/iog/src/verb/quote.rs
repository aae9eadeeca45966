//! `iog quote`: what an order would cost, step by step.

use std::collections::BTreeSet;

use units::{
    AccountId, Asset, Certification, Country, Credits, GpuModel, ProjectId, RentalId, Resources,
    Tier,
};
use wire::{Alternatives, Apart, Near, Order, Price, PriceStepView, QuoteRequest, RentalView};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{clock, count, mib, money, percent, usd};
use crate::size::Mebibytes;
use crate::table::Table;
use crate::verb::choices;
use crate::verb::nearness::{Nearness, apart};

/// What is asked for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Order")]
pub(crate) struct OrderArgs {
    /// How many nodes: all of them, or none.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) nodes: u32,
    /// vCPUs of each node.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) vcpus: u32,
    /// Memory of each node, as in 1GiB.
    #[arg(long, default_value = "1GiB", value_name = "SIZE")]
    pub(crate) memory: Mebibytes,
    /// Disk of each node, as in 10GiB.
    #[arg(long, default_value = "1GiB", value_name = "SIZE")]
    pub(crate) disk: Mebibytes,
    /// GPUs of each node.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) gpus: u32,
    /// Hours to book.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) hours: u32,
    /// Only this model of GPU.
    #[arg(long, value_name = "MODEL")]
    pub(crate) gpu_model: Option<GpuModel>,
    /// Only machines of these suppliers; your project must have paid them before.
    #[arg(long, value_name = "ID")]
    pub(crate) supplier: Vec<AccountId>,
    /// Only machines in these countries, as in DE.
    #[arg(long, value_name = "CC")]
    pub(crate) country: Vec<Country>,
    /// Only machines connected at least so fast: low, medium, high, ultra-high.
    #[arg(long, value_name = "TIER")]
    pub(crate) tier_min: Option<Tier>,
    /// Only machines with all of these: hipaa, iso27001, soc2.
    #[arg(long, value_name = "WORD")]
    pub(crate) certification: Vec<Certification>,
    /// Only nodes that cost at most so many USD an hour.
    #[arg(long, visible_alias = "max-hour", value_name = "USD")]
    pub(crate) max_price: Option<Credits>,
    /// Let nodes share a machine.
    #[arg(long)]
    pub(crate) pack: bool,
    /// Rent cheaper, and have to go when others want the machines: at most so many USD for a card's hour.
    #[arg(long, value_name = "USD")]
    pub(crate) spot: Option<Credits>,
    /// All nodes near each other: `country`, `site`, or the longest round trip between two, as in 5ms.
    #[arg(long, value_name = "PLACE")]
    pub(crate) near: Option<Nearness>,
    /// No two nodes share this: suppliers, sites or countries.
    #[arg(long, value_name = "WHAT", value_parser = apart)]
    pub(crate) apart: Option<Apart>,
    /// On no machine that this rental of yours has or had.
    #[arg(long, value_name = "RENTAL")]
    pub(crate) away_from: Vec<RentalId>,
    /// No other project on your machines while you have them.
    #[arg(long)]
    pub(crate) alone: bool,
    /// What to pay in: USD, USDC or IO.
    #[arg(long, default_value = "USD", value_name = "ASSET")]
    pub(crate) pay: Asset,
}

impl OrderArgs {
    /// Asks for the price of it.
    pub(crate) fn quote(&self, client: &Client, project: ProjectId) -> Result<RentalView, Failure> {
        client.post("/v1/quotes", &self.request(project))
    }

    fn request(&self, project: ProjectId) -> QuoteRequest {
        let (order, hours, pay) = (self.order(), self.hours, Some(self.pay));
        QuoteRequest { project, order, hours, pay }
    }

    /// As the server takes it.
    pub(crate) fn order(&self) -> Order {
        let (near, rtt_max_micros) = self.near.map_or((Near::Anywhere, None), Nearness::told);
        Order {
            nodes: self.nodes,
            each: Resources {
                gpus: self.gpus,
                vcpus: self.vcpus,
                memory_mib: self.memory.0,
                disk_mib: self.disk.0,
            },
            gpu_model: self.gpu_model.clone(),
            suppliers: self.supplier.iter().copied().collect(),
            countries: self.country.iter().copied().collect(),
            tier_min: self.tier_min,
            certifications: self.certification.iter().copied().collect::<BTreeSet<_>>(),
            node_hour_max: self.max_price,
            pack: self.pack,
            spot: self.spot,
            near,
            rtt_max_micros,
            apart: self.apart.unwrap_or_default(),
            away_from: self.away_from.iter().copied().collect(),
            alone: self.alone,
        }
    }
}

/// Ask for a price. The machines are kept for five minutes: `iog rent --quote ID` takes them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog quote --nodes 3 --vcpus 1 --memory 1GiB --hours 1
  iog quote --nodes 2 --gpus 8 --gpu-model 'NVIDIA H100 80GB HBM3' --tier-min high --hours 24
  iog quote --nodes 8 --gpus 1 --near 5ms
  iog quote --nodes 3 --apart suppliers --alone
  iog quote --nodes 8 --gpus 1 --alternatives
  iog quote --nodes 3 --pay IO
  iog quote --nodes 3 --json | jq -r .quote")]
pub(crate) struct Args {
    #[command(flatten)]
    order: OrderArgs,
    /// What the same GPUs cost nearer together or farther apart, on fewer machines or on more. Nothing is kept.
    #[arg(long)]
    alternatives: bool,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        if self.alternatives {
            let request = self.order.request(session.project(&client)?);
            let found: Alternatives = client.post("/v1/quotes/alternatives", &request)?;
            let asked = &request.order;
            return session.list(&found.items, "Nothing can be had.", |items| {
                choices::alternatives(asked, items, session.screen)
            });
        }
        let quote = self.order.quote(&client, session.project(&client)?)?;
        session.show(&quote, |quote| text(quote, session.screen))?;
        if !session.json {
            session.screen.note(&format!("Take it with: iog rent --quote {}", quote.quote));
        }
        Ok(())
    }
}

/// A quote: its nodes, and its price step by step.
pub(crate) fn text(quote: &RentalView, screen: Screen) -> String {
    let mut text = screen.paint(Ink::Strong, &format!("Quote {}", quote.quote));
    if let Some(until) = quote.until {
        text.push_str(&format!(", good until {}", clock(until)));
    }
    text.push_str("\n\n");
    text.push_str(&nodes(quote, screen));
    text.push_str(&steps(quote, screen));
    text.push('\n');
    text.push_str(&price(quote, screen));
    text
}

fn nodes(rental: &RentalView, screen: Screen) -> String {
    let mut table = Table::new(&[">NODE", "MACHINE", ">GPUS", ">VCPUS", ">MEMORY", ">USD/HOUR"]);
    for node in &rental.nodes {
        table.row([
            node.node.to_string(),
            node.worker_name.to_string(),
            node.resources.gpus.to_string(),
            node.resources.vcpus.to_string(),
            mib(node.resources.memory_mib),
            usd(node.node_hour),
        ]);
    }
    table.text(screen)
}

/// How the price of a card came about: of the first machine, and of each whose price is another.
fn steps(rental: &RentalView, screen: Screen) -> String {
    let mut text = String::new();
    let mut shown: Vec<&[PriceStepView]> = Vec::new();
    for node in rental.nodes.iter().filter(|node| !node.steps.is_empty()) {
        if shown.contains(&node.steps.as_slice()) {
            continue;
        }
        shown.push(&node.steps);
        let title = format!("A card's hour on {}", node.worker_name);
        text.push_str(&format!("\n{}\n", screen.paint(Ink::Strong, &title)));
        for step in &node.steps {
            text.push_str(&format!("  {:<16}{:>12}  {}\n", step.name, usd(step.to), step.why));
        }
    }
    text
}

/// How the price comes about, a step a line.
pub(crate) fn price(rental: &RentalView, screen: Screen) -> String {
    let price = &rental.price;
    let nodes = count(u64::from(rental.order.nodes), "node");
    let share = |basis_points| price.subtotal.share_ceil(basis_points).unwrap_or(Credits::ZERO);
    let mut steps = vec![
        (format!("{nodes}, one hour{}", saving(price)), usd(price.hourly)),
        (format!("× {}", count(u64::from(price.hours), "hour")), usd(price.subtotal)),
        (format!("+ fee of {}", percent(price.renter_fee_bp)), usd(share(price.renter_fee_bp))),
    ];
    if price.facilitation_bp > 0 {
        let step = format!("+ {} for {}", percent(price.facilitation_bp), price.pay);
        steps.push((step, usd(share(price.facilitation_bp))));
    }
    let mut text = String::new();
    for (step, amount) in &steps {
        text.push_str(&format!("  {step:<24}{amount:>12}\n"));
    }
    let mut total = |label: &str, amount: &str| {
        text.push_str(&format!("  {label:<24}{}\n", screen.paint(Ink::Strong, amount)));
    };
    total("= set aside", &format!("{:>12} USD", usd(price.hold)));
    if let Some(rate) = price.usd_per_coin {
        let label = format!("  at {} USD a coin", usd(rate));
        total(&label, &format!("{:>15}", money(price.held)));
    } else if price.pay != Asset::Usd {
        total("  paid as", &format!("{:>15}", money(price.held)));
    }
    let minutes = count(u64::from(price.minimum_minutes), "minute");
    text.push_str(&format!(
        "  Charged by the minute, at least {minutes}; what is not used goes back.\n"
    ));
    text
}

/// What a longer booking saves by the hour, in words.
fn saving(price: &Price) -> String {
    match 10_000_u16.checked_sub(price.duration_bp) {
        None | Some(0) => String::new(),
        Some(saved) => format!(", {}: −{}", price.duration, percent(saved)),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing;

    #[test]
    fn a_price_is_shown_step_by_step() {
        assert_snapshot!(price(&testing::quoted(), Screen::PLAIN), @r"
        3 nodes, one hour               0.03
        × 1 hour                        0.03
        + fee of 0.25 %             0.000075
        + 2 % for USD                 0.0006
        = set aside                 0.030675 USD
        Charged by the minute, at least 1 minute; what is not used goes back.
        ");
        assert_snapshot!(price(&testing::settled_in_coins().0, Screen::PLAIN), @r"
        3 nodes, one hour               0.03
        × 1 hour                        0.03
        + fee of 0.25 %             0.000075
        = set aside                 0.030075 USD
          at 0.25 USD a coin          0.1203 IO
        Charged by the minute, at least 1 minute; what is not used goes back.
        ");
    }
}
