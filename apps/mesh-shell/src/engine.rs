//! The engine: a device, a port per shard, the threads that carry, and the thread that owns the brain.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh::relay::{RelayConfig, RelayView};
use mesh::{Effect, Guard, Mesh, Note, PeerConfig, PeerView, PublicKey};
use units::Timestamp;

use crate::addresses;
use crate::clock::Clock;
use crate::config::Config;
use crate::inlet::StreamInlet;
use crate::outbox::Outbox;
use crate::shard::Shard;
use crate::showcase::{Showcase, Viewer};
use crate::sys;
use crate::tun::Tun;
use crate::udp::UdpPort;

/// How many orders wait for the brain: 8 MB at most, each with a super-packet. A flood fills this and no more.
const ORDERS_MAX: usize = 128;
/// How soon a thread that was told to stop is told again: a nudge that comes too early is lost.
const NUDGE_EVERY: Duration = Duration::from_millis(5);

/// What the brain's thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// The threads that carry noted something.
    Note(Note),
    /// Add a peer, or change it.
    SetPeer(PeerConfig),
    /// Forget a peer.
    RemovePeer(PublicKey),
    /// Use these relays.
    SetRelays(Vec<RelayConfig>),
    /// Let this guard decide from here on.
    SetGuard(Option<Arc<dyn Guard>>),
    /// Tell how the peers are.
    Peers(SyncSender<Vec<PeerView>>),
    /// Tell how the relays are.
    Relays(SyncSender<Vec<RelayView>>),
    /// End.
    Stop,
}

/// A node that runs. Stops when it is dropped; its device is gone then.
#[derive(Debug)]
pub struct Engine {
    orders: SyncSender<Order>,
    stop: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<anyhow::Result<()>>>,
    brain: Option<JoinHandle<()>>,
    first: Arc<Shard>,
    showcase: Arc<Showcase>,
}

type Carry = fn(&Shard, Viewer) -> anyhow::Result<()>;

impl Engine {
    /// Starts a node.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let tuns = Tun::open(&config)?;
        Self::carry(config, tuns)
    }

    /// Starts a node on a device that is there already, with one shard: see [`crate::make_device`].
    pub fn start_on(mut config: Config, device: OwnedFd) -> anyhow::Result<Self> {
        config.shards = 1;
        let tun = Tun::attach(device, config.offloads)?;
        Self::carry(config, vec![tun])
    }

    fn carry(config: Config, tuns: Vec<Arc<Tun>>) -> anyhow::Result<Self> {
        sys::prepare_nudge().context("prepare to stop threads")?;
        let clock = Clock::set();
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        let showcase = Arc::new(Showcase::default());
        let stop = Arc::<AtomicBool>::default();
        let shards = open_shards((&config, tuns), &orders, &stop, clock)?;
        let shards: Vec<Arc<Shard>> = shards.into_iter().map(Arc::new).collect();
        let first = shards.first().context("have at least one shard")?.clone();
        let brain = Brain::new(config, showcase.clone(), first.port.clone(), clock)?;
        let body = move || brain.think(&inbox);
        let brain = thread::Builder::new().name("mesh-brain".into()).spawn(body)?;
        // From here on, whatever fails stops what was started.
        let (carriers, brain) = (Vec::new(), Some(brain));
        let mut engine = Self { orders, stop, carriers, brain, first, showcase: showcase.clone() };
        for shard in shards {
            for (name, carry) in
                [("mesh-out", Shard::carry_out as Carry), ("mesh-in", Shard::carry_in)]
            {
                let (shard, viewer) = (shard.clone(), Viewer::new(showcase.clone()));
                let body = move || carry(&shard, viewer);
                engine.carriers.push(thread::Builder::new().name(name.into()).spawn(body)?);
            }
        }
        Ok(engine)
    }

    /// Adds a peer, or changes it.
    pub fn set_peer(&self, peer: PeerConfig) -> anyhow::Result<()> {
        self.order(Order::SetPeer(peer))
    }

    /// Forgets a peer.
    pub fn remove_peer(&self, key: PublicKey) -> anyhow::Result<()> {
        self.order(Order::RemovePeer(key))
    }

    /// How the peers are.
    pub fn peers(&self) -> anyhow::Result<Vec<PeerView>> {
        let (reply, answer) = sync_channel(1);
        self.order(Order::Peers(reply))?;
        answer.recv().context("hear from the mesh's brain")
    }

    /// Uses these relays, and no others.
    pub fn set_relays(&self, relays: Vec<RelayConfig>) -> anyhow::Result<()> {
        self.order(Order::SetRelays(relays))
    }

    /// Lets a guard decide which flows may cross, and count them.
    pub fn set_guard(&self, guard: Option<Arc<dyn Guard>>) -> anyhow::Result<()> {
        self.order(Order::SetGuard(guard))
    }

    /// How the relays are.
    pub fn relays(&self) -> anyhow::Result<Vec<RelayView>> {
        let (reply, answer) = sync_channel(1);
        self.order(Order::Relays(reply))?;
        answer.recv().context("hear from the mesh's brain")
    }

    /// The UDP port that peers reach this node at.
    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.first.port.local_address().context("find the UDP port")?.port())
    }

    /// Where datagrams enter that came over connections to relays.
    pub fn stream_inlet(&self) -> StreamInlet {
        StreamInlet::new(self.first.clone(), Viewer::new(self.showcase.clone()))
    }

    fn order(&self, order: Order) -> anyhow::Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the mesh's brain has ended"))
    }

    /// Whether a thread ended by itself, which only a fault makes it do.
    pub fn has_failed(&self) -> bool {
        self.carriers.iter().any(JoinHandle::is_finished)
    }

    /// Ends all threads and says what went wrong with the first that failed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Relaxed);
        let mut result = Ok(());
        for carrier in self.carriers.drain(..) {
            while !carrier.is_finished() {
                sys::nudge(&carrier);
                thread::sleep(NUDGE_EVERY);
            }
            let ended = carrier.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")));
            result = result.and(ended);
        }
        if let Some(brain) = self.brain.take() {
            // A brain that is gone need not be told.
            let _gone = self.orders.send(Order::Stop);
            result = result.and(brain.join().map_err(|_| anyhow!("the mesh's brain panicked")));
        }
        result
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Who wants to know calls `stop`.
        let _unread = self.end();
    }
}

