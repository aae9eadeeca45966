//! Jobs on a rental.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{BlobId, JobId, RentalId};
use utoipa::ToSchema;

use crate::Time;

/// Submits a job to a running rental.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The shell command to run in the working folder, on the cluster's head.
    pub entrypoint: String,
    /// The working folder: a zip file that was put to `/v1/blobs/{sha256}` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<BlobId>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// Where it runs.
    pub rental: RentalId,
    /// Its command.
    pub entrypoint: String,
    /// Its working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<BlobId>,
    /// `pending`, `running`, `succeeded`, `failed` or `stopped`.
    pub state: String,
    /// What went wrong, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it was asked to stop.
    pub stop_asked: bool,
    /// When it was submitted.
    pub submitted_at: Time,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// A file that a job wrote into its results folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Its path in that folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}
