//! The UDP port of a relay: one socket, one thread, and a brain that says where datagrams go. Opens none of them. What
//! is for a node that is not at the port goes over its connection, where the relay has such.
//!
//! Datagrams that came together and are for one node leave together: the kernel joins and cuts them, we change eight
//! bytes of each.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh::CallSign;
use mesh::relay::{
    Allowance, Between, Forwarder, NotForwarded, PortKey, RELAYED_HEADER_LEN, SeatView,
    read_relayed, write_relayed_header,
};
use units::Timestamp;

use crate::clock::Clock;
use crate::sys::Received;
use crate::udp::UdpPort;

/// What one call may receive.
const RECEIVE_MAX: usize = 65_536;
/// How long the thread waits for datagrams before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often silent nodes are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// What reaches nodes over their connections to the relay. Called by the thread that carries: it must not wait, and may
/// lose.
pub trait Connections: fmt::Debug + Send + Sync {
    /// Hands a datagram to a node that is not at the port.
    fn hand_over(&self, between: Between, datagram: &[u8]);
}

/// A relay's UDP port that runs. Stops when it is dropped.
#[derive(Debug)]
pub struct UdpRelay {
    forwarder: Arc<Mutex<Forwarder>>,
    port: Arc<UdpPort>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl UdpRelay {
    /// Starts forwarding on a port; 0 for any.
    pub fn start(port: u16) -> anyhow::Result<Self> {
        Self::begin(port, None)
    }

    /// As above, also to nodes that have nothing but their connection.
    pub fn start_with(port: u16, connections: Arc<dyn Connections>) -> anyhow::Result<Self> {
        Self::begin(port, Some(connections))
    }

    fn begin(port: u16, connections: Option<Arc<dyn Connections>>) -> anyhow::Result<Self> {
        let port = Arc::new(UdpPort::open(port, false, true).context("open UDP port")?);
        port.set_patience(PATIENCE).context("set how long to wait")?;
        let (clock, stop) = (Clock::set(), Arc::<AtomicBool>::default());
        let forwarder = Arc::new(Mutex::new(Forwarder::new(draw()?)));
        let (shared, leaves) = (forwarder.clone(), port.clone());
        let carrier =
            Carrier { forwarder: shared, port: leaves, connections, clock, stop: stop.clone() };
        let body = move || carrier.carry();
        let thread = thread::Builder::new().name("relay-udp".into()).spawn(body)?;
        Ok(Self { forwarder, port, clock, stop, thread: Some(thread) })
    }

    /// Lets the node with this key (ed25519) in, and gives the key that its datagrams are known by at first.
    pub fn admit(&self, node: &[u8; 32], allowance: Allowance) -> anyhow::Result<PortKey> {
        let key = PortKey::from_bytes(draw()?);
        lock(&self.forwarder).admit(node, key.clone(), allowance, self.clock.now())?;
        Ok(key)
    }

    /// A node that was let in by `key` showed another pass.
    pub fn renew(&self, sign: CallSign, key: &PortKey, allowance: Allowance) {
        lock(&self.forwarder).renew(sign, key, allowance);
    }

    /// Puts a node out that was let in by `key`. Who was let in anew by another key stays.
    pub fn dismiss(&self, sign: CallSign, key: &PortKey) {
        lock(&self.forwarder).dismiss(sign, key);
    }

    /// Carries a datagram that came over a node's connection to another that is at the port. False if it is not.
    pub fn take_over(&self, sender: CallSign, to: CallSign, datagram: &[u8]) -> bool {
        let Ok(forwarded) = lock(&self.forwarder).take_over(sender, to) else { return false };
        let mut header = [0; RELAYED_HEADER_LEN];
        write_relayed_header(&mut header, sender);
        let relayed = [&header, datagram].concat();
        // What the system does not take is lost, as on any way.
        self.port.send(forwarded.to, &relayed, relayed.len());
        true
    }

    /// The nodes that were let in, and what was carried for them.
    pub fn seats(&self) -> Vec<SeatView> {
        lock(&self.forwarder).seats().collect()
    }

    /// Which port it is.
    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.port.local_address().context("find the port")?.port())
    }

    /// Ends, and says what went wrong if something did.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(anyhow!("the relay's thread panicked")))
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        // Who wants to know calls `stop`.
        let _unread = self.end();
    }
}

