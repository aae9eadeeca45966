//! What the auditor believes of proofs: which machine has proved its work in which hour, and what the public log of
//! them hashes to.
//!
//! The log's root is worked out from its leaves as RFC 9162 defines it, by halves: what watches shares nothing with
//! what grows but the bytes of an entry.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Body, Command, Control, ProofSaid, SealedRecord};
use proofs::Reason;
use rewards::block::{Proof, Row};
use sha2::{Digest, Sha256};
use units::{Hour, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

/// Proofs that came to a verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    leaves: Vec<[u8; 32]>,
    of: BTreeMap<WorkerId, Standing>,
}

/// What a machine's proofs have come to.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// By hour: when the last challenge was given that came to something, and whether that was good.
    hours: BTreeMap<Hour, (Timestamp, bool)>,
    /// Of the newest round: when it began, and which cards have passed.
    round: Option<(Timestamp, BTreeSet<[u8; 32]>)>,
}

impl Standing {
    fn judge(&mut self, at: Timestamp, good: bool, by_card: bool) {
        let before = self.hours.get(&Hour::of(at));
        // Of a round one bad card is enough, whichever comes last.
        let spoiled = by_card && before.is_some_and(|(when, was)| *when == at && !was);
        self.hours.insert(Hour::of(at), (at, good && !spoiled));
        while self.hours.len() > 4 {
            self.hours.pop_first();
        }
    }

    /// A card has passed: whether all of them have.
    fn card(&mut self, at: Timestamp, card: [u8; 32], cards: u32) -> bool {
        let (_, passed) = match &mut self.round {
            Some(round) if round.0 == at => round,
            round => round.insert((at, BTreeSet::new())),
        };
        passed.insert(card);
        passed.len() >= usize::try_from(cards).unwrap_or(usize::MAX)
    }
}

/// Whether a session is good, bad, or neither, by why its tasks ended.
fn came_to(proof: &SealedRecord) -> Option<bool> {
    let reasons = || proof.entry.tasks.iter().map(|task| task.reason);
    let is_bad = |reason| {
        matches!(reason, Reason::Late | Reason::Path | Reason::Row | Reason::Walk | Reason::Puzzle)
    };
    if reasons().any(is_bad) {
        return Some(false);
    }
    let mut tried = reasons().filter(|reason| *reason != Reason::Skipped).peekable();
    let any = tried.peek().is_some();
    (any && tried.all(|reason| reason == Reason::None)).then_some(true)
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

impl Belief {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_verdicts(&mut self, control: &Control, body: &Body) -> Step {
        match &body.command {
            Command::SealProof { worker, proof } => {
                let right = body.by == Actor::Clock
                    && proof.entry.worker == *worker
                    && !proof.tasks.is_empty()
                    && proof.tasks.len() == proof.entry.tasks.len();
                must(right, Invariant::Proofs, || format!("{body:?} was sealed"))?;
                self.sealed(*worker, proof);
                self.log_agrees(control)
            }
            Command::RecordProof { worker, verdict } if verdict.proof == ProofSaid::Work => {
                let standing = self.verdicts.of.entry(*worker).or_default();
                standing.judge(verdict.at, verdict.passed, false);
                Ok(())
            }
            Command::Retire { worker } => {
                self.verdicts.of.remove(worker);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sealed(&mut self, worker: WorkerId, proof: &SealedRecord) {
        let leaf = Sha256::new().chain_update([0]).chain_update(proof.entry.bytes());
        self.verdicts.leaves.push(leaf.finalize().into());
        let standing = self.verdicts.of.entry(worker).or_default();
        match came_to(proof) {
            Some(true) => {
                if standing.card(proof.at, proof.entry.card, proof.cards) {
                    standing.judge(proof.at, true, true);
                }
                self.tale.proved += 1;
            }
            Some(false) => {
                standing.judge(proof.at, false, true);
                self.tale.disproved += 1;
            }
            None => {}
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
    pub(super) fn proved_its_work(&self, control: &Control, row: &Row, at: (Hour, u32)) -> Step {
        let (hour, version) = at;
        let worker = row.device.worker;
        let asked = self.rules.asks_for_work(version);
        let proof = row.device.proofs.work;
        let standing = self.verdicts.of.get(&worker).and_then(|it| it.hours.get(&hour));
        let is_good = standing.is_some_and(|(_, good)| *good);
        let may_be_excused = || {
            let own = control.worker(worker).is_some_and(|it| !it.checks.exemptions.is_empty());
            own || row.device.hired || self.rules.excuses_all_from_work(version)
        };
        let agrees = match proof {
            Proof::NotAsked => !asked,
            Proof::Passed => asked && is_good,
            Proof::Exempt => asked && may_be_excused(),
            Proof::Failed => asked && row.outcome.payout().is_zero(),
        };
        must(agrees, Invariant::Proofs, || {
            format!("{worker} is paid by {row:?} of {hour}, asked {asked}, proved {standing:?}")
        })
    }
}
