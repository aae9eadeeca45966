//! Machines attest, now and then: as they are, of other parts than they have, with a card that stands elsewhere; and
//! somebody who is not the clock says so too. What is due follows from the time alone, so that nothing else in a run
//! depends on it.

use control::{Actor, AttestationRecord, Attested, CardRecord, Command, GuestRecord};
use units::{BlobId, HOUR, Timestamp};

use crate::broken::{Invariant, Step, must};
use crate::people::Purpose;
use crate::world::World;

impl World {
    /// Perhaps a machine attests.
    pub(crate) fn attest_perhaps(&mut self) -> Step {
        let turn = usize::try_from(self.now.millis() / 1_000).unwrap_or(0);
        if turn % 4 != 0 || self.machines.is_empty() {
            return Ok(());
        }
        let turn = turn / 4;
        let worker = self.machines[turn % self.machines.len()].id;
        // As it is known to the server: it may have changed since.
        let known = self.server.control.as_ref().and_then(|control| control.worker(worker));
        let Some(gpus) = known.map(|it| it.machine.offers.gpus) else { return Ok(()) };
        let now = self.server_clock();
        let mut attestation = attestation(u64::try_from(turn).unwrap_or(0), gpus, now);
        let by = match turn % 11 {
            0 => Actor::Operator,
            1 => Actor::Worker(worker),
            _ => Actor::Clock,
        };
        let never = match turn % 11 {
            0 | 1 => true,
            2 => {
                attestation.debug = true;
                true
            }
            3 => {
                attestation.until = attestation.at;
                true
            }
            4 if gpus > 0 => {
                attestation.cards.pop();
                true
            }
            5 if gpus > 0 => {
                attestation.guest = None;
                attestation.what = Attested::Composite;
                true
            }
            // A card that may stand for another machine: whoever is first has it.
            6 if gpus > 0 => {
                attestation.cards[0].serial = "shared".to_owned();
                false
            }
            _ => false,
        };
        let command = Command::Attest { worker, attestation };
        if by != Actor::Clock {
            self.ask(by, command, Purpose::Theft);
            return Ok(());
        }
        let answer = self.server_says(by, command)?;
        let refused = answer.is_none_or(|answer| answer.is_err());
        must(refused || !never, Invariant::Proofs, || {
            format!("an attestation of {worker} makes no sense, and stands")
        })
    }
}

/// What a machine with so many cards attests: for some hours, with a card of its own each.
fn attestation(turn: u64, gpus: u32, at: Timestamp) -> AttestationRecord {
    let card = |place: u32| CardRecord {
        serial: format!("{turn:x}-{place}"),
        chip: "GH100".to_owned(),
        board: None,
        driver: "570.86.16".to_owned(),
        vbios: "96.00.9f.00.01".to_owned(),
    };
    let with_guest = gpus == 0 || turn.is_multiple_of(3);
    let what = match (gpus, with_guest) {
        (0, _) => Attested::Cpu,
        (_, true) => Attested::Composite,
        (_, false) => Attested::Gpu,
    };
    let hours = u32::try_from(turn % 30).unwrap_or(0) + 1;
    AttestationRecord {
        at,
        until: at.after(HOUR * hours),
        what,
        evidence: BlobId::from_sha256([u8::try_from(turn % 251).unwrap_or(0); 32]),
        cards: (0..gpus).map(card).collect(),
        guest: with_guest.then(|| GuestRecord {
            platform: "tdx".to_owned(),
            image: "guest".to_owned(),
            measurement: "00".to_owned(),
        }),
        debug: false,
    }
}
