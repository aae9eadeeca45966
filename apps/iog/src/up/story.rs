//! The first rental, played as a renter would through the public API, and told as it happens.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;
use units::{Asset, Credits, JobId, RentalId};
use wire::{BookView, JobView, MeshView, OfferView, ReceiptView, RentRequest, RentalView};

use crate::client::Client;
use crate::failure::Failure;
use crate::package::{Entry, pack_entries};
use crate::receipt;
use crate::screen::{Ink, Screen};
use crate::show::{count, usd};
use crate::size::Mebibytes;
use crate::up::Interrupt;
use crate::up::network::Network;
use crate::up::people::People;
use crate::verb::net::status;
use crate::verb::quote::OrderArgs;
use crate::verb::{files, jobs, logs, offers, operator, quote};
use crate::visit::{self, Visit};
use crate::watch;

/// The job: a search for a classifier of handwritten digits.
const SEARCH: &str = include_str!("../../../../examples/digits-search/search.py");
/// What the rental is called.
const NAME: &str = "first-rental";
/// Memory of a node, where machines have that much to offer.
const MEMORY_MIB: u64 = 2048;
/// Disk of a node.
const DISK_MIB: u64 = 1024;
/// The largest result that is read.
const RESULT_BYTES_MAX: u64 = 1 << 20;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Played {
    /// The rental.
    pub(crate) rental: RentalId,
    /// The job.
    pub(crate) job: JobId,
    /// Seconds from the rental to the cluster.
    pub(crate) ready_secs: u64,
    /// The accuracy that the best candidate reached.
    pub(crate) accuracy: f64,
    /// How much each machine did.
    pub(crate) nodes: BTreeMap<String, u64>,
    /// By which status the dashboard answered over the relay, if the rental has a private network.
    pub(crate) dashboard: Option<u16>,
    /// What it cost.
    pub(crate) charged: Credits,
}

/// What the job found, as far as it is told here.
#[derive(Debug, serde::Deserialize)]
struct Found {
    best: serde_json::Value,
    accuracy: f64,
    tried: u64,
    nodes: BTreeMap<String, u64>,
    seconds: f64,
}

/// Who plays, where, and how it is told.
#[derive(Debug)]
pub(super) struct Story<'a> {
    pub(super) network: &'a mut Network,
    pub(super) people: &'a People,
    pub(super) interrupt: &'a Interrupt,
    pub(super) screen: Screen,
    pub(super) nodes: u32,
    pub(super) hours: u32,
    /// Seconds from the rental to the cluster, once it runs.
    pub(super) ready_secs: u64,
}

