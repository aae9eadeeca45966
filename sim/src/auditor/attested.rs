//! What the auditor believes of attestations: who has shown what, until when, and that nobody is listed with more.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, AttestationRecord, Attested, Body, Command, Control};
use units::{Certification, HOUR, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

/// Attestations that were told, by machine: until when they stand at the latest, and what for.
#[derive(Clone, Debug, Default)]
pub(super) struct Attestations(BTreeMap<WorkerId, Shown>);

#[derive(Clone, Debug)]
struct Shown {
    until: Timestamp,
    grants: BTreeSet<Certification>,
    serials: BTreeSet<String>,
}

impl Belief {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other commands show nothing")]
    pub(super) fn see_attested(&mut self, control: &Control, body: &Body) -> Step {
        match &body.command {
            Command::Attest { worker, attestation } => {
                self.attested(control, body, *worker, attestation)?;
                self.listed_as_attested(control, None)
            }
            // What was over by then has ended with it.
            Command::Wake {} => self.listed_as_attested(control, Some(self.at)),
            _ => Ok(()),
        }
    }

    fn attested(
        &mut self,
        control: &Control,
        body: &Body,
        worker: WorkerId,
        said: &AttestationRecord,
    ) -> Step {
        let hours = u32::from(control.parameters().attestation.valid_hours);
        let until = said.until.min(said.at.after(HOUR * hours));
        let serials: BTreeSet<String> = said.cards.iter().map(|it| it.serial.clone()).collect();
        let elsewhere = self.attestations.0.iter().any(|(other, shown)| {
            let stands = control.worker(*other).is_some_and(|it| it.attestation.is_some());
            *other != worker && stands && !shown.serials.is_disjoint(&serials)
        });
        let gpus = control.worker(worker).map_or(0, |it| it.machine.offers.gpus);
        let all = usize::try_from(gpus).is_ok_and(|gpus| serials.len() >= gpus);
        let right = body.by == Actor::Clock && !said.debug && until > self.at && all && !elsewhere;
        must(right, Invariant::Proofs, || format!("{body:?} stands"))?;
        let grants = match said.what {
            Attested::Gpu => BTreeSet::from([Certification::AttestedGpu]),
            Attested::Cpu => BTreeSet::from([Certification::Confidential]),
            Attested::Composite => {
                BTreeSet::from([Certification::AttestedGpu, Certification::Confidential])
            }
        };
        self.attestations.0.insert(worker, Shown { until, grants, serials });
        Ok(())
    }

    /// Nobody is listed with what it has not shown; at `now`, nor with what it has shown too long ago.
    fn listed_as_attested(&self, control: &Control, now: Option<Timestamp>) -> Step {
        for (id, worker) in control.workers() {
            let listed = worker.certifications();
            let mut listed = listed.iter().filter(|it| {
                matches!(it, Certification::AttestedGpu | Certification::Confidential)
            });
            let shown = self.attestations.0.get(&id);
            let in_time = |shown: &&Shown| now.is_none_or(|now| shown.until > now);
            let shown = shown.filter(in_time).map(|shown| &shown.grants);
            let held = listed.all(|it| shown.is_some_and(|shown| shown.contains(it)));
            must(held, Invariant::Proofs, || {
                format!(
                    "{id} is listed with {:?}, and has shown {shown:?}",
                    worker.certifications()
                )
            })?;
        }
        Ok(())
    }
}
