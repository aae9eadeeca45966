//! One node of Ray on this machine: started, watched, started again while it fails to come up, and stopped.
//!
//! ```text
//!   start ──► starting ──► ready ──► gone
//!               │   ▲                 ▲
//!               └───┘ dies or hangs   │
//!               └─────────────────────┘ too often
//! ```
//!
//! # Invariants
//! - Once a node was ready its death is final: what ran in its memory is lost, and only the control plane knows
//!   what to do about it.
//! - A node is stopped when no process bears its mark; only then is its folder removed.

mod network;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use worker::{NodePhase, NodeSeen};

use self::network::Connection;

use crate::probe::Gpu;
use crate::runtime::agent_program::AgentProgram;
use crate::runtime::environment::Environment;
use crate::runtime::group::{self, Group};
use crate::runtime::last_words;
use crate::runtime::net::{self, Nets};
use crate::runtime::process::{Process, wait_until};
use crate::runtime::ray_jobs::Api;
use crate::runtime::ray_start::{Memory, Start};
use crate::runtime::record::{BOX, Place, Record, boot};
use crate::runtime::sandbox::{Kind, Names, Room};

/// How often a node is started before it is given up: one in ten fails on a busy machine, where a raylet waits only
/// fifteen seconds for its agent.
const TRIES_MAX: u32 = 5;
/// How long a node may take to join its cluster before it is started again. Idle machines need 5 to 10 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long Ray may take to end by itself; a head was measured at 6 s.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long killed processes may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long the sandbox may take to have a first process.
const SANDBOX_PATIENCE: Duration = Duration::from_secs(10);
/// How long a look at the head's port may take.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

