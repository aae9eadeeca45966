//! Attestations: what they grant a machine, and for how long.
//!
//! # Invariants
//! - A machine is listed as attested exactly while an attestation of its stands that covers all it has on offer.
//! - A card stands for one machine at a time.
//! - An attestation ends with the hardware it was given for: a machine that changes shows its cards anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use units::{Certification, Timestamp, WorkerId};

use super::supply::only_clock;
use crate::effect::Subject;
use crate::limits::ATTESTED_CARDS_MAX;
use crate::record::{Actor, AttestationRecord, Attested, Parameters};
use crate::refusal::Refusal;
use crate::state::{Control, Reply, Worker};

/// The longest text of an attestation, in bytes.
const LABEL_BYTES_MAX: usize = 128;

/// Attestations that stand, in the ways they are looked for. Follows from the machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// By when they end.
    ends: BTreeSet<(Timestamp, WorkerId)>,
    /// By the serial numbers of cards.
    cards: BTreeMap<String, WorkerId>,
}

impl Standing {
    pub(crate) fn of<'a>(workers: impl Iterator<Item = (WorkerId, &'a Worker)>) -> Self {
        let mut standing = Self::default();
        for (id, worker) in workers {
            if let Some(attestation) = &worker.attestation {
                standing.add(id, attestation);
            }
        }
        standing
    }

    fn add(&mut self, id: WorkerId, attestation: &AttestationRecord) {
        self.ends.insert((attestation.until, id));
        let serials = attestation.cards.iter().map(|card| card.serial.clone());
        self.cards.extend(serials.map(|serial| (serial, id)));
    }

    fn remove(&mut self, id: WorkerId, attestation: &AttestationRecord) {
        self.ends.remove(&(attestation.until, id));
        for card in &attestation.cards {
            self.cards.remove(&card.serial);
        }
    }
}

impl Control {
    /// A machine has attested, as the shell has verified: it is listed so, until the attestation ends.
    pub(crate) fn attest(
        &mut self,
        by: Actor,
        id: WorkerId,
        mut attestation: AttestationRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_clock(by)?;
        let worker = self.known_worker(id)?;
        check(&attestation, worker)?;
        attestation.until = attestation.until.min(ends(&attestation, self.parameters()));
        if attestation.at > now || attestation.until <= now {
            return Err(invalid("at", "it is of the future, or its time is over"));
        }
        let taken = |serial: &String| self.attested.cards.get(serial).is_some_and(|of| *of != id);
        let mut serials = attestation.cards.iter().map(|card| &card.serial);
        if let Some(serial) = serials.find(|serial| taken(serial)) {
            return Err(Refusal::SameCard { serial: serial.clone() });
        }
        self.stand(id, Some(attestation));
        Ok(Reply::Done)
    }

    /// What a machine has shown stands from here on, or nothing does any more.
    fn stand(&mut self, id: WorkerId, attestation: Option<AttestationRecord>) {
        self.forget_attestation(id);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Some(attestation) = &attestation {
            self.attested.add(id, attestation);
        }
        worker.attestation = attestation;
        self.list(id);
        self.changed(Subject::Worker(id));
    }

    /// Takes a machine's attestation from it; whoever calls lists it anew.
    pub(crate) fn forget_attestation(&mut self, id: WorkerId) {
        let before = self.workers.get_mut(&id).and_then(|worker| worker.attestation.take());
        if let Some(before) = before {
            self.attested.remove(id, &before);
        }
    }

    /// When the next attestation ends.
    pub(crate) fn attestations_due(&self) -> Option<Timestamp> {
        self.attested.ends.first().map(|(at, _)| *at)
    }

    /// Attestations whose time is over no longer stand.
    pub(crate) fn wake_attestations(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.attested.ends.first().copied() {
            if at > now {
                return;
            }
            self.stand(id, None);
        }
    }
}

impl Worker {
    /// What it is listed with: what somebody vouches for, and what it has shown lately.
    pub fn certifications(&self) -> BTreeSet<Certification> {
        let shown = self.attestation.as_ref().map(AttestationRecord::grants);
        self.machine.certifications.iter().copied().chain(shown.into_iter().flatten()).collect()
    }
}

/// When an attestation ends by the rules of the day.
fn ends(attestation: &AttestationRecord, parameters: &Parameters) -> Timestamp {
    let hours = u64::from(parameters.attestation.valid_hours);
    attestation.at.after(Duration::from_secs(hours * 3_600))
}

fn invalid(field: &'static str, why: &str) -> Refusal {
    Refusal::Invalid { field, why: why.to_owned() }
}

/// It covers the machine as it is on offer, and reads as an attestation does.
fn check(attestation: &AttestationRecord, worker: &Worker) -> Result<(), Refusal> {
    let AttestationRecord { what, cards, guest, .. } = attestation;
    let gpus = usize::try_from(worker.machine.offers.gpus).unwrap_or(usize::MAX);
    let fits = match what {
        Attested::Gpu => guest.is_none() && gpus > 0,
        Attested::Cpu => guest.is_some() && gpus == 0 && cards.is_empty(),
        Attested::Composite => guest.is_some() && gpus > 0,
    };
    if !fits {
        return Err(invalid("what", "it is of other parts than the machine has on offer"));
    }
    let serials: BTreeSet<&str> = cards.iter().map(|card| card.serial.as_str()).collect();
    if serials.len() != cards.len() || cards.len() < gpus || cards.len() > ATTESTED_CARDS_MAX {
        return Err(invalid("cards", "every card on offer attests, and once"));
    }
    if attestation.debug {
        return Err(invalid("debug", "what its host may look into vouches for nothing"));
    }
    let of_cards = cards.iter().flat_map(|card| {
        let board = card.board.as_deref().unwrap_or_default();
        [card.serial.as_str(), &card.chip, board, &card.driver, &card.vbios]
    });
    let of_guest = guest.iter().flat_map(|it| [it.platform.as_str(), &it.image, &it.measurement]);
    match of_cards.chain(of_guest).find(|text| text.len() > LABEL_BYTES_MAX) {
        Some(_) => Err(invalid("cards", "a text of it is too long")),
        None => Ok(()),
    }
}
