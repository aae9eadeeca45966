//! A leased UDP port: every visitor, by address and port, has a stream to the service, with each datagram's length
//! (16 bits, little-endian) before it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tunnel::ServiceName;

use super::carried::Activity;
use super::house::{Ends, House, Places};
use super::limits::{ACCEPT_PAUSE, DATAGRAMS_WAITING};
use crate::opener::{Entry, Opener};

/// The largest datagram (RFC 768: a length of 16 bits, of which 8 bytes are its head).
const DATAGRAM_BYTES: usize = 65_527;

/// Takes datagrams until it is aborted; its visitors' streams go with it.
pub(crate) async fn serve<O: Opener>(
    house: Arc<House<O>>,
    socket: UdpSocket,
    service: ServiceName,
) {
    let mut port = Port {
        house,
        socket: Arc::new(socket),
        service: Arc::new(service),
        flows: BTreeMap::new(),
        running: JoinSet::new(),
    };
    let mut datagram = vec![0; DATAGRAM_BYTES];
    let socket = Arc::clone(&port.socket);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => match received {
                Ok((length, visitor)) => port.on_datagram(&datagram[..length], visitor),
                // An error of an earlier datagram (RFC 1122, 4.1.3.3), or none of ours: not to spin on.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(ended) = port.running.join_next() => if let Ok(visitor) = ended {
                port.flows.remove(&visitor);
            },
        }
    }
}

/// One port and its visitors.
struct Port<O> {
    house: Arc<House<O>>,
    socket: Arc<UdpSocket>,
    service: Arc<ServiceName>,
    flows: BTreeMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    running: JoinSet<SocketAddr>,
}

impl<O: Opener> Port<O> {
    fn on_datagram(&mut self, datagram: &[u8], visitor: SocketAddr) {
        let flow = match self.flows.get(&visitor) {
            Some(flow) => Some(flow),
            None => self.begin(visitor),
        };
        // Full or over: the network loses datagrams, too.
        let is_taken = flow.is_some_and(|flow| flow.try_send(datagram.to_vec()).is_ok());
        if !is_taken {
            self.house.metrics.datagram_dropped();
        }
    }

    fn begin(&mut self, visitor: SocketAddr) -> Option<&mpsc::Sender<Vec<u8>>> {
        if self.flows.len() >= self.house.limits.udp_flows {
            return None;
        }
        let places = match self.house.enter(visitor) {
            Ok(places) => places,
            Err(why) => {
                self.house.metrics.turned(why);
                return None;
            }
        };
        let local = self.socket.local_addr().ok()?;
        let (sender, datagrams) = mpsc::channel(DATAGRAMS_WAITING);
        let flow = Flow {
            house: Arc::clone(&self.house),
            socket: Arc::clone(&self.socket),
            service: Arc::clone(&self.service),
            ends: Ends { visitor, local },
        };
        self.running.spawn(flow.run(datagrams, places));
        Some(self.flows.entry(visitor).or_insert(sender))
    }
}

/// One visitor of a port.
struct Flow<O> {
    house: Arc<House<O>>,
    socket: Arc<UdpSocket>,
    service: Arc<ServiceName>,
    ends: Ends,
}

impl<O: Opener> Flow<O> {
    /// Carries datagrams until the stream ends or nothing came for long. Tells whose flow it was.
    async fn run(self, datagrams: mpsc::Receiver<Vec<u8>>, places: Places) -> SocketAddr {
        let activity = Activity::new();
        let entry = (self.ends, Entry::Udp);
        if let Ok(stream) = self.house.open(&self.service, entry, "", &activity).await {
            let (from_service, to_service) = tokio::io::split(stream.metered());
            tokio::select! {
                _ = to_stream(datagrams, to_service) => {}
                _ = to_visitor(from_service, &self.socket, self.ends.visitor) => {}
                () = activity.quiet_for(self.house.limits.udp_quiet_time) => {}
            }
        }
        drop(places);
        self.ends.visitor
    }
}

async fn to_stream<W: AsyncWrite + Unpin>(
    mut datagrams: mpsc::Receiver<Vec<u8>>,
    mut to: W,
) -> io::Result<()> {
    let mut framed = Vec::new();
    while let Some(datagram) = datagrams.recv().await {
        let Ok(length) = u16::try_from(datagram.len()) else {
            continue;
        };
        framed.clear();
        framed.extend_from_slice(&length.to_le_bytes());
        framed.extend_from_slice(&datagram);
        to.write_all(&framed).await?;
        to.flush().await?;
    }
    Ok(())
}

async fn to_visitor<R: AsyncRead + Unpin>(
    mut from: R,
    socket: &UdpSocket,
    visitor: SocketAddr,
) -> io::Result<()> {
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        let length = usize::from(from.read_u16_le().await?);
        from.read_exact(&mut datagram[..length]).await?;
        // One that cannot be sent (too long for the path, no route) is lost, as any datagram may be.
        let _ = socket.send_to(&datagram[..length], visitor).await;
    }
}
