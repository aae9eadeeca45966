//! A cluster's jobs, through the HTTP API of its head.
//!
//! # Invariants
//! - A job's name in Ray is its id here, so that submitting twice is submitting once.
//! - Answers are bounded: a cluster is the renter's, and may say anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use units::JobId;
use ureq::unversioned::resolver::DefaultResolver;
use worker::JobPhase;

use crate::runtime::reach::{Dialer, Reach};

/// How long a question may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a look whether something answers may take; it is asked again soon.
const GLANCE: Duration = Duration::from_secs(2);
/// How long Ray may take to accept a job, whose package it unpacks first.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// How much of a refusal is told.
const REFUSAL_CHARS: usize = 2_000;

/// A job to run.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Which job.
    pub id: JobId,
    /// The shell command that runs it, in the working folder.
    pub entrypoint: String,
    /// The working folder, as a zip file on this machine.
    pub package: Option<PathBuf>,
    /// Environment variables of the job.
    pub env: BTreeMap<String, String>,
}

/// The HTTP API of one node.
#[derive(Debug)]
pub(super) struct Api {
    at: SocketAddr,
    token: String,
    reach: Reach,
}

struct Answer {
    status: u16,
    text: String,
}

/// What is asked with.
enum Body {
    None,
    Json(Value),
    Zip(File),
}

impl Api {
    /// The API at this address, for whoever has this token.
    pub(super) fn new(at: SocketAddr, token: &str, reach: Reach) -> Self {
        Self { at, token: token.to_owned(), reach }
    }

    fn ask(&self, method: &str, path: &str, body: Body, patience: Duration) -> Result<Answer> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(patience))
            .build();
        let dialer = Dialer { reach: self.reach.clone(), to: self.at };
        let agent = ureq::Agent::with_parts(config, dialer, DefaultResolver::default());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.at))
            .header("authorization", format!("Bearer {}", self.token));
        let answer = match body {
            Body::None => agent.run(request.body(())?),
            Body::Json(value) => agent
                .run(request.header("content-type", "application/json").body(value.to_string())?),
            Body::Zip(file) => {
                agent.run(request.header("content-type", "application/zip").body(file)?)
            }
        };
        let mut answer = answer.with_context(|| format!("ask {method} {path} of Ray"))?;
        let status = answer.status().as_u16();
        let limited = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text = String::from_utf8_lossy(&limited.context("read Ray's answer")?).into_owned();
        Ok(Answer { status, text })
    }

    /// Whether this path answers, and well.
    pub(super) fn is_well(&self, path: &str) -> bool {
        self.ask("GET", path, Body::None, GLANCE).is_ok_and(|answer| answer.status == 200)
    }

    /// Submits a job, unless Ray knows it already.
    pub(super) fn submit(&self, job: &JobSpec, results: &str) -> Result<()> {
        if self.job(job.id)?.is_some() {
            return Ok(());
        }
        let package = match &job.package {
            Some(path) => Some(self.upload(path)?),
            None => None,
        };
        let told = submission(job, results, package.as_deref());
        let answer = self.ask("POST", "/api/jobs/", Body::Json(told), SUBMIT_PATIENCE)?;
        if answer.status != 200 && self.job(job.id)?.is_none() {
            bail!("submit the job: Ray said {}: {}", answer.status, shortened(&answer.text));
        }
        Ok(())
    }

    /// Hands a zip file to the cluster. Returns what it is called there.
    fn upload(&self, path: &PathBuf) -> Result<String> {
        let name = format!("_ray_pkg_{}.zip", hash_of(path)?);
        let file = File::open(path).context("open the job's package")?;
        let at = format!("/api/packages/gcs/{name}");
        let answer = self.ask("PUT", &at, Body::Zip(file), SUBMIT_PATIENCE)?;
        ensure!(
            answer.status == 200,
            "upload the job's package: Ray said {}: {}",
            answer.status,
            shortened(&answer.text)
        );
        Ok(format!("gcs://{name}"))
    }

    fn job(&self, id: JobId) -> Result<Option<Value>> {
        let answer = self.ask("GET", &format!("/api/jobs/{id}"), Body::None, PATIENCE)?;
        match answer.status {
            200 => serde_json::from_str(&answer.text)
                .map(Some)
                .context("understand Ray's word on a job"),
            404 => Ok(None),
            status => bail!("ask after a job: Ray said {status}: {}", shortened(&answer.text)),
        }
    }

    /// How far a job has come; `None` if Ray does not know it.
    pub(super) fn phase(&self, id: JobId) -> Result<Option<JobPhase>> {
        self.job(id)?.map(|job| phase_of(&job)).transpose()
    }

    /// Asks Ray to stop a job. One that is over or unknown stays as it is.
    pub(super) fn stop(&self, id: JobId) -> Result<()> {
        let answer = self.ask("POST", &format!("/api/jobs/{id}/stop"), Body::None, PATIENCE)?;
        match answer.status {
            200 | 404 => Ok(()),
            status => bail!("stop a job: Ray said {status}: {}", shortened(&answer.text)),
        }
    }
}

fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    // The last line of a Python traceback is the one that says what is wrong.
    let told = lines.iter().rev().find(|line| line.len() > 3).copied().unwrap_or_default();
    told.chars().take(REFUSAL_CHARS).collect()
}

fn hash_of(path: &PathBuf) -> Result<String> {
    let mut file = File::open(path).context("open the job's package")?;
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut part).context("read the job's package")?;
        if length == 0 {
            return Ok(HEXLOWER.encode(&hash.finalize()));
        }
        hash.update(&part[..length]);
    }
}

/// What Ray is told of a job.
fn submission(job: &JobSpec, results: &str, package: Option<&str>) -> Value {
    let mut env = job.env.clone();
    env.insert("IOG_JOB".to_owned(), job.id.to_string());
    env.insert("IOG_RESULTS".to_owned(), results.to_owned());
    let mut runtime = json!({ "env_vars": env });
    if let Some(package) = package {
        runtime["working_dir"] = json!(package);
    }
    json!({ "entrypoint": job.entrypoint, "submission_id": job.id.to_string(), "runtime_env": runtime })
}

/// Reads Ray's word on a job.
fn phase_of(job: &Value) -> Result<JobPhase> {
    let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("status") {
        "PENDING" => Ok(JobPhase::Pending),
        "RUNNING" => Ok(JobPhase::Running),
        "SUCCEEDED" => Ok(JobPhase::Succeeded),
        "STOPPED" => Ok(JobPhase::Stopped),
        "FAILED" => {
            Ok(JobPhase::Failed { message: text("message").chars().take(REFUSAL_CHARS).collect() })
        }
        other => bail!("understand a job's status: Ray said `{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobSpec {
        let env = BTreeMap::from([("IOG_JOB".to_owned(), "forged".to_owned())]);
        JobSpec {
            id: JobId::from_bits(7),
            entrypoint: "python main.py".to_owned(),
            package: None,
            env,
        }
    }

    #[test]
    fn a_job_is_told_under_its_own_id_and_cannot_pass_for_another() {
        let told = submission(&job(), "/iog/results/x", Some("gcs://_ray_pkg_1.zip"));
        assert_eq!(told["submission_id"], "job_00000000000000000000000007");
        assert_eq!(told["runtime_env"]["env_vars"]["IOG_JOB"], "job_00000000000000000000000007");
        assert_eq!(told["runtime_env"]["env_vars"]["IOG_RESULTS"], "/iog/results/x");
        assert_eq!(told["runtime_env"]["working_dir"], "gcs://_ray_pkg_1.zip");
        assert_eq!(submission(&job(), "/r", None)["runtime_env"].get("working_dir"), None);
    }

    #[test]
    fn every_status_of_ray_is_known() {
        let phase = |status: &str| phase_of(&json!({ "status": status, "message": "oh" }));
        assert_eq!(phase("PENDING").unwrap(), JobPhase::Pending);
        assert_eq!(phase("RUNNING").unwrap(), JobPhase::Running);
        assert_eq!(phase("SUCCEEDED").unwrap(), JobPhase::Succeeded);
        assert_eq!(phase("STOPPED").unwrap(), JobPhase::Stopped);
        assert_eq!(phase("FAILED").unwrap(), JobPhase::Failed { message: "oh".to_owned() });
        assert!(phase("DANCING").is_err() && phase_of(&json!([])).is_err());
    }

    #[test]
    fn of_a_traceback_the_last_line_is_told() {
        assert_eq!(shortened("Traceback\n  File x\nValueError: no\n.\n"), "ValueError: no");
        assert_eq!(shortened(""), "");
    }
}
