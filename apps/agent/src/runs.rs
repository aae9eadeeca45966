//! What runs nodes on this machine, as the agent uses it.

use std::fs::File;
use std::sync::Arc;

use anyhow::Result;
use units::{JobId, Name};
use worker::{JobPhase, NodeKey, NodeOrder, NodeSeen};

use crate::config::Config;
use crate::runtime::beneath::FileSeen;
use crate::runtime::net::{Addresses, Nets};
use crate::runtime::{AgentProgram, JobSpec, RayConfig, RayRuntime, Secrets};

/// Makes what nodes need; told twice, it is done once. Takes minutes, and runs beside everything else.
pub type Preparation = Box<dyn FnMut(&mut dyn FnMut(&str)) -> Result<()> + Send>;

/// Runs nodes. Used by one thread; every call may block, none for ever.
pub trait Runs: Send {
    /// What has to be done once before a node can start.
    fn preparation(&self) -> Preparation;
    /// Whether nodes can have a network of their own, or why not.
    ///
    /// # Errors
    /// Why not, in words.
    fn can_mesh(&self) -> Result<(), String> {
        Err("nodes that are not real have none".to_owned())
    }
    /// Every node that an earlier agent left, alive or not.
    fn adopt(&mut self) -> Vec<NodeKey>;
    /// Starts a node, in a network of its own if it is told its addresses there; told twice, it is started once. One
    /// that is to have such a network is not started without.
    fn start(
        &mut self,
        order: &NodeOrder,
        cluster_token: &str,
        network: Option<&Addresses>,
    ) -> Result<()>;
    /// How far a node has come.
    fn inspect(&mut self, key: NodeKey) -> NodeSeen;
    /// Ends a node and removes what it left; one that is not here is stopped already.
    fn stop(&mut self, key: NodeKey) -> Result<()>;
    /// Hands a job to a head; told twice, it runs once.
    fn submit_job(&mut self, key: NodeKey, job: &JobSpec) -> Result<()>;
    /// How far a job has come; `None` if the cluster does not know it.
    fn job_state(&mut self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>>;
    /// Asks a cluster to end a job; one that is over or not known stays as it is.
    fn stop_job(&mut self, key: NodeKey, job: JobId) -> Result<()>;
    /// A part of a job's log; empty where there is nothing.
    fn job_log(&mut self, key: NodeKey, job: JobId, offset: u64, limit: usize) -> Result<Vec<u8>>;
    /// The files a job left.
    fn job_files(&mut self, key: NodeKey, job: JobId) -> Result<Vec<FileSeen>>;
    /// One of them, to be read.
    fn open_job_file(&mut self, key: NodeKey, job: JobId, path: &str) -> Result<File>;
}

/// The real one: Ray.
pub(crate) fn ray(config: &Config, name: &Name, nets: Arc<dyn Nets>) -> Result<RayRuntime> {
    RayRuntime::new(RayConfig {
        data_dir: config.data.clone(),
        shared_dir: config.runtimes.clone(),
        address: config.address,
        ports: config.ports.clone(),
        worker_name: name.to_string(),
        sandbox: config.sandbox,
        driver: config.driver.clone(),
        own_network: config.own_network,
        egress: config.egress,
        nets,
        program: AgentProgram::running(),
    })
}

impl Runs for RayRuntime {
    fn preparation(&self) -> Preparation {
        let environment = self.environment().clone();
        Box::new(move |progress| environment.prepare(progress))
    }

    fn can_mesh(&self) -> Result<(), String> {
        Self::can_mesh(self).map_err(str::to_owned)
    }

    fn adopt(&mut self) -> Vec<NodeKey> {
        self.on_record()
    }

    fn start(
        &mut self,
        order: &NodeOrder,
        cluster_token: &str,
        network: Option<&Addresses>,
    ) -> Result<()> {
        Self::start(self, order, &Secrets { token: cluster_token.to_owned() }, network)
    }

    fn inspect(&mut self, key: NodeKey) -> NodeSeen {
        Self::inspect(self, key)
    }

    fn stop(&mut self, key: NodeKey) -> Result<()> {
        Self::stop(self, key)
    }

    fn submit_job(&mut self, key: NodeKey, job: &JobSpec) -> Result<()> {
        Self::submit_job(self, key, job)
    }

    fn job_state(&mut self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>> {
        self.find_job(key, job)
    }

    fn stop_job(&mut self, key: NodeKey, job: JobId) -> Result<()> {
        Self::stop_job(self, key, job)
    }

    fn job_log(&mut self, key: NodeKey, job: JobId, offset: u64, limit: usize) -> Result<Vec<u8>> {
        Self::job_log(self, key, job, offset, limit)
    }

    fn job_files(&mut self, key: NodeKey, job: JobId) -> Result<Vec<FileSeen>> {
        Self::job_files(self, key, job)
    }

    fn open_job_file(&mut self, key: NodeKey, job: JobId, path: &str) -> Result<File> {
        Self::open_job_file(self, key, job, path)
    }
}
