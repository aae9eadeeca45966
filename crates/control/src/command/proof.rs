//! Verdicts on proofs: what they do to a machine's standing, and the log in which everyone can look them up.

use std::collections::BTreeSet;
use std::sync::Arc;

use proofs::log::Entry;
use proofs::{Outcome, Task};
use rewards::checklist::WorkProof;
use units::{BlobId, Timestamp, WorkerId};

use super::supply::only_clock;
use crate::effect::{Effect, Sealed, Subject};
use crate::record::{Actor, SealedRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Checks, Control, Proved, Reply, Round};

impl Control {
    /// A session came to its verdict: it is logged for everyone, and counts for or against the machine.
    pub(crate) fn seal_proof(
        &mut self,
        by: Actor,
        id: WorkerId,
        record: SealedRecord,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let SealedRecord { at, cards, tasks, entry, .. } = record;
        let wrong = |why: &str| Refusal::Invalid { field: "entry", why: why.to_owned() };
        if entry.worker != id {
            return Err(wrong("it is another machine's"));
        }
        if entry.tasks.is_empty() || entry.tasks.len() != tasks.len() {
            return Err(wrong("it has not an outcome for each task"));
        }
        let worker = self.workers.get_mut(&id).ok_or(Refusal::NotFound(Noun::Worker))?;
        worker.checks.proved(at, cards, &tasks, &entry);
        worker.checks.last =
            Some(Proved { session: entry.session, at, tasks: entry.tasks.clone() });
        let (index, nodes) = self.economy.proofs.append(&entry);
        self.effects.push_back(Effect::Sealed(Arc::new(Sealed { index, at, tasks, entry, nodes })));
        self.changed(Subject::Worker(id));
        Ok(Reply::Done)
    }
}

impl Checks {
    /// Takes in what came of a session. A proof of work is good once every card has passed at one time; one card that
    /// does not is enough to make it bad. What was inconclusive counts neither way.
    fn proved(&mut self, at: Timestamp, cards: u32, tasks: &[Task], entry: &Entry) {
        let worst = proofs::worst(&entry.tasks);
        let is_good = match worst {
            Outcome::Inconclusive => None,
            Outcome::Slow | Outcome::Fail => Some(false),
            Outcome::Pass => {
                self.passed(at, BlobId::from_sha256(entry.card), cards).then_some(true)
            }
        };
        if let Some(valid) = is_good {
            // What was bad at this time stays bad, whichever card is told of last.
            let valid = valid && self.work.is_none_or(|work| work.valid || work.at != at);
            self.work = Some(WorkProof { at, valid });
        }
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

    /// A card has passed: whether it was the last of so many.
    fn passed(&mut self, at: Timestamp, card: BlobId, cards: u32) -> bool {
        let round = self.round.take().filter(|round| round.at == at);
        let mut round = round.unwrap_or_else(|| Round { at, passed: BTreeSet::new() });
        round.passed.insert(card);
        let is_last = u32::try_from(round.passed.len()).is_ok_and(|passed| passed >= cards);
        self.round = Some(round);
        is_last
    }
}
