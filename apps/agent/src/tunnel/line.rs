//! A line at work: offers what is exposed, and hands streams to programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsStream;
use trunk::{Dial, Dialed, Driver, Fault, Line, Peeked};
use tunnel::{Code, Event, Frame, Hello, Open, ServiceName, StreamId, Ticket, UdpDoor};
use wire::paper::NodeKey;

use super::streams::{self, Desk};
use super::{Common, Exposed, LINES, LineState, RelayAt};
use crate::backoff::Backoff;

/// Dedicated connections of one line that are dialed at a time: as many as a relay may have asked for, of both kinds.
const SPARES_DIALED_MAX: usize = 16;
/// A line whose relay goes away lasts no longer than this, whatever the relay says: it is served beside the one that
/// took its place.
const DRAINS_WITHIN: Duration = Duration::from_secs(600);
/// A relay that goes away ends its lines itself, and soon after it said.
const DRAINS_LATE: Duration = Duration::from_secs(10);

/// How long the lines that are for services may be fewer than there should be, before one that goes to one of their
/// relays for other reasons is for services, too: no second line goes to it.
const HOME_AFTER: Duration = Duration::from_secs(3);

/// Why a slot needs another line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It broke, or was turned away.
    Broke,
    /// The relay goes away. The line is served to its end.
    Draining,
}

/// A line that is up.
pub(crate) struct Running {
    number: u64,
    dial: Dial,
    line: Line,
    driver: Driver<TlsStream<Peeked>>,
    session: [u8; 16],
    observed: std::net::SocketAddr,
    udp: Option<UdpDoor>,
    is_home: bool,
    common: Common,
    leaving: Option<oneshot::Sender<Ended>>,
    offered: BTreeMap<ServiceName, Exposed>,
    /// What the relay refused of it.
    refused: BTreeSet<ServiceName>,
    /// Refusals that the log has: each is there once.
    logged: BTreeSet<ServiceName>,
    /// When that is offered again.
    again_at: Option<Instant>,
    /// When it is looked whether services are to be offered here, too.
    home_at: Option<Instant>,
    /// When the line ends at the latest, because its relay goes away.
    over_at: Option<Instant>,
    /// Places for dedicated connections that are dialed.
    spares: Arc<Semaphore>,
    backoff: Backoff,
}

