//! Connections of nodes: lines, and dedicated connections that belong to one.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use trunk::{
    BULK_ALPN, Dedicated, Driver, PLAIN_GREETING, Peeked, keep_alive, peer_key, relay_tls,
    system_time,
};
use tunnel::{Code, Event, Frame, Hello, Settings, Side, Ticket, Welcome};
use wire::paper::{NodeKey, Pass};

use crate::door::{NodeDoor, Seats, neighborhood};
use crate::gate::{Gate, Turned};
use crate::limits::{
    FAREWELL_WITHIN, GREET_WITHIN, GREETING_MAX, GREETING_PER_ADDRESS_MAX, LINES_MAX, TICKET_WITHIN,
};
use crate::member::Member;
use crate::packets::Packets;
use crate::place::{NoDoors, Places};
use crate::registry::{Registry, Session};

/// The first byte of TLS.
const TLS_HANDSHAKE: u8 = 0x16;
/// How long a listener that cannot accept waits: nothing but time makes room.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections of nodes.
pub struct Nodes {
    registry: Arc<Registry>,
    gate: Gate,
    tls: Arc<ServerConfig>,
    places: OnceLock<Arc<dyn Places>>,
    packets: OnceLock<Packets>,
    greeting: Arc<Semaphore>,
    addresses: Seats<IpAddr>,
    lines_max: usize,
}

impl Nodes {
    /// For nodes with passes that the gate knows. The key is the relay's own.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn new(registry: Arc<Registry>, gate: Gate, key: &SigningKey) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            registry,
            gate,
            tls: relay_tls(key)?,
            places: OnceLock::new(),
            packets: OnceLock::new(),
            greeting: Arc::new(Semaphore::new(GREETING_MAX)),
            addresses: Seats::new(GREETING_PER_ADDRESS_MAX),
            lines_max: LINES_MAX,
        }))
    }

    /// Services get places here from now on. Only the first call counts.
    pub fn place_at(&self, places: Arc<dyn Places>) {
        let _ = self.places.set(places);
    }

    /// Packets of private networks are forwarded from now on, at the UDP port of this number or, if that is taken, any.
    /// Returns which. Only the first call counts.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn forward_packets(&self, wished: u16) -> Result<u16> {
        let packets = Packets::open(wished, &self.registry)?;
        Ok(self.packets.get_or_init(|| packets).port())
    }

    pub(crate) fn places(&self) -> &dyn Places {
        self.places.get().map_or(&NoDoors, |places| &**places)
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Accepts connections, all of nodes, until it is aborted: for a relay without doors.
    pub async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((tcp, from)) => self.take(Peeked::new(tcp), from),
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(self: &Arc<Self>, connection: Peeked, from: SocketAddr) {
        // Who comes when all places are taken is closed at once.
        let Ok(place) = self.greeting.clone().try_acquire_owned() else { return };
        let Some(seat) = self.addresses.take(&neighborhood(from.ip())) else { return };
        let nodes = self.clone();
        tokio::spawn(async move {
            let _ = connection.tcp().set_nodelay(true);
            keep_alive(connection.tcp());
            let greeted = timeout(GREET_WITHIN, nodes.greet(connection, from)).await;
            drop((place, seat));
            match greeted {
                Ok(Ok(Some(line))) => line.serve(nodes).await,
                Ok(Ok(None)) => {}
                Ok(Err(fault)) => {
                    tracing::debug!(%from, fault = format!("{fault:#}"), "a connection did not greet")
                }
                Err(_) => tracing::debug!(%from, "a connection did not greet in time"),
            }
        });
    }

    async fn greet(&self, mut connection: Peeked, from: SocketAddr) -> Result<Option<Greeted>> {
        if connection.held().is_empty() && connection.peek_more(1_024).await? == 0 {
            return Ok(None);
        }
        if connection.held().first() != Some(&TLS_HANDSHAKE) {
            timeout(TICKET_WITHIN, self.keep_plain(connection)).await??;
            return Ok(None);
        }
        let local = connection.tcp().local_addr()?;
        let tls = TlsAcceptor::from(self.tls.clone()).accept(connection).await?;
        let (key, is_bulk) = {
            let connection = tls.get_ref().1;
            (peer_key(connection)?, connection.alpn_protocol() == Some(BULK_ALPN))
        };
        let tls = TlsStream::Server(tls);
        if is_bulk {
            self.keep_tls(tls, key).await?;
            return Ok(None);
        }
        self.begin(tls, key, (from, local)).await.map(Some)
    }

    /// A dedicated connection without TLS: all that proves whose it is is its ticket.
    async fn keep_plain(&self, mut connection: Peeked) -> Result<()> {
        let mut greeting = [0; PLAIN_GREETING.len()];
        connection.read_exact(&mut greeting).await?;
        if greeting != PLAIN_GREETING {
            bail!("understand the first bytes");
        }
        let (session, ticket) = read_ticket(&mut connection).await?;
        let node = self.registry.redeem(session, &ticket, true).context("know the ticket")?;
        let (tcp, held) = connection.into_parts();
        if !held.is_empty() {
            bail!("wait for a stream");
        }
        node.line.keep_spare(ticket.id(), Dedicated::Plain(tcp));
        Ok(())
    }

    async fn keep_tls(&self, mut tls: TlsStream<Peeked>, key: NodeKey) -> Result<()> {
        let (session, ticket) = read_ticket(&mut tls).await?;
        let node = self.registry.redeem(session, &ticket, false).context("know the ticket")?;
        if node.key != key {
            bail!("show a ticket of one's own");
        }
        node.line.keep_spare(ticket.id(), Dedicated::Tls(Box::new(tls)));
        Ok(())
    }

    async fn begin(
        &self,
        tls: TlsStream<Peeked>,
        key: NodeKey,
        ends: (SocketAddr, SocketAddr),
    ) -> Result<Greeted> {
        let settings = Settings { side: Side::Relay, streams_max: tunnel::limits::STREAMS_MAX };
        let (line, mut driver) = Driver::new(tls, settings);
        let Event::Hello(hello) = driver.next().await? else { bail!("hear a greeting") };
        match self.admit(key, &hello) {
            Ok(pass) => Ok(Greeted { key, pass, line, driver, ends }),
            Err(Turned { code, why }) => {
                line.say(&Frame::Turned { code, why: why.clone() });
                driver.flush().await?;
                bail!("let {key} in: {why}")
            }
        }
    }

    fn admit(&self, key: NodeKey, hello: &Hello) -> Result<Pass, Turned> {
        if hello.version != Hello::VERSION {
            return Err(Turned::new(Code::Other, "this relay speaks another version"));
        }
        if self.registry.is_draining() {
            return Err(Turned::new(Code::Draining, "this relay goes away"));
        }
        if self.registry.lines() >= self.lines_max {
            return Err(Turned::new(Code::Limit, "this relay has as many lines as it takes"));
        }
        let pass = self.pass(key, hello)?;
        match self.registry.has_room_for(pass.account) {
            true => Ok(pass),
            false => Err(Turned::new(Code::Limit, "its account has as many lines as one may have")),
        }
    }

    /// The pass that a node shows, first or in the place of another.
    pub(crate) fn pass(&self, key: NodeKey, hello: &Hello) -> Result<Pass, Turned> {
        self.gate.admit(key, &hello.pass, system_time())
    }
}

