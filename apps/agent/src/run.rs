//! The agent at work: one thread owns the brain, and this is it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use units::{Name, Timestamp};
use worker::{BEAT_EVERY, Effect, NodeKey, NodeOrder, NodePhase, NodeSeen, Worker};

use crate::board::Board;
use crate::config::Config;
use crate::courier::Post;
use crate::hands::{Command, Desk, Event, Hands};
use crate::identity::Identity;
use crate::limits::{
    FAREWELL, LOOK_EVERY, NAP, PREPARE_AGAIN_AFTER, QUEUE, WANTED_EVERY_MIN, WANTED_WAIT,
};
use crate::link::{Link, is_in_the_open};
use crate::measure::schedule;
use crate::mood::Mood;
use crate::net::{Belongs, Keeper};
use crate::quit::Quit;
use crate::runs::{self, Preparation, Runs};
use crate::runtime::RayRuntime;
use crate::runtime::net::{Nets, NoNets};
use crate::runtime::sandbox::Choice;
use crate::watch::Proving;
use crate::{attest, described, files_max, lock, machine, probe, prove, watch, words};

/// Whether an agent told this can start: what it is told holds together, its machine has joined as what it is to run
/// as, and has something to offer. Nothing is changed.
///
/// # Errors
/// The first that does not hold, with what to do.
pub fn may_run(config: &Config) -> Result<()> {
    config.checked()?;
    let joined = Identity::of(&config.data)?;
    let hardware = probe::look(&config.data, config.driver.as_deref());
    machine::is_as_joined(config, &joined.name, &hardware)?;
    machine::offered(&hardware, config).map(drop)
}

/// Serves the control plane until `stop` is set. Nodes stay; the next agent of this folder finds them again.
///
/// # Errors
/// If the agent cannot start: the folder is in use, its machine has not joined, no sandbox works. An agent that
/// runs keeps running whatever the control plane, the network or a cluster does.
pub fn run(config: &Config, stop: &AtomicBool) -> Result<()> {
    // Before anything is made: what is named may be the wrong folder.
    Identity::of(&config.data)?;
    let _lock = lock::take(&config.data)?;
    let Identity { worker, name, .. } = Identity::of(&config.data)?;
    let _name = lock::take_name(worker)?;
    let keeper = Arc::new(Keeper::new(&config.data));
    let runs = ray(config, &name, keeper.clone())?;
    ensure!(
        config.sandbox != Choice::Auto || !runs.exposes_agent(),
        "run nodes: no sandbox works here, and without one a renter's work could read this agent's key \
         (hint: install bubblewrap; or choose the sandbox `plain`, if you trust every renter)"
    );
    serve(config, Box::new(runs), &keeper, stop)
}

/// [`run`], with something else than Ray that runs the nodes.
///
/// # Errors
/// As [`run`].
pub fn run_with(config: &Config, runs: Box<dyn Runs>, stop: &AtomicBool) -> Result<()> {
    let _lock = lock::take(&config.data)?;
    serve(config, runs, &Arc::new(Keeper::new(&config.data)), stop)
}

/// Ends every node that this folder's agents started, with everything they left. No agent may run.
///
/// # Errors
/// If the folder is in use, or a node cannot be stopped.
pub fn stop_nodes(config: &Config) -> Result<()> {
    if !config.data.exists() {
        return Ok(());
    }
    let _lock = lock::take(&config.data)?;
    let mut runs: Box<dyn Runs> = Box::new(ray(config, &machine::host_name()?, Arc::new(NoNets))?);
    let mut faults = Vec::new();
    for key in runs.adopt() {
        match runs.stop(key) {
            Ok(()) => {
                tracing::info!(rental = %key.rental, node = key.node, "a node was stopped");
            }
            Err(fault) => faults.push(format!("{fault:#}")),
        }
    }
    ensure!(faults.is_empty(), "stop every node: {}", faults.join("; "));
    Ok(())
}

