//! `iog orders`: orders that wait for machines, why they do, and leaving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::SIGINT;
use units::OrderId;
use wire::OrderView;

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{clock, count, hung, moment, resources, tame, usd};
use crate::table::Table;

/// How often an order that waits is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is seen meanwhile whether the reader has had enough.
const GLANCE_EVERY: Duration = Duration::from_millis(100);
/// Where the words of a line about an order begin.
const MARGIN: usize = 16;

/// Orders that wait for machines: list them, see why they wait, or wait no longer.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  iog orders
  iog orders --all --json | jq -r '.[].state'
  iog orders show ord_…
  iog orders cancel ord_…"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Those that wait no longer, too.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show one order: its place, why it waits, and what would help.
    #[command(after_help = "Examples:\n  iog orders show ord_…\n  iog orders show ord_… --json")]
    Show {
        /// The order.
        order: OrderId,
    },
    /// Wait no longer.
    #[command(after_help = "Examples:\n  iog orders cancel ord_…")]
    Cancel {
        /// The order.
        order: OrderId,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.what {
            None => self.list(session, &client),
            Some(What::Show { order }) => {
                let order: OrderView = client.get(&format!("/v1/orders/{order}"))?;
                session.show(&order, |order| text(order, screen))
            }
            Some(What::Cancel { order }) => {
                let order: OrderView = client.delete(&format!("/v1/orders/{order}"))?;
                screen.note(&format!("Order {} waits no longer.", order.id));
                session.show(&order, |order| text(order, screen))
            }
        }
    }

    fn list(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let path = format!("/v1/orders?project={}", session.project(client)?);
        let mut orders: Vec<OrderView> = client.pages(&path)?;
        if !self.all {
            orders.retain(|order| order.state == "waiting");
        }
        session.list(&orders, "Nothing waits. `iog orders --all` shows what did.", |orders| {
            table(orders, session.screen)
        })
    }
}

fn table(orders: &[OrderView], screen: Screen) -> String {
    let mut table =
        Table::new(&["ORDER", "NAME", "STATE", ">PLACE", ">NODES", "EACH", "WAITS UNTIL"]);
    for order in orders {
        table.row([
            order.id.to_string(),
            order.name.to_string(),
            order.state.clone(),
            order.place.map_or_else(String::new, |place| place.to_string()),
            order.order.nodes.to_string(),
            resources(&order.order.each),
            moment(order.until),
        ]);
    }
    table.text(screen)
}

/// An order, a fact a line.
pub(crate) fn text(order: &OrderView, screen: Screen) -> String {
    let mut text = format!("{}\n", screen.paint(Ink::Strong, &format!("Order {}", order.id)));
    let mut line = |name: &str, what: &str| {
        let what = hung(&tame(what), MARGIN, screen.columns);
        text.push_str(&format!("  {name:<14}{what}\n"));
    };
    line("name", order.name.text());
    line("state", &order.state);
    let nodes = count(u64::from(order.order.nodes), "node");
    line("asks for", &format!("{nodes} of {}", resources(&order.order.each)));
    if let Some(max) = order.order.node_hour_max {
        line("at most", &format!("{} USD an hour of a node", usd(max)));
    }
    line("for", &count(u64::from(order.hours), "hour"));
    line("waits since", &moment(order.since));
    match (order.ended_at, order.rental) {
        (None, _) => line("waits until", &moment(order.until)),
        (Some(at), Some(rental)) => {
            line("served", &moment(at));
            line("rental", &rental.to_string());
        }
        (Some(at), None) => line("waited until", &moment(at)),
    }
    if let Some(place) = order.place {
        line("place", &place.to_string());
    }
    if let Some(why) = &order.why {
        line("why it waits", why);
    }
    if let Some(explanation) = &order.explanation {
        line("machines", explanation);
    }
    if let Some(start) = order.earliest_start {
        line("not before", &format!("{}, unless rentals end before they must", moment(start)));
    }
    text
}

/// How it goes with an order that is followed.
pub(crate) enum Followed {
    /// It became this rental.
    Served(OrderView),
    /// The reader went away, and it waits on.
    Waits(OrderView),
}

/// Follows an order until it is served; a failure says that it will not be. Ctrl-C leaves it waiting.
pub(crate) fn follow(client: &Client, screen: Screen, id: OrderId) -> Result<Followed, Failure> {
    let (enough, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    // Once nothing is followed any more, Ctrl-C ends the program as it always does.
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&is_over))
        .and_then(|_| signal_hook::flag::register(SIGINT, Arc::clone(&enough)))
        .context("listen for Ctrl-C")?;
    let followed = follow_until(client, screen, id, &enough);
    is_over.store(true, Ordering::Relaxed);
    followed
}

fn follow_until(
    client: &Client,
    screen: Screen,
    id: OrderId,
    enough: &AtomicBool,
) -> Result<Followed, Failure> {
    let mut display = Display::new(screen);
    loop {
        let order: OrderView = client.get(&format!("/v1/orders/{id}"))?;
        match order.state.as_str() {
            "waiting" => display.show(&order),
            "served" => {
                display.finish();
                return Ok(Followed::Served(order));
            }
            ended => {
                display.finish();
                let what = format!("order {id} was not served: it has {ended}");
                let hint = "`iog rent --wait` with more time or a higher price waits anew";
                return Err(Failure::ended(what, hint));
            }
        }
        for _ in 0..LOOK_EVERY.as_millis() / GLANCE_EVERY.as_millis() {
            if enough.load(Ordering::Relaxed) {
                display.finish();
                return Ok(Followed::Waits(order));
            }
            thread::sleep(GLANCE_EVERY);
        }
    }
}

/// What an order waits for, in a line.
fn standing(order: &OrderView) -> String {
    let mut text = match order.place {
        Some(place) => format!("waiting, place {place}"),
        None => "waiting".to_owned(),
    };
    if let Some(start) = order.earliest_start {
        text.push_str(&format!(", not before {}", clock(start)));
    }
    if let Some(why) = &order.why {
        text.push_str(&format!(": {}", tame(why)));
    }
    text
}

/// A line that turns on a terminal; elsewhere a line whenever it is another.
struct Display {
    screen: Screen,
    bar: Option<ProgressBar>,
    said: String,
}

impl Display {
    fn new(screen: Screen) -> Self {
        let bar = screen.live.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(GLANCE_EVERY);
            match ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { screen, bar, said: String::new() }
    }

    fn show(&mut self, order: &OrderView) {
        let now = standing(order);
        match &self.bar {
            Some(bar) => bar.set_message(now),
            None if self.said != now => {
                self.screen.note(&format!("  {now}"));
                self.said = now;
            }
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
