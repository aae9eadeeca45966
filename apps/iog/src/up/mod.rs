//! `iog up`: a whole network on this machine, and a first rental on it.
//!
//! # Invariants
//! - Every process is this binary in another role; what one can do here, it can do on machines of its own.
//! - Nothing outside the data folder is touched.
//! - When this process ends, however it ends, the others end too, and machines end their nodes first.

mod child;
mod network;
mod people;
mod place;
mod share;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::role;
use crate::screen::{Ink, Screen};
use crate::up::network::Network;
use crate::up::people::People;
use crate::up::place::Place;
use crate::up::story::Story;
use crate::watch;

/// How often the network is looked at while it stays up.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Start a whole network on this machine and play a first rental: a control plane, a relay, and machines as
/// separate processes. It stays up until Ctrl-C, which stops everything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog up
  iog up --once                             stop everything after the story
  iog up --data /tmp/net --listen 127.0.0.1:0 --workers 5
  iog up --once --json | jq .accuracy")]
pub(crate) struct Args {
    /// Stop everything after the story; the exit code says whether all went well.
    #[arg(long)]
    once: bool,
    /// The network's folder; it is used again the next time.
    #[arg(long, value_name = "FOLDER", default_value = ".iog")]
    data: PathBuf,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = role::server::LISTEN)]
    listen: SocketAddr,
    /// How many machines.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(share::WORKERS_MAX)))]
    workers: u16,
    /// How many hours the story books; it ends the rental early.
    #[arg(long, value_name = "N", default_value_t = 1)]
    hours: u32,
}

impl Args {
    pub(crate) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let place = Place::take(&self.data)?;
        let folder = Place::short(&place.path(""));
        screen.note(&screen.paint(Ink::Strong, "A network on this machine"));
        screen.note(&screen.paint(Ink::Faint, &format!("everything it keeps is in {folder}")));
        let mut network = Network::start(place, self.listen, self.workers, screen)?;
        let played = self.play(&mut network, &interrupt, screen, json);
        if let Err(failure) = &played
            && failure.exit() != Exit::Ok
            && !interrupt.is_set()
        {
            for line in network.trouble() {
                screen.note(&screen.paint(Ink::Faint, &line));
            }
        }
        let stopped = network.stop();
        // Ctrl-C is how a network that stays up is meant to end.
        match played {
            Err(_) if interrupt.is_set() && !self.once => stopped,
            played => played.and(stopped),
        }
    }

    fn play(
        &self,
        network: &mut Network,
        interrupt: &Interrupt,
        screen: Screen,
        json: bool,
    ) -> Result<(), Failure> {
        let url = network.url().to_owned();
        let people = People::gather(network.place(), &url)?;
        network.start_relay()?;
        network.start_workers(&people.supplier, interrupt)?;
        let (nodes, hours) = (u32::from(self.workers), self.hours);
        let story =
            Story { network, people: &people, interrupt, screen, nodes, hours, ready_secs: 0 };
        let played = story.play()?;
        screen.note(&format!(
            "\n{} {}",
            screen.paint(Ink::Good, "✓ The first rental went well:"),
            story::summary(&played)
        ));
        if json {
            screen.json(&played)?;
        }
        if self.once {
            return Ok(());
        }
        screen.note(&next_steps(&people, &url, screen));
        while !interrupt.is_set() {
            network.check(interrupt)?;
            thread::sleep(LOOK_EVERY);
        }
        end_rentals(&people, screen)
    }
}

/// Ends what still runs, so that it is settled before the network stops.
fn end_rentals(people: &People, screen: Screen) -> Result<(), Failure> {
    for rental in &people.live_rentals()? {
        screen.note(&format!("Ending {} …", rental.id));
        story::end_leftover(&people.renter, rental)?;
        watch::until_ended(&people.renter, screen, rental.id)?;
    }
    Ok(())
}

fn next_steps(people: &People, url: &str, screen: Screen) -> String {
    let program = std::env::current_exe().map_or_else(|_| "iog".into(), |path| Place::short(&path));
    let program = match program.starts_with('/') || !program.contains('/') {
        true => program,
        false => format!("./{program}"),
    };
    let strong = |text: &str| screen.paint(Ink::Strong, text);
    let lines = [
        (
            "export IOG_CONFIG=".to_owned() + &people.file.display().to_string(),
            "the renter's key is in it",
        ),
        (format!("alias iog={program}"), "or put it on your path"),
        ("iog offers".to_owned(), ""),
        ("iog rent --nodes 2 --vcpus 1 --hours 1 --name mine".to_owned(), "as the renter"),
        ("iog jobs submit mine --follow -- nproc".to_owned(), ""),
        ("iog forward mine dashboard".to_owned(), "Ray's dashboard, over the relay"),
        ("iog ssh mine".to_owned(), "a shell on the head"),
        ("iog end mine && iog receipt mine".to_owned(), ""),
        ("iog events".to_owned(), "what changes, as it changes"),
        ("iog worker list --profile supplier".to_owned(), "as the supplier"),
        ("iog operator book --profile operator".to_owned(), "as the operator"),
    ];
    let mut text = format!("\n{}\n", strong("The network is up"));
    text.push_str(&format!("  API        {url}\n  reference  {url}/docs\n\n"));
    text.push_str("In another terminal:\n");
    for (command, why) in &lines {
        let why = if why.is_empty() { String::new() } else { format!("  # {why}") };
        text.push_str(&format!("  {command}{}\n", screen.paint(Ink::Faint, &why)));
    }
    text.push_str("\nCtrl-C stops everything.");
    text
}

/// Whether somebody wants the end: Ctrl-C, or a signal to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for signals; a second one ends this process at once, and the kernel tells the others.
    fn listen() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let code = i32::from(Exit::Fault.number());
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .context("listen for signals")?;
        }
        Ok(Self(flag))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A failure once somebody wants the end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.is_set() {
            false => Ok(()),
            true => Err(Failure::Ended { what: "stopped before the end".to_owned(), hint: None }),
        }
    }
}
