//! What was measured of cards, by the verifier's clock, and what model that makes them.
//!
//! The figures are in memory, and can be made again from the transcripts that are kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use control::FingerprintRecord;
use proofs::fingerprint::{Measured, Reference, Verdict, measured, verdict};
use units::{DeviceKind, Timestamp, WorkerId};

use super::Proofs;
use crate::limits::{FINGERPRINTS_MAX, PROOF_CARDS_MAX};

/// So many rates are needed for a likeness: one alone tells a busy card from an idle one, and not which it is.
const RATES_LEAST: usize = 2;
const WHOLE_BP: f64 = 10_000.0;

/// What the models are like.
pub(crate) fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(Reference::built_in)
}

/// What was measured of a card last.
#[derive(Clone, Debug)]
pub(crate) struct CardMeasured {
    /// What its machine says that it is: a key of the registry.
    pub(crate) claimed: Option<String>,
    /// When the newest of it was measured.
    pub(crate) at: Timestamp,
    /// The figures.
    pub(crate) measured: Measured,
}

/// What is known of all cards.
#[derive(Debug, Default)]
pub(super) struct Fingerprints(Mutex<BTreeMap<WorkerId, BTreeMap<[u8; 32], CardMeasured>>>);

impl Fingerprints {
    /// Takes in what was measured of a card.
    pub(super) fn note(&self, worker: WorkerId, card: [u8; 32], new: CardMeasured) {
        if new.measured.rates.is_empty() {
            return;
        }
        let mut known = self.0.lock().expect("nobody panics with the figures in hand");
        if known.len() >= FINGERPRINTS_MAX && !known.contains_key(&worker) {
            known.pop_first();
        }
        let cards = known.entry(worker).or_default();
        let most = usize::try_from(PROOF_CARDS_MAX).unwrap_or(usize::MAX);
        if cards.len() >= most && !cards.contains_key(&card) {
            let oldest = cards.iter().min_by_key(|(_, known)| known.at).map(|(card, _)| *card);
            oldest.and_then(|oldest| cards.remove(&oldest));
        }
        match cards.get_mut(&card) {
            Some(old) if old.claimed == new.claimed => {
                old.measured.renew(new.measured);
                old.at = new.at;
            }
            Some(_) | None => drop(cards.insert(card, new)),
        }
    }

    /// What is known of a machine's cards.
    pub(super) fn of(&self, worker: WorkerId) -> Option<BTreeMap<[u8; 32], CardMeasured>> {
        let known = self.0.lock().expect("nobody panics with the figures in hand");
        known.get(&worker).cloned()
    }
}

impl Proofs {
    /// What is known of how fast a machine's cards are.
    pub(crate) fn fingerprints(
        &self,
        worker: WorkerId,
    ) -> Option<BTreeMap<[u8; 32], CardMeasured>> {
        self.fingerprints.of(worker)
    }

    /// Keeps in mind what was read of a machine's transcripts.
    pub(crate) fn remember(&self, worker: WorkerId, read: &BTreeMap<[u8; 32], CardMeasured>) {
        for (card, known) in read {
            self.fingerprints.note(worker, *card, known.clone());
        }
    }
}

/// What a session measured; nothing if it is no transcript.
pub(crate) fn of_transcript(kind: DeviceKind, transcript: &[u8]) -> Option<Measured> {
    measured(kind, transcript).ok()
}

/// What a session's rates say of a claim, as the brain is told it. Nothing where too little was measured, or where the
/// reference does not know what is claimed: nobody is called another for being new.
pub(super) fn told(claimed: Option<&str>, measured: &Measured) -> Option<FingerprintRecord> {
    let claimed = claimed.filter(|claimed| reference().model(claimed).is_some())?;
    if measured.rates.len() < RATES_LEAST {
        return None;
    }
    let (model, probability, slower) = match verdict(claimed, measured, reference()) {
        Verdict::Consistent { probability } => (Some(claimed.to_owned()), probability, false),
        Verdict::Other { model, probability, slower } => (Some(model), probability, slower),
        Verdict::Unknown { .. } => (None, 0.0, false),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a probability is between 0 and 1"
    )]
    let probability_bp = (probability.clamp(0.0, 1.0) * WHOLE_BP).round() as u16;
    Some(FingerprintRecord { claimed: claimed.to_owned(), model, probability_bp, slower })
}

#[cfg(test)]
mod tests {
    use proofs::fingerprint::Rate;

    use super::*;

    /// A card as the reference expects it.
    fn like(model: &str, rates: &[Rate]) -> Measured {
        let row = reference().model(model).unwrap();
        let rates =
            rates.iter().map(|rate| (*rate, reference().expected(row, *rate).unwrap().median));
        let filled_mib = Some(1_024);
        Measured { kind: row.kind, rates: rates.collect(), filled_mib, reported: BTreeMap::new() }
    }

    const THREE: [Rate; 3] = [Rate::Matmul { log_n: 14 }, Rate::Mix, Rate::Walk];

    #[test]
    fn the_brain_hears_what_a_card_is_like() {
        let said = |claimed, model| told(Some(claimed), &like(model, &THREE)).unwrap();
        let honest = said("h100-80gb-hbm3", "h100-80gb-hbm3");
        assert_eq!((honest.model.as_deref(), honest.slower), (Some("h100-80gb-hbm3"), false));
        assert!(honest.probability_bp > 2_000, "{honest:?}");
        let weaker = said("h100-80gb-hbm3", "l4");
        assert_eq!((weaker.claimed.as_str(), weaker.slower), ("h100-80gb-hbm3", true));
        assert!(!said("l4", "h100-80gb-hbm3").slower, "stronger than it says");
    }

    #[test]
    fn nobody_is_judged_by_one_rate_or_by_what_nobody_knows() {
        assert_eq!(told(Some("h100-80gb-hbm3"), &like("l4", &THREE[..1])), None);
        assert_eq!(told(Some("brand-new"), &like("l4", &THREE)), None);
        assert_eq!(told(None, &like("l4", &THREE)), None);
    }

    #[test]
    fn what_is_newer_counts_and_another_claim_begins_anew() {
        let known = Fingerprints::default();
        let (worker, card) = (WorkerId::from_bits(1), [2; 32]);
        let note = |claimed: &str, rates: &[Rate], at| {
            let measured = like("l4", rates);
            let (claimed, at) = (Some(claimed.to_owned()), Timestamp::from_millis(at));
            known.note(worker, card, CardMeasured { claimed, at, measured });
        };
        note("l4", &THREE, 1);
        note("l4", &THREE[..1], 2);
        note("l4", &[], 3);
        let of = || known.of(worker).unwrap()[&card].clone();
        assert_eq!((of().measured.rates.len(), of().at.millis()), (3, 2));
        note("h200", &THREE[..1], 4);
        assert_eq!((of().measured.rates.len(), of().claimed.as_deref()), (1, Some("h200")));
    }
}