impl NodeDoor for Arc<Nodes> {
    fn connected(&self, connection: Peeked, from: SocketAddr) {
        self.take(connection, from);
    }
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nodes")
    }
}

async fn read_ticket<R: AsyncReadExt + Unpin>(connection: &mut R) -> Result<(Session, Ticket)> {
    let (mut session, mut ticket) = ([0; 16], [0; Ticket::BYTES]);
    connection.read_exact(&mut session).await?;
    connection.read_exact(&mut ticket).await?;
    Ok((session, Ticket::from_bytes(ticket)))
}

/// A line whose node was let in.
struct Greeted {
    key: NodeKey,
    pass: Pass,
    line: trunk::Line,
    driver: Driver<TlsStream<Peeked>>,
    /// Where it comes from, and where to.
    ends: (SocketAddr, SocketAddr),
}

impl Greeted {
    async fn serve(self, nodes: Arc<Nodes>) {
        let mut session = [0; 16];
        if getrandom::fill(&mut session).is_err() {
            return;
        }
        let Self { key, pass, line, mut driver, ends: (from, local) } = self;
        let streams_max = pass.limits.streams.min(tunnel::limits::STREAMS_MAX);
        line.set_streams_max(streams_max);
        let seat = nodes.packets.get().and_then(|packets| packets.admit(key, &pass)).map(Arc::new);
        let udp = seat.as_ref().map(|seat| seat.door);
        let welcome = Welcome { session, streams_max, observed: from, time: system_time(), udp };
        line.say(&Frame::Welcome(welcome));
        let node = nodes.registry.enter(key, session, line, pass);
        let member =
            Member { nodes: nodes.clone(), node: node.clone(), from, local, seat: seat.clone() };
        let fault = member.serve(&mut driver).await;
        nodes.registry.leave(&node);
        // What it is told last, if it takes it. A line that broke says at once that it did.
        let _ = timeout(FAREWELL_WITHIN, driver.flush()).await;
        if let Some(seat) = seat {
            tokio::spawn(async move { seat.leave().await });
        }
        tracing::debug!(%key, fault = format!("{fault:#}"), "a line ended");
    }
}
