//! Nodes of real Ray clusters on this machine.
//!
//! ```text
//!   data/ray/<rental>-<node>/     the agent's: record, token, launcher's output
//!                      └─ box/    the node's own: bound into its sandbox as /iog (its /tmp is /iog/tmp)
//!   shared/ray-<hash>/            Ray and its Python, read-only to nodes, one per machine
//! ```
//!
//! # Invariants
//! - A node outlives the agent; the agent finds it again by its record.
//! - Nodes of several agents on one machine do not meet: each has its own ports or network, user, processes and folder.
//! - Only what was started here is stopped.
//!
//! Absent on purpose: what should run. That is the brain's (`worker`).

pub(crate) mod agent_program;
pub mod beneath;
mod claims;
pub mod environment;
pub(crate) mod footprint;
mod group;
pub(crate) mod inside;
mod last_words;
pub mod net;
mod node;
pub mod ports;
mod process;
mod ray_jobs;
mod ray_start;
mod reach;
mod record;
pub mod sandbox;
#[cfg(test)]
pub(crate) mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use units::JobId;
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase, NodeSeen};

pub use self::agent_program::AgentProgram;
use self::beneath::{FileSeen, Untrusted, read_at};
use self::claims::Claims;
use self::environment::Environment;
use self::group::Group;
use self::net::{Addresses, Egress, Nets};
use self::node::{Common, Node};
use self::ports::Block;
use self::ray_jobs::Api;
pub use self::ray_jobs::JobSpec;
use self::record::{Place, Record, boot};
use self::sandbox::{Choice, Kind};

/// Users of nodes under root are this number and the node's own, which no other node on the machine has: the first port
/// of its block, or one from [`NUMBERS_FROM`] on. The range is given to nobody by Linux distributions' conventions
/// (systemd's list of users).
const USERS_FROM: u32 = 0x7000_0000;
/// Numbers of nodes with a network of their own begin here, above all ports.
const NUMBERS_FROM: u32 = 0x1_0000;
/// Why something is not there that was not to be.
const TOLD_NOT_TO: &str = "it was told not to";
/// The most of a log that is read at once.
const LOG_BYTES_MAX: usize = 1 << 20;

/// How Ray runs on this machine.
#[derive(Clone, Debug)]
pub struct RayConfig {
    /// The agent's own folder.
    pub data_dir: PathBuf,
    /// A folder that all agents of the machine share; the environment lives there.
    pub shared_dir: PathBuf,
    /// The address nodes listen on and are reached by.
    pub address: IpAddr,
    /// Ports that nodes may use, 200 each. Best below the system's range of ephemeral ports, which on Linux starts
    /// at 32768.
    pub ports: RangeInclusive<u16>,
    /// The machine's name, for names of nodes.
    pub worker_name: String,
    /// What nodes run in.
    pub sandbox: Choice,
    /// The graphics driver's library, where it is not among the system's.
    pub driver: Option<PathBuf>,
    /// Whether nodes of a mesh get a network of their own, where this machine can give them one.
    pub own_network: bool,
    /// What such nodes reach beside their mesh.
    pub egress: Egress,
    /// Who is told of such networks.
    pub nets: Arc<dyn Nets>,
    /// The agent's own program, which hands `worker in-node WORD` to [`net::porter`] or [`net::program`].
    pub program: AgentProgram,
}

