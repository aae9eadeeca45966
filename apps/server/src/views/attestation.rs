//! Attestations that stand.

use control::{AttestationRecord, Attested};
use units::WorkerId;
use wire::{AttestationView, AttestedCard, AttestedGuest, Time};

pub(crate) fn attestation(worker: WorkerId, record: &AttestationRecord) -> AttestationView {
    let card = |card: &control::CardRecord| AttestedCard {
        serial: Some(card.serial.clone()),
        chip: card.chip.clone(),
        board: card.board.clone(),
        driver: card.driver.clone(),
        vbios: card.vbios.clone(),
    };
    let guest = |guest: &control::GuestRecord| AttestedGuest {
        platform: guest.platform.clone(),
        image: guest.image.clone(),
        measurement: guest.measurement.clone(),
    };
    let what = match record.what {
        Attested::Gpu => "gpu",
        Attested::Cpu => "cpu",
        Attested::Composite => "composite",
    };
    AttestationView {
        worker,
        at: Time(record.at),
        until: Time(record.until),
        what: what.to_owned(),
        certifications: record.grants().into_iter().collect(),
        evidence: record.evidence,
        cards: record.cards.iter().map(card).collect(),
        guest: record.guest.as_ref().map(guest),
        debug: record.debug,
    }
}
