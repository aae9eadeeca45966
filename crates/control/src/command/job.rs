//! Jobs on a running rental.

use std::collections::BTreeMap;

use market::Stage;
use units::{JobId, RentalId, Timestamp};

use super::Standing;
use crate::effect::Subject;
use crate::limits::{ENTRYPOINT_BYTES_MAX, JOB_ENV_BYTES_MAX, JOBS_OPEN_MAX, REASON_BYTES_MAX};
use crate::record::{Actor, JobSaid, PhaseSaid};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Job, JobStage, Reply};

impl Control {
    pub(crate) fn submit_job(&mut self, by: Actor, job: Job) -> Result<Reply, Refusal> {
        let rental = self.known_rental(job.rental)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Rental))?;
        if self.jobs.contains_key(&job.id) {
            return Err(Refusal::Exists(Noun::Job));
        }
        check_job(&job.entrypoint, &job.env)?;
        let Stage::Running { .. } = rental.stage else {
            return Err(market::StageRefusal { stage: rental.stage.text() }.into());
        };
        let open = rental
            .jobs
            .iter()
            .filter(|id| self.jobs.get(id).is_some_and(|job| !job.stage.is_over()));
        if open.count() >= JOBS_OPEN_MAX {
            return Err(Refusal::TooMany { what: "jobs", max: JOBS_OPEN_MAX });
        }
        let head = rental.nodes.first().map(|head| head.seat.worker);
        let id = job.id;
        if let Some(rental) = self.rentals.get_mut(&job.rental) {
            rental.jobs.push(id);
        }
        self.jobs.insert(id, job);
        self.changed(Subject::Job(id));
        if let Some(head) = head {
            self.nudge(head);
        }
        Ok(Reply::Job(id))
    }

    pub(crate) fn stop_job(&mut self, by: Actor, id: JobId) -> Result<Reply, Refusal> {
        let job = self.jobs.get(&id).ok_or(Refusal::NotFound(Noun::Job))?;
        let rental = self.known_rental(job.rental)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Job))?;
        if job.stage.is_over() || job.stop_asked {
            return Ok(Reply::Done);
        }
        let head = rental.nodes.first().map(|head| head.seat.worker);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.stop_asked = true;
        }
        self.changed(Subject::Job(id));
        if let Some(head) = head {
            self.nudge(head);
        }
        Ok(Reply::Done)
    }

    /// The machine of a rental's head says how far a job has come.
    pub(crate) fn job_said(&mut self, said: JobSaid, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(&said.job) else { return };
        if job.stage.is_over() {
            return;
        }
        let next = match said.phase {
            PhaseSaid::Starting => JobStage::Pending,
            PhaseSaid::Running => JobStage::Running,
            PhaseSaid::Succeeded => JobStage::Succeeded,
            PhaseSaid::Failed { message } => JobStage::Failed { message: cut(message) },
            PhaseSaid::Stopped => JobStage::Stopped,
            PhaseSaid::Ready | PhaseSaid::Gone { .. } => return,
        };
        if next == job.stage {
            return;
        }
        job.ended_at = next.is_over().then_some(now);
        job.stage = next;
        self.changed(Subject::Job(said.job));
    }

    /// A rental's machines are being cleared: what still runs there ends with it.
    pub(crate) fn stop_jobs_of(&mut self, rental: RentalId, now: Timestamp) {
        let Some(rental) = self.rentals.get(&rental) else { return };
        for id in rental.jobs.clone() {
            let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.stage.is_over()) else {
                continue;
            };
            job.stage = JobStage::Stopped;
            job.ended_at = Some(now);
            self.changed(Subject::Job(id));
        }
    }
}

/// What is nobody's business is not found under the name that was asked for.
pub(super) fn hide(refusal: Refusal, noun: Noun) -> Refusal {
    if let Refusal::NotFound(_) = refusal { Refusal::NotFound(noun) } else { refusal }
}

/// The text, cut to what a reason may be.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        let end = (0..=REASON_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn check_job(entrypoint: &str, env: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let invalid = |field, why| Err(Refusal::Invalid { field, why });
    if entrypoint.trim().is_empty() || entrypoint.len() > ENTRYPOINT_BYTES_MAX {
        return invalid("entrypoint", format!("a command of 1 to {ENTRYPOINT_BYTES_MAX} bytes"));
    }
    let bytes: usize = env.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > JOB_ENV_BYTES_MAX {
        return invalid("env", format!("at most {JOB_ENV_BYTES_MAX} bytes in all"));
    }
    let word = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match env.iter().find(|(name, value)| !word(name) || value.contains('\0')) {
        Some((name, _)) => invalid("env", format!("`{name}` is no name of a variable")),
        None => Ok(()),
    }
}
