//! What runs nodes on this machine, as the agent uses it.

use std::fs::File;

use anyhow::Result;
use units::{JobId, Name};
use worker::{JobPhase, NodeKey, NodeOrder, NodeSeen};

use crate::config::Config;
use crate::runtime::beneath::FileSeen;
use crate::runtime::environment::Environment;
use crate::runtime::{JobSpec, RayConfig, RayRuntime, Secrets};

/// Makes what nodes need; told twice, it is done once. Takes minutes, and runs beside everything else.
pub type Preparation = Box<dyn FnMut(&mut dyn FnMut(&str)) -> Result<()> + Send>;

/// Runs nodes. Used by one thread; every call may block, none for ever.
pub trait Runs: Send {
    /// What has to be done once before a node can start.
    fn preparation(&self) -> Preparation;
    /// Every node that an earlier agent left, alive or not.
    fn adopt(&mut self) -> Vec<NodeKey>;
    /// Starts a node; told twice, it is started once.
    fn start(&mut self, order: &NodeOrder, cluster_token: &str) -> Result<()>;
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
pub(crate) struct Ray {
    runtime: RayRuntime,
    environment: Environment,
    nodes: std::path::PathBuf,
}

impl Ray {
    /// Finds out what works here. Starts nothing.
    pub(crate) fn new(config: &Config, name: &Name) -> Result<Self> {
        std::fs::create_dir_all(&config.runtimes)?;
        let shared = std::fs::canonicalize(&config.runtimes)?;
        let environment = Environment::under(&shared);
        let runtime = RayRuntime::new(RayConfig {
            data_dir: config.data.clone(),
            shared_dir: shared,
            address: config.address,
            ports: config.ports.clone(),
            worker_name: name.to_string(),
            sandbox: config.sandbox,
        })?;
        Ok(Self { runtime, environment, nodes: config.data.join("ray") })
    }

    /// The nodes that have a place on disk.
    fn on_disk(&self) -> Vec<NodeKey> {
        let entries = std::fs::read_dir(&self.nodes).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| key_of(&name)).collect()
    }
}

/// Reads `rnt_…-3`.
fn key_of(place: &str) -> Option<NodeKey> {
    let (rental, node) = place.rsplit_once('-')?;
    Some(NodeKey { rental: rental.parse().ok()?, node: node.parse().ok()? })
}

impl Runs for Ray {
    fn preparation(&self) -> Preparation {
        let environment = self.environment.clone();
        Box::new(move |progress| environment.prepare(progress))
    }

    fn adopt(&mut self) -> Vec<NodeKey> {
        self.runtime.adopt();
        self.on_disk()
    }

    fn start(&mut self, order: &NodeOrder, cluster_token: &str) -> Result<()> {
        self.runtime.start(order, &Secrets { token: cluster_token.to_owned() })
    }

    fn inspect(&mut self, key: NodeKey) -> NodeSeen {
        self.runtime.inspect(key)
    }

    fn stop(&mut self, key: NodeKey) -> Result<()> {
        self.runtime.stop(key)
    }

    fn submit_job(&mut self, key: NodeKey, job: &JobSpec) -> Result<()> {
        self.runtime.submit_job(key, job)
    }

    fn job_state(&mut self, key: NodeKey, job: JobId) -> Result<Option<JobPhase>> {
        match self.runtime.job_state(key, job) {
            Ok(phase) => Ok(Some(phase)),
            Err(fault) if fault.to_string().ends_with("Ray does not know it") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn stop_job(&mut self, key: NodeKey, job: JobId) -> Result<()> {
        self.runtime.stop_job(key, job)
    }

    fn job_log(&mut self, key: NodeKey, job: JobId, offset: u64, limit: usize) -> Result<Vec<u8>> {
        self.runtime.job_log(key, job, offset, limit)
    }

    fn job_files(&mut self, key: NodeKey, job: JobId) -> Result<Vec<FileSeen>> {
        self.runtime.job_files(key, job)
    }

    fn open_job_file(&mut self, key: NodeKey, job: JobId, path: &str) -> Result<File> {
        self.runtime.open_job_file(key, job, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::RentalId;

    #[test]
    fn a_place_on_disk_names_its_node() {
        let key = NodeKey { rental: RentalId::from_bits(35), node: 12 };
        assert_eq!(key_of(&format!("{}-12", key.rental)), Some(key));
        assert_eq!(key_of("sandbox-probe"), None);
    }
}
