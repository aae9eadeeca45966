//! Trials of newcomers, seen to: begun when the brain says who is due, and judged by what their stress job left.
//!
//! ```text
//!   trials_due ──► BeginTrial ──► machines make a cluster, as for a rental ──► its head runs the stress job
//!   trials_over ◄── beats ─────────────────────────────────────────────────────┘   │ stress.json
//!        └──► judge ◄──────────────────────────────────────────────────────────────┘
//!               └──► EndTrial: each machine passed or not, and why
//! ```
//!
//! # Invariants
//! - Nothing is kept here: all of it follows from the brain and from files, so that a restart goes on with it.
//! - Trials at one time have an end, and what a trial left is removed once it is judged.
//! - Only a machine whose node the brain has seen at work passes, whatever the stress job says.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use control::{Actor, Command, Control, NodeStage, Trial, TrialSaid};
use serde::Deserialize;
use tokio::sync::watch;
use units::{JobId, RentalId, WorkerId};

use crate::clock::{fresh_bits, now};
use crate::files::Files;
use crate::limits::{STRESS_RESULT_BYTES_MAX, TRIAL_NOTE_BYTES_MAX, TRIALS_AT_ONCE_MAX};
use crate::writer::{Failure, Writer};

/// How often it is looked for what is due.
const TICK: Duration = Duration::from_secs(2);
/// What the stress job leaves among its results.
const RESULT: &str = "stress.json";

/// Sees to trials until the server stops.
pub(crate) async fn run(writer: Writer, files: Files, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = stopping.changed() => return,
        }
        if let Err(why) = see_to(&writer, &files).await {
            tracing::debug!(error = %why, "trials are seen to at the next tick");
        }
    }
}

/// What is to be done at a moment.
#[derive(Debug, Default)]
struct Due {
    begin: Vec<Vec<WorkerId>>,
    over: Vec<(Trial, Vec<TrialSaid>)>,
}

async fn see_to(writer: &Writer, files: &Files) -> Result<(), Failure> {
    let at = now();
    let Due { begin, over } = writer.look(move |state| due(state, at)).await?;
    for (trial, verdict) in over {
        end(writer, files, trial, verdict).await?;
    }
    for workers in begin {
        let trial = RentalId::from_bits(fresh_bits());
        let machines = workers.len();
        match writer.tell_as(Actor::Clock, Command::BeginTrial { trial, workers }).await {
            Ok(_) => tracing::info!(%trial, machines, "newcomers are tried together"),
            // One of them has left or fallen silent since.
            Err(Failure::Refused(why)) => tracing::debug!(%why, "a trial did not begin"),
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn due(state: &Control, at: units::Timestamp) -> Due {
    let room = TRIALS_AT_ONCE_MAX.saturating_sub(state.trials().count());
    let begin = match room {
        0 => Vec::new(),
        _ => state.trials_due(at).into_iter().take(room).collect(),
    };
    let whole = |(id, verdict)| Some((state.trial(id)?.clone(), verdict));
    Due { begin, over: state.trials_over().into_iter().filter_map(whole).collect() }
}

/// Judges a trial and tells what it came to.
async fn end(
    writer: &Writer,
    files: &Files,
    trial: Trial,
    verdict: Vec<TrialSaid>,
) -> Result<(), Failure> {
    let (id, job, kept) = (trial.id, trial.job_id(), files.clone());
    let judge = move || judged(&trial, verdict, result_of(&kept, job).as_ref());
    let Ok(said) = tokio::task::spawn_blocking(judge).await else { return Ok(()) };
    let passed = said.iter().filter(|one| one.passed).count();
    let machines = said.len();
    match writer.tell_as(Actor::Clock, Command::EndTrial { trial: id, said }).await {
        Ok(_) => tracing::info!(trial = %id, passed, machines, "a trial is over"),
        Err(Failure::Refused(why)) => tracing::debug!(trial = %id, %why, "a trial was over before"),
        Err(why) => return Err(why),
    }
    let kept = files.clone();
    let removed = tokio::task::spawn_blocking(move || kept.forget_job(job)).await;
    if let Ok(Err(why)) = removed {
        tracing::debug!(trial = %id, error = %why, "what a trial left could not be removed");
    }
    Ok(())
}

/// What the stress job says of one node.
#[derive(Clone, Debug, Deserialize)]
struct NodeResult {
    ok: bool,
    #[serde(default)]
    note: String,
}

/// What the stress job says: nodes by their place.
#[derive(Clone, Debug, Deserialize)]
struct StressResult {
    nodes: BTreeMap<u32, NodeResult>,
}

/// What the stress job left, if it left anything that can be read.
fn result_of(files: &Files, job: JobId) -> Option<StressResult> {
    let mut text = Vec::new();
    let file = files.result(job, RESULT).ok()?;
    file.take(STRESS_RESULT_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What is said of each machine: what its own part of the stress job showed, and otherwise what its beats did. A head
/// that says nothing of the others leaves them to the brain.
fn judged(trial: &Trial, verdict: Vec<TrialSaid>, result: Option<&StressResult>) -> Vec<TrialSaid> {
    let Some(result) = result else { return verdict };
    let is_lost = trial.nodes.iter().any(|node| node.stage == NodeStage::Lost);
    let judge = |(place, node): (u32, &control::TrialNode)| {
        let of_beats = verdict.iter().find(|said| said.worker == node.worker).cloned();
        // Whoever was lost broke it off: what the others did not do then says nothing of them.
        if node.stage != NodeStage::Ready || is_lost {
            return of_beats;
        }
        let Some(shown) = result.nodes.get(&place) else { return of_beats };
        Some(TrialSaid { worker: node.worker, passed: shown.ok, note: note_of(shown) })
    };
    (0..).zip(&trial.nodes).filter_map(judge).collect()
}

fn note_of(shown: &NodeResult) -> String {
    let note: String = shown.note.chars().filter(|letter| !letter.is_control()).collect();
    let end = (0..=TRIAL_NOTE_BYTES_MAX.min(note.len()))
        .rev()
        .find(|at| note.is_char_boundary(*at))
        .unwrap_or(0);
    match (note.is_empty(), shown.ok) {
        (true, true) => "it did its part of the stress job".to_owned(),
        (true, false) => "it did not do its part of the stress job".to_owned(),
        (false, _) => note[..end].to_owned(),
    }
}
