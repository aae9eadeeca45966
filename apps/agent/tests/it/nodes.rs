//! Nodes that do what a test says, in place of Ray's: starting real clusters is the example `ray_try`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use agent::runtime::JobSpec;
use agent::runtime::beneath::FileSeen;
use agent::runtime::net::Addresses;
use agent::{Preparation, Runs};
use anyhow::{Context, Result, bail};
use units::JobId;
use worker::{JobPhase, NodeKey, NodeOrder, NodePhase, NodeSeen};

/// What is on the machine; it outlives agents.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<NodeKey, NodeSeen>,
    pub(crate) tokens: BTreeMap<NodeKey, String>,
    pub(crate) starts: Vec<NodeKey>,
    pub(crate) stops: Vec<NodeKey>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) refuses_to_start: Option<String>,
    pub(crate) preparation_fails: bool,
    pub(crate) unwell: BTreeSet<NodeKey>,
}

pub(crate) struct Job {
    pub(crate) phase: JobPhase,
    pub(crate) package: Option<Vec<u8>>,
    pub(crate) submitted: usize,
    pub(crate) log: Vec<u8>,
    pub(crate) files: BTreeMap<String, PathBuf>,
}

#[derive(Clone, Default)]
pub(crate) struct Nodes(Arc<Mutex<World>>);

impl Nodes {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Runs for Nodes {
    fn preparation(&self) -> Preparation {
        let nodes = self.clone();
        Box::new(move |progress| {
            progress("looking around");
            if nodes.world().preparation_fails { bail!("reach the index") } else { Ok(()) }
        })
    }

    fn adopt(&mut self) -> Vec<NodeKey> {
        self.world().nodes.keys().copied().collect()
    }

    fn start(
        &mut self,
        order: &NodeOrder,
        cluster_token: &str,
        _network: Option<&Addresses>,
    ) -> Result<()> {
        let mut world = self.world();
        if let Some(why) = &world.refuses_to_start {
            bail!("{why}");
        }
        world.starts.push(order.key);
        world.tokens.insert(order.key, cluster_token.to_owned());
        world.nodes.insert(order.key, NodeSeen { phase: NodePhase::Starting, head: None });
        Ok(())
    }

    fn inspect(&mut self, key: NodeKey) -> NodeSeen {
        let reason = "it is not here".to_owned();
        let gone = NodeSeen { phase: NodePhase::Gone { reason }, head: None };
        self.world().nodes.get(&key).cloned().unwrap_or(gone)
    }

    fn stop(&mut self, key: NodeKey) -> Result<()> {
        let mut world = self.world();
        world.stops.push(key);
        world.nodes.remove(&key);
        Ok(())
    }

    fn submit_job(&mut self, _key: NodeKey, job: &JobSpec) -> Result<()> {
        let package = job.package.as_ref().map(std::fs::read).transpose()?;
        let mut world = self.world();
        let known = world.jobs.entry(job.id).or_insert(Job {
            phase: JobPhase::Pending,
            package,
            submitted: 0,
            log: Vec::new(),
            files: BTreeMap::new(),
        });
        known.submitted += 1;
        Ok(())
    }

    fn job_state(&mut self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>> {
        let world = self.world();
        if world.unwell.contains(&key) {
            bail!("hear from the cluster");
        }
        Ok(world.jobs.get(&job).map(|job| job.phase.clone()))
    }

    fn stop_job(&mut self, _key: NodeKey, job: JobId) -> Result<()> {
        if let Some(job) = self.world().jobs.get_mut(&job).filter(|job| !job.phase.is_over()) {
            job.phase = JobPhase::Stopped;
        }
        Ok(())
    }

    fn job_log(&mut self, _key: NodeKey, job: JobId, offset: u64, limit: usize) -> Result<Vec<u8>> {
        let world = self.world();
        let log = world.jobs.get(&job).map_or(&[][..], |job| &job.log);
        let rest = log.iter().skip(usize::try_from(offset)?);
        Ok(rest.take(limit).copied().collect())
    }

    fn job_files(&mut self, _key: NodeKey, job: JobId) -> Result<Vec<FileSeen>> {
        let world = self.world();
        let files = &world.jobs.get(&job).context("find the job")?.files;
        let seen = |(path, at): (&String, &PathBuf)| {
            Ok(FileSeen { path: path.clone(), bytes: std::fs::metadata(at)?.len() })
        };
        files.iter().map(seen).collect()
    }

    fn open_job_file(&mut self, _key: NodeKey, job: JobId, path: &str) -> Result<File> {
        let world = self.world();
        let at = world.jobs.get(&job).and_then(|job| job.files.get(path));
        Ok(File::open(at.context("find the file")?)?)
    }
}
