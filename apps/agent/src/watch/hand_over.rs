//! Hands sealed records over to the control plane, oldest first, beside everything else.
//!
//! # Invariants
//! - A record stays on disk until the control plane has said that it is durable, or that it will never take it.
//! - Records leave in the order in which they were sealed: each names the one before.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::SealedRecords;
use crate::limits::HAND_OVER_EVERY;
use crate::link::{Link, Refusal, Trouble};
use crate::mood::Mood;
use crate::quit::Quit;

/// Codes of refusals that say of a record that it will never be taken.
const NEVER: [&str; 2] = ["record-refused", "too-large"];

/// Hands over what this folder's agents have sealed, until the agent stops.
pub(crate) fn start(link: &Arc<Link>, data: &Path, quit: &Quit) -> Result<()> {
    let (link, records, quit) = (link.clone(), SealedRecords::under(data), quit.clone());
    let work = move || {
        let mut mood = Mood::new("records");
        while !quit.wait(one(&link, &records, &mut mood)) {}
    };
    let started = thread::Builder::new().name("hand-over".to_owned()).spawn(work);
    started.map(drop).context("start a thread")
}

/// Hands over the oldest record, if there is one. Returns how long to wait before the next.
fn one(link: &Link, records: &SealedRecords, mood: &mut Mood) -> Duration {
    let Some((name, bytes)) = records.oldest() else { return HAND_OVER_EVERY };
    match link.hand_over(&bytes) {
        Ok(kept) => {
            mood.good();
            let wire::LockKept { record, up_minutes, broken_minutes, .. } = kept;
            tracing::info!(%record, up_minutes, broken_minutes, "a record of time-lock was handed over");
            records.done(&name);
            Duration::ZERO
        }
        Err(Trouble::Refused(Refusal { code, detail, .. })) if NEVER.contains(&code.as_str()) => {
            tracing::warn!(name, code, detail, "a record of time-lock was refused, and is dropped");
            records.done(&name);
            Duration::ZERO
        }
        Err(trouble) => mood.bad(trouble),
    }
}