fn ray(config: &Config, name: &Name, nets: Arc<dyn Nets>) -> Result<RayRuntime> {
    config.checked()?;
    let hint = match config.sandbox {
        Choice::Bubblewrap => {
            "run nodes (hint: install bubblewrap, or choose the sandbox `auto` or `plain`)"
        }
        Choice::Auto | Choice::Plain => "run nodes",
    };
    runs::ray(config, name, nets).context(hint)
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("start a thread")
}

fn serve(
    config: &Config,
    mut runs: Box<dyn Runs>,
    keeper: &Arc<Keeper>,
    stop: &AtomicBool,
) -> Result<()> {
    files_max::raise();
    let identity = Identity::of(&config.data)?;
    let server =
        if config.server.is_empty() { identity.server.clone() } else { config.server.clone() };
    say_what_is_open(config, &server);
    let config = &with_what_works(config, runs.as_ref());
    let hardware = probe::look(&config.data, config.driver.as_deref());
    let offers = machine::offered(&hardware, config)?.offers;
    let found = runs.adopt();
    tracing::info!(worker = %identity.worker, name = %identity.name, server, nodes = found.len(), "the agent runs");

    let quit = Quit::default();
    let link = Arc::new(Link::new(&server, identity.worker, identity.key));
    let (commands, hands) = sync_channel(QUEUE);
    let (events, news) = sync_channel(QUEUE);
    let preparation = runs.preparation();
    let at_work = {
        let (owner, quit) = (Hands::new(runs, events.clone()), quit.clone());
        spawn("hands", move || owner.work(&hands, &quit))?
    };
    prepare(preparation, commands.clone(), quit.clone())?;
    described::start(&link, config, &hardware, &quit)?;
    let proving = Proving::default();
    prove::start(&link, config, offers, &proving, &quit)?;
    attest::start(&link, config, offers.gpus, &quit)?;
    let board = Arc::new(Board::default());
    schedule::start(&link, &config.data, &board, &quit)?;
    let watching = watch::start(config, proving, board.clone(), quit.clone())?;
    watch::hand_over(&link, &config.data, &quit)?;
    {
        let (link, events, quit) = (link.clone(), events.clone(), quit.clone());
        spawn("wanted", move || listen(&link, &events, &quit))?;
    }
    {
        let (link, events, quit) = (link.clone(), events.clone(), quit.clone());
        let board = board.clone();
        spawn("beats", move || speak(&link, &board, &events, &quit))?;
    }
    keeper.begin(link.clone(), events.clone());
    let post = Post::new(&config.data, link, Desk(commands.clone()), events)?;
    let mut shell = Shell {
        worker: Worker::new(&found, now()),
        keeper: keeper.clone(),
        unplaced: BTreeMap::new(),
        secrets: BTreeMap::new(),
        outbox: VecDeque::new(),
        board: board.clone(),
        post,
        looks: None,
    };
    shell.work(&news, &commands, stop);
    quit.say();
    keeper.end();
    board.close();
    shell.post.recall_all();
    drop((shell, commands));
    farewell(&at_work, &news);
    // It looks no more and seals its records, which takes milliseconds.
    let _ = watching.join();
    tracing::info!("the agent stops; its nodes stay");
    Ok(())
}

/// Says what others could read.
fn say_what_is_open(config: &Config, server: &str) {
    if is_in_the_open(server) {
        tracing::warn!(server, "what is said to this server can be read on the way; use https");
    }
    if Identity::is_open_to_others(&config.data) {
        let file = config.data.join("identity.json");
        tracing::warn!(file = %file.display(), "other users of this machine may read its key: chmod 600");
    }
}

/// What the agent was told, less what does not work here.
fn with_what_works(config: &Config, runs: &dyn Runs) -> Config {
    let works = runs.can_mesh();
    if let (true, Err(why)) = (config.own_network, &works) {
        tracing::warn!(
            why,
            "nodes here get no network of their own: this machine serves rentals without a mesh"
        );
    }
    Config { own_network: config.own_network && works.is_ok(), ..config.clone() }
}