impl Running {
    pub(crate) fn new(
        dial: Dial,
        dialed: Dialed,
        common: Common,
        (is_home, leaving): (bool, oneshot::Sender<Ended>),
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let Dialed { line, driver, welcome } = dialed;
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            dial,
            line,
            driver,
            session: welcome.session,
            observed: welcome.observed,
            udp: welcome.udp,
            is_home,
            common,
            leaving: Some(leaving),
            offered: BTreeMap::new(),
            refused: BTreeSet::new(),
            logged: BTreeSet::new(),
            again_at: None,
            home_at: (!is_home).then(|| Instant::now() + HOME_AFTER),
            over_at: None,
            spares: Arc::new(Semaphore::new(SPARES_DIALED_MAX)),
            backoff: Backoff::default(),
        }
    }

    /// Serves the line until it ends.
    pub(crate) async fn serve(mut self, relay: RelayAt) {
        let (observed, services) = (self.observed, BTreeMap::new());
        let (udp, is_home) = (self.udp, self.is_home);
        let state = LineState { relay, observed, udp, is_home, is_draining: false, services };
        self.tell(|lines, number| drop(lines.insert(number, state)));
        self.common.behind.on_line(self.number, relay.key, &self.line);
        let fault = self.work().await;
        self.common.behind.on_line_over(self.number);
        self.tell(|lines, number| drop(lines.remove(&number)));
        tracing::info!(relay = %relay.address, fault = format!("{fault:#}"), "a line to a relay ended");
        self.leave(Ended::Broke);
    }

    fn tell(&self, change: impl FnOnce(&mut BTreeMap<u64, LineState>, u64)) {
        self.common.lines.send_modify(|lines| change(lines, self.number));
    }

    fn leave(&mut self, ended: Ended) {
        if let Some(leaving) = self.leaving.take() {
            let _ = leaving.send(ended);
        }
    }

    async fn work(&mut self) -> anyhow::Error {
        self.offer();
        loop {
            let news = tokio::select! {
                // A new pass first: what comes with it may be served by that one alone.
                biased;
                changed = self.common.pass.changed() => News::Pass(changed.is_ok()),
                changed = self.common.exposed.changed() => News::Exposed(changed.is_ok()),
                event = self.driver.next() => News::Event(event),
                () = until(self.again_at) => News::Again,
                () = until(self.home_at) => News::Lacking,
                () = until(self.over_at) => News::Over,
            };
            match news {
                News::Event(Ok(event)) => self.on(event),
                News::Event(Err(fault)) => return fault.into(),
                News::Exposed(true) => self.offer(),
                News::Pass(true) => self.renew(),
                News::Again => self.offer_again(),
                News::Lacking => self.stand_in(),
                News::Over => return anyhow::anyhow!("its relay went away"),
                News::Exposed(false) | News::Pass(false) => {
                    return anyhow::anyhow!("the agent stops");
                }
            }
        }
    }

    /// Offers services here, too, where lines for them are lacking.
    fn stand_in(&mut self) {
        let relay = self.dial.relay;
        let is_for_services = self.common.relays.borrow().iter().any(|known| known.key == relay);
        let is_good = |line: &&LineState| line.is_home && !line.is_draining;
        let good = self.common.lines.borrow().values().filter(is_good).count();
        if !is_for_services || good >= LINES || self.over_at.is_some() {
            self.home_at = Some(Instant::now() + HOME_AFTER);
            return;
        }
        (self.home_at, self.is_home) = (None, true);
        self.tell(|lines, number| {
            if let Some(state) = lines.get_mut(&number) {
                state.is_home = true;
            }
        });
        self.offer();
    }

    fn renew(&mut self) {
        let pass = self.common.pass.borrow().clone();
        self.line.say(&Frame::Hello(Hello { version: Hello::VERSION, pass }));
        // What the pass before did not allow this one may.
        self.offer_again();
    }

    /// Offers again what was refused: the name may be free by now, or a limit no longer reached.
    fn offer_again(&mut self) {
        self.again_at = None;
        for name in std::mem::take(&mut self.refused) {
            if let Some(exposed) = self.offered.get(&name) {
                self.line.say(&Frame::Serve(exposed.service.clone()));
            }
        }
    }

    /// Offers what is exposed and was not, and withdraws what no longer is.
    fn offer(&mut self) {
        let mut exposed = self.common.exposed.borrow_and_update().clone();
        exposed.retain(|_| self.is_home);
        let wanted: BTreeMap<_, _> =
            exposed.into_iter().map(|exposed| (exposed.service.name.clone(), exposed)).collect();
        for name in self.offered.keys().filter(|name| !wanted.contains_key(name)) {
            self.line.say(&Frame::Withdraw(name.clone()));
        }
        for (name, exposed) in &wanted {
            if self.offered.get(name).map(|known| &known.service) != Some(&exposed.service) {
                self.line.say(&Frame::Serve(exposed.service.clone()));
            }
        }
        self.tell(|lines, number| {
            if let Some(state) = lines.get_mut(&number) {
                state.services.retain(|name, _| wanted.contains_key(name));
            }
        });
        self.logged.retain(|name| wanted.contains_key(name));
        self.refused.retain(|name| wanted.contains_key(name));
        self.offered = wanted;
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Opened(stream, open) => self.open(stream, open),
            Event::Spare(is_plain, tickets) => self.dial_spares(is_plain, tickets),
            Event::Served(served) => {
                self.backoff.reset();
                self.answered(served.name.clone(), Ok(served));
            }
            // What was not offered is not refused either, nor served: nothing is kept of it.
            Event::Refused(name, ..) if !self.offered.contains_key(&name) => {}
            Event::Refused(name, code, why) => {
                if self.logged.insert(name.clone()) {
                    tracing::warn!(service = %name, %code, why, "a relay refused a service");
                }
                self.refused.insert(name.clone());
                if self.again_at.is_none() {
                    self.again_at = Some(Instant::now() + self.backoff.next());
                }
                self.answered(name, Err(why));
            }
            Event::Drain(seconds) => {
                tracing::info!(seconds, "a relay goes away; another takes its place");
                let patience = Duration::from_secs(seconds.into()) + DRAINS_LATE;
                self.over_at.get_or_insert(Instant::now() + patience.min(DRAINS_WITHIN));
                self.tell(|lines, number| {
                    if let Some(state) = lines.get_mut(&number) {
                        state.is_draining = true;
                    }
                });
                self.leave(Ended::Draining);
            }
            // If it is the end of the line, the relay ends it; a pass that it does not take leaves the one before.
            Event::Turned(code, why) => {
                tracing::warn!(relay = %self.dial.address, %code, why, "turned away by a relay");
            }
            Event::Packet(from, packet) => {
                self.common.behind.on_packet(self.dial.relay, NodeKey(from), &packet);
            }
            // Nobody signals: calls go as packets. The rest only a node says, or the line keeps to itself.
            Event::Signal(..)
            | Event::Hello(_)
            | Event::Welcome(_)
            | Event::Serve(_)
            | Event::Withdraw(_)
            | Event::Accepted(_)
            | Event::Readable(_)
            | Event::Writable(_)
            | Event::Closed(..)
            | Event::Pong(_)
            | Event::Record(..) => {}
        }
    }

    fn open(&self, stream: StreamId, open: Open) {
        let taken = self.line.take(stream);
        let Ok(place) = self.common.room.clone().try_acquire_owned() else {
            self.line.refuse(stream, Code::Limit);
            return;
        };
        let exposed = self.offered.get(&open.service).cloned();
        let desk = Desk {
            line: self.line.clone(),
            stream,
            open,
            relay: self.dial.relay,
            session: self.session,
            behind: self.common.behind.clone(),
            place: Arc::new(place),
        };
        tokio::spawn(streams::serve(desk, taken, exposed));
    }

    fn answered(&self, name: ServiceName, answer: Result<tunnel::Served, String>) {
        if !self.offered.contains_key(&name) {
            return;
        }
        self.tell(|lines, number| {
            if let Some(state) = lines.get_mut(&number) {
                state.services.insert(name, answer);
            }
        });
    }

    fn dial_spares(&self, is_plain: bool, tickets: Vec<Ticket>) {
        // The owner decides, not the relay: what nobody here allowed to go in the open does not.
        if is_plain && !self.offered.values().any(|exposed| exposed.service.is_plain_allowed) {
            return;
        }
        for ticket in tickets {
            let Ok(place) = self.spares.clone().try_acquire_owned() else { return };
            let (dial, line, session) = (self.dial.clone(), self.line.clone(), self.session);
            tokio::spawn(async move {
                if let Err(fault) = dial.spare(&line, session, &ticket, is_plain).await {
                    tracing::debug!(
                        fault = format!("{fault:#}"),
                        "no dedicated connection was had"
                    );
                }
                drop(place);
            });
        }
    }
}

enum News {
    Event(Result<Event, Fault>),
    Exposed(bool),
    Pass(bool),
    /// It is time to offer again what was refused.
    Again,
    /// It is time to look whether lines for services are lacking.
    Lacking,
    /// The relay had time enough to go away.
    Over,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