/// What the thread has.
struct Carrier {
    forwarder: Arc<Mutex<Forwarder>>,
    port: Arc<UdpPort>,
    connections: Option<Arc<dyn Connections>>,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

impl Carrier {
    fn carry(&self) -> anyhow::Result<()> {
        let mut buffer = vec![0; RECEIVE_MAX].into_boxed_slice();
        let mut swept = self.clock.now();
        while !self.stop.load(Relaxed) {
            let received = self.port.receive(&mut buffer, true).context("receive")?;
            let now = self.clock.now();
            if now.since(swept) >= SWEEP_EVERY {
                lock(&self.forwarder).on_wake(now);
                swept = now;
            }
            if let Some(received) = received {
                self.sort(&mut buffer[..received.len], received, now);
            }
        }
        Ok(())
    }

    /// Carries datagrams that came together: runs for one node leave together.
    fn sort(&self, bytes: &mut [u8], received: Received, now: Timestamp) {
        let (mut at, size, from) = (0, received.size.max(1), received.from);
        while at < bytes.len() {
            let to = target(bytes, at, size);
            let mut end = (at + size).min(bytes.len());
            while to.is_some() && end < bytes.len() && target(bytes, end, size) == to {
                end = (end + size).min(bytes.len());
            }
            match to {
                Some(to) => self.forward(&mut bytes[at..end], size, (received, to), now),
                None => self.answer(&bytes[at..end], from, now),
            }
            at = end;
        }
    }

    fn forward(
        &self,
        run: &mut [u8],
        size: usize,
        (received, to): (Received, CallSign),
        now: Timestamp,
    ) {
        let Received { from, ecn, .. } = received;
        let load = (run.len().div_ceil(size) as u64, run.len() as u64);
        let mut forwarder = lock(&self.forwarder);
        if let Some(connections) = &self.connections
            && !forwarder.is_bound(to)
        {
            let between = forwarder.hand_over(from, to, load, now);
            drop(forwarder);
            return match between {
                Ok(between) => run.chunks(size).filter_map(read_relayed).for_each(|(_, inner)| {
                    connections.hand_over(between, inner);
                }),
                Err(why) => self.refuse(why, from, to, now),
            };
        }
        let forwarded = forwarder.forward(from, to, load, now);
        drop(forwarder);
        match forwarded {
            Ok(forwarded) => {
                for datagram in run.chunks_mut(size) {
                    if let Some(header) = datagram.first_chunk_mut::<RELAYED_HEADER_LEN>() {
                        write_relayed_header(header, forwarded.sender);
                    }
                }
                // What the system does not take is lost, as on any way.
                self.port.send_marked(forwarded.to, run, size, ecn);
            }
            Err(why) => self.refuse(why, from, to, now),
        }
    }

    fn refuse(&self, why: NotForwarded, from: SocketAddr, to: CallSign, now: Timestamp) {
        match why {
            NotForwarded::UnknownSender => {
                let may_answer = lock(&self.forwarder).may_answer(now);
                if may_answer {
                    let notice = Forwarder::unbound(to);
                    self.port.send(from, &notice, notice.len());
                }
            }
            NotForwarded::Oneself
            | NotForwarded::Strangers
            | NotForwarded::UnknownReceiver
            | NotForwarded::Spent => {}
        }
    }

    fn answer(&self, datagram: &[u8], from: SocketAddr, now: Timestamp) {
        let answer = lock(&self.forwarder).on_bind(from, datagram, now);
        if let Some(answer) = answer {
            self.port.send(from, &answer, answer.len());
        }
    }
}

/// Bytes that nobody else knows.
fn draw() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("draw entropy")?;
    Ok(bytes)
}

/// Whom the datagram at `at` is for, if it is one to carry.
fn target(bytes: &[u8], at: usize, size: usize) -> Option<CallSign> {
    let end = (at + size).min(bytes.len());
    read_relayed(&bytes[at..end]).map(|(to, _)| to)
}

/// A forwarder is consistent between any two of its calls.
fn lock(forwarder: &Mutex<Forwarder>) -> MutexGuard<'_, Forwarder> {
    forwarder.lock().unwrap_or_else(PoisonError::into_inner)
}
