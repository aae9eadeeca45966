//! `iog net ping`: how long the way to a node is, and which it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tunnel::{Proto, ServiceName};
use units::RentalId;
use wire::paper::NodeKey;
use wire::{MemberKind, MemberOfMesh, MeshView};

use super::relays::short;
use super::status::{leads, millis, table, ways};
use crate::failure::Failure;
use crate::join::{self, Network};
use crate::session::{Named, Session};
use crate::show::tame;
use crate::visit::{self, Lines, Visit};

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Between two measurements.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// The node; 0 is the head.
    #[arg(value_name = "NODE", default_value_t = 0)]
    node: u32,
    /// How often it is measured.
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    node: u32,
    relay: Option<String>,
    sent: u16,
    answered: u16,
    best_micros: Option<u64>,
    median_micros: Option<u64>,
    worst_micros: Option<u64>,
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let visit = Visit::to(&client, rental, session.folder()?)?;
        let papers = visit.papers(None)?;
        let label = if self.node == 0 { "ssh".to_owned() } else { format!("ssh-{}", self.node) };
        let name = visit::name_of(visit::service(&papers, &label)?)?;
        let lines = visit.lines(&papers)?;
        let runtime = visit::runtime()?;
        let measured = runtime.block_on(self.measure(session, &lines, &name));
        runtime.shutdown_background();
        let measured = measured?;
        let me = session.folder().ok();
        let me = me.and_then(|folder| join::known(folder, &Network::Rental(rental).label()));
        let mesh: MeshView = client.get(&format!("/v1/rentals/{rental}/network"))?;
        session.show(&measured, |measured| {
            let name =
                if self.node == 0 { "head".to_owned() } else { format!("node-{}", self.node) };
            let is_it = |member: &&MemberOfMesh| {
                member.kind == MemberKind::Node && member.name.text() == name
            };
            let key = mesh.members.iter().find(is_it).map(|member| member.key);
            let ways = ways(&mesh.members, |peer| Some(*peer) == key);
            let mut text = measured.text();
            text.push_str(&from_here(&mesh.members, me, key));
            if !ways.is_empty() {
                text.push_str("\nHow other members reach it:\n");
                text.push_str(&table(&ways, session.screen));
            }
            text
        })?;
        match measured.answered {
            0 => Err(Failure::ended(
                format!("node {} does not answer", self.node),
                "`iog rental` shows whether it is lost; `iog net status` when it was heard last",
            )),
            _ => Ok(()),
        }
    }

    async fn measure(
        &self,
        session: &Session,
        lines: &Arc<Lines>,
        name: &ServiceName,
    ) -> Result<Measured, Failure> {
        let (mut spans, mut over) = (Vec::new(), None);
        for number in 1..=self.count {
            // Only the way is measured, so the line must be up.
            lines.relay().await.map_err(|why| {
                Failure::ended(why.to_string(), "`iog net relays` lists the relays")
            })?;
            let begun = Instant::now();
            let answer = timeout(WITHIN, greeting(lines, name)).await;
            let span = begun.elapsed();
            let told = match answer {
                Ok(Ok(relay)) => {
                    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
                    spans.push(micros);
                    let told = format!("{number}: {} over relay {}", millis(micros), short(&relay));
                    over = Some(relay);
                    told
                }
                Ok(Err(why)) => format!("{number}: {why}"),
                Err(_) => format!("{number}: no answer in {} s", WITHIN.as_secs()),
            };
            session.screen.note(&told);
            if number < self.count {
                tokio::time::sleep(PAUSE).await;
            }
        }
        spans.sort_unstable();
        Ok(Measured {
            node: self.node,
            relay: over,
            sent: self.count,
            answered: u16::try_from(spans.len()).unwrap_or(u16::MAX),
            best_micros: spans.first().copied(),
            median_micros: spans.get(spans.len() / 2).copied(),
            worst_micros: spans.last().copied(),
        })
    }
}

/// How this machine reaches the node as a member of the private network, if it is one: `iog net up` runs.
fn from_here(members: &[MemberOfMesh], me: Option<NodeKey>, node: Option<NodeKey>) -> String {
    let me = me.and_then(|me| members.iter().find(|member| member.key == me));
    let mut ways = me.into_iter().flat_map(|me| &me.ways);
    let Some(way) = ways.find(|way| Some(way.peer) == node) else { return String::new() };
    let span = way.rtt_micros.map(|span| format!(", {}", millis(span))).unwrap_or_default();
    let why = if way.why.is_empty() { String::new() } else { format!(" ({})", tame(&way.why)) };
    format!("in the private network: {}{span}{why}\n", leads(way))
}

/// Opens a stream to the node and waits for its first byte; says over which relay it came.
async fn greeting(lines: &Lines, name: &ServiceName) -> Result<String, String> {
    let opened = lines.open(name, Proto::Ssh, None).await;
    let (relay, mut stream) = opened.map_err(|why| why.to_string())?;
    let mut byte = [0];
    match stream.read(&mut byte).await {
        Ok(1) => Ok(relay.to_string()),
        Ok(_) => Err("the node closed the connection".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

impl Measured {
    fn text(&self) -> String {
        let span = |micros: Option<u64>| micros.map(millis).unwrap_or_else(|| "-".to_owned());
        format!(
            "node {}: {} of {} answered, best {}, median {}, worst {}\n",
            self.node,
            self.answered,
            self.sent,
            span(self.best_micros),
            span(self.median_micros),
            span(self.worst_micros),
        )
    }
}