/// Goes home before it becomes the command after it: bubblewrap under root may not enter the node's folder, and a
/// job without a package should start where it can write.
const FROM_HOME: [&str; 4] = ["sh", "-c", r#"cd "$HOME" && exec "$@""#, "sh"];
/// The same, once the agent says that the node's network is there. If the agent ends before, so does the node.
const FROM_HOME_WHEN_TOLD: [&str; 4] =
    ["sh", "-c", r#"read -r _ || exit 1; cd "$HOME" && exec "$@" </dev/null"#, "sh"];

/// What all nodes of an agent share.
#[derive(Clone, Debug)]
pub(super) struct Common {
    /// The environment Ray runs from.
    pub(super) environment: Environment,
    /// The machine's name.
    pub(super) worker_name: String,
    /// The graphics driver's library, where it is not among the system's.
    pub(super) driver: Option<PathBuf>,
    /// The agent's own program, to be started in nodes.
    pub(super) program: AgentProgram,
    /// Who is told of nodes' networks.
    pub(super) nets: Arc<dyn Nets>,
    /// Whether nodes with their own network reach the Internet.
    pub(super) has_egress: bool,
}

/// A node and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it is on disk.
    pub(super) place: Place,
    /// What is written down about it.
    pub(super) record: Record,
    /// Since when this try is watched.
    since: Instant,
    /// Why it is gone, once it is.
    gone: Option<String>,
    connection: Connection,
}

impl Node {
    /// A node that is on record.
    pub(super) fn on_record(place: Place, record: Record) -> Self {
        let connection = Connection::default();
        Self { place, record, since: Instant::now(), gone: None, connection }
    }

    /// Starts it for the first time.
    pub(super) fn begin(&mut self, common: &Common) -> Result<()> {
        make_folders(&self.place, &self.record)?;
        self.launch(common)
    }

    /// Starts its processes; none of them may run.
    fn launch(&mut self, common: &Common) -> Result<()> {
        let record = &mut self.record;
        (record.outer, record.inner, record.egress, record.boot) = (None, None, None, boot());
        record.tries += 1;
        if let Some(fault) =
            record.group.as_ref().and_then(|group| group.make(&record.resources).err())
        {
            tracing::warn!(%fault, node = ?record.key(), "a node runs without a control group");
            record.group = None;
        }
        self.place.write(record)?;
        let mut child =
            command(&self.place, record, common)?.spawn().context("start the node's sandbox")?;
        record.outer = Process::with_pid(child.id());
        self.place.write(record)?;
        if record.kind == Kind::Bubblewrap {
            let outer = record.outer.context("find the node's sandbox")?;
            let mut inner = None;
            wait_until(SANDBOX_PATIENCE, || {
                inner = outer.children().first().copied();
                inner.is_some() || child.try_wait().is_ok_and(|ended| ended.is_some())
            });
            record.inner = inner;
            self.place.write(record)?;
        }
        self.since = Instant::now();
        self.gone = None;
        if self.record.network.is_some() {
            self.connect(common)?;
            begin(&mut child)?;
        }
        Ok(())
    }

    /// The HTTP API of one of its services.
    pub(super) fn api(&self, port: u16) -> Result<Api> {
        let at = SocketAddr::new(self.record.address, port);
        let is_cut_off = self.record.network.is_some() && self.connection.net.is_none();
        ensure!(!is_cut_off, "reach the node: its network is not there yet");
        Ok(Api::new(at, &self.place.read_token()?, self.reach()))
    }

    /// Whether it will never be ready again.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Whether its processes run.
    pub(super) fn is_alive(&self) -> bool {
        self.record.is_alive()
    }

    /// Where the head's control service listens, if this is the head and it does.
    fn listening(&self) -> Option<SocketAddr> {
        let port = self.record.ports()?.gcs();
        let gcs = SocketAddr::new(self.record.address, port);
        let listens = || self.reach().dial(gcs, CONNECT_PATIENCE).is_ok();
        (self.record.key().is_head() && (self.record.was_ready || listens())).then_some(gcs)
    }

    /// Looks at it, and starts it again if it did not come up.
    pub(super) fn look(&mut self, common: &Common) -> NodeSeen {
        self.stay_connected(common);
        let phase = match self.phase(common) {
            Ok(phase) => phase,
            Err(fault) => NodePhase::Gone { reason: format!("{fault:#}") },
        };
        if let NodePhase::Gone { reason } = &phase {
            self.gone = Some(reason.clone());
        }
        let head = match phase {
            NodePhase::Starting | NodePhase::Ready => self.listening(),
            NodePhase::Gone { .. } => None,
        };
        NodeSeen { phase, head }
    }

    fn phase(&mut self, common: &Common) -> Result<NodePhase> {
        if let Some(reason) = &self.gone {
            return Ok(NodePhase::Gone { reason: reason.clone() });
        }
        let alive = self.record.is_alive();
        if self.record.was_ready && alive {
            return Ok(NodePhase::Ready);
        }
        if alive && self.has_joined() {
            self.record.was_ready = true;
            self.settle_down();
            self.place.write(&self.record)?;
            return Ok(NodePhase::Ready);
        }
        let failed =
            !alive || self.since.elapsed() > PATIENCE || last_words::raylet_failed(&self.record);
        if !failed {
            return Ok(NodePhase::Starting);
        }
        let reason = last_words::of(&self.place, &self.record);
        if self.record.was_ready || self.record.tries >= TRIES_MAX {
            self.end_processes(Duration::ZERO, common)?;
            return Ok(NodePhase::Gone { reason });
        }
        tracing::warn!(node = ?self.record.key(), tries = self.record.tries, reason, "a node did not come up");
        self.end_processes(Duration::ZERO, common)?;
        forget_sessions(&self.record);
        self.launch(common)?;
        Ok(NodePhase::Starting)
    }

    /// Takes back the shares that were for starting.
    fn settle_down(&self) {
        let record = &self.record;
        let settled = record
            .group
            .as_ref()
            .map(|group| group.set_share(group::Phase::Running, &record.resources));
        if let Some(Err(fault)) = settled {
            tracing::warn!(%fault, node = ?record.key(), "a node keeps the shares it started with");
        }
    }

    fn has_joined(&self) -> bool {
        let Some(ports) = self.record.ports() else { return false };
        let is_well = |port, path| self.api(port).is_ok_and(|api| api.is_well(path));
        is_well(ports.agent_http(), "/api/local_raylet_healthz")
            && (!self.record.key().is_head() || is_well(ports.dashboard(), "/api/version"))
    }

    /// Ends every process of it: asked first, if there is any grace, then killed.
    fn end_processes(&mut self, grace: Duration, common: &Common) -> Result<()> {
        let record = &self.record;
        if !grace.is_zero() && record.is_alive() {
            let first = match (record.kind, record.inner) {
                // The sandbox's first process only waits; the launcher is its child.
                (Kind::Bubblewrap, Some(inner)) => inner.children().first().copied(),
                (Kind::Bubblewrap | Kind::Plain, _) => record.outer,
            };
            first.inspect(|process| process.signal(Signal::TERM));
            wait_until(grace, || !record.is_alive());
        }
        // Not before: a node that ends by itself tells the others.
        self.disconnect(common);
        let record = &self.record;
        if record.is_alive() {
            record.inner.inspect(|process| process.signal(Signal::KILL));
        }
        // What leads out shows nobody what marks it.
        let egress = record.egress.filter(|_| record.boot == boot());
        egress.inspect(|egress| egress.signal(Signal::KILL));
        let ended = record.mark().kill_bearers(KILL_PATIENCE);
        record.outer.inspect(Process::reap);
        let ended =
            ended && egress.is_none_or(|egress| wait_until(KILL_PATIENCE, || !egress.is_alive()));
        egress.inspect(Process::reap);
        ensure!(ended, "end every process of node {} of {}", record.node, record.rental);
        Ok(())
    }

    /// Stops it and removes what it left.
    pub(super) fn stop(&mut self, common: &Common) -> Result<()> {
        self.end_processes(STOP_GRACE, common)?;
        if let Some(Err(fault)) = self.record.group.as_ref().map(Group::remove) {
            tracing::warn!(%fault, node = ?self.record.key(), "a node's control group stays behind");
        }
        for folder in [self.record.folder.as_path(), self.place.path()] {
            match fs::remove_dir_all(folder) {
                Ok(()) => {}
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => return Err(fault).context("remove the node's folder"),
            }
        }
        Ok(())
    }
}

/// Tells a node that waits for its network to begin.
fn begin(child: &mut Child) -> Result<()> {
    let mut to = child.stdin.take().context("tell the node to begin")?;
    to.write_all(b"\n").context("tell the node to begin")
}

/// Removes the sessions of tries that failed, so that the newest is the only one.
fn forget_sessions(record: &Record) {
    // What cannot be removed is in nobody's way.
    let _ = fs::remove_dir_all(record.ray_folder());
}

/// Makes the folder a node writes to, and what stands beside it.
fn make_folders(place: &Place, record: &Record) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    let made = builder.create(&record.folder);
    let fresh = match made {
        Ok(()) => true,
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => false,
        Err(fault) => {
            return Err(fault).with_context(|| format!("make {}", record.folder.display()));
        }
    };
    let about = fs::symlink_metadata(&record.folder).context("look at the node's folder")?;
    let agent = rustix::process::geteuid().as_raw();
    if !fresh && (!about.is_dir() || (about.uid() != agent && Some(about.uid()) != record.user)) {
        bail!("use {}: it belongs to somebody else", record.folder.display());
    }
    for part in ["tmp", "home", "results"] {
        let path = record.folder.join(part);
        builder.recursive(true).create(&path).context("make a part of the node's folder")?;
        give(&path, record.user)?;
    }
    give(&record.folder, record.user)?;
    let user = record.user.unwrap_or(agent);
    fs::write(place.passwd(), passwd(user)).context("write the sandbox's list of users")
}

