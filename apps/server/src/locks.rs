//! The desk at which machines hand over their records of time-lock: each is checked, kept, and told to the brain.
//!
//! # Invariants
//! - A machine is told that a record is kept only after its bytes and its place in the log are durable.
//! - The same record handed over twice is kept once, and answered the same.
//! - What is kept, and what one machine hands over in an hour, has a named limit. What a slash rests on is kept apart,
//!   and stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use control::{Actor, Body, Command, Control, Digest, LockRecord};
use proofs::lock::{Ceilings, End, LockRules, Named, Record, Report, Span, judge};
use units::{BlobId, CommandId, Hour, SlashId, Timestamp, WorkerId};

use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::files::FileFailure;
use crate::limits::{LOCK_AGE_MAX, LOCK_AHEAD_MAX, LOCKS_PER_HOUR_MAX};
use crate::proofs::Transcripts;
use crate::secrets::sha256;
use crate::views::{self, LOCK_RECORD_ROWS, LOCK_ROWS, LockRow};
use crate::writer::Failure;

/// Bytes of the words about strangers.
const STRANGERS_BYTES_MAX: usize = 400;
/// Strangers that are named in words; the record itself has all.
const STRANGERS_NAMED_MAX: usize = 4;

/// Why a record is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It cannot be read, or its signature is wrong.
    #[error("{0}")]
    NoRecord(#[from] proofs::lock::Refused),
    /// It is of another machine, or another key signed it.
    #[error("the record is another machine's")]
    Foreign,
    /// It is of a node that the machine does not have, of a trial that is forgotten, or not of its trial's time.
    #[error(
        "the record is of a rental that this machine had no such node of, or of a trial too long ago \
         or at another time"
    )]
    NotItsRental,
    /// It is of a time that has not come.
    #[error("the record ends {ahead_secs} s in the future: the machine's clock is ahead")]
    Ahead { ahead_secs: u64 },
    /// It is too old.
    #[error("the record is of {hour}, and is too old to be taken")]
    Old { hour: Hour },
    /// The machine hands over too many.
    #[error("no more than {LOCKS_PER_HOUR_MAX} records of one machine in an hour")]
    TooMany,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(#[from] std::io::Error),
    /// The brain did not take it.
    #[error("{0}")]
    Failed(#[from] Failure),
}

/// Records, and how many each machine has handed over in this hour.
#[derive(Debug)]
pub(crate) struct Locks {
    kept: Arc<Transcripts>,
    taken: Mutex<(Hour, BTreeMap<WorkerId, u32>)>,
}

/// What the brain says about a record before it is judged.
struct Known {
    rules: LockRules,
    ceilings: Ceilings,
    /// Whether the span is the machine's; `None` if its rental is not known any more.
    is_its: Option<bool>,
}

impl Locks {
    pub(crate) fn open(data: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let kept = Transcripts::at(data.join("files").join("time-lock"), bytes_max)?;
        Ok(Self { kept: Arc::new(kept), taken: Mutex::new((Hour::of(now()), BTreeMap::new())) })
    }

    /// A record's bytes; nothing if they are not kept any more.
    pub(crate) fn read(&self, record: BlobId) -> Option<std::fs::File> {
        self.kept.read(record)
    }

    fn count(&self, worker: WorkerId) -> Result<(), NotTaken> {
        let mut taken = self.taken.lock().expect("nobody panics with the counts in hand");
        let hour = Hour::of(now());
        if taken.0 != hour {
            *taken = (hour, BTreeMap::new());
        }
        let count = taken.1.entry(worker).or_default();
        *count = count.saturating_add(1);
        if *count > LOCKS_PER_HOUR_MAX { Err(NotTaken::TooMany) } else { Ok(()) }
    }
}

/// Takes a record of this machine: when this returns, it is durable.
pub(crate) async fn take(
    app: &Shared,
    worker: WorkerId,
    key: [u8; 32],
    bytes: Vec<u8>,
) -> Result<LockRow, NotTaken> {
    let id = sha256(&bytes);
    if let Some(row) = kept(app, id).await? {
        return if row.worker == worker { Ok(row) } else { Err(NotTaken::Foreign) };
    }
    let record = Record::read(&bytes)?;
    if record.header.worker != worker || record.header.machine != key {
        return Err(NotTaken::Foreign);
    }
    in_time(&record)?;
    app.locks.count(worker)?;
    let span = record.header.span;
    let at = [record.header.began_ms, record.ended_ms].map(Timestamp::from_millis);
    let known = app.writer.look(move |state| known(state, worker, span, at)).await?;
    let known = known.ok_or(NotTaken::NotItsRental)?;
    let is_its = match known.is_its {
        Some(is_its) => is_its,
        None => was_its(app, worker, span).await?,
    };
    if !is_its {
        return Err(NotTaken::NotItsRental);
    }
    let report = judge(&record, &known.rules, known.ceilings);
    let lock = told(&report, &record, id);
    let decision = lock.summary.decide(&known.rules);
    let (has_hint, is_bad) =
        (decision.hint.is_some(), decision.hint.is_some() || decision.refund_minutes > 0);
    let (folder, files) = (Arc::clone(&app.locks.kept), app.files.clone());
    let keep = move || -> Result<(), NotTaken> {
        folder.keep(&bytes, id, is_bad)?;
        if has_hint && !files.has_blob(id) {
            let mut incoming = files.receive().map_err(of_disk)?;
            incoming.write(&bytes).map_err(of_disk)?;
            files.keep_blob(incoming, id).map_err(of_disk)?;
        }
        Ok(())
    };
    tokio::task::spawn_blocking(keep).await.map_err(|_| Failure::Stopping)??;
    // Its id follows from the record, so that handing it over twice is handing it over once.
    let mut bits = [0; 16];
    bits.copy_from_slice(&id.sha256()[..16]);
    let body = Body {
        id: CommandId::from_bits(u128::from_be_bytes(bits)),
        asked: id,
        by: Actor::Clock,
        command: Command::SealLock { worker, lock },
    };
    app.writer.tell(body).await?;
    kept(app, id).await?.ok_or(NotTaken::Failed(Failure::Busy))
}

fn of_disk(failure: FileFailure) -> NotTaken {
    NotTaken::Disk(std::io::Error::other(failure))
}

/// A record that was taken before.
pub(crate) async fn kept(app: &Shared, record: BlobId) -> Result<Option<LockRow>, Failure> {
    let read = move |reader: &mut dyn crate::journal::Reader| {
        let Some(index) = reader.row(LOCK_RECORD_ROWS, &record.to_string())? else {
            return Ok(None);
        };
        let Ok(index) = serde_json::from_slice(&index) else { return Ok(None) };
        let row = reader.row(LOCK_ROWS, &views::proof_id(index))?;
        Ok(row.and_then(|body| views::lock_row(&body)))
    };
    app.read(read).await
}

/// Refuses what is of a time that has not come, or is long past.
fn in_time(record: &Record) -> Result<(), NotTaken> {
    let at = now().millis();
    let ahead = record.ended_ms.saturating_sub(at);
    if u128::from(ahead) > LOCK_AHEAD_MAX.as_millis() {
        return Err(NotTaken::Ahead { ahead_secs: ahead / 1_000 });
    }
    let age = at.saturating_sub(record.ended_ms);
    if u128::from(age) > LOCK_AGE_MAX.as_millis() {
        return Err(NotTaken::Old { hour: hour_of(record.header.began_ms) });
    }
    Ok(())
}

fn hour_of(at_ms: u64) -> Hour {
    Hour::of(Timestamp::from_millis(at_ms))
}

fn known(state: &Control, worker: WorkerId, span: Span, at: [Timestamp; 2]) -> Option<Known> {
    let machine = &state.worker(worker)?.machine;
    let parameters = state.parameters();
    let registry = &parameters.registry;
    let found = match &machine.gpu_model {
        Some(model) => registry.classify(model.text(), machine.vram_mib),
        None => registry.classify_cpu(&machine.cpu_model, machine.offers.vcpus),
    };
    let market::Ceilings { cpu_max_pct, gpu_max_pct } = registry.ceilings(&found);
    let is_its = match span {
        Span::Idle => Some(true),
        Span::Rental(of) => state.was_tried_in(worker, of.rental, at.into()).or_else(|| {
            let rental = state.rental(of.rental)?;
            let node = usize::try_from(of.node).ok().and_then(|index| rental.nodes.get(index));
            Some(node.is_some_and(|node| node.seat.worker == worker))
        }),
    };
    let rules = parameters.time_lock.clone();
    Some(Known { rules, ceilings: Ceilings { cpu_max_pct, gpu_max_pct }, is_its })
}

/// Whether a machine had a node of a rental that is long over.
async fn was_its(app: &Shared, worker: WorkerId, span: Span) -> Result<bool, NotTaken> {
    let Span::Rental(of) = span else { return Ok(true) };
    let row = app.read(move |reader| reader.row("rental", &of.rental.to_string())).await?;
    let view = row.and_then(|body| serde_json::from_slice::<wire::RentalView>(&body).ok());
    let is_its = |view: wire::RentalView| {
        view.nodes.iter().any(|node| node.node == of.node && node.worker == worker)
    };
    Ok(view.is_some_and(is_its))
}

/// A record as the brain is told of it.
fn told(report: &Report, record: &Record, id: BlobId) -> LockRecord {
    let (rental, node) = match report.span {
        Span::Rental(of) => (Some(of.rental), of.node),
        Span::Idle => (None, 0),
    };
    LockRecord {
        record: id,
        hash: Digest::from_sha256(report.hash),
        rental,
        node,
        part: report.part,
        previous: Digest::from_sha256(report.previous),
        hour: hour_of(report.began_ms),
        began: Timestamp::from_millis(report.began_ms),
        ended: Timestamp::from_millis(report.ended_ms),
        over: report.end == End::Over,
        cards: u8::try_from(record.header.cards.len()).unwrap_or(u8::MAX),
        summary: report.summary(),
        strangers: strangers(report),
        kept: now(),
        slash: SlashId::from_bits(fresh_bits()),
    }
}

/// Who should not have been there, in words.
fn strangers(report: &Report) -> String {
    let named = |process: &Named| {
        let name = if process.name.is_empty() { "a process" } else { process.name.as_str() };
        format!("{name} (process {})", process.pid)
    };
    let foreign = report.offenders.iter().filter(|offender| offender.process.foreign);
    let one = |offender: &proofs::lock::Offender| {
        let stopped = if offender.stopped { ", told to end" } else { "" };
        let unit = if offender.minutes == 1 { "minute" } else { "minutes" };
        format!("{} in {} {unit}{stopped}", named(&offender.process), offender.minutes)
    };
    let all: Vec<String> = foreign.clone().take(STRANGERS_NAMED_MAX).map(one).collect();
    let more = foreign.count().saturating_sub(STRANGERS_NAMED_MAX);
    let text =
        all.join("; ") + &if more > 0 { format!("; and {more} more") } else { String::new() };
    text[..text.floor_char_boundary(STRANGERS_BYTES_MAX)].to_owned()
}
