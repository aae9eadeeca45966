//! What the auditor believes of proofs: which machine has proved its work in which hour, and what the public log of
//! them hashes to.
//!
//! The log's root is worked out from its leaves as RFC 9162 defines it, by halves: what watches shares nothing with
//! what grows but the bytes of an entry.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, Command, Control, ProofSaid, SealedRecord};
use proofs::Reason;
use rewards::block::{Proof, Row};
use rewards::rule::Rule;
use sha2::{Digest, Sha256};
use units::{Hour, SlashId, WorkerId};

use super::Belief;
use super::proving::Proven;
use crate::broken::{Invariant, Step, must};

/// Proofs that came to a verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    leaves: Vec<[u8; 32]>,
    pub(super) of: BTreeMap<WorkerId, Proven>,
    /// Slashes that wrong proofs led to.
    pub(super) charges: BTreeSet<SlashId>,
    /// The version of the rules that was in effect.
    version: u32,
}

/// Merkle tree hash of leaves (section 2.1.1 of RFC 9162).
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        all => {
            let half = all.len().next_power_of_two() / 2;
            let (left, right) = all.split_at(half);
            Sha256::new()
                .chain_update([1])
                .chain_update(root(left))
                .chain_update(root(right))
                .finalize()
                .into()
        }
    }
}

impl Verdicts {
    /// What a machine has proved is proved no more.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        if let Some(proven) = self.of.get_mut(&worker) {
            proven.forget_rounds();
        }
    }

    /// The log has one entry more, with this hash.
    pub(super) fn logged(&mut self, leaf: [u8; 32]) {
        self.leaves.push(leaf);
    }
}

impl Belief {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_verdicts(&mut self, control: &Control, body: &Body) -> Step {
        self.see_excused(control);
        match &body.command {
            Command::SealProof { worker, proof } => {
                let right = body.by == Actor::Clock
                    && proof.entry.worker == *worker
                    && !proof.tasks.is_empty()
                    && proof.tasks.len() == proof.entry.tasks.len();
                must(right, Invariant::Proofs, || format!("{body:?} was sealed"))?;
                self.sealed(control, *worker, proof)?;
                self.log_agrees(control)
            }
            Command::RecordProof { worker, verdict } if verdict.proof == ProofSaid::Work => {
                let proven = self.verdicts.of.entry(*worker).or_default();
                proven.vouch(verdict.at, verdict.passed);
                self.is_shut_out_if_failed(control, *worker)
            }
            Command::Exempt { worker, exemption } => {
                if exemption.exemption.rules.has(Rule::ProofOfWork) {
                    self.verdicts.of.entry(*worker).or_default().forgive();
                }
                self.is_shut_out_if_failed(control, *worker)
            }
            Command::Retire { worker } => {
                self.verdicts.of.remove(worker);
                self.hired.forget(*worker);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sealed(&mut self, control: &Control, worker: WorkerId, proof: &SealedRecord) -> Step {
        let leaf = Sha256::new().chain_update([0]).chain_update(proof.entry.bytes());
        self.verdicts.leaves.push(leaf.finalize().into());
        let Some(rental) = proof.rental else { return self.see_proved(control, worker, proof) };
        let reasons: Vec<Reason> = proof.entry.tasks.iter().map(|task| task.reason).collect();
        let view = self.rentals.get_mut(&rental);
        if let (Some(view), Some(mark)) = (view, Proven::came_to(&reasons)) {
            view.checked(worker, proof.entry.card, mark);
        }
        Ok(())
    }

    /// Once nobody is asked to prove, nobody has failed to.
    fn see_excused(&mut self, control: &Control) {
        let number = control.version().number;
        let before = std::mem::replace(&mut self.verdicts.version, number);
        if before != number && self.rules.excuses_all_from_work(number) {
            self.verdicts.of.values_mut().for_each(Proven::forgive);
        }
    }

    /// The log has as many entries as were sealed, and hashes to what they hash to.
    pub(super) fn log_agrees(&self, control: &Control) -> Step {
        let (head, leaves) = (control.economy().proofs.head(), &self.verdicts.leaves);
        let agrees =
            usize::try_from(head.size) == Ok(leaves.len()) && *head.root.sha256() == root(leaves);
        must(agrees, Invariant::Proofs, || {
            format!("the log says {head:?}, and {} proofs were sealed", leaves.len())
        })
    }

    /// A machine that was paid for an hour has proved its work in it, where that was asked for and nothing excused it.
    pub(super) fn proved_its_work(
        &mut self,
        control: &Control,
        row: &Row,
        at: (Hour, u32),
    ) -> Step {
        let (hour, version) = at;
        let worker = row.device.worker;
        let asked = self.rules.asks_for_work(version);
        let proof = row.device.proofs.work;
        let none = Proven::default();
        let proven = self.verdicts.of.get(&worker).unwrap_or(&none);
        let (is_good, may_be_hired) = proven.of_hour(hour);
        let hired = self.was_hired(worker, hour);
        must(row.device.hired == hired, Invariant::Proofs, || {
            format!("{worker} was hired in {hour}: {hired}, and {} is said", row.device.hired)
        })?;
        let excused =
            self.is_excused_in(control, worker, (hour, version)) || (hired && may_be_hired);
        let expected = match (asked, excused, is_good) {
            (false, _, _) => Proof::NotAsked,
            (true, true, _) => Proof::Exempt,
            (true, false, true) => Proof::Passed,
            (true, false, false) => Proof::Failed,
        };
        let is_paid = !row.outcome.payout().is_zero();
        let nominated = row.device.missing.is_empty();
        self.tale.worked += u64::from(is_paid && proof == Proof::Passed);
        self.tale.unproved += u64::from(nominated && proof == Proof::Failed);
        let agrees = proof == expected && !(is_paid && proof == Proof::Failed);
        must(agrees, Invariant::Proofs, || {
            format!("{worker} is paid by {row:?} of {hour}, expected {expected:?} of {proven:?}")
        })
    }
}
