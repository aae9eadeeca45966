//! Three workers on one machine run one real Ray cluster: it starts, takes a job, loses and finds its agents in the
//! middle of it, hands over what the job wrote, and leaves nothing behind.
//!
//! `cargo run -p agent --example ray_try -- [folder] [auto|bubblewrap|plain|mesh]`. Needs Python 3.11 to 3.13 and a
//! package index. Prints how long each step took. With `mesh`, each node has a network of its own, and the mesh between
//! them is carried by an engine for each.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent::Egress;
use agent::runtime::net::{Addresses, Nets, NoNets, NodeNet};
use agent::runtime::sandbox::Choice;
use agent::runtime::{AgentProgram, JobSpec, RayConfig, RayRuntime, Secrets, ports::Block};
use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use mesh_shell::Engine;
use units::{JobId, RentalId, Resources};
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase};

/// How long a step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PORTS_FROM: u16 = 24_000;
const NODES: u16 = 3;

const MAIN: &str = r#"
import collections, os, ray, time
started = time.time()
ray.init()

@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def where(number):
    import sklearn
    time.sleep(1)
    return os.environ["IOG_NODE"], os.environ["IOG_WORKER"]

waiting = [where.remote(number) for number in range(24)]
first = True
seen = collections.Counter()
while waiting:
    done, waiting = ray.wait(waiting)
    for place in ray.get(done):
        seen[place] += 1
        if first:
            print(f"first task done {time.time() - started:.1f} s after the driver began", flush=True)
            first = False
        print("task done on", *place, flush=True)
os.makedirs(os.environ["IOG_RESULTS"] + "/deep")
os.symlink("/etc/passwd", os.environ["IOG_RESULTS"] + "/link")
with open(os.environ["IOG_RESULTS"] + "/deep/seen.txt", "w") as out:
    out.write(repr(sorted(seen.items())))
print("secrets of the agent in reach:", [p for p in (os.environ["TRY_SECRET"],) if os.path.exists(p)])
print("I am", os.getuid(), "and see", sorted(os.listdir("/")))
"#;

struct Worker {
    config: RayConfig,
    runtime: RayRuntime,
    key: NodeKey,
    mesh: Option<Arc<Mesh>>,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", "in-node", "porter"] => return agent::porter(),
        ["worker", "in-node", "program"] => return agent::program(),
        _ => {}
    }
    let mut arguments = words.into_iter();
    let root = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/iog-ray-try".to_owned()));
    let asked = arguments.next();
    let sandbox = match asked.as_deref() {
        None | Some("auto") => Choice::Auto,
        Some("bubblewrap") => Choice::Bubblewrap,
        Some("plain") => Choice::Plain,
        Some("mesh") => Choice::Bubblewrap,
        Some(other) => bail!("use `{other}`: it is not auto, bubblewrap, plain or mesh"),
    };
    let mesh = (asked.as_deref() == Some("mesh")).then(Arc::<Mesh>::default);
    let clock = Instant::now();
    let mut workers = (0..NODES)
        .map(|index| worker(&root, index, sandbox, mesh.clone()))
        .collect::<Result<Vec<_>>>()?;
    println!("sandbox: {:?}", workers[0].runtime.sandbox());
    println!("networks of their own: {:?}", workers[0].runtime.can_mesh());
    workers[0].runtime.prepare(&mut |line| println!("  {line}"))?;
    println!("environment            {:6.1} s", clock.elapsed().as_secs_f64());

    let outcome = run(&root, &mut workers);
    let clock = Instant::now();
    for worker in workers.iter_mut().rev() {
        worker.runtime.stop(worker.key)?;
    }
    println!("all stopped            {:6.1} s", clock.elapsed().as_secs_f64());
    outcome?;
    nothing_is_left(&workers)
}

fn worker(root: &Path, index: u16, sandbox: Choice, mesh: Option<Arc<Mesh>>) -> Result<Worker> {
    let first = PORTS_FROM + index * 400;
    let config = RayConfig {
        data_dir: root.join(format!("worker-{index}")),
        shared_dir: root.join("shared"),
        address: format!("127.77.0.{}", index + 1).parse()?,
        ports: first..=first + 399,
        worker_name: format!("try-{index}"),
        sandbox,
        driver: None,
        own_network: mesh.is_some(),
        egress: Egress::Internet,
        nets: mesh.clone().map_or_else(|| Arc::new(NoNets) as _, |mesh| mesh as _),
        program: AgentProgram::running(),
    };
    let runtime = RayRuntime::new(config.clone())?;
    fs::write(config.data_dir.join("key"), "secret")?;
    Ok(Worker {
        config,
        runtime,
        key: NodeKey { rental: RentalId::from_bits(77), node: u32::from(index) },
        mesh,
    })
}