impl Story<'_> {
    /// Plays it.
    pub(super) fn play(mut self) -> Result<Played, Failure> {
        self.clear_leftovers()?;
        let rental = self.rent()?;
        let played = self.use_it(&rental).and_then(|used| Ok((used, self.visit_it(&rental)?)));
        if played.is_err() {
            // Nobody is to pay for what went wrong; the failure is told, not that of the ending.
            let _ = self.renter().tell::<RentalView>(&format!("/v1/rentals/{}/end", rental.id));
        }
        let ((job, found), dashboard) = played?;
        let receipt = self.end(rental.id)?;
        self.balance()?;
        let (accuracy, nodes) = (found.accuracy, found.nodes);
        let (ready_secs, charged) = (self.ready_secs, receipt.charged);
        Ok(Played { rental: rental.id, job, ready_secs, accuracy, nodes, dashboard, charged })
    }

    fn renter(&self) -> &Client {
        &self.people.renter
    }

    /// Ends what an earlier run left when it was cut short.
    fn clear_leftovers(&mut self) -> Result<(), Failure> {
        for rental in &self.people.live_rentals()? {
            self.screen.note(&format!("  … ending {}, which an earlier run left", rental.id));
            end_leftover(self.renter(), rental)?;
            watch::until_ended(self.renter(), self.screen, rental.id)?;
        }
        Ok(())
    }

    fn rent(&mut self) -> Result<RentalView, Failure> {
        let screen = self.screen;
        self.chapter("What is on offer", "iog offers");
        let (on_offer, _): (Vec<OfferView>, bool) = self.renter().page("/v1/offers")?;
        self.say(&offers::text(&on_offer, screen));
        let order = self.order();
        let memory = order.memory;
        let flags =
            format!("--nodes {} --vcpus 1 --memory {memory} --hours {}", self.nodes, self.hours);
        self.chapter("A price, step by step", &format!("iog quote {flags}"));
        let quoted = order.quote(self.renter(), self.people.project)?;
        self.say(&quote::text(&quoted, screen));
        self.chapter(
            "A Ray cluster of these machines",
            &format!("iog rent --quote {}", quoted.quote),
        );
        let name = NAME.parse().context("name the rental")?;
        let request = RentRequest { quote: quoted.quote, name, may_wait: false };
        let rental: RentalView = self.renter().post("/v1/rentals", &request)?;
        let renter = self.people.renter.clone();
        let (mut lines, since) = (Vec::new(), Instant::now());
        let (network, interrupt) = (&mut *self.network, self.interrupt);
        let running = watch::until_running(&renter, screen, rental.id, &mut || {
            network.check(interrupt)?;
            lines.extend(network.fresh_lines());
            Ok((!lines.is_empty()).then(|| lines.remove(0)))
        });
        if running.is_err() {
            let _ = renter.tell::<RentalView>(&format!("/v1/rentals/{}/end", rental.id));
        }
        let running = running?;
        self.ready_secs = since.elapsed().as_secs();
        let nodes = count(u64::from(self.nodes), "node");
        let told = format!("✓ A cluster of {nodes}, {} s after it was rented", self.ready_secs);
        screen.note(&format!("  {}", screen.paint(Ink::Good, &told)));
        Ok(running)
    }

    fn order(&self) -> OrderArgs {
        OrderArgs {
            nodes: self.nodes,
            vcpus: 1,
            memory: Mebibytes(MEMORY_MIB.min(self.network.memory_mib_min())),
            disk: Mebibytes(DISK_MIB),
            gpus: 0,
            hours: self.hours,
            gpu_model: None,
            supplier: Vec::new(),
            country: Vec::new(),
            tier_min: None,
            certification: Vec::new(),
            max_price: None,
            pack: false,
            spot: None,
            near: None,
            apart: None,
            away_from: Vec::new(),
            alone: false,
            pay: Asset::Usd,
        }
    }

    /// Runs the job and fetches its result.
    fn use_it(&mut self, rental: &RentalView) -> Result<(JobId, Found), Failure> {
        self.chapter(
            "A search over all nodes",
            &format!(
                "iog jobs submit {NAME} --dir examples/digits-search --follow -- python search.py"
            ),
        );
        let entry = Entry { name: "search.py".to_owned(), runs: false, bytes: SEARCH.into() };
        let package = pack_entries(vec![entry])?;
        let command = ("python search.py".to_owned(), BTreeMap::new());
        let job: JobView = jobs::submit(self.renter(), rental.id, Some(package), command)?;
        let mut lines = Indented { interrupt: self.interrupt, at_start: true };
        logs::follow_into(self.renter(), self.screen, job.id, &mut lines)?;
        let job = jobs::over(self.renter(), job.id)?;
        jobs::ended_well(&job, self.screen)?;
        self.chapter("Its result", &format!("iog files {} result.json --out -", job.id));
        let found = self.result(job.id)?;
        self.tell_result(&found);
        if found.nodes.len() < rental.nodes.len() {
            let worked = found.nodes.keys().cloned().collect::<Vec<_>>().join(", ");
            let what = format!("not every node worked, only {worked}");
            return Err(Failure::ended(what, format!("`iog logs {}` shows what they did", job.id)));
        }
        Ok((job.id, found))
    }

    /// Shows the private network, and asks the dashboard for its version over the relay; says what it answered.
    fn visit_it(&self, rental: &RentalView) -> Result<Option<u16>, Failure> {
        if rental.mesh.is_none() {
            let why = "\nThe nodes use the networks of their hosts: this machine can give them none of their own.";
            self.screen.note(&self.screen.paint(Ink::Faint, why));
            return Ok(None);
        }
        self.chapter("Its private network", &format!("iog net status {NAME}"));
        let mesh: MeshView = self.renter().get(&format!("/v1/rentals/{}/network", rental.id))?;
        self.say(&status::text(&mesh, None, self.screen));
        self.chapter("Its dashboard, over the relay", &format!("iog forward {NAME} dashboard"));
        let visit = Visit::to(self.renter(), rental.id, &self.network.place().path(""))?;
        let papers = visit.papers(None)?;
        let dashboard = visit::name_of(visit::service(&papers, "dashboard")?)?;
        let lines = visit.lines(&papers)?;
        let asked = ("/api/version", papers.cluster_token.as_str());
        let runtime = visit::runtime()?;
        let answer = runtime.block_on(visit::answer(&lines, &dashboard, asked));
        runtime.shutdown_background();
        let status = answer?;
        if status != 200 {
            let what = format!("Ray's dashboard answers {status} over the relay");
            return Err(Failure::ended(what, "the log of the relay says what went by"));
        }
        let told = format!("✓ Ray's dashboard answers {status}");
        self.say(&format!("  {}", self.screen.paint(Ink::Good, &told)));
        Ok(Some(status))
    }

    fn result(&self, job: JobId) -> Result<Found, Failure> {
        let mut bytes = Vec::new();
        let file = self.renter().stream(&files::address(job, "result.json"))?;
        file.take(RESULT_BYTES_MAX).read_to_end(&mut bytes).context("fetch the result")?;
        Ok(serde_json::from_slice(&bytes).context("read the result")?)
    }

    fn tell_result(&self, found: &Found) {
        let percent = format!("{:.1} %", found.accuracy * 100.0);
        let mut text = format!("  accuracy    {}\n", self.screen.paint(Ink::Good, &percent));
        let best = found.best.as_object().into_iter().flatten();
        let best: Vec<String> = best
            .map(|(name, value)| format!("{name} {}", value.to_string().replace('"', "")))
            .collect();
        text.push_str(&format!("  best        {}\n", best.join(", ")));
        text.push_str(&format!("  tried       {} in {:.0} s\n", found.tried, found.seconds));
        for (at, (node, tried)) in found.nodes.iter().enumerate() {
            let label = if at == 0 { "worked" } else { "" };
            text.push_str(&format!("  {label:<11} {node}: {}\n", count(*tried, "candidate")));
        }
        self.say(&text);
    }

    fn end(&self, rental: RentalId) -> Result<ReceiptView, Failure> {
        self.chapter(
            "The end, early, and the receipt",
            &format!("iog end {NAME} --wait; iog receipt {NAME}"),
        );
        let _: RentalView = self.renter().tell(&format!("/v1/rentals/{rental}/end"))?;
        let ended = watch::until_ended(self.renter(), self.screen, rental)?;
        let told: ReceiptView = self.renter().get(&format!("/v1/rentals/{rental}/receipt"))?;
        self.say(&receipt::text(&ended, &told, self.screen));
        receipt::checked(&ended, &told)?;
        Ok(told)
    }

    fn balance(&self) -> Result<(), Failure> {
        self.chapter("The book", "iog operator book --profile operator");
        let book: BookView = self.people.operator.get("/v1/network/book")?;
        self.say(&operator::book(&book, self.screen));
        match operator::adds_up(&book) {
            true => Ok(()),
            false => Err(Failure::ended("the book does not balance", "keep the data folder")),
        }
    }

    /// A heading, and the command that would do the same.
    fn chapter(&self, title: &str, command: &str) {
        let command = self.screen.paint(Ink::Faint, &format!("$ {command}"));
        self.screen.note(&format!("\n{}\n{command}", self.screen.paint(Ink::Strong, title)));
    }

    fn say(&self, text: &str) {
        self.screen.note(text.trim_end_matches('\n'));
    }
}

/// Ends a rental unless it is ending already.
pub(super) fn end_leftover(renter: &Client, rental: &RentalView) -> Result<(), Failure> {
    if rental.state == "ending" {
        return Ok(());
    }
    renter.tell::<RentalView>(&format!("/v1/rentals/{}/end", rental.id)).map(drop)
}

/// The job's log, set in from the left, until somebody wants the end.
struct Indented<'a> {
    interrupt: &'a Interrupt,
    at_start: bool,
}

impl Write for Indented<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupt.check().is_err() {
            return Err(io::Error::other("stopped"));
        }
        let mut out = io::stderr().lock();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start {
                out.write_all(b"  ")?;
            }
            out.write_all(line)?;
            self.at_start = line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What a rental of the story cost, for the last words.
pub(super) fn summary(played: &Played) -> String {
    let nodes = count(u64::try_from(played.nodes.len()).unwrap_or_default(), "node");
    format!("{nodes}, accuracy {:.4}, {} USD charged", played.accuracy, usd(played.charged))
}
