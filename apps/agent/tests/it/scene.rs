//! A machine in a network: a control plane, a data folder, an agent that runs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use agent::{Config, Offers, Sandbox, join, run_with};
use units::{JobId, RentalId, Resources};
use wire::{Beat, JobWanted, NodePhase, NodeWanted};
use worker::NodeKey;

use crate::nodes::{Nodes, World};
use crate::plane::{PATIENCE, Plane, TOKEN};

pub(crate) const HEAD: NodeKey = NodeKey { rental: RentalId::from_bits(9), node: 0 };
pub(crate) const JOB: JobId = JobId::from_bits(31);

static SCENES: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Scene {
    pub(crate) plane: Plane,
    pub(crate) nodes: Nodes,
    pub(crate) config: Config,
    agent: Option<(Arc<AtomicBool>, JoinHandle<anyhow::Result<()>>)>,
    folder: PathBuf,
}

impl Scene {
    /// A machine that has not joined.
    pub(crate) fn new() -> Self {
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("iog-agent-it-{}-{number}", std::process::id()));
        let plane = Plane::start();
        let config = Config {
            data: folder.join("data"),
            server: plane.url(),
            name: Some("rack-3".parse().unwrap()),

            part: 0,
            offers: Offers {
                vcpus: Some(1),
                memory_mib: Some(64),
                disk_mib: Some(64),
                no_gpus: true,
            },
            country: None,
            address: IpAddr::from([127, 0, 0, 1]),
            ports: 20_000..=20_999,
            runtimes: folder.join("runtimes"),
            sandbox: Sandbox::Plain,
            own_network: false,
            egress: agent::Egress::Internet,
            stop_foreign: false,
            driver: None,
            reports: None,
        };
        Self { plane, nodes: Nodes::default(), config, agent: None, folder }
    }

    /// A machine that has joined and whose agent runs.
    pub(crate) fn at_work() -> Self {
        let mut scene = Self::new();
        join(&scene.config, TOKEN).unwrap();
        scene.start();
        scene
    }

    pub(crate) fn start(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let (config, nodes, told) = (self.config.clone(), self.nodes.clone(), stop.clone());
        let agent = thread::spawn(move || run_with(&config, Box::new(nodes), &told));
        self.agent = Some((stop, agent));
    }

    pub(crate) fn stop(&mut self) {
        if let Some((stop, agent)) = self.agent.take() {
            stop.store(true, Ordering::Relaxed);
            agent.join().unwrap().unwrap();
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Changes what is on the machine.
    pub(crate) fn world(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.nodes.world());
    }

    /// Waits until the machine is as it should be.
    pub(crate) fn until_world(&self, what: &str, look: impl Fn(&World) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !look(&self.nodes.world()) {
            assert!(Instant::now() < until, "in vain: {what}");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits for a beat.
    pub(crate) fn until_beat(&self, what: &str, look: impl Fn(&Beat) -> bool) -> Beat {
        self.plane.until(what, |state| state.beats.iter().find(|beat| look(beat)).cloned())
    }

    /// Makes the head of a rental ready, with these jobs wanted.
    pub(crate) fn ready_with(&self, jobs: Vec<JobWanted>) {
        self.plane.want(vec![head(jobs)]);
        self.until_world("the head is started", |world| world.nodes.contains_key(&HEAD));
        self.world(|world| {
            let node = world.nodes.get_mut(&HEAD).unwrap();
            node.phase = worker::NodePhase::Ready;
            node.head = Some("127.0.0.1:20000".parse().unwrap());
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.plane.close();
        if !thread::panicking() {
            self.stop();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The head of a cluster of one.
pub(crate) fn head(jobs: Vec<JobWanted>) -> NodeWanted {
    NodeWanted {
        rental: HEAD.rental,
        node: 0,
        nodes: 1,
        resources: Resources { gpus: 0, vcpus: 1, memory_mib: 64, disk_mib: 64 },
        gpus: Vec::new(),
        head: None,
        mesh: None,
        cluster_token: "5ecret".to_owned(),
        jobs,
    }
}

pub(crate) fn job(package: Option<units::BlobId>) -> JobWanted {
    JobWanted {
        job: JOB,
        entrypoint: "python main.py".to_owned(),
        package,
        env: std::collections::BTreeMap::new(),
        stop: false,
    }
}

/// Whether a beat says that the head is so far.
pub(crate) fn head_is(phase: &NodePhase) -> impl Fn(&Beat) -> bool {
    move |beat| beat.nodes.iter().any(|node| node.node == 0 && node.phase == *phase)
}

/// Whether a beat says that the job is so far.
pub(crate) fn job_is(phase: &wire::JobPhase) -> impl Fn(&Beat) -> bool {
    move |beat| beat.jobs.iter().any(|job| job.job == JOB && job.phase == *phase)
}
