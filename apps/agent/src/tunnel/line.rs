//! A line at work: offers what is exposed, and hands streams to programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsStream;
use trunk::{Dial, Dialed, Driver, Fault, Line, Peeked};
use tunnel::{Event, Frame, Hello, ServiceName, Ticket, UdpDoor};
use wire::paper::NodeKey;

use super::streams::{self, Desk};
use super::{Common, Exposed, LineState, RelayAt};
use crate::backoff::Backoff;

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
    /// When that is offered again.
    again_at: Option<Instant>,
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
            again_at: None,
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
            };
            match news {
                News::Event(Ok(event)) => self.on(event),
                News::Event(Err(fault)) => return fault.into(),
                News::Exposed(true) => self.offer(),
                News::Pass(true) => self.renew(),
                News::Again => self.offer_again(),
                News::Exposed(false) | News::Pass(false) => {
                    return anyhow::anyhow!("the agent stops");
                }
            }
        }
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
        self.offered = wanted;
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Opened(stream, open) => {
                let exposed = self.offered.get(&open.service).cloned();
                let desk = Desk {
                    line: self.line.clone(),
                    stream,
                    open,
                    relay: self.dial.relay,
                    session: self.session,
                    behind: self.common.behind.clone(),
                };
                let taken = self.line.take(stream);
                tokio::spawn(streams::serve(desk, taken, exposed));
            }
            Event::Spare(is_plain, tickets) => self.dial_spares(is_plain, tickets),
            Event::Served(served) => {
                self.backoff.reset();
                self.answered(served.name.clone(), Ok(served));
            }
            Event::Refused(name, code, why) => {
                tracing::warn!(service = %name, %code, why, "a relay refused a service");
                self.refused.insert(name.clone());
                if self.again_at.is_none() {
                    self.again_at = Some(Instant::now() + self.backoff.next());
                }
                self.answered(name, Err(why));
            }
            Event::Drain(seconds) => {
                tracing::info!(seconds, "a relay goes away; another takes its place");
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

    fn answered(&self, name: ServiceName, answer: Result<tunnel::Served, String>) {
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
            let (dial, line, session) = (self.dial.clone(), self.line.clone(), self.session);
            tokio::spawn(async move {
                if let Err(fault) = dial.spare(&line, session, &ticket, is_plain).await {
                    tracing::debug!(
                        fault = format!("{fault:#}"),
                        "no dedicated connection was had"
                    );
                }
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
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