impl Worker {
    /// Starts its node.
    fn start(&mut self, head: Option<SocketAddr>) -> Result<()> {
        let secrets = Secrets { token: "5f".repeat(32) };
        let addresses = self.mesh.is_some().then(|| addresses(self.key.node));
        self.runtime.start(
            &order(self.key, head, addresses.is_some()),
            &secrets,
            addresses.as_ref(),
        )
    }
}

/// The mesh between the nodes: an engine for each, all of them on this machine.
#[derive(Debug, Default)]
struct Mesh(Mutex<BTreeMap<u32, (Arc<NodeNet>, Engine)>>);

impl Nets for Mesh {
    fn is_up(&self, net: Arc<NodeNet>) {
        self.is_down(net.key());
        if let Err(fault) = self.join(net) {
            println!("a node is not in the mesh: {fault:#}");
        }
    }

    fn is_down(&self, key: NodeKey) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.remove(&key.node);
    }
}

impl Mesh {
    fn join(&self, net: Arc<NodeNet>) -> Result<()> {
        let engine = Engine::start_on(mesh_config(net.key().node, "")?, net.tun()?)?;
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (node, (_, other)) in members.iter() {
            introduce(&engine, *node, other)?;
            introduce(other, net.key().node, &engine)?;
        }
        members.insert(net.key().node, (net, engine));
        Ok(())
    }