fn open_shards(
    (config, tuns): (&Config, Vec<Arc<Tun>>),
    orders: &SyncSender<Order>,
    stop: &Arc<AtomicBool>,
    clock: Clock,
) -> anyhow::Result<Vec<Shard>> {
    let shard = |tun| {
        let port = UdpPort::open(config.port, config.shards > 1, config.offloads);
        let port = Arc::new(port.context("open UDP port")?);
        let streams = config.streams.clone();
        Ok(Shard { tun, port, orders: orders.clone(), streams, clock, stop: stop.clone() })
    };
    tuns.into_iter().map(shard).collect()
}

/// The brain with what it acts through.
struct Brain {
    mesh: Mesh,
    /// Our own device's name, and the port that peers reach us at.
    device: String,
    port: u16,
    /// When to look at interfaces next.
    look_at: Timestamp,
    showcase: Arc<Showcase>,
    viewer: Viewer,
    outbox: Outbox,
    clock: Clock,
}

impl Brain {
    fn new(
        config: Config,
        showcase: Arc<Showcase>,
        port: Arc<UdpPort>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("draw entropy")?;
        let mut mesh = Mesh::new(config.mesh, seed);
        for peer in config.peers {
            mesh.set_peer(peer, clock.now());
        }
        let (device, look_at) = (config.interface, Timestamp::default());
        let at = port.local_address().context("find the UDP port")?.port();
        let (viewer, outbox) = (Viewer::new(showcase.clone()), Outbox::new(port, config.streams));
        Ok(Self { mesh, device, port: at, look_at, showcase, viewer, outbox, clock })
    }

    fn think(mut self, inbox: &Receiver<Order>) {
        loop {
            self.look_at_interfaces();
            self.act();
            let wake_at = self.mesh.wake_at().map_or(self.look_at, |at| at.min(self.look_at));
            match inbox.recv_timeout(wake_at.since(self.clock.now())) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Also after an order: a flood of them must not keep what is due from happening.
            self.mesh.on_wake(self.clock.now());
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Note(note) => self.mesh.on_note(note, now),
            Order::SetPeer(peer) => {
                self.mesh.set_peer(peer, now);
            }
            Order::RemovePeer(key) => self.mesh.remove_peer(&key),
            Order::SetRelays(relays) => self.mesh.set_relays(relays, now),
            Order::SetGuard(guard) => self.mesh.set_guard(guard),
            // Who asked may have gone.
            Order::Peers(reply) => {
                let _gone = reply.try_send(self.mesh.peers().map(|(_, view)| view).collect());
            }
            Order::Relays(reply) => {
                let _gone = reply.try_send(self.mesh.relays().collect());
            }
            Order::Stop => {}
        }
    }

    fn look_at_interfaces(&mut self) {
        let now = self.clock.now();
        if now >= self.look_at {
            self.look_at = now.after(addresses::LOOK_EVERY);
            self.mesh.set_local(addresses::of_interfaces(&self.device, self.port), now);
        }
    }

    fn act(&mut self) {
        while let Some(effect) = self.mesh.next_effect() {
            match effect {
                Effect::Send { to, datagram } => self.outbox.send_message(to, &datagram),
                Effect::Publish(plane) => self.showcase.publish(plane),
                Effect::Depart { frames } => self.depart(&frames),
            }
        }
    }

    fn depart(&mut self, frames: &[Vec<u8>]) {
        let now = self.clock.now();
        // What cannot leave even now is lost: its sender will say it again.
        let mut lost = |_: Note| {};
        for frame in frames {
            self.outbox.put(self.viewer.look(), frame, now, &mut lost);
        }
        self.outbox.send(now, &mut lost);
    }
}
