//! Renters' checks, and what was measured of cards, as they are shown.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use proofs::fingerprint::{Verdict, likelihoods, verdict};
use units::{BlobId, Timestamp, WorkerId};
use wire::{
    CanaryCard, CanaryView, CardFingerprint, FingerprintView, LikelyModel, Time, UnfitView,
};

use crate::proofs::{Canary, CardMeasured, CardStage, reference};

/// Models that are named.
const LIKELY_MAX: usize = 5;

/// A check, as whoever asked for it sees it.
pub(crate) fn canary(canary: &Canary, now: Timestamp) -> CanaryView {
    let is_over = canary.is_over(now);
    let mut cards = Vec::new();
    for part in &canary.parts {
        let of = || CanaryCard {
            nodes: part.nodes.clone(),
            worker: part.worker,
            worker_name: part.name.clone(),
            card: None,
            session: None,
            status: if is_over { "unanswered" } else { "waiting" }.to_owned(),
            why: is_over.then(|| "its machine did not ask for its challenge in time".to_owned()),
            tries: 0,
        };
        for asked in &part.asked {
            let (status, why) = match asked.stage {
                CardStage::Proving => ("proving".to_owned(), None),
                CardStage::Over(outcome, reason) => (outcome.to_string(), Some(reason.to_string())),
            };
            let card = Some(BlobId::from_sha256(asked.card));
            let session = Some(HEXLOWER.encode(&asked.session));
            let tries = u32::try_from(asked.tried).unwrap_or(u32::MAX);
            cards.push(CanaryCard { card, session, status, why, tries, ..of() });
        }
        let asked = u32::try_from(part.asked.len()).unwrap_or(u32::MAX);
        cards.extend((asked..part.cards).map(|_| of()));
    }
    CanaryView {
        rental: canary.rental,
        nonce: HEXLOWER.encode(&canary.nonce),
        barrier: HEXLOWER.encode(&canary.barrier),
        asked_at: Time(canary.at),
        until: Time(canary.until),
        state: if is_over { "over" } else { "proving" }.to_owned(),
        cards,
    }
}

/// The first check by which a machine of a rental is not what was rented.
pub(crate) fn unfit(rental: &control::Rental) -> Option<UnfitView> {
    let (worker, unfit) = rental.unfit()?;
    Some(UnfitView {
        worker,
        at: Time(unfit.at),
        session: HEXLOWER.encode(&unfit.session),
        why: unfit.reason.to_string(),
    })
}

/// What was measured of a machine's cards.
pub(crate) fn fingerprint(
    worker: WorkerId,
    known: &BTreeMap<[u8; 32], CardMeasured>,
) -> FingerprintView {
    let cards = known.iter().map(|(card, known)| card_fingerprint(*card, known)).collect();
    FingerprintView { worker, edition: reference().edition, cards }
}

fn card_fingerprint(card: [u8; 32], known: &CardMeasured) -> CardFingerprint {
    let CardMeasured { claimed, at, measured } = known;
    let model =
        |(model, probability): (&str, f64)| LikelyModel { model: model.to_owned(), probability };
    let said = match verdict(claimed.as_deref().unwrap_or_default(), measured, reference()) {
        Verdict::Consistent { .. } => "consistent",
        Verdict::Other { .. } => "other",
        Verdict::Unknown { .. } => "unknown",
    };
    // What is like nothing that is known is a little like everything.
    let named = if said == "unknown" { 0 } else { LIKELY_MAX };
    let likely = likelihoods(measured, reference()).into_iter().take(named);
    CardFingerprint {
        card: BlobId::from_sha256(card),
        claimed: claimed.clone(),
        measured_at: Time(*at),
        rates: measured.rates.iter().map(|(rate, value)| (rate.to_string(), *value)).collect(),
        filled_mib: measured.filled_mib,
        verdict: said.to_owned(),
        likely: likely.map(model).collect(),
    }
}