/// What a cluster keeps to itself.
#[derive(Clone)]
pub struct Secrets {
    /// The token that opens the cluster.
    pub token: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// The nodes of this agent.
#[derive(Debug)]
pub struct RayRuntime {
    nodes_dir: PathBuf,
    address: IpAddr,
    ports: RangeInclusive<u16>,
    kind: Kind,
    /// Why that is not bubblewrap, where it was to be if it works.
    why_plain: Option<String>,
    mesh: Result<(), String>,
    egress: Result<(), String>,
    claims: Claims,
    common: Common,
    nodes: BTreeMap<NodeKey, Node>,
}

impl RayRuntime {
    /// Finds out what works here. Starts nothing.
    pub fn new(config: RayConfig) -> Result<Self> {
        let nodes_dir = config.data_dir.join("ray");
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&nodes_dir)
            .context("make the folder of nodes")?;
        let nodes_dir = fs::canonicalize(nodes_dir).context("find the folder of nodes")?;
        let user = runs_as_root().then_some(USERS_FROM);
        let settled = sandbox::settle(config.sandbox, || sandbox::probe(&nodes_dir, user));
        let (kind, why_plain) = settled.map_err(|why| anyhow!("use bubblewrap: {why}"))?;
        if let Some(why) = &why_plain {
            tracing::warn!(
                why,
                "bubblewrap does not work here; nodes see the machine's disks as their user does"
            );
        }
        fs::create_dir_all(&config.shared_dir).context("make the shared folder")?;
        let shared = fs::canonicalize(&config.shared_dir).context("find the shared folder")?;
        if kind == Kind::Plain && runs_as_root() {
            open_to_all(&shared)?;
        }
        let mesh = match (config.own_network, kind) {
            (false, _) => Err(TOLD_NOT_TO.to_owned()),
            (true, Kind::Plain) => Err(no_sandbox(why_plain.as_deref())),
            (true, Kind::Bubblewrap) => net::try_out(&config.program, &nodes_dir, user),
        };
        let egress = match config.egress {
            Egress::Internet => mesh.clone().and_then(|()| leads_out()),
            Egress::Off => Err(TOLD_NOT_TO.to_owned()),
        };
        let common = Common {
            environment: Environment::under(&shared),
            worker_name: config.worker_name,
            driver: config.driver,
            program: config.program,
            nets: config.nets,
            has_egress: egress.is_ok(),
        };
        let (address, ports) = (config.address, config.ports);
        let claims = Claims::under(&shared);
        let nodes = BTreeMap::new();
        let mut runtime = Self {
            nodes_dir,
            address,
            ports,
            kind,
            why_plain,
            mesh,
            egress,
            claims,
            common,
            nodes,
        };
        runtime.read_records();
        Ok(runtime)
    }

    /// Whether a workload here could read what the agent can, its keys included. It can where there is neither a
    /// sandbox nor a user for each node; such a machine is for workloads that its owner trusts.
    pub fn exposes_agent(&self) -> bool {
        self.kind == Kind::Plain && !runs_as_root()
    }

    /// Whether this machine can give nodes a network of their own, or why not.
    pub fn can_mesh(&self) -> Result<(), &str> {
        self.mesh.as_ref().copied().map_err(String::as_str)
    }

    /// Whether nodes with a network of their own reach the Internet, or why not.
    pub fn leads_out(&self) -> Result<(), &str> {
        self.egress.as_ref().copied().map_err(String::as_str)
    }

    /// Why nodes are in no sandbox, where they were to be if one works.
    pub fn why_plain(&self) -> Option<&str> {
        self.why_plain.as_deref()
    }

    /// What nodes run in here.
    pub const fn sandbox(&self) -> Kind {
        self.kind
    }

    /// The environment nodes run from; it can be prepared beside everything else.
    pub const fn environment(&self) -> &Environment {
        &self.common.environment
    }

    /// Makes the environment unless the machine has it. Takes seconds to minutes; tells each step.
    pub fn prepare(&self, progress: &mut dyn FnMut(&str)) -> Result<()> {
        self.common.environment.prepare(progress)
    }

    /// Starts a node, in a network of its own if it is told its addresses. One that runs is left alone; one that is
    /// gone is cleared away and started anew.
    pub fn start(
        &mut self,
        order: &NodeOrder,
        secrets: &Secrets,
        network: Option<&Addresses>,
    ) -> Result<()> {
        // Whatever went wrong before: in the machine's network it would be among its supplier's other machines.
        ensure!(
            !order.has_mesh || network.is_some(),
            "start a node of a private network: it has no place there"
        );
        if let Some(node) = self.nodes.get(&order.key) {
            if !node.is_gone() && (node.is_alive() || !node.record.was_ready) {
                return Ok(());
            }
            self.stop(order.key)?;
        }
        let place = Place::of(&self.nodes_dir, order.key);
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(place.path())
            .context("make the node's place")?;
        let record = self.new_record(order, &place, network)?;
        place.write_token(&secrets.token)?;
        place.write(&record)?;
        let node = self.nodes.entry(order.key).or_insert(Node::on_record(place, record));
        node.begin(&self.common)
    }

