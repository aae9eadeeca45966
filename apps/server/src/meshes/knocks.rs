//! Whether a relay is where it says: the server dials it before anybody else is told to, and the key that was certified
//! for it must answer.
//!
//! # Invariants
//! - Nothing is dialed for who may not have a relay in the list there, and no address that nobody is to be sent to.
//! - A dial ends within [`DIAL_WITHIN`], and [`DIALS_AT_ONCE_MAX`] go on at one time.
//! - What answered is dialed again after [`DIALED_FOR`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use ed25519_dalek::SigningKey;
use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use units::Timestamp;
use wire::RelayRequest;
use wire::paper::NodeKey;

use crate::clock::random;

/// How long an address has to answer: three times what the far end of the Earth takes, and one packet lost.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// For how long an answer is good: a relay says every 20 s that it is there, and is dialed with each fifteenth.
const DIALED_FOR: Duration = Duration::from_secs(300);
/// Dials of all relays at one time.
const DIALS_AT_ONCE_MAX: usize = 64;
/// Relays of which it is known what answered: more than there may be of suppliers.
const KNOWN_MAX: usize = 1_024;

/// Nothing answered of what a relay named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server dialed {at} and did not find the relay there: {why}")]
pub(crate) struct Unreachable {
    /// The first that it named.
    pub(crate) at: SocketAddr,
    /// What came of that.
    why: String,
}

/// What answered of what a relay named, and when.
#[derive(Clone, Debug)]
struct Answered {
    named: Vec<SocketAddr>,
    found: Vec<SocketAddr>,
    at: Timestamp,
}

impl Answered {
    fn is_current(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < DIALED_FOR
    }
}

/// Dials relays.
#[derive(Debug)]
pub(crate) struct Knocks {
    answered: Mutex<BTreeMap<NodeKey, Answered>>,
    places: Semaphore,
}

impl Default for Knocks {
    fn default() -> Self {
        Self { answered: Mutex::default(), places: Semaphore::new(DIALS_AT_ONCE_MAX) }
    }
}

impl Knocks {
    /// What a relay says, with those addresses alone at which it was found. One that goes away takes nothing new, and
    /// is not dialed if it was found before.
    ///
    /// # Errors
    /// If it was found nowhere.
    pub(crate) async fn found(
        &self,
        told: RelayRequest,
        now: Timestamp,
    ) -> Result<RelayRequest, Unreachable> {
        if let Some(known) = self.known(&told, now) {
            return Ok(at(told, &known));
        }
        let dials = told.tcp.iter().map(|at| self.knock(*at, told.key));
        let came = join_all(dials).await;
        let named = told.tcp.iter().copied();
        let found: Vec<SocketAddr> =
            named.zip(&came).filter(|(_, came)| came.is_ok()).map(|(at, _)| at).collect();
        if found.is_empty()
            && let Some((at, Err(why))) = told.tcp.first().zip(came.into_iter().next())
        {
            return Err(Unreachable { at: *at, why: format!("{why:#}") });
        }
        let named = told.tcp.clone();
        self.keep(told.key, Answered { named, found: found.clone(), at: now });
        Ok(at(told, &found))
    }

    /// Where it was found lately, of what it names.
    fn known(&self, told: &RelayRequest, now: Timestamp) -> Option<Vec<SocketAddr>> {
        let answered = self.answered.lock().expect("nobody panics with what answered in hand");
        let known = answered.get(&told.key).filter(|known| known.named == told.tcp)?;
        (told.drains || known.is_current(now)).then(|| known.found.clone())
    }

    fn keep(&self, relay: NodeKey, found: Answered) {
        let mut answered = self.answered.lock().expect("nobody panics with what answered in hand");
        answered.insert(relay, found);
        if answered.len() > KNOWN_MAX {
            let oldest = answered.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| *key);
            oldest.and_then(|key| answered.remove(&key));
        }
    }

    /// Whether this key answers there.
    async fn knock(&self, at: SocketAddr, relay: NodeKey) -> Result<()> {
        let _place = self.places.acquire().await.context("have a place")?;
        let within = tokio::time::timeout(DIAL_WITHIN, answers(at, relay)).await;
        within.with_context(|| format!("no answer within {} s", DIAL_WITHIN.as_secs()))?
    }
}

/// Greets as a node of no consequence does, and goes.
async fn answers(at: SocketAddr, relay: NodeKey) -> Result<()> {
    let tls = trunk::node_tls(&SigningKey::from_bytes(&random()), relay, trunk::ALPN)?;
    let connection = TcpStream::connect(at).await.context("connect")?;
    let name = ServerName::IpAddress(at.ip().into());
    let greeted = TlsConnector::from(tls).connect(name, connection).await;
    greeted.map(drop).context("another key answers than the relay's, or none")
}

/// What it says, of these addresses alone. Packets are taken by who has answered there.
fn at(told: RelayRequest, found: &[SocketAddr]) -> RelayRequest {
    let udp = told.udp.iter().filter(|at| found.iter().any(|found| found.ip() == at.ip()));
    RelayRequest { udp: udp.copied().collect(), tcp: found.to_vec(), ..told }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn told(number: u8, tcp: &[SocketAddr]) -> RelayRequest {
        RelayRequest {
            key: NodeKey(key(number).verifying_key().to_bytes()),
            statement: String::new(),
            worker: None,
            tcp: tcp.to_vec(),
            udp: tcp.to_vec(),
            domain: None,
            load: wire::RelayLoad::default(),
            drains: false,
        }
    }

    /// Answers by this key until it is aborted.
    async fn relay(number: u8) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(trunk::relay_tls(&key(number)).unwrap());
        let work = async move {
            while let Ok((connection, _)) = listener.accept().await {
                let _gone = tls.accept(connection).await;
            }
        };
        (at, tokio::spawn(work))
    }

    /// Where nothing listens, for as long as the listener's port is held.
    fn nowhere() -> SocketAddr {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let at = socket.local_addr().unwrap();
        std::mem::forget(socket);
        at
    }

    #[tokio::test]
    async fn a_relay_is_listed_where_its_key_answers() {
        let (knocks, ((here, _), (other, _))) =
            (Knocks::default(), (relay(1).await, relay(2).await));
        let closed = nowhere();
        let found = knocks.found(told(1, &[closed, here, other]), NOW).await.unwrap();
        assert_eq!((found.tcp, found.udp.len()), (vec![here], 3), "packets go by address");
        let why = knocks.found(told(3, &[closed]), NOW).await.unwrap_err();
        assert!(why.to_string().contains("connect"), "{why}");
        let why = knocks.found(told(3, &[here]), NOW).await.unwrap_err();
        assert!(why.to_string().contains("another key"), "{why}");
    }

    #[tokio::test]
    async fn what_answered_is_dialed_again_after_a_while_unless_it_goes_away() {
        let (knocks, (here, answers)) = (Arc::new(Knocks::default()), relay(1).await);
        let found = async |drains, now| {
            let told = RelayRequest { drains, ..told(1, &[here]) };
            knocks.found(told, now).await.is_ok()
        };
        assert!(found(false, NOW).await);
        answers.abort();
        let _aborted = answers.await;
        assert!(found(false, NOW.after(DIALED_FOR - Duration::from_secs(1))).await);
        assert!(!found(false, NOW.after(DIALED_FOR)).await);
        assert!(found(true, NOW.after(DIALED_FOR)).await, "it takes nothing new");
        let earlier = Timestamp::from_millis(NOW.millis() - 1);
        assert!(!found(false, earlier).await, "the clock was set back");
    }
}
