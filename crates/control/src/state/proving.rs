//! What verdicts of proofs have led to: a machine that failed, one that is charged, one that is listed as less.
//!
//! # Invariants
//! - A machine has failed from a wrong answer until all of it has passed; slowness and silence never make it so.
//! - What it is listed as beside its own word changes after as many rounds in a row as the rules ask for, and not by
//!   any single one.

use std::collections::VecDeque;

use proofs::Reason;
use proofs::schedule::RELIST_ROUNDS_MAX;
use serde::{Deserialize, Serialize};
use units::{SlashId, Timestamp};

use crate::record::FingerprintRecord;

/// A proof that was wrong, and after which none was right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedProof {
    /// Its session.
    pub session: [u8; 16],
    /// When its challenge was given.
    pub at: Timestamp,
    /// Why it is wrong.
    pub reason: Reason,
}

/// A charge that a wrong proof led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// The slash.
    pub slash: SlashId,
    /// When the challenge of the wrong proof was given.
    pub at: Timestamp,
}

/// The model that a machine counts as, whatever it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredAs {
    /// The key of that model in the registry.
    pub model: String,
    /// The key of the model that it claimed to be.
    pub claimed: String,
    /// Since when.
    pub since: Timestamp,
}

/// What all cards of a machine were measured to be at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    at: Timestamp,
    claimed: String,
    /// The slower model that one of them is, if one is.
    slower: Option<String>,
}

/// What a machine's rates say that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likeness {
    /// The newest, as many as the rules count.
    looks: VecDeque<Look>,
    /// What it counts as, if that is not what it says.
    pub counts_as: Option<MeasuredAs>,
}

impl Likeness {
    /// A session was measured. Returns whether it counts as another model from here on, or again as what it says.
    ///
    /// What is like no model says nothing, nor does what is measured without a model to compare with: else whoever
    /// breaks off one session of three would never be told from what he says.
    pub(crate) fn note(&mut self, at: Timestamp, said: &FingerprintRecord, rounds: u8) -> bool {
        let Some(model) = &said.model else { return false };
        let slower = (said.slower && *model != said.claimed).then(|| model.clone());
        match self.looks.back_mut() {
            Some(last) if at < last.at => return false,
            // Of cards that are measured at one time the weakest counts, whichever is told of last.
            Some(last) if at == last.at => last.slower = slower.or_else(|| last.slower.take()),
            Some(_) | None => {
                self.looks.push_back(Look { at, claimed: said.claimed.clone(), slower });
            }
        }
        let rounds = usize::from(rounds.clamp(1, RELIST_ROUNDS_MAX));
        while self.looks.len() > rounds {
            self.looks.pop_front();
        }
        self.looks.len() == rounds && self.decide(at)
    }

    /// All looks that count agree, or nothing changes.
    fn decide(&mut self, at: Timestamp) -> bool {
        let slower = self.looks.iter().filter(|look| look.slower.is_some()).count();
        let newest = self.looks.back();
        match (&self.counts_as, newest) {
            (None, Some(Look { claimed, slower: Some(model), .. }))
                if slower == self.looks.len() =>
            {
                let (model, claimed) = (model.clone(), claimed.clone());
                self.counts_as = Some(MeasuredAs { model, claimed, since: at });
                true
            }
            (Some(_), _) if slower == 0 => {
                self.counts_as = None;
                true
            }
            (None | Some(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it counts as after looks, each a time and what it was measured to be: itself, something slower, something
    /// faster, or nothing.
    #[track_caller]
    fn check(looks: &[(u64, &str)], expected: Option<&str>) {
        let mut likeness = Likeness::default();
        for (at, model) in looks {
            let said = FingerprintRecord {
                claimed: "h100".to_owned(),
                model: Some((*model).to_owned()).filter(|model| !model.is_empty()),
                probability_bp: 9_000,
                slower: ["a100", "t4"].contains(model),
            };
            likeness.note(Timestamp::from_millis(*at), &said, 3);
        }
        let counts_as = likeness.counts_as.as_ref().map(|it| it.model.as_str());
        assert_eq!(counts_as, expected, "{looks:?}");
        assert!(likeness.looks.len() <= 3);
    }

    #[test]
    fn a_machine_counts_as_what_it_was_measured_to_be_so_often_in_a_row() {
        check(&[(1, "a100"), (2, "a100")], None);
        check(&[(1, "a100"), (2, "a100"), (3, "a100")], Some("a100"));
        check(&[(1, "a100"), (2, "h100"), (3, "a100"), (4, "a100")], None);
        check(&[(1, "b200"), (2, "b200"), (3, "b200")], None);
        // What says nothing neither counts nor breaks the row.
        check(&[(1, "a100"), (2, ""), (3, "t4"), (4, ""), (5, "a100")], Some("a100"));
    }

    #[test]
    fn it_counts_as_what_it_says_again_after_as_many() {
        let slow = [(1, "t4"), (2, "t4"), (3, "t4")];
        check(&[&slow[..], &[(4, "h100"), (5, "h100")]].concat(), Some("t4"));
        check(&[&slow[..], &[(4, "h100"), (5, "h100"), (6, "h100")]].concat(), None);
        check(
            &[&slow[..], &[(4, "h100"), (5, "t4"), (6, "h100"), (7, "h100")]].concat(),
            Some("t4"),
        );
    }

    #[test]
    fn of_cards_measured_at_one_time_the_weakest_counts() {
        let one_is_slow = [(1, "h100"), (1, "t4"), (2, "t4"), (2, "h100"), (3, "h100"), (3, "t4")];
        check(&one_is_slow[..5], None);
        check(&one_is_slow, Some("t4"));
        check(&[(5, "t4"), (4, "t4"), (3, "t4")], None);
    }
}
