//! A leased UDP port: every visitor, by address and port, has a stream to the service, with each datagram's length
//! (16 bits, little-endian) before it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tunnel::ServiceName;

use super::carried::Activity;
use super::house::{Ends, House, Places};
use super::limits::{
    ACCEPT_PAUSE, DATAGRAM_BYTES_WAITING, DATAGRAM_BYTES_WAITING_ALL, DATAGRAMS_WAITING,
    UNANSWERED_TIME,
};
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
        waiting: Waiting::new(DATAGRAM_BYTES_WAITING_ALL),
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
    flows: BTreeMap<SocketAddr, Inbox>,
    waiting: Waiting,
    running: JoinSet<SocketAddr>,
}

impl<O: Opener> Port<O> {
    fn on_datagram(&mut self, datagram: &[u8], visitor: SocketAddr) {
        let flow = match self.flows.get(&visitor) {
            Some(flow) => Some(flow),
            None => self.begin(visitor),
        };
        // Full or over: the network loses datagrams, too.
        let is_taken = flow.is_some_and(|flow| flow.take(datagram));
        if !is_taken {
            self.house.metrics.datagram_dropped();
        }
    }

    fn begin(&mut self, visitor: SocketAddr) -> Option<&Inbox> {
        if self.flows.len() >= self.house.limits.udp_flows {
            return None;
        }
        let places = match self.house.enter_by_udp(visitor) {
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
        let waiting = [Waiting::new(DATAGRAM_BYTES_WAITING), self.waiting.clone()];
        Some(self.flows.entry(visitor).or_insert(Inbox { sender, waiting }))
    }
}

/// Bytes that wait, and how many may. Clones count together.
#[derive(Clone, Debug)]
struct Waiting {
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Waiting {
    fn new(bytes_max: usize) -> Self {
        Self { bytes: Arc::default(), bytes_max }
    }

    /// So many more, unless that is too many.
    fn add(&self, many: usize) -> Option<Held> {
        let waiting = self.bytes.fetch_add(many, Ordering::Relaxed) + many;
        let held = Held { bytes: Arc::clone(&self.bytes), many };
        (waiting <= self.bytes_max).then_some(held)
    }
}

/// Bytes that wait until this is dropped.
#[derive(Debug)]
struct Held {
    bytes: Arc<AtomicUsize>,
    many: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.many, Ordering::Relaxed);
    }
}

/// A datagram that waits.
type Datagram = (Vec<u8>, [Held; 2]);

/// What waits of one visitor: bounded in number, and in bytes, its own and all of the port.
struct Inbox {
    sender: mpsc::Sender<Datagram>,
    waiting: [Waiting; 2],
}

impl Inbox {
    /// Whether there was room.
    fn take(&self, datagram: &[u8]) -> bool {
        let [own, all] = &self.waiting;
        let Some(own) = own.add(datagram.len()) else { return false };
        let Some(all) = all.add(datagram.len()) else { return false };
        self.sender.try_send((datagram.to_vec(), [own, all])).is_ok()
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
    async fn run(self, datagrams: mpsc::Receiver<Datagram>, places: Places) -> SocketAddr {
        let activity = Activity::new();
        let visitor = self.ends.anybody(Entry::Udp);
        if let Ok(stream) = self.house.open(&self.service, &visitor, &activity).await {
            let (from_service, to_service) = tokio::io::split(stream.metered());
            let answered = CancellationToken::new();
            tokio::select! {
                _ = to_stream(datagrams, to_service) => {}
                _ = to_visitor(from_service, (&self.socket, self.ends.visitor), &answered) => {}
                () = activity.quiet_for(self.house.limits.udp_quiet_time) => {}
                () = unanswered(&answered) => {}
            }
        }
        drop(places);
        self.ends.visitor
    }
}

async fn to_stream<W: AsyncWrite + Unpin>(
    mut datagrams: mpsc::Receiver<Datagram>,
    mut to: W,
) -> io::Result<()> {
    let mut framed = Vec::new();
    while let Some((datagram, held)) = datagrams.recv().await {
        let Ok(length) = u16::try_from(datagram.len()) else {
            continue;
        };
        framed.clear();
        framed.extend_from_slice(&length.to_le_bytes());
        framed.extend_from_slice(&datagram);
        to.write_all(&framed).await?;
        to.flush().await?;
        drop(held);
    }
    Ok(())
}

/// Ends if nothing answers for long.
async fn unanswered(answered: &CancellationToken) {
    if timeout(UNANSWERED_TIME, answered.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn to_visitor<R: AsyncRead + Unpin>(
    mut from: R,
    (socket, visitor): (&UdpSocket, SocketAddr),
    answered: &CancellationToken,
) -> io::Result<()> {
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        let length = usize::from(from.read_u16_le().await?);
        from.read_exact(&mut datagram[..length]).await?;
        answered.cancel();
        // One that cannot be sent (too long for the path, no route) is lost, as any datagram may be.
        let _ = socket.send_to(&datagram[..length], visitor).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_bytes_for_one_visitor_and_for_all() {
        let all = Waiting::new(3 * DATAGRAM_BYTES_WAITING / 2);
        let inbox = || {
            let (sender, datagrams) = mpsc::channel(DATAGRAMS_WAITING);
            (
                Inbox { sender, waiting: [Waiting::new(DATAGRAM_BYTES_WAITING), all.clone()] },
                datagrams,
            )
        };
        let ((one, mut first), (other, second)) = (inbox(), inbox());
        let long = vec![7; DATAGRAM_BYTES_WAITING / 4];
        let taken = |inbox: &Inbox| (0..10).filter(|_| inbox.take(&long)).count();
        assert_eq!((taken(&one), taken(&other)), (4, 2));
        drop(first.try_recv().unwrap());
        assert_eq!((taken(&other), taken(&one)), (1, 0), "what one took is for another");
        drop((first, second, one, other));
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
    }
}