fn give(path: &Path, user: Option<u32>) -> Result<()> {
    match user {
        Some(user) => std::os::unix::fs::lchown(path, Some(user), Some(user))
            .context("give a folder to a node"),
        None => Ok(()),
    }
}

/// The users a sandbox knows: its own, and root by name.
fn passwd(user: u32) -> String {
    format!("iog:x:{user}:{user}::/iog/home:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
}

/// The command that starts a node.
fn command(place: &Place, record: &Record, common: &Common) -> Result<Command> {
    let environment = &common.environment;
    let cards = cards(&record.gpus, common.driver.as_deref())?;
    let (hosts, resolv) = (place.hosts(), place.resolv());
    if let Some(addresses) = &record.network {
        fs::write(&hosts, net::hosts(addresses, &common.worker_name))
            .and_then(|()| fs::write(&resolv, net::resolv(addresses, common.has_egress)))
            .context("write the sandbox's lists of names")?;
    }
    let room = Room {
        kind: record.kind,
        names: record.network.is_some().then_some(Names { hosts: &hosts, resolv: &resolv }),
        user: record.user,
        folder: &record.folder,
        passwd: &place.passwd(),
        readable: [Some(environment.folder().to_owned()), environment.base()]
            .into_iter()
            .flatten()
            .collect(),
        host_name: &common.worker_name,
        shared_memory: Memory::of(&record.resources).shared(),
        cards: cards.iter().map(|card| card.device_number).collect(),
    };
    let name = format!("{}-{}", common.worker_name, record.node);
    let start = start_of(record, &name)?;
    let from = if record.network.is_some() { FROM_HOME_WHEN_TOLD } else { FROM_HOME };
    let mut words = record.group.as_ref().map(Group::prefix).unwrap_or_default();
    words.extend(room.prefix());
    let ray = environment.folder().join("bin/ray");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(from).arg(environment.python()).arg(ray);
    command.args(start.arguments()).env_clear().current_dir("/");
    command.envs(start.environment(&place.read_token()?)).envs(variables(record, common, &cards));
    let output = output_file(place)?;
    let copy = output.try_clone().context("share the output")?;
    let input = if record.network.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(input).stdout(copy).stderr(output);
    if record.kind == Kind::Bubblewrap {
        // A signal from the agent's terminal is not for the node. (`setsid` sees to it without a sandbox.)
        command.process_group(0);
    }
    Ok(command)
}

/// The environment of a node's processes, for programs that are started in it later.
fn environment(
    place: &Place,
    record: &Record,
    common: &Common,
) -> Result<BTreeMap<String, String>> {
    let cards = cards(&record.gpus, common.driver.as_deref())?;
    let mut all = start_of(record, &common.worker_name)?.environment(&place.read_token()?);
    let own = variables(record, common, &cards).into_iter();
    all.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(all)
}

/// What Ray is told of the node.
fn start_of<'a>(record: &Record, name: &'a str) -> Result<Start<'a>> {
    Ok(Start {
        name,
        address: record.address,
        ports: record.ports().context("read the node's ports")?,
        resources: record.resources,
        head: record.head,
        temp: match record.kind {
            Kind::Bubblewrap => "/tmp/ray".to_owned(),
            Kind::Plain => record.inside("ray"),
        },
    })
}

