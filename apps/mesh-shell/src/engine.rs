//! The engine: a device, a port per shard, the threads that carry, and the thread that owns the brain.

use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh::names::Names;
use mesh::relay::{RelayConfig, RelayView};
use mesh::{Change, Effect, Guard, Mesh, News, Note, PeerConfig, PeerView, Prefix, PublicKey};
use units::Timestamp;

use crate::addresses;
use crate::clock::Clock;
use crate::config::Config;
use crate::inbox::{Gone, Inbox, Told};
use crate::inlet::StreamInlet;
use crate::mapper::{Mapped, PortMapper};
use crate::outbox::Outbox;
use crate::pacer::{Pacer, Wake};
use crate::resolver::Resolver;
use crate::shard::Shard;
use crate::showcase::{Showcase, Viewer};
use crate::sys;
use crate::tun::Tun;
use crate::udp::UdpPort;

/// How much news waits for who listens.
const NEWS_MAX: usize = 1024;
/// How soon a thread that was told to stop is told again: a nudge that comes too early is lost.
const NUDGE_EVERY: Duration = Duration::from_millis(5);

/// What the brain's thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Change these peers.
    Change(Vec<Change>),
    /// The device stands for these blocks.
    SetInside(Vec<Prefix>),
    /// What our own membership records say that we open.
    SetOpensFast(bool),
    /// Tell what changes from here on.
    Listen(SyncSender<News>),
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
    inbox: Arc<Inbox>,
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
        let inbox = Arc::<Inbox>::default();
        let showcase = Arc::new(Showcase::default());
        let stop = Arc::<AtomicBool>::default();
        let wake = Wake::default();
        let shards = open_shards((&config, tuns), &inbox, &stop, clock, &wake)?;
        let shards: Vec<Arc<Shard>> = shards.into_iter().map(Arc::new).collect();
        let first = shards.first().context("have at least one shard")?.clone();
        let pacer = Pacer {
            viewer: Viewer::new(showcase.clone()),
            outbox: Outbox::new(first.port.clone(), config.streams.clone()),
            inbox: inbox.clone(),
            clock,
            stop: stop.clone(),
            wake: wake.clone(),
        };
        let mapped = Mapped::default();
        let at = first.port.local_address().context("find the UDP port")?.port();
        let own = (config.interface.clone(), at);
        let mapper = config
            .maps_ports
            .then(|| PortMapper::new(own, mapped.clone(), clock, stop.clone()))
            .transpose()?;
        let mut brain = Brain::new(config, showcase.clone(), first.port.clone(), clock, wake)?;
        brain.mapped = mapped;
        let mind = Mind(inbox.clone());
        let body = move || brain.think(&mind.0);
        let brain = thread::Builder::new().name("mesh-brain".into()).spawn(body)?;
        // From here on, whatever fails stops what was started.
        let (carriers, brain) = (Vec::new(), Some(brain));
        let mut engine = Self { inbox, stop, carriers, brain, first, showcase: showcase.clone() };
        let body = move || {
            pacer.run();
            Ok(())
        };
        engine.carriers.push(thread::Builder::new().name("mesh-pace".into()).spawn(body)?);
        if let Some(mapper) = mapper {
            let body = move || {
                mapper.run();
                Ok(())
            };
            engine.carriers.push(thread::Builder::new().name("mesh-map".into()).spawn(body)?);
        }
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
        self.change(vec![Change::Set(peer)])
    }

    /// Forgets a peer.
    pub fn remove_peer(&self, key: PublicKey) -> anyhow::Result<()> {
        self.change(vec![Change::Remove(key)])
    }

    /// Changes peers, all of them before a packet goes by any: what a [`mesh::Roster`] says to do.
    pub fn change(&self, changes: Vec<Change>) -> anyhow::Result<()> {
        self.order(Order::Change(changes))
    }

    /// The device stands for these blocks from here on: no way to a peer leads into them.
    pub fn set_inside(&self, blocks: Vec<Prefix>) -> anyhow::Result<()> {
        self.order(Order::SetInside(blocks))
    }

    /// What our own membership records say about [`mesh::Suite::Fast`]; holds for sessions from here on.
    pub fn set_opens_fast(&self, opens_fast: bool) -> anyhow::Result<()> {
        self.order(Order::SetOpensFast(opens_fast))
    }

    /// What changes from here on. Who does not read loses what is newest; who listens anew takes the place of who did.
    pub fn listen(&self) -> anyhow::Result<Receiver<News>> {
        let (tell, news) = sync_channel(NEWS_MAX);
        self.order(Order::Listen(tell))?;
        Ok(news)
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

    /// What members are called from here on, where [`Config::resolver`] says that programs may ask.
    pub fn set_names(&self, names: Names) {
        if let Some(resolver) = &self.first.resolver {
            resolver.set(names);
        }
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
        self.inbox.order(order).map_err(|Gone| anyhow!("the mesh's brain has ended"))
    }

    /// Whether a thread ended by itself, which only a fault makes it do: of those that carry, and the brain's.
    pub fn has_failed(&self) -> bool {
        self.failed().is_some()
    }

    /// Which thread ended by itself, if one did.
    pub fn failed(&self) -> Option<&str> {
        let brain = self.brain.iter().filter(|brain| brain.is_finished()).map(JoinHandle::thread);
        let carriers = self.carriers.iter().filter(|carrier| carrier.is_finished());
        let mut ended = carriers.map(JoinHandle::thread).chain(brain);
        ended.next().map(|thread| thread.name().unwrap_or("a thread"))
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
                carrier.thread().unpark();
                thread::sleep(NUDGE_EVERY);
            }
            let ended = carrier.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")));
            result = result.and(ended);
        }
        if let Some(brain) = self.brain.take() {
            // A brain that is gone need not be told.
            let _gone = self.inbox.order(Order::Stop);
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
    inbox: &Arc<Inbox>,
    stop: &Arc<AtomicBool>,
    clock: Clock,
    pacer: &Wake,
) -> anyhow::Result<Vec<Shard>> {
    let resolver = config.resolver.map(|at| Arc::new(Resolver::new(at)));
    let cores = match config.stays_awake {
        true => thread::available_parallelism().map_or(1, NonZero::get),
        false => 1,
    };
    let shard = |tun| {
        let port = UdpPort::open(config.port, config.shards > 1, config.offloads);
        let port = Arc::new(port.context("open UDP port")?);
        let streams = config.streams.clone();
        let (inbox, pacer, stop) = (inbox.clone(), pacer.clone(), stop.clone());
        let resolver = resolver.clone();
        Ok(Shard { tun, port, inbox, streams, clock, pacer, resolver, cores, stop })
    };
    tuns.into_iter().map(shard).collect()
}

