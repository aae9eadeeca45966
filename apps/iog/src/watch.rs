//! Waiting for a rental, with something to look at.
//!
//! # Invariants
//! - Every wait ends: a rental cannot deploy or end forever, the server sees to it.
//! - What is looked at is the state, again and again; a missed change is seen the next time.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use units::RentalId;
use wire::{NodeView, RentalView};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::show::money;

/// How often a rental is looked at: often enough to look alive, rare enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often a spinner turns.
const TURN_EVERY: Duration = Duration::from_millis(100);

/// News from beside the rental, such as the lines of a worker's log; a failure ends the wait.
pub(crate) type Aside<'a> = &'a mut dyn FnMut() -> Result<Option<String>, Failure>;

/// Waits until the rental runs; a failure says why it does not.
pub(crate) fn until_running(
    client: &Client,
    screen: Screen,
    id: RentalId,
    aside: Aside<'_>,
) -> Result<RentalView, Failure> {
    let mut display = Display::new(screen);
    loop {
        let rental: RentalView = client.get(&format!("/v1/rentals/{id}"))?;
        while let Some(line) = aside()? {
            display.aside(&line);
        }
        display.show(&rental);
        match rental.state.as_str() {
            "running" => {
                display.finish();
                return Ok(rental);
            }
            "ending" | "ended" => {
                display.finish();
                return Err(not_running(&rental));
            }
            _ => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Waits until the rental is settled and cleared away.
pub(crate) fn until_ended(
    client: &Client,
    screen: Screen,
    id: RentalId,
) -> Result<RentalView, Failure> {
    let mut display = Display::new(screen);
    loop {
        let rental: RentalView = client.get(&format!("/v1/rentals/{id}"))?;
        display.stage(&rental);
        if rental.state == "ended" {
            display.finish();
            return Ok(rental);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn not_running(rental: &RentalView) -> Failure {
    let why = rental.reason.as_deref().or(rental.ending.as_deref()).unwrap_or("it was ended");
    let charged = rental.receipt.as_ref().map(|receipt| money(receipt.paid.charged));
    let hint = match charged {
        Some(charged) => {
            format!("{charged} were charged; `iog receipt {}` says why", rental.id)
        }
        None => format!("`iog rental {}` shows how it stands", rental.id),
    };
    Failure::ended(format!("the rental does not run: {why}"), hint)
}

/// What a rental is doing, in words.
pub(crate) fn stage(rental: &RentalView) -> String {
    match rental.state.as_str() {
        "awaiting-payment" => {
            format!("waiting for payment of {}", money(rental.price.held))
        }
        "deploying" => "starting the cluster".to_owned(),
        "running" => "running".to_owned(),
        "ending" => "clearing away".to_owned(),
        other => other.to_owned(),
    }
}

/// Bars on a terminal, lines elsewhere.
struct Display {
    screen: Screen,
    bars: MultiProgress,
    head: Option<ProgressBar>,
    beside: Option<ProgressBar>,
    nodes: BTreeMap<u32, ProgressBar>,
    said: BTreeMap<String, String>,
}

impl Display {
    fn new(screen: Screen) -> Self {
        let bars = MultiProgress::new();
        let (mut head, mut beside) = (None, None);
        if screen.live {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            let bar = bars.add(ProgressBar::new_spinner());
            head = Some(styled(bar, style.ok()));
            let style = ProgressStyle::with_template("  {wide_msg}");
            beside = Some(styled(bars.add(ProgressBar::new_spinner()), style.ok()));
        }
        Self { screen, bars, head, beside, nodes: BTreeMap::new(), said: BTreeMap::new() }
    }

    fn stage(&mut self, rental: &RentalView) {
        let stage = stage(rental);
        match &self.head {
            Some(head) => head.set_message(stage),
            None => self.say("", &stage),
        }
    }

    fn show(&mut self, rental: &RentalView) {
        self.stage(rental);
        for node in &rental.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &NodeView) {
        let name = format!("node {} on {}", node.node, node.worker_name);
        let state = node.state.as_str();
        let Some(beside) = &self.beside else {
            self.say(&name, state);
            return;
        };
        let bar = self.nodes.entry(node.node).or_insert_with(|| {
            let style = ProgressStyle::with_template("  {msg}");
            styled(self.bars.insert_before(beside, ProgressBar::new_spinner()), style.ok())
        });
        let (mark, ink) = match state {
            "ready" => ("✓", Ink::Good),
            "lost" => ("✗", Ink::Bad),
            _ => ("·", Ink::Note),
        };
        let state = self.screen.paint(ink, &format!("{mark} {state}"));
        bar.set_message(format!("{name:<24} {state}"));
    }

    fn aside(&mut self, line: &str) {
        match &self.beside {
            Some(beside) => beside.set_message(self.screen.paint(Ink::Faint, line)),
            None => self.screen.note(&format!("  {line}")),
        }
    }

    /// A line, unless it was said already.
    fn say(&mut self, what: &str, state: &str) {
        if self.said.get(what).is_some_and(|said| said == state) {
            return;
        }
        self.said.insert(what.to_owned(), state.to_owned());
        match what {
            "" => self.screen.note(&format!("  {state}")),
            what => self.screen.note(&format!("  {what}: {state}")),
        }
    }

    /// Leaves the last picture standing, without what was beside it.
    fn finish(&self) {
        if let Some(beside) = &self.beside {
            beside.finish_and_clear();
        }
        for bar in self.nodes.values().chain(&self.head) {
            bar.abandon();
        }
    }
}

fn styled(bar: ProgressBar, style: Option<ProgressStyle>) -> ProgressBar {
    bar.enable_steady_tick(TURN_EVERY);
    match style {
        Some(style) => bar.with_style(style),
        None => bar,
    }
}