/// Lets the runtime finish what it does, for a while.
fn farewell(hands: &JoinHandle<()>, news: &Receiver<Event>) {
    let until = Instant::now() + FAREWELL;
    while !hands.is_finished() && Instant::now() < until {
        let _ = news.recv_timeout(NAP);
    }
}

/// Makes what nodes need, beside everything else.
fn prepare(
    mut preparation: Preparation,
    commands: SyncSender<Command>,
    quit: Quit,
) -> Result<JoinHandle<()>> {
    spawn("prepare", move || {
        loop {
            let mut told = false;
            let outcome = preparation(&mut |step| {
                told = true;
                tracing::info!(step, "preparing the runtime");
            });
            match outcome {
                Ok(()) => {
                    if told {
                        tracing::info!("the runtime is prepared");
                    }
                    let _ = commands.send(Command::Prepared(Ok(())));
                    return;
                }
                Err(fault) => {
                    let why = format!("{fault:#}");
                    tracing::error!(why, "the runtime could not be prepared; no node starts");
                    let _ = commands.send(Command::Prepared(Err(why)));
                }
            }
            if quit.wait(PREPARE_AGAIN_AFTER) {
                return;
            }
        }
    })
}

/// Hears what is wanted.
fn listen(link: &Link, events: &SyncSender<Event>, quit: &Quit) {
    let mut known = None;
    let mut mood = Mood::new("wanted");
    while !quit.is_said() {
        let asked = Instant::now();
        // The first question is not held, because this agent knows nothing yet; nor is the first after trouble, to
        // hear soon that it is over.
        let at_once = known.is_none() || mood.is_troubled();
        let wait = if at_once { Duration::ZERO } else { WANTED_WAIT };
        match link.wanted(known.unwrap_or_default(), wait) {
            Ok(wanted) => {
                mood.good();
                let news = known != Some(wanted.revision);
                known = Some(wanted.revision);
                let event = if news { Event::Wanted(wanted) } else { Event::Contact };
                if events.send(event).is_err() {
                    return;
                }
                if !news {
                    quit.wait(WANTED_EVERY_MIN.saturating_sub(asked.elapsed()));
                }
            }
            Err(trouble) => {
                quit.wait(mood.bad(trouble));
            }
        }
    }
}

/// Tells what is seen: at once when it changes, and now and then.
fn speak(link: &Link, board: &Board, events: &SyncSender<Event>, quit: &Quit) {
    let (mut version, mut patience) = (0, Duration::ZERO);
    let mut mood = Mood::new("beats");
    while let Some((seen, disturbed, newest)) = board.read(version, patience) {
        version = newest;
        match link.beat(&seen, &disturbed) {
            Ok(answer) => {
                mood.good();
                let next = Duration::from_secs(answer.next_beat_secs);
                patience = next.clamp(WANTED_EVERY_MIN, BEAT_EVERY);
                if events.send(Event::Contact).is_err() {
                    return;
                }
            }
            Err(trouble) => {
                patience = Duration::ZERO;
                quit.wait(mood.bad(trouble));
            }
        }
    }
}

/// What stands around the brain.
struct Shell {
    worker: Worker,
    /// Clusters' tokens, which the brain does not know.
    secrets: BTreeMap<NodeKey, String>,
    /// The private networks of nodes.
    keeper: Arc<Keeper>,
    /// Nodes to be started that wait for their place in their network.
    unplaced: BTreeMap<NodeKey, NodeOrder>,
    /// What the runtime's thread has not taken yet. The brain's thread must not wait for it.
    outbox: VecDeque<Command>,
    board: Arc<Board>,
    post: Post,
    /// When nodes are looked at next; `None` while they are.
    looks: Option<Instant>,
}