/// Ends the brain's inbox when the brain's thread ends, however it does.
struct Mind(Arc<Inbox>);

impl Drop for Mind {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The brain with what it acts through.
struct Brain {
    mesh: Mesh,
    /// Our own device's name, and the port that peers reach us at.
    device: String,
    port: u16,
    /// The blocks that our own device stands for.
    inside: Vec<Prefix>,
    /// When to look at interfaces next.
    look_at: Timestamp,
    listener: Option<SyncSender<News>>,
    showcase: Arc<Showcase>,
    viewer: Viewer,
    outbox: Outbox,
    clock: Clock,
    pacer: Wake,
    /// Where a router leads our port to.
    mapped: Mapped,
}

impl Brain {
    fn new(
        config: Config,
        showcase: Arc<Showcase>,
        port: Arc<UdpPort>,
        clock: Clock,
        pacer: Wake,
    ) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("draw entropy")?;
        let blocks = config.addresses.iter().filter_map(|(ip, len)| Prefix::new(*ip, *len));
        let inside: Vec<Prefix> = blocks.chain(config.mesh.inside.iter().copied()).collect();
        let mut mesh = Mesh::new(mesh::Config { inside: inside.clone(), ..config.mesh }, seed);
        for peer in config.peers {
            mesh.set_peer(peer, clock.now());
        }
        let (device, look_at) = (config.interface, Timestamp::default());
        let at = port.local_address().context("find the UDP port")?.port();
        let (viewer, outbox) = (Viewer::new(showcase.clone()), Outbox::new(port, config.streams));
        let listener = None;
        Ok(Self {
            mesh,
            device,
            port: at,
            inside,
            look_at,
            listener,
            showcase,
            viewer,
            outbox,
            clock,
            pacer,
            mapped: Mapped::default(),
        })
    }

    /// Until it is told to stop. What came together is acted on together: one picture for all of it.
    fn think(mut self, inbox: &Inbox) {
        let mut told = Told::default();
        loop {
            self.look_at_interfaces();
            self.act();
            let wake_at = self.mesh.wake_at().map_or(self.look_at, |at| at.min(self.look_at));
            inbox.take(wake_at.since(self.clock.now()), &mut told);
            for order in told.orders.drain(..) {
                if matches!(order, Order::Stop) {
                    return;
                }
                self.obey(order);
            }
            for note in told.notes.drain(..) {
                self.mesh.on_note(note, self.clock.now());
            }
            // Also after all that: a flood of it must not keep what is due from happening.
            self.mesh.on_wake(self.clock.now());
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Change(changes) => changes.into_iter().for_each(|change| match change {
                Change::Set(peer) => {
                    self.mesh.set_peer(peer, now);
                }
                Change::Remove(key) => self.mesh.remove_peer(&key),
            }),
            Order::SetInside(blocks) => {
                self.inside.clone_from(&blocks);
                self.mesh.set_inside(blocks);
                self.look_at = now;
            }
            Order::SetOpensFast(opens_fast) => self.mesh.set_opens_fast(opens_fast),
            Order::Listen(listener) => self.listener = Some(listener),
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
            let found = addresses::of_interfaces(&self.device, self.port, &self.inside);
            self.mesh.set_local(self.mapped.get().into_iter().chain(found).collect(), now);
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
        while let Some(news) = self.mesh.next_news() {
            if let Some(listener) = &self.listener {
                // Who does not read, or is gone, was warned.
                let _lost = listener.try_send(news);
            }
        }
    }

    fn depart(&mut self, frames: &[Vec<u8>]) {
        let now = self.clock.now();
        // What cannot leave even now is lost: its sender will say it again.
        let pacer = self.pacer.clone();
        let mut lost = |note: Note| {
            if note == Note::Stirred {
                pacer.up();
            }
        };
        for frame in frames {
            self.outbox.put(self.viewer.look(), frame, now, &mut lost);
        }
        self.outbox.send(now, &mut lost);
    }
}