    /// What is left of an agent that dies.
    fn die(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Tells an engine of another node's.
fn introduce(engine: &Engine, node: u32, other: &Engine) -> Result<()> {
    let key = BASE64.encode(&mesh_config(node, "")?.mesh.private.public().0);
    let (Addresses { v4, v6, .. }, port) = (addresses(node), other.port()?);
    let peer = format!(
        "[Peer]\nPublicKey = {key}\nAllowedIPs = {v4}/32, {v6}/128\nEndpoint = 127.0.0.1:{port}\nSuite = fast\n"
    );
    let peers = mesh_config(node, &peer)?.peers;
    peers.into_iter().try_for_each(|peer| engine.set_peer(peer))
}

fn mesh_config(node: u32, peers: &str) -> Result<mesh_shell::Config> {
    let key = BASE64.encode(&[u8::try_from(node)? + 1; 32]);
    let text = format!("[Interface]\nPrivateKey = {key}\nMTU = 1380\nFast = on\n{peers}");
    mesh_shell::Config::parse("mesh0", &text)
}

fn addresses(node: u32) -> Addresses {
    let at = u8::try_from(node).unwrap_or_default() + 16;
    Addresses {
        v4: [100, 64, 16, at].into(),
        v4_block: ([100, 64, 16, 0].into(), 20),
        v6: [0xfd10, 0, 0, 0, 0, 0, 0, at.into()].into(),
        v6_block: ([0xfd10, 0, 0, 0, 0, 0, 0, 0].into(), 48),
        mtu: 1_380,
        resolver: None,
    }
}

fn order(key: NodeKey, head: Option<SocketAddr>, has_mesh: bool) -> NodeOrder {
    let resources = Resources { gpus: 0, vcpus: 1, memory_mib: 2_048, disk_mib: 1_024 };
    let (gpus, jobs) = (Vec::new(), Vec::new());
    NodeOrder { key, nodes: u32::from(NODES), resources, gpus, has_mesh, head, jobs }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let clock = Instant::now();
    while clock.elapsed() < PATIENCE {
        if let Some(found) = look()? {
            println!("{what:22} {:6.1} s", clock.elapsed().as_secs_f64());
            return Ok(found);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("see in time: {what}")
}

fn phase(worker: &mut Worker) -> Result<bool> {
    match worker.runtime.inspect(worker.key).phase {
        NodePhase::Starting => Ok(false),
        NodePhase::Ready => Ok(true),
        NodePhase::Gone { reason } => bail!("node {} is gone: {reason}", worker.key.node),
    }
}

fn run(root: &Path, workers: &mut [Worker]) -> Result<()> {
    let clock = Instant::now();
    let (head, others) = workers.split_first_mut().context("have a head")?;
    head.start(None)?;
    head.start(None)?;
    let gcs = wait("head listens", || phase(head).map(|_| head.runtime.inspect(head.key).head))?;
    for worker in others.iter_mut() {
        worker.start(Some(gcs))?;
    }
    wait("head ready", || Ok(phase(head)?.then_some(())))?;
    for worker in others.iter_mut() {
        wait("worker ready", || Ok(phase(worker)?.then_some(())))?;
    }
    println!("cluster ready          {:6.1} s in all", clock.elapsed().as_secs_f64());

    let job = JobSpec {
        id: JobId::from_bits(u128::from(std::process::id())),
        entrypoint: "python main.py".to_owned(),
        package: Some(package(root)?),
        env: BTreeMap::from([(
            "TRY_SECRET".to_owned(),
            root.join("worker-0/key").to_string_lossy().into_owned(),
        )]),
    };
    head.runtime.submit_job(head.key, &job)?;
    head.runtime.submit_job(head.key, &job)?;
    let mut log = Vec::new();
    let first_task =
        |log: &[u8]| String::from_utf8_lossy(log).contains("task done on").then_some(());
    wait("first task seen", || follow(head, job.id, &mut log).map(|()| first_task(&log)))?;

    println!("the agents die and come back");
    // What an agent that is killed holds is closed by the kernel.
    workers.iter().filter_map(|worker| worker.mesh.as_ref()).for_each(|mesh| mesh.die());
    for worker in workers.iter_mut() {
        let idle = RayConfig { data_dir: root.join("idle"), ..worker.config.clone() };
        worker.runtime = RayRuntime::new(idle)?;
        worker.runtime = RayRuntime::new(worker.config.clone())?;
        ensure!(worker.runtime.adopt() == [worker.key], "find the node again");
        ensure!(phase(worker)?, "find the node ready");
    }
    let head = &mut workers[0];
    let ended = wait("job over", || {
        follow(head, job.id, &mut log)?;
        let state = head.runtime.job_state(head.key, job.id)?;
        Ok(state.is_over().then_some(state))
    })?;
    follow(head, job.id, &mut log)?;
    ensure!(ended == JobPhase::Succeeded, "see the job succeed: {ended:?}");
    for file in head.runtime.job_files(head.key, job.id)? {
        let mut text = String::new();
        head.runtime.open_job_file(head.key, job.id, &file.path)?.read_to_string(&mut text)?;
        println!("{} ({} bytes): {text}", file.path, file.bytes);
    }
    let last = workers.last_mut().context("have a last node")?;
    kill_raylet(&last.config.worker_name)?;
    let why = wait("death noticed", || match last.runtime.inspect(last.key).phase {
        NodePhase::Gone { reason } => Ok(Some(reason)),
        NodePhase::Starting | NodePhase::Ready => Ok(None),
    })?;
    println!("why: {why}");
    last.start(Some(gcs))?;
    wait("node back", || Ok(phase(last)?.then_some(())))
}

/// Kills the heart of this worker's node.
fn kill_raylet(name: &str) -> Result<()> {
    let read = |entry: &fs::DirEntry, file| {
        String::from_utf8_lossy(&fs::read(entry.path().join(file)).unwrap_or_default()).into_owned()
    };
    let ours = |entry: &fs::DirEntry| {
        read(entry, "comm").trim() == "raylet"
            && read(entry, "environ").contains(&format!("IOG_WORKER={name}"))
    };
    let raylet = fs::read_dir("/proc")?.flatten().find(ours).context("find the raylet")?;
    let pid = raylet.file_name();
    ensure!(Command::new("kill").arg("-KILL").arg(pid).status()?.success(), "kill the raylet");
    Ok(())
}

/// Prints what is new in a job's log.
fn follow(head: &Worker, job: JobId, log: &mut Vec<u8>) -> Result<()> {
    let offset = u64::try_from(log.len())?;
    let new = head.runtime.job_log(head.key, job, offset, 4_096)?;
    std::io::stdout().write_all(&new)?;
    log.extend(new);
    Ok(())
}

/// A zip file with the job's program.
fn package(root: &Path) -> Result<PathBuf> {
    let (program, package) = (root.join("main.py"), root.join("job.zip"));
    fs::write(&program, MAIN)?;
    let python = "/usr/bin/python3";
    let zipped =
        Command::new(python).args(["-m", "zipfile", "-c"]).args([&package, &program]).status()?;
    ensure!(zipped.success(), "make the job's package");
    Ok(package)
}

fn nothing_is_left(workers: &[Worker]) -> Result<()> {
    for worker in workers {
        let block = Block::starting_at(*worker.config.ports.start()).context("know the ports")?;
        ensure!(block.is_free(), "find the ports of {} free", worker.config.worker_name);
        let places = fs::read_dir(worker.config.data_dir.join("ray"))?.count();
        ensure!(places == 0, "find no folder of {}", worker.config.worker_name);
    }
    let marked = |pid: &fs::DirEntry| {
        let environ = fs::read(pid.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environ).contains("IOG_WORKER=try-")
    };
    let left = fs::read_dir("/proc")?.flatten().filter(marked).count();
    ensure!(left == 0, "find no process left: there are {left}");
    println!("nothing is left");
    Ok(())
}
