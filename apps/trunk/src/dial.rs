//! Connects to a relay: to begin a line, or with a ticket for a dedicated connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};
use tunnel::limits::STREAMS_MAX;
use tunnel::{Event, Frame, Hello, Settings, Side, Ticket, Welcome};
use wire::paper::NodeKey;

use crate::alive::keep_alive;
use crate::driver::Driver;
use crate::key::{ALPN, BULK_ALPN, node_tls};
use crate::line::Line;
use crate::peeked::Peeked;
use crate::spare::{Dedicated, PLAIN_GREETING};

/// How long a connection and its handshake may take, on any path that is of use.
const WITHIN: Duration = Duration::from_secs(10);

/// A bare connection.
///
/// # Errors
/// If nothing answers there in time.
pub(crate) async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let tcp = timeout(WITHIN, TcpStream::connect(address)).await.context("connect in time")??;
    // Frames are gathered before they are written; the kernel need not.
    tcp.set_nodelay(true).context("send at once")?;
    keep_alive(&tcp);
    Ok(tcp)
}

/// A connection under TLS.
///
/// # Errors
/// If nothing answers there in time, or it is not whom the configuration expects.
pub(crate) async fn connect_tls(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<Peeked>> {
    let tcp = connect(address).await?;
    let name = ServerName::IpAddress(address.ip().into());
    let handshake = TlsConnector::from(tls).connect(name, Peeked::new(tcp));
    let tls = timeout(WITHIN, handshake).await.context("greet in time")?.context("greet")?;
    Ok(TlsStream::Client(tls))
}

/// What a dedicated connection of this session begins with.
fn bulk_words(session: [u8; 16], ticket: &Ticket, is_plain: bool) -> Vec<u8> {
    let greeting = if is_plain { &PLAIN_GREETING[..] } else { &[] };
    [greeting, &session, ticket.as_bytes()].concat()
}

/// What a node needs to hold a line to a relay.
#[derive(Clone)]
pub struct Dial {
    /// The node's own key.
    pub key: SigningKey,
    /// The relay's key.
    pub relay: NodeKey,
    /// Where the relay is.
    pub address: SocketAddr,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dial({:?} at {})", self.relay, self.address)
    }
}

/// A line that a relay let in.
#[derive(Debug)]
pub struct Dialed {
    /// The line.
    pub line: Line,
    /// What drives it.
    pub driver: Driver<TlsStream<Peeked>>,
    /// What the relay said first.
    pub welcome: Welcome,
}

impl Dial {
    /// Begins a line: connects, greets with this pass, and is let in.
    ///
    /// # Errors
    /// If the relay does not answer in time, is not the one that was meant, or turns the node away.
    pub async fn line(&self, pass: Vec<u8>) -> Result<Dialed> {
        let tls = node_tls(&self.key, self.relay, ALPN)?;
        let connection = connect_tls(self.address, tls).await?;
        let settings = Settings { side: Side::Node, streams_max: STREAMS_MAX };
        let (line, mut driver) = Driver::new(connection, settings);
        line.say(&Frame::Hello(Hello { version: Hello::VERSION, pass }));
        let event = timeout(WITHIN, driver.next()).await.context("be let in in time")??;
        if let Event::Turned(code, why) = event {
            bail!("be let in: {code}: {why}");
        }
        let Event::Welcome(welcome) = event else { bail!("understand what a relay says first") };
        // A relay may take fewer than this node does, and decides no more than that.
        line.set_streams_max(welcome.streams_max.min(STREAMS_MAX));
        Ok(Dialed { line, driver, welcome })
    }

    /// Makes a dedicated connection for a line, as the relay asked with this ticket.
    ///
    /// # Errors
    /// If the relay does not answer in time.
    pub async fn spare(
        &self,
        line: &Line,
        session: [u8; 16],
        ticket: &Ticket,
        is_plain: bool,
    ) -> Result<()> {
        let dedicated = match is_plain {
            true => Dedicated::Plain(connect(self.address).await?),
            false => {
                let tls = node_tls(&self.key, self.relay, BULK_ALPN)?;
                Dedicated::Tls(Box::new(connect_tls(self.address, tls).await?))
            }
        };
        let words = bulk_words(session, ticket, is_plain);
        line.offer_spare(ticket.id(), dedicated, &words).context("show the ticket")
    }
}