impl Shell {
    fn work(&mut self, news: &Receiver<Event>, hands: &SyncSender<Command>, stop: &AtomicBool) {
        self.looks = Some(Instant::now());
        self.board.post(self.worker.seen());
        while !stop.load(Ordering::Relaxed) {
            match news.recv_timeout(self.nap()) {
                Ok(event) => self.on(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.wake();
            self.act();
            self.look();
            if !self.hand_over(hands) {
                return;
            }
        }
    }

    fn nap(&self) -> Duration {
        let look = self.looks.map(|at| at.saturating_duration_since(Instant::now()));
        look.map_or(NAP, |look| look.min(NAP))
    }

    fn wake(&mut self) {
        let now = now();
        if self.worker.wake_at().is_some_and(|at| at <= now) {
            tracing::warn!("nothing was heard of the control plane for too long; nodes end");
            self.worker.on_wake(now);
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Wanted(wanted) => {
                let revision = wanted.revision;
                self.keeper.on_wanted(&words::meshes(&wanted));
                let (orders, secrets) = words::orders(wanted);
                tracing::debug!(revision, nodes = orders.len(), "what is wanted");
                self.secrets = secrets;
                self.worker.on_wanted(revision, orders, now());
            }
            Event::Contact => {
                self.keeper.try_again();
                self.worker.on_contact(now());
            }
            Event::Network(key) => {
                if let Some(order) = self.unplaced.remove(&key) {
                    self.start(order);
                }
            }
            Event::Node(key, seen) => self.worker.on_node(key, seen),
            Event::Stopped(key) => self.worker.on_stopped(key),
            Event::Job(key, job, phase) => {
                if phase == worker::JobPhase::Running {
                    self.post.follow(key, job);
                }
                self.worker.on_job(key, job, phase);
            }
            Event::Collected(key, job) => self.worker.on_collected(key, job),
            Event::Looked => self.looks = Some(Instant::now() + LOOK_EVERY),
        }
    }

    fn act(&mut self) {
        let mut tell = false;
        while let Some(effect) = self.worker.next_effect() {
            match effect {
                Effect::Start(order) => self.start(order),
                Effect::Stop(key) => {
                    self.unplaced.remove(&key);
                    self.post.recall(key);
                    self.outbox.push_back(Command::Stop(key));
                }
                Effect::Submit(key, order) => {
                    let id = order.id;
                    if let Some(failed) = self.post.submit(key, order) {
                        self.worker.on_job(key, id, failed);
                    }
                }
                Effect::StopJob(key, job) => {
                    self.post.stop(key, job);
                    self.outbox.push_back(Command::StopJob(key, job));
                }
                Effect::Collect(key, job) => {
                    if !self.post.collect(key, job) {
                        self.worker.on_collected(key, job);
                    }
                }
                Effect::Tell => tell = true,
            }
        }
        if tell {
            self.board.post(self.worker.seen());
        }
    }

    /// Has a node started, once it has its place in its private network if it is to be in one.
    fn start(&mut self, order: NodeOrder) {
        let key = order.key;
        let Some(token) = self.secrets.get(&key).cloned() else {
            let reason = "its cluster's token is not known".to_owned();
            let phase = NodePhase::Gone { reason };
            return self.worker.on_node(key, NodeSeen { phase, head: None });
        };
        let addresses = match self.keeper.belongs(key) {
            Belongs::ToMachine => None,
            Belongs::At(addresses) => Some(addresses),
            Belongs::Nowhere => {
                self.unplaced.insert(key, order);
                return;
            }
        };
        self.outbox.push_back(Command::Start(order, token, addresses));
    }

    fn look(&mut self) {
        if self.looks.is_some_and(|at| at <= Instant::now()) {
            let mut watched = self.worker.watched();
            // The runtime has not heard of those that wait for their place.
            watched.retain(|(key, _)| !self.unplaced.contains_key(key));
            if watched.is_empty() {
                self.looks = Some(Instant::now() + LOOK_EVERY);
            } else {
                self.looks = None;
                self.outbox.push_back(Command::Look(watched));
            }
        }
    }

    /// Hands over what the runtime's thread takes without waiting. Returns whether it is there.
    fn hand_over(&mut self, hands: &SyncSender<Command>) -> bool {
        while let Some(command) = self.outbox.pop_front() {
            match hands.try_send(command) {
                Ok(()) => {}
                Err(TrySendError::Full(command)) => {
                    self.outbox.push_front(command);
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        true
    }
}
