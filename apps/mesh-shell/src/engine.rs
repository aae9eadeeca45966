//! The engine: a device, a port per shard, the threads that carry, and the thread that owns the brain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh::{Effect, Mesh, Note, PeerConfig, PeerView, PublicKey};

use crate::clock::Clock;
use crate::config::Config;
use crate::outbox::Outbox;
use crate::shard::Shard;
use crate::showcase::{Showcase, Viewer};
use crate::sys;
use crate::tun::Tun;
use crate::udp::UdpPort;

/// How many orders wait for the brain: 8 MB at most, each with a super-packet. A flood fills this and no more.
const ORDERS_MAX: usize = 128;
/// How long the brain sleeps with nothing due.
const IDLE: Duration = Duration::from_secs(60);
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
    /// Tell how the peers are.
    Peers(SyncSender<Vec<PeerView>>),
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
}

type Carry = fn(&Shard, Viewer) -> anyhow::Result<()>;

impl Engine {
    /// Starts a node.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        sys::prepare_nudge().context("prepare to stop threads")?;
        let clock = Clock::set();
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        let showcase = Arc::new(Showcase::default());
        let stop = Arc::<AtomicBool>::default();
        let shards = open_shards(&config, &orders, &stop, clock)?;
        let port = shards.first().context("have at least one shard")?.port.clone();
        let brain = Brain::new(config, showcase.clone(), port, clock)?;
        let body = move || brain.think(&inbox);
        let brain = thread::Builder::new().name("mesh-brain".into()).spawn(body)?;
        // From here on, whatever fails stops what was started.
        let mut engine = Self { orders, stop, carriers: Vec::new(), brain: Some(brain) };
        for shard in shards {
            let shard = Arc::new(shard);
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
    config: &Config,
    orders: &SyncSender<Order>,
    stop: &Arc<AtomicBool>,
    clock: Clock,
) -> anyhow::Result<Vec<Shard>> {
    let tuns = Tun::open(config)?;
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
        let (viewer, outbox) = (Viewer::new(showcase.clone()), Outbox::new(port, config.streams));
        Ok(Self { mesh, showcase, viewer, outbox, clock })
    }

    fn think(mut self, inbox: &Receiver<Order>) {
        loop {
            self.act();
            let patience = self.mesh.wake_at().map_or(IDLE, |at| at.since(self.clock.now()));
            match inbox.recv_timeout(patience) {
                Ok(Order::Note(note)) => self.mesh.on_note(note, self.clock.now()),
                Ok(Order::SetPeer(peer)) => {
                    self.mesh.set_peer(peer, self.clock.now());
                }
                Ok(Order::RemovePeer(key)) => self.mesh.remove_peer(&key),
                Ok(Order::Peers(reply)) => {
                    // Who asked may have gone.
                    let _gone = reply.try_send(self.mesh.peers().map(|(_, view)| view).collect());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            // Also after an order: a flood of them must not keep what is due from happening.
            self.mesh.on_wake(self.clock.now());
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