/// The environment of a node and of all that runs in it, but for what Ray is told.
fn variables(record: &Record, common: &Common, cards: &[Gpu]) -> BTreeMap<&'static str, String> {
    let bin = common.environment.folder().join("bin");
    let visible: Vec<&str> = cards.iter().map(|card| card.uuid.as_str()).collect();
    let mut variables = BTreeMap::from([
        ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display())),
        ("HOME", record.inside("home")),
        ("USER", "iog".to_owned()),
        ("LOGNAME", "iog".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("CUDA_VISIBLE_DEVICES", visible.join(",")),
        ("IOG_WORKER", common.worker_name.clone()),
        ("IOG_RENTAL", record.rental.to_string()),
        ("IOG_NODE", record.node.to_string()),
        (BOX, record.folder.display().to_string()),
    ]);
    if record.network.is_some() {
        // Else they choose by themselves, and may choose the way out.
        let libraries = ["NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME"];
        variables.extend(libraries.map(|name| (name, net::DEVICE.to_owned())));
    }
    if record.kind == Kind::Plain {
        variables.insert("TMPDIR", record.inside("tmp"));
    }
    variables
}

fn output_file(place: &Place) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    options.open(place.output()).context("open the launcher's output")
}

/// The cards with these indices.
fn cards(indices: &[u32], driver: Option<&Path>) -> Result<Vec<Gpu>> {
    if indices.is_empty() {
        return Ok(Vec::new());
    }
    let all = crate::probe::gpus(driver);
    let find = |index: &u32| all.iter().find(|gpu| gpu.index == *index).cloned();
    let of_index = |index| find(index).with_context(|| format!("find GPU {index} on this machine"));
    indices.iter().map(of_index).collect()
}
