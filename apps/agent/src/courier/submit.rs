//! Hands a job to its cluster, with its package.

use anyhow::{Context, Result};
use worker::{JobOrder, JobPhase};

use super::packages::Missing;
use super::{Bag, contains};
use crate::backoff::Backoff;
use crate::hands::Event;
use crate::limits::{FETCH_TRIES, SUBMIT_TRIES};
use crate::link::Trouble;
use crate::runtime::JobSpec;

/// Submits a job, or says why it failed. A job that the cluster knows is left as it is.
pub(super) fn submit(bag: &Bag, order: &JobOrder) {
    let (key, id) = (bag.key, order.id);
    if bag.desk.ask(move |runs| runs.job_state(key, id)).is_ok_and(|known| known.is_some()) {
        return;
    }
    if let Err(fault) = fetch(bag, order).and_then(|job| hand_over(bag, &job)) {
        if bag.quit.is_said() {
            return;
        }
        let message = format!("{fault:#}");
        tracing::warn!(job = %id, message, "a job could not be handed to its cluster");
        bag.say(Event::Job(key, id, JobPhase::Failed { message }));
    }
}

fn fetch(bag: &Bag, order: &JobOrder) -> Result<JobSpec> {
    let mut job = JobSpec {
        id: order.id,
        entrypoint: order.entrypoint.clone(),
        package: None,
        env: order.env.clone(),
    };
    let Some(blob) = order.package else { return Ok(job) };
    let (mut backoff, mut tries) = (Backoff::default(), 0);
    loop {
        let missing = match bag.packages.get(&bag.link, blob, bag.key.rental) {
            Ok(path) => {
                job.package = Some(path);
                return Ok(job);
            }
            Err(missing) => missing,
        };
        match &missing {
            // As long as it takes: the brain gives up after a long silence.
            Missing::Trouble(Trouble::Weather(_)) => {}
            Missing::Trouble(Trouble::Refused(_)) | Missing::TooLarge(_) => {
                return Err(missing).context("fetch the job's package");
            }
            Missing::Broken(_) | Missing::Disk(_) => tries += 1,
        }
        tracing::warn!(job = %order.id, %missing, "a job's package is not there yet");
        let gone = contains(&bag.ended, order.id) || bag.quit.wait(backoff.next());
        if gone || tries >= FETCH_TRIES {
            return Err(missing).context("fetch the job's package");
        }
    }
}

fn hand_over(bag: &Bag, job: &JobSpec) -> Result<()> {
    let (mut backoff, mut tries) = (Backoff::default(), 0);
    loop {
        let (key, ended, spec) = (bag.key, bag.ended.clone(), job.clone());
        let submitted = bag.desk.ask(move |runs| {
            // Looked at here, where no request to stop can come in between.
            if contains(&ended, spec.id) { Ok(()) } else { runs.submit_job(key, &spec) }
        });
        tries += 1;
        let Err(fault) = submitted else {
            tracing::info!(job = %job.id, rental = %key.rental, "a job was handed to its cluster");
            return Ok(());
        };
        if tries >= SUBMIT_TRIES || bag.quit.wait(backoff.next()) {
            return Err(fault);
        }
    }
}