    /// The node's block of ports, and its own number.
    fn new_numbers(&self, place: &Place, network: Option<&Addresses>) -> Result<(Block, u32)> {
        if network.is_some() {
            let why = self.mesh.as_ref().err();
            ensure!(
                why.is_none(),
                "give the node a network of its own: {}",
                why.map_or("", |why| why)
            );
            let users: BTreeSet<u32> =
                self.nodes.values().filter_map(|node| node.record.user).collect();
            let number = numbers(place.path()).find(|number| {
                let user = USERS_FROM + number;
                let is_taken = users.contains(&user) || process::runs_as(user);
                !is_taken && self.may_have(*number, place)
            });
            return Ok((ports::OWN, number.context("find a free number for the node")?));
        }
        let of_machine = |node: &&Node| node.record.network.is_none();
        let taken: BTreeSet<Block> =
            self.nodes.values().filter(of_machine).filter_map(|node| node.record.ports()).collect();
        let may_have =
            |block: &Block| block.is_free() && self.may_have(block.first().into(), place);
        let block = ports::pick(&self.ports, &taken, may_have)
            .with_context(|| format!("find 200 free ports in {:?}", self.ports))?;
        Ok((block, block.first().into()))
    }

    fn new_record(
        &self,
        order: &NodeOrder,
        place: &Place,
        network: Option<&Addresses>,
    ) -> Result<Record> {
        let (ports, number) = self.new_numbers(place, network)?;
        let folder = match self.kind {
            Kind::Bubblewrap => place.path().join("box"),
            Kind::Plain => plain_folder(place.path()),
        };
        Ok(Record {
            rental: order.key.rental,
            node: order.key.node,
            resources: order.resources,
            gpus: order.gpus.clone(),
            head: order.head.filter(|_| !order.key.is_head()),
            address: network.map_or(self.address, |addresses| addresses.v4.into()),
            first_port: ports.first(),
            kind: self.kind,
            network: network.cloned(),
            egress: None,
            user: runs_as_root().then(|| USERS_FROM + number),
            group: runs_as_root()
                .then(|| Group::named(&format!("iog-{}", short_name(place.path()))))
                .flatten(),
            folder,
            boot: boot(),
            outer: None,
            inner: None,
            tries: 0,
            was_ready: false,
        })
    }

    /// Whether a number is this node's from here on.
    fn may_have(&self, number: u32, place: &Place) -> bool {
        // Where agents cannot agree, because one may not write where the other does, a free block has to do.
        self.claims.take(number, place.path()).unwrap_or(true)
    }

    /// The nodes that were started before the agent was and still run. Those that do not are inspected as gone.
    pub fn adopt(&self) -> Vec<NodeKey> {
        self.nodes.iter().filter(|(_, node)| node.is_alive()).map(|(key, _)| *key).collect()
    }

    /// Every node on record here, alive or not: whatever is not wanted must be stopped.
    pub fn on_record(&self) -> Vec<NodeKey> {
        self.nodes.keys().copied().collect()
    }

    fn read_records(&mut self) {
        for entry in fs::read_dir(&self.nodes_dir).into_iter().flatten().flatten() {
            let place = Place::found(entry.path());
            match place.read() {
                Ok(record) => {
                    self.nodes.insert(record.key(), Node::on_record(place, record));
                }
                // Nothing is started before it is on record.
                Err(_) if !place.has_record() => drop(fs::remove_dir_all(place.path())),
                Err(fault) => {
                    tracing::warn!(?fault, place = ?place.path(), "a node's record cannot be read");
                }
            }
        }
    }

    /// How far a node has come. Call it now and then: a node that fails to come up is started again here.
    pub fn inspect(&mut self, key: NodeKey) -> NodeSeen {
        match self.nodes.get_mut(&key) {
            Some(node) => node.look(&self.common),
            None => {
                let reason = "this machine does not have the node".to_owned();
                NodeSeen { phase: NodePhase::Gone { reason }, head: None }
            }
        }
    }

