//! `iog net relays`: what machines that nobody can dial are reached through.

use wire::paper::RelayRecord;
use wire::{RelayView, RelaysView};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::table::Table;
use crate::visit::now;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "all verbs run alike")]
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let list: RelaysView = session.client()?.get("/v1/network/relays")?;
        let screen = session.screen;
        let nothing =
            "The network has no relay at the moment. Its operator starts one with `iog relay`.";
        session.list(&list.relays, nothing, |relays| table(relays, &list, screen))
    }
}

fn table(relays: &[RelayView], list: &RelaysView, screen: Screen) -> String {
    let mut table = Table::new(&["RELAY", "AT", "DOMAIN", ">SCORE", ">RTT", ">LINES", "STATE"]);
    for relay in relays {
        let record: Option<RelayRecord> = relay.record.open(&list.network_key, now()).ok();
        let at = record.as_ref().and_then(|record| record.tcp.first()).map(ToString::to_string);
        let domain = record.as_ref().and_then(|record| record.domain.clone());
        let state = match (&record, relay.drains) {
            (None, _) => "its record is worth nothing",
            (Some(_), true) => "going away",
            (Some(_), false) => "up",
        };
        table.row([
            short(&relay.key.to_string()),
            at.unwrap_or_default(),
            domain.unwrap_or_default(),
            relay.score.to_string(),
            relay.rtt_ms.map(round_trip).unwrap_or_default(),
            relay.lines.to_string(),
            state.to_owned(),
        ]);
    }
    table.text(screen)
}

/// Whole milliseconds, as they are told.
fn round_trip(rtt_ms: u32) -> String {
    if rtt_ms == 0 { "< 1 ms".to_owned() } else { format!("{rtt_ms} ms") }
}

/// The beginning of a key: enough to tell a network's relays apart.
pub(super) fn short(key: &str) -> String {
    key.chars().take(12).collect()
}
