//! Lines of a client to relays, and streams over whichever leads to a service.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use agent::tunnel::{Behind, Tunnels};
use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use trunk::{Line, Stream, Unopened};
use tunnel::{Code, Open, Proto, ServiceName};
use wire::Problem;
use wire::paper::NodeKey;

use super::papers::Papers;
use crate::failure::Failure;

/// How long relays may take to answer, before it is looked whether there are others.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long a visit waits for a line, or for its service to be published.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How often renewing is tried when the server does not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether the lines are still held.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Lines to relays. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Lines {
    tunnels: Tunnels,
    up: watch::Receiver<Standing>,
    /// Why there are no papers any more.
    refusal: watch::Sender<Option<String>>,
}

/// Lines that are up, the oldest first.
type Standing = BTreeMap<u64, (NodeKey, Line)>;

/// Why a service was not visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unvisited {
    /// No relay was reached.
    #[error("no relay was reached in time")]
    NoLine,
    /// A relay refused it.
    #[error("the relay says: {0}")]
    Refused(Code),
    /// Relays were reached, and none answered.
    #[error("no relay answered in time")]
    Silent,
}

/// Hears of lines.
#[derive(Debug)]
struct Ear(watch::Sender<Standing>);

impl Behind for Ear {
    fn on_line(&self, number: u64, relay: NodeKey, line: &Line) {
        let line = line.clone();
        self.0.send_modify(|lines| drop(lines.insert(number, (relay, line))));
    }

    fn on_line_over(&self, number: u64) {
        self.0.send_modify(|lines| drop(lines.remove(&number)));
    }
}

impl Lines {
    /// To the relays of these papers.
    pub(super) fn start(key: SigningKey, papers: &Papers) -> Result<Self, Failure> {
        let (heard, up) = watch::channel(Standing::new());
        let tunnels = Tunnels::start_before(key, Arc::new(Ear(heard)))?;
        let lines = Self { tunnels, up, refusal: watch::Sender::new(None) };
        lines.use_papers(papers);
        Ok(lines)
    }

    fn use_papers(&self, papers: &Papers) {
        self.tunnels.set_pass(papers.pass.to_bytes());
        let relays = papers.relays_at();
        // A service may be published at other relays than the best two.
        self.tunnels.set_more(relays.clone());
        self.tunnels.set_relays(relays);
    }

    /// Waits until the server gives no papers any more, and says why; for ever, if that does not come.
    pub(crate) async fn refusal(&self) -> String {
        let mut heard = self.refusal.subscribe();
        let refusal = heard.wait_for(Option::is_some).await;
        // The sender is held here, so there is one.
        refusal.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Waits for a line, and says which relay it goes to.
    pub(crate) async fn relay(&self) -> Result<NodeKey, Unvisited> {
        let mut up = self.up.clone();
        let line = timeout(OPEN_WITHIN, up.wait_for(|lines| !lines.is_empty())).await;
        let first = line
            .ok()
            .and_then(Result::ok)
            .and_then(|lines| lines.values().next().map(|(relay, _)| *relay));
        first.ok_or(Unvisited::NoLine)
    }

    /// Opens a stream to a service: over the first line that leads there.
    ///
    /// # Errors
    /// If none does in time: what was last said of it.
    pub(crate) async fn open(
        &self,
        service: &ServiceName,
        proto: Proto,
        visitor: Option<SocketAddr>,
    ) -> Result<(NodeKey, Stream), Unvisited> {
        // The relay believes nothing of this but the name.
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let open = Open {
            service: service.clone(),
            proto,
            visitor: visitor.unwrap_or(nowhere),
            local: nowhere,
            subject: String::new(),
        };
        let until = Instant::now() + OPEN_WITHIN;
        let (mut up, mut last) = (self.up.clone(), Unvisited::NoLine);
        loop {
            let standing = up.borrow_and_update().clone();
            let (relays, lines): (Vec<NodeKey>, Vec<Line>) = standing.into_values().unzip();
            if !lines.is_empty() {
                let first = trunk::open_first(&lines, &open);
                match timeout(ANSWER_WITHIN, first).await {
                    Ok(Ok((at, stream))) => return Ok((relays[at], stream)),
                    Ok(Err(Unopened::Refused(code))) => last = Unvisited::Refused(code),
                    Ok(Err(Unopened::Full)) => last = Unvisited::Refused(Code::Limit),
                    Ok(Err(Unopened::Broke)) | Err(_) => last = Unvisited::Silent,
                }
            }
            if last.is_final() {
                return Err(last);
            }
            // Another line may come up; or the node finds its way to one of these.
            let news = timeout(LOOK_EVERY, up.changed());
            if timeout_at(until, news).await.is_err() {
                return Err(last);
            }
        }
    }
}

impl Unvisited {
    /// Whether waiting a few seconds would change nothing. A service that is not known may be about to be published.
    fn is_final(self) -> bool {
        let words = [Code::NotPermitted, Code::NotListening, Code::Limit];
        words.map(Self::Refused).contains(&self)
    }
}

/// Renews papers as long as the lines are held.
pub(super) fn keep_good(
    lines: &Arc<Lines>,
    mut after: Duration,
    ask: impl Fn() -> Result<Papers, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let lines = Arc::downgrade(lines);
    let renew = move || {
        while are_held_for(&lines, after) {
            after = match (ask(), lines.upgrade()) {
                (Ok(papers), Some(lines)) => {
                    lines.use_papers(&papers);
                    papers.renew
                }
                (_, None) => return,
                (Err(Failure::Answered(problem)), Some(lines)) if is_final(&problem) => {
                    lines.refusal.send_replace(Some(problem.detail.clone()));
                    return;
                }
                // The pass that there is holds for a while yet.
                (Err(_), Some(_)) => AGAIN_AFTER,
            };
        }
    };
    let thread = thread::Builder::new().name("papers".to_owned()).spawn(renew);
    thread.context("start the thread that renews papers")?;
    Ok(())
}

/// Whether asking again would change nothing: the rental is over, say, or the key was revoked.
const fn is_final(problem: &Problem) -> bool {
    matches!(problem.status, 401 | 403 | 404 | 409 | 410)
}

fn are_held_for(lines: &Weak<Lines>, span: Duration) -> bool {
    let until = std::time::Instant::now() + span;
    while lines.strong_count() > 0 {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
    false
}