    /// Stops a node and removes what it left. A node that is not here is stopped already.
    pub fn stop(&mut self, key: NodeKey) -> Result<()> {
        if let Some(node) = self.nodes.get_mut(&key) {
            node.stop(&self.common)?;
            self.nodes.remove(&key);
        }
        Ok(())
    }

    fn head(&self, key: NodeKey) -> Result<&Node> {
        self.nodes.get(&key).with_context(|| format!("find node {} of {}", key.node, key.rental))
    }

    fn api(&self, key: NodeKey) -> Result<Api> {
        let node = self.head(key)?;
        node.api(node.record.ports().context("read the node's ports")?.dashboard())
    }

    /// Gives a job to a head. Telling twice is telling once.
    pub fn submit_job(&self, key: NodeKey, job: &JobSpec) -> Result<()> {
        let record = &self.head(key)?.record;
        let (folder, name) = (Untrusted::open(&record.folder)?, job.id.to_string());
        let results = folder.folder(Path::new("results")).context("open the folder of results")?;
        results.make_folder(&name, record.user).context("make the job's folder of results")?;
        self.api(key)?.submit(job, &record.inside(&format!("results/{name}")))
    }

    /// How far a job has come; `None` if the cluster does not know it.
    pub fn find_job(&self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>> {
        self.api(key)?.phase(job)
    }

    /// How far a job has come that the cluster must know.
    pub fn job_state(&self, key: NodeKey, job: JobId) -> Result<JobPhase> {
        self.find_job(key, job)?.with_context(|| format!("find job {job}: Ray does not know it"))
    }

    /// Stops a job. One that is over stays as it ended.
    pub fn stop_job(&self, key: NodeKey, job: JobId) -> Result<()> {
        self.api(key)?.stop(job)
    }

    /// A part of what a job's driver wrote to its output, from `offset`; empty where there is nothing (yet). At most
    /// 1 MiB at once.
    pub fn job_log(&self, key: NodeKey, job: JobId, offset: u64, limit: usize) -> Result<Vec<u8>> {
        let Ok(folder) = Untrusted::open(&self.head(key)?.record.ray_folder()) else {
            return Ok(Vec::new());
        };
        let Some(session) = last_words::newest_session(&folder) else { return Ok(Vec::new()) };
        let path = PathBuf::from(session).join("logs").join(format!("job-driver-{job}.log"));
        match folder.file(&path) {
            Ok(mut file) => {
                read_at(&mut file, offset, limit.min(LOG_BYTES_MAX)).context("read a job's log")
            }
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The files a job left in its folder of results on the head.
    pub fn job_files(&self, key: NodeKey, job: JobId) -> Result<Vec<FileSeen>> {
        self.results(key, job)?.files().context("list a job's results")
    }

    /// Opens one of [`Self::job_files`]. By its path alone a file must not be opened: the job may have put a link
    /// there since.
    pub fn open_job_file(&self, key: NodeKey, job: JobId, path: &str) -> Result<File> {
        self.results(key, job)?.file(Path::new(path)).context("open a job's result")
    }

    fn results(&self, key: NodeKey, job: JobId) -> Result<Untrusted> {
        let folder =
            Untrusted::open(&self.head(key)?.record.folder).context("open the node's folder")?;
        folder.folder(&Path::new("results").join(job.to_string())).context("open the job's results")
    }
}

/// Whether the agent may become any user.
fn runs_as_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether nodes can be let out to the Internet; says once what is lacking.
fn leads_out() -> Result<(), String> {
    net::leads_out().inspect_err(|why| {
        tracing::warn!(why, "nodes with a network of their own reach their mesh and nothing else");
    })
}

/// Why nodes have no network of their own where they are in no sandbox; `why` that is, unless it was chosen.
fn no_sandbox(why: Option<&str>) -> String {
    match why {
        Some(why) => format!("nodes are in no sandbox: {why}"),
        None => "nodes are in no sandbox (hint: leave --sandbox plain out)".to_owned(),
    }
}

/// Refuses a folder that other users cannot reach: without a sandbox, a node under root is such a user.
fn open_to_all(folder: &Path) -> Result<()> {
    for part in folder.ancestors() {
        let mode = fs::metadata(part).context("look at the shared folder")?.permissions().mode();
        let part = part.display();
        ensure!(
            mode & 0o001 != 0,
            "let nodes reach {part}: open it to other users (chmod o+x), or install bubblewrap"
        );
    }
    Ok(())
}

/// Numbers for a node with a network of its own, all of them, from one on that follows from its place: agents that
/// share no folder, and so cannot agree, hardly ever try the same.
fn numbers(place: &Path) -> impl Iterator<Item = u32> {
    let [one, other, ..] = <[u8; 32]>::from(Sha256::digest(place.as_os_str().as_encoded_bytes()));
    let first = u16::from_be_bytes([one, other]);
    (0..=u16::MAX).map(move |step| NUMBERS_FROM + u32::from(first.wrapping_add(step)))
}

/// Where a plain node keeps its files: a short path, because paths of sockets end at 107 bytes.
fn plain_folder(place: &Path) -> PathBuf {
    PathBuf::from(format!("/tmp/iog-{}", short_name(place)))
}

/// Twelve digits for a node's place, enough to tell the nodes of a machine apart.
fn short_name(place: &Path) -> String {
    let mut digits = HEXLOWER.encode(&Sha256::digest(place.as_os_str().as_encoded_bytes()));
    digits.truncate(12);
    digits
}

#[cfg(test)]
mod tests {
    use super::scratch::Scratch;
    use super::*;
    use units::RentalId;

    fn runtime(data: &Path) -> RayRuntime {
        RayRuntime::new(RayConfig {
            data_dir: data.to_owned(),
            shared_dir: data.join("shared"),
            address: "127.0.0.1".parse().unwrap(),
            ports: 20_000..=20_999,
            worker_name: "rack-3".to_owned(),
            driver: None,
            sandbox: Choice::Plain,
            own_network: true,
            egress: Egress::Off,
            nets: Arc::new(net::NoNets),
            program: AgentProgram::running(),
        })
        .unwrap()
    }

    #[test]
    fn a_node_that_is_not_here_is_gone_and_stopped() {
        let scratch = Scratch::new("runtime-none");
        let mut runtime = runtime(scratch.path());
        let key = NodeKey { rental: RentalId::from_bits(1), node: 0 };
        assert!(matches!(runtime.inspect(key).phase, NodePhase::Gone { .. }));
        assert!(runtime.stop(key).is_ok() && runtime.adopt().is_empty());
        assert!(runtime.job_state(key, JobId::from_bits(1)).is_err());
    }

    #[test]
    fn a_node_of_a_private_network_is_not_started_in_the_machines() {
        let scratch = Scratch::new("runtime-network");
        let mut runtime = runtime(scratch.path());
        let order = NodeOrder {
            key: NodeKey { rental: RentalId::from_bits(1), node: 0 },
            nodes: 1,
            resources: units::Resources::default(),
            gpus: Vec::new(),
            has_mesh: true,
            head: None,
            jobs: Vec::new(),
        };
        let secrets = Secrets { token: "5ecret".to_owned() };
        let fault = runtime.start(&order, &secrets, None).unwrap_err();
        assert!(fault.to_string().contains("no place"), "{fault:#}");
        assert!(runtime.on_record().is_empty());
    }

    #[test]
    fn agents_that_cannot_agree_try_numbers_of_their_own() {
        let first = |place: &str| numbers(Path::new(place)).next().unwrap();
        assert_ne!(first("/a/ray/1-0"), first("/b/ray/1-0"));
        let all: BTreeSet<u32> = numbers(Path::new("/a")).collect();
        assert_eq!((all.len(), all.first().copied()), (1 << 16, Some(NUMBERS_FROM)));
    }

    #[test]
    fn a_plain_nodes_folder_is_short_and_its_own() {
        let folder = plain_folder(Path::new("/a"));
        assert_ne!(folder, plain_folder(Path::new("/b")));
        // What Ray appends: a session's name and a socket's.
        let socket = "/ray/session_2026-11-22_16-31-14_711704_4194304/sockets/plasma_store";
        assert!(folder.as_os_str().len() + socket.len() <= 107);
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", Secrets { token: "5ecret".to_owned() }), "Secrets");
    }
}
