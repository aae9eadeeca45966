//! A relay's place in the network's list: it says where it is, again and again, and that it goes away when it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ::relay::Standing;
use anyhow::Context;
use wire::paper::{NodeKey, relay_statement};
use wire::{MeView, RelayLoad, RelayRegistered, RelayRequest, RelaysView};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::Screen;

/// When it is said again after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether the relay goes away.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where a relay is, as the list has it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key: NodeKey,
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
    /// Says so in the name of the account whose key the client has: the operator's.
    ///
    /// # Errors
    /// If no thread can be had.
    pub(crate) fn begin(client: Client, place: Place, standing: Standing) -> Result<Self, Failure> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut teller = Teller { client, place, standing, statement: None, told: None };
        let over = is_over.clone();
        let work = move || teller.work(&over);
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
    /// What the relay's key signed: whose it is.
    statement: Option<String>,
    /// When it was last told, and how many bytes had gone by then.
    told: Option<(Instant, u64)>,
}

impl Teller {
    fn work(&mut self, is_over: &AtomicBool) {
        loop {
            let drains = is_over.load(Ordering::Relaxed) || self.standing.is_draining();
            let wait = match self.tell(drains) {
                Ok(again) => again,
                Err(failure) => {
                    tracing::warn!(
                        failure = failure.text(Screen::PLAIN),
                        "the relay could not say where it is"
                    );
                    AGAIN_AFTER
                }
            };
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let until = Instant::now() + wait;
            while Instant::now() < until
                && !is_over.load(Ordering::Relaxed)
                && self.standing.is_draining() == drains
            {
                thread::sleep(LOOK_EVERY);
            }
        }
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
        let Place { key, tcp, udp, domain } = self.place.clone();
        let load = RelayLoad {
            lines: few(self.standing.lines()),
            streams: few(self.standing.streams()),
            bytes_per_second,
            lines_max: Some(few(self.standing.lines_max())),
        };
        let statement = self.statement()?;
        let told = RelayRequest { key, statement, tcp, udp, domain, load, drains };
        let registered: RelayRegistered = self.client.put("/v1/network/relays/me", &told)?;
        Ok(Duration::from_secs(registered.again_secs.max(1)))
    }
}
