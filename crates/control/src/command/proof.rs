//! Verdicts on proofs: what they do to a machine's standing, and the log in which everyone can look them up.
//!
//! # Invariants
//! - Only a wrong answer is charged: neither slowness nor silence, and not what a renter's check came to, for whoever
//!   is in the container could answer wrongly on purpose.
//! - What is told after the block of its hour was closed reopens nothing: what is bad counts against the hour that is
//!   open, once for each round, and what is wrong is charged as if it had been told in time.
//! - A wrong answer is charged once an hour at most, and not again before the machine has passed: it is shut out until
//!   then, and what is broken would else lose all that is at stake within hours.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use proofs::log::Entry;
use proofs::{Outcome, Reason, Task};
use rewards::checklist::{WorkOutcome, WorkProof};
use rewards::rule::Rule;
use stakes::votes::Switch;
use stakes::{Evidence, EvidenceKind, Offence};
use units::{BlobId, Hour, SlashId, Timestamp, WorkerId};

use super::block::exempt;
use super::supply::only_clock;
use crate::effect::{Effect, Sealed, Subject};
use crate::record::{Actor, FingerprintRecord, SealedRecord, SlashRecord};
use crate::refusal::Refusal;
use crate::state::{Charged, Checks, Control, FailedProof, Proved, Reply, Round};

impl Control {
    /// A session came to its verdict: it is logged for everyone, and counts for or against the machine.
    pub(crate) fn seal_proof(
        &mut self,
        by: Actor,
        id: WorkerId,
        record: SealedRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let wrong = |why: &str| Refusal::Invalid { field: "entry", why: why.to_owned() };
        if record.entry.worker != id {
            return Err(wrong("it is another machine's"));
        }
        if record.entry.tasks.is_empty() || record.entry.tasks.len() != record.tasks.len() {
            return Err(wrong("it has not an outcome for each task"));
        }
        self.known_worker(id)?;
        if let Some(rental) = record.rental {
            self.canary_sealed(
                rental,
                &record.entry,
                Timestamp::from_millis(record.entry.sealed_ms),
            );
        } else {
            self.proved(id, &record, now);
        }
        let SealedRecord { at, tasks, entry, rental, .. } = record;
        let (index, nodes) = self.economy.proofs.append(&entry);
        let sealed = Sealed { index, at, tasks, entry, rental, nodes };
        self.effects.push_back(Effect::Sealed(Arc::new(sealed)));
        self.settle_onboarding(id, now);
        Ok(Reply::Done)
    }

    /// What a machine's own proof does to it.
    fn proved(&mut self, id: WorkerId, record: &SealedRecord, now: Timestamp) {
        let SealedRecord { at, cards, tasks, entry, fingerprint, slash, .. } = record;
        let Some(worker) = self.workers.get(&id) else { return };
        let is_exempt = exempt(worker, self.parameters(), *at).has(Rule::ProofOfWork);
        let wrong = wrong_answer(entry).filter(|_| !is_exempt);
        let open = self.economy.blocks.open;
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.checks.proved((*at, open), *cards, tasks, entry);
            let tasks = entry.tasks.clone();
            worker.checks.last = Some(Proved { session: entry.session, at: *at, tasks });
            if let Some(reason) = wrong {
                worker.checks.fail(FailedProof { session: entry.session, at: *at, reason });
            }
        }
        if let (Some(slash), Some(reason)) = (slash, wrong) {
            self.charge_for(*slash, (*at, entry, reason), now);
        }
        if let Some(said) = fingerprint {
            self.measured_as(id, (*at, said), now);
        }
    }

    /// Charges a machine for a wrong answer, if it is to be: refused is only what has nothing at stake.
    fn charge_for(&mut self, slash: SlashId, of: (Timestamp, &Entry, Reason), now: Timestamp) {
        let (at, entry, reason) = of;
        let worker = self.workers.get(&entry.worker);
        let may_be = worker.is_some_and(|worker| worker.checks.may_be_charged(at));
        if !may_be || self.is_braked(Switch::Slashing, now) {
            return;
        }
        let record = SlashRecord {
            slash,
            worker: entry.worker,
            offence: offence(reason),
            offended_at: at,
            cards: 1,
            evidence: vec![Evidence {
                kind: EvidenceKind::ProofTranscript,
                blob: entry.transcript,
                summary: summary(entry, reason),
            }],
        };
        let charged = self.charge_machine(record, now).is_ok();
        if let Some(worker) = self.workers.get_mut(&entry.worker).filter(|_| charged) {
            worker.checks.charged = Some(Charged { slash, at });
        }
    }

    /// Rates were measured: the machine is listed as what they say, once they have said so often enough. Rentals keep
    /// their price; a quote from before promises another machine.
    fn measured_as(&mut self, id: WorkerId, of: (Timestamp, &FingerprintRecord), now: Timestamp) {
        let rounds = self.parameters().proofs.relist_rounds;
        let offers = self.live_offers(id, now);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if !worker.checks.likeness.note(of.0, of.1, rounds) {
            return;
        }
        worker.described = now;
        self.list(id);
        self.changed(Subject::Worker(id));
        self.offers_moved(&offers, now);
    }
}

