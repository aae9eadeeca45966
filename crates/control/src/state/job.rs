//! Pieces of work submitted to rentals.

use std::collections::BTreeMap;

use units::{BlobId, JobId, RentalId, Timestamp};

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum JobStage {
    /// The cluster was asked, or will be.
    Pending,
    /// Its driver runs.
    Running,
    /// Its driver ended well.
    Succeeded,
    /// Its driver ended badly.
    Failed {
        /// Why.
        message: String,
    },
    /// It was stopped, by the renter or with the rental.
    Stopped,
}

impl JobStage {
    /// Whether nothing more will happen to it.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed { .. } | Self::Stopped => true,
        }
    }

    /// How it is written.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A piece of work submitted to a rental.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Where it runs.
    pub rental: RentalId,
    /// Its command.
    pub entrypoint: String,
    /// Its working folder, a zip file.
    pub package: Option<BlobId>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Where it stands.
    pub stage: JobStage,
    /// Whether the renter wants it stopped.
    pub stop_asked: bool,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

impl Job {
    pub(crate) fn new(id: JobId, rental: RentalId, work: Work, submitted_at: Timestamp) -> Self {
        let Work { entrypoint, package, env } = work;
        let (stage, ended_at) = (JobStage::Pending, None);
        Self {
            id,
            rental,
            entrypoint,
            package,
            env,
            stage,
            stop_asked: false,
            submitted_at,
            ended_at,
        }
    }
}

/// What a job is to do.
pub(crate) struct Work {
    /// Its command.
    pub(crate) entrypoint: String,
    /// Its working folder.
    pub(crate) package: Option<BlobId>,
    /// Its environment.
    pub(crate) env: BTreeMap<String, String>,
}
