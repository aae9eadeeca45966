//! Hands over the logs of running jobs as they grow.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::Result;
use units::JobId;

use super::{Bag, remove};
use crate::backoff::Backoff;
use crate::limits::{FOLLOW_EVERY, LOG_BYTES_MAX, LOG_PART_BYTES};
use crate::link::Trouble;

/// The code of a refusal that says how much of a log is there is not known here.
const LOG_GAP: &str = "log-gap";

/// Follows the logs of jobs until the node ends.
pub(super) fn follow(bag: &Bag) {
    let mut stored = BTreeMap::new();
    let (mut backoff, mut wait) = (Backoff::default(), FOLLOW_EVERY);
    while !bag.quit.wait(wait) {
        let jobs = bag.followed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stored.retain(|job, _| jobs.contains(job));
        wait = FOLLOW_EVERY;
        for job in jobs {
            match advance(bag, job, &mut stored) {
                Ok(()) => backoff.reset(),
                Err(trouble) => wait = wait.max(on_trouble(bag, job, &trouble, &mut backoff)),
            }
        }
    }
}

fn on_trouble(
    bag: &Bag,
    job: JobId,
    trouble: &Trouble,
    backoff: &mut Backoff,
) -> std::time::Duration {
    match trouble {
        Trouble::Weather(_) => backoff.next(),
        Trouble::Refused(_) => {
            tracing::warn!(%job, %trouble, "a job's log is not followed any further");
            remove(&bag.followed, job);
            FOLLOW_EVERY
        }
    }
}

/// Hands over what is new in a job's log.
fn advance(bag: &Bag, job: JobId, stored: &mut BTreeMap<JobId, u64>) -> Result<(), Trouble> {
    let mut offset = match stored.get(&job) {
        Some(offset) => *offset,
        None => bag.link.put_log(job, 0, &[])?,
    };
    while offset < LOG_BYTES_MAX && !bag.quit.is_said() {
        // A node that cannot be read is looked at elsewhere.
        let part = read(bag, job, offset).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        offset = push(bag, job, offset, &part)?;
    }
    stored.insert(job, offset);
    Ok(())
}

/// A part of a job's log from here, no further than is kept.
pub(super) fn read(bag: &Bag, job: JobId, offset: u64) -> Result<Vec<u8>> {
    let left = usize::try_from(LOG_BYTES_MAX.saturating_sub(offset)).unwrap_or(usize::MAX);
    let (key, limit) = (bag.key, left.min(LOG_PART_BYTES));
    bag.desk.ask(move |runs| runs.job_log(key, job, offset, limit))
}

/// Hands a part over. Returns from where to go on.
pub(super) fn push(bag: &Bag, job: JobId, offset: u64, part: &[u8]) -> Result<u64, Trouble> {
    match bag.link.put_log(job, offset, part) {
        Err(Trouble::Refused(refusal)) if refusal.code == LOG_GAP => bag.link.put_log(job, 0, &[]),
        answer => answer,
    }
}