/// Why a session is wrong, if it is.
fn wrong_answer(entry: &Entry) -> Option<Reason> {
    let wrong = entry.tasks.iter().find(|task| task.outcome() == Outcome::Fail);
    wrong.map(|task| task.reason)
}

/// What a wrong answer is an offence as. Memory that does not hold what it was filled with is not there; any other
/// wrong answer was made up.
const fn offence(reason: Reason) -> Offence {
    match reason {
        Reason::Walk => Offence::SpoofedHardware,
        Reason::None
        | Reason::Late
        | Reason::Answer
        | Reason::Path
        | Reason::Row
        | Reason::Puzzle
        | Reason::Expired
        | Reason::Unable
        | Reason::Verifier
        | Reason::Skipped => Offence::ForgedProof,
    }
}

/// What a transcript shows, in words: whoever doubts it checks the file with `iog proof verify`.
fn summary(entry: &Entry, reason: Reason) -> String {
    let wrong = entry.tasks.iter().position(|task| task.reason == reason).unwrap_or_default();
    let (session, card) = (HEXLOWER.encode(&entry.session), HEXLOWER.encode(&entry.card[..8]));
    format!("session {session}, card {card}, task {} of {}: {reason}", wrong + 1, entry.tasks.len())
}

impl Checks {
    /// Takes in what came of a session. A proof of work is good once every card has passed at one time; one card that
    /// does not is enough to make it bad. What was inconclusive counts neither way.
    fn proved(
        &mut self,
        (at, open): (Timestamp, Option<Hour>),
        cards: u32,
        tasks: &[Task],
        entry: &Entry,
    ) {
        let outcome = match proofs::worst(&entry.tasks) {
            Outcome::Inconclusive => None,
            Outcome::Slow => Some(WorkOutcome::Slow),
            Outcome::Fail => Some(WorkOutcome::Wrong),
            Outcome::Pass => {
                let is_last = self.passed(at, BlobId::from_sha256(entry.card), cards);
                is_last.then_some(WorkOutcome::Good)
            }
        };
        if let Some(outcome) = outcome {
            self.work.note(WorkProof { at, outcome }, open);
        }
        if outcome == Some(WorkOutcome::Good) {
            self.pass(at);
        }
        self.silence.note(at, &entry.tasks);
        let of = tasks.iter().zip(&entry.tasks).find(|(task, _)| matches!(task, Task::Memory(_)));
        match of.map(|(_, judged)| judged.outcome()) {
            Some(Outcome::Pass) => self.vram_failures = 0,
            Some(Outcome::Slow | Outcome::Fail) => {
                self.vram_failures = self.vram_failures.saturating_add(1);
                self.vram_failed_at = Some(at);
            }
            Some(Outcome::Inconclusive) | None => {}
        }
    }

    /// A wrong answer makes a machine fail until all of it has passed a challenge that was given later. What is told
    /// late of an older challenge takes nothing back.
    fn fail(&mut self, failed: FailedProof) {
        let is_past = self.passed_at.is_some_and(|passed| passed >= failed.at);
        let is_older = self.failed.as_ref().is_some_and(|newer| newer.at > failed.at);
        if !is_past && !is_older {
            self.failed = Some(failed);
        }
    }

    /// All of it has passed a challenge that was given then.
    pub(super) fn pass(&mut self, at: Timestamp) {
        self.passed_at = self.passed_at.max(Some(at));
        self.failed.take_if(|failed| failed.at < at);
    }

    /// Whether a wrong answer to a challenge of this time may be charged.
    fn may_be_charged(&self, at: Timestamp) -> bool {
        self.charged.is_none_or(|last| {
            Hour::of(last.at) < Hour::of(at)
                && self.passed_at.is_some_and(|passed| passed > last.at)
        })
    }

    /// A card has passed: whether it was the last of so many.
    fn passed(&mut self, at: Timestamp, card: BlobId, cards: u32) -> bool {
        let round = self.round.get_or_insert_with(|| Round { at, passed: BTreeSet::new() });
        if at < round.at {
            return false;
        }
        if at > round.at {
            *round = Round { at, passed: BTreeSet::new() };
        }
        round.passed.insert(card);
        u32::try_from(round.passed.len()).is_ok_and(|passed| passed >= cards)
    }
}
