//! A relay's place in the network's list: it says where it is, again and again, and that it goes away when it does.
//!
//! # Invariants
//! - A relay that the server refuses at its start does not run. One that is refused later goes on with what it carries,
//!   and says so in its log.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ::relay::Standing;
use anyhow::Context;
use units::WorkerId;
use wire::paper::{NodeKey, relay_statement};
use wire::{MeView, RelayLoad, RelayRegistered, RelayRequest, RelaysView};

use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::role::relay_records::HandsOver;
use crate::screen::Screen;

/// When it is said again after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether the relay goes away.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where a relay is, as the list has it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key: NodeKey,
    /// The machine whose stake backs it.
    pub(crate) worker: Option<WorkerId>,
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) udp: Vec<SocketAddr>,
    pub(crate) domain: Option<String>,
}

/// Keeps a relay in the list until it is dropped, which is said, too.
#[derive(Debug)]
pub(crate) struct Listed {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The key of the network, as its server says.
pub(crate) fn network_key(client: &Client) -> Result<NodeKey, Failure> {
    client.get::<RelaysView>("/v1/network/relays").map(|relays| relays.network_key)
}

impl Listed {
    /// Says so in the name of the account whose key the client has. Segments of the relay's log, if it keeps one, are
    /// handed over.
    ///
    /// # Errors
    /// If the server refuses the relay, or no thread can be had.
    pub(crate) fn begin(
        client: Client,
        place: Place,
        audit: Option<PathBuf>,
        standing: Standing,
    ) -> Result<Self, Failure> {
        let is_over = Arc::new(AtomicBool::new(false));
        let records = audit.map(|log| HandsOver::new(log, place.key));
        let mut teller = Teller { client, place, standing, records, statement: None, told: None };
        let first = teller.say(false)?;
        let over = is_over.clone();
        let work = move || teller.work(first, &over);
        let thread = thread::Builder::new().name("listed".to_owned()).spawn(work);
        let thread = Some(thread.context("start a thread")?);
        Ok(Self { is_over, thread })
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Teller {
    client: Client,
    place: Place,
    standing: Standing,
    records: Option<HandsOver>,
    /// What the relay's key signed: whose it is.
    statement: Option<String>,
    /// When it was last told, and how many bytes had gone by then.
    told: Option<(Instant, u64)>,
}

impl Teller {
    fn work(&mut self, first: Duration, is_over: &AtomicBool) {
        let (mut until, mut drains) = (Instant::now() + first, false);
        loop {
            while Instant::now() < until
                && !is_over.load(Ordering::Relaxed)
                && self.standing.is_draining() == drains
            {
                thread::sleep(LOOK_EVERY);
            }
            let (is_last, said) = (is_over.load(Ordering::Relaxed), Instant::now());
            drains = is_last || self.standing.is_draining();
            let wait = self.say(drains).unwrap_or_else(|failure| {
                let failure = failure.text(Screen::PLAIN);
                tracing::error!(failure, "the relay is in the network's list no more");
                AGAIN_AFTER
            });
            if let Some(records) = &self.records {
                // That it goes away is said before the rest is handed over.
                let has_news = || is_over.load(Ordering::Relaxed) || self.standing.is_draining();
                records.hand_over(&self.client, || !drains && has_news());
            }
            if is_last {
                return;
            }
            until = said + wait;
        }
    }

    /// Says it once, and returns when to say it again. That the server is away is only noted.
    ///
    /// # Errors
    /// If the server will not have the relay.
    fn say(&mut self, drains: bool) -> Result<Duration, Failure> {
        self.tell(drains).or_else(|failure| match failure.exit() {
            Exit::Unavailable | Exit::Fault => {
                let failure = failure.text(Screen::PLAIN);
                tracing::warn!(failure, "the relay could not say where it is");
                Ok(AGAIN_AFTER)
            }
            Exit::Ok | Exit::Refused | Exit::Usage => Err(failure),
        })
    }

    fn statement(&mut self) -> Result<String, Failure> {
        if self.statement.is_none() {
            let me: MeView = self.client.get("/v1/me")?;
            let text = relay_statement(&me.account.id.to_string());
            self.statement = Some(self.standing.sign(&text));
        }
        Ok(self.statement.clone().unwrap_or_default())
    }

    /// Says it once, and returns when to say it again.
    fn tell(&mut self, drains: bool) -> Result<Duration, Failure> {
        let few = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (now, bytes) = (Instant::now(), self.standing.bytes());
        let since = self.told.replace((now, bytes));
        let bytes_per_second = since.map_or(0, |(then, before)| {
            (bytes - before) / now.duration_since(then).as_secs().max(1)
        });
        let Place { key, worker, tcp, udp, domain } = self.place.clone();
        let load = RelayLoad {
            lines: few(self.standing.lines()),
            streams: few(self.standing.streams()),
            bytes_per_second,
            lines_max: Some(few(self.standing.lines_max())),
        };
        let statement = self.statement()?;
        let told = RelayRequest { key, statement, worker, tcp, udp, domain, load, drains };
        let registered: RelayRegistered = self.client.put("/v1/network/relays/me", &told)?;
        Ok(Duration::from_secs(registered.again_secs.max(1)))
    }
}
