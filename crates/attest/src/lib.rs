//! What a GPU's own signature proves about it: NVIDIA attestation, verified offline.
//!
//! [`verify`] takes the evidence of one GPU, the nonce it was asked with, what the network admits, and the time; and
//! says [`Verdict::Attested`], [`Verdict::Refused`] or [`Verdict::Inconclusive`]. [`verify_machine`] does it for all
//! GPUs of a machine, and looks at how they stand together. `docs/concepts/attestation.md` says what it proves.
//!
//! # Invariants
//! - Told everything, does nothing: no clock, no network, no chance. The same arguments give the same verdict.
//! - What came from outside never panics and never makes more work than [`limits`] allow.
//! - What the verifier lacks is never held against the GPU: it is a [`Doubt`], not a [`Refusal`].
//! - A refusal outweighs a doubt: old data never hides that a signature is wrong.
//!
//! Deliberately absent: how evidence is fetched, how nonces are drawn and kept from being used twice, and what a
//! verdict is worth. Attestation proves which chip and firmware answered, never how fast they are.

pub mod binding;
pub mod certificate;
pub mod chain;
pub mod collateral;
mod compare;
mod fwid;
pub mod images;
mod lengths;
pub mod limits;
pub mod opaque;
pub mod reference;
pub mod report;
pub mod revocation;
pub mod revocation_list;
pub mod rim;
mod roots;
mod rsa;
mod rules;
pub mod shown;
mod signed;
pub mod snp;
pub mod tdx;
mod verdict;
mod xml;

use std::time::Duration;

use data_encoding::HEXLOWER;
use units::{DAY, Timestamp};

pub use crate::compare::NVDEC0_INDEX;
pub use crate::images::Images;
pub use crate::opaque::Mode;
pub use crate::reference::References;
pub use crate::revocation::Revocations;
pub use crate::roots::{NotRoots, Roots};
pub use crate::rules::{BadRules, Rules};
pub use crate::signed::NotSigned;
pub use crate::verdict::{Device, Doubt, MachineVerdict, Refusal, Verdict};

use crate::chain::Chain;
use crate::compare::Compared;
use crate::report::Report;
use crate::verdict::NotAttested;

/// What one GPU's driver hands out.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The SPDM exchange: [`report::parse`].
    pub report: &'a [u8],
    /// The chain of certificates: [`chain::parse`].
    pub chain: &'a [u8],
}

/// What evidence is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// What the GPU was asked with: 32 random bytes, never used before.
    pub nonce: &'a [u8; 32],
    /// The firmware and drivers that are admitted.
    pub references: &'a References,
    /// The certificates that were taken back.
    pub revocations: &'a Revocations,
    /// How old data may be, and which modes count.
    pub rules: &'a Rules,
    /// Which roots are believed.
    pub roots: &'a Roots,
}

/// Judges the evidence of one GPU. About five milliseconds, most of it five signatures.
pub fn verify(evidence: &Evidence<'_>, policy: &Policy<'_>, now: Timestamp) -> Verdict {
    match judge(evidence, policy, now) {
        Ok(device) => Verdict::Attested(device),
        Err(NotAttested::Refused(why)) => Verdict::Refused(why),
        Err(NotAttested::Inconclusive(why)) => Verdict::Inconclusive(why),
    }
}

/// Judges the evidence of all GPUs of one machine, answering one nonce.
pub fn verify_machine(
    evidence: &[Evidence<'_>],
    policy: &Policy<'_>,
    now: Timestamp,
) -> MachineVerdict {
    if evidence.is_empty() || evidence.len() > limits::GPUS_MAX {
        return refused(0, Refusal::Count { gpus: evidence.len() });
    }
    let (mut devices, mut doubts) = (Vec::<Device>::new(), Vec::new());
    for (gpu, one) in evidence.iter().enumerate() {
        match verify(one, policy, now) {
            Verdict::Attested(device) => devices.push(device),
            Verdict::Refused(why) => return refused(gpu, why),
            Verdict::Inconclusive(why) => doubts.push((gpu, why)),
        }
    }
    match doubts.into_iter().next() {
        Some((gpu, why)) => MachineVerdict::Inconclusive { gpu, why },
        None => together(devices),
    }
}

fn judge(
    evidence: &Evidence<'_>,
    policy: &Policy<'_>,
    now: Timestamp,
) -> Result<Device, NotAttested> {
    let (report, chain) = authentic(evidence, policy, now)?;
    admitted(&report, &chain, policy)?;
    let chip = chip(&chain);
    let compared = compare::compare(&report, &chip, policy.references)?;
    match doubt(&chain, policy, now) {
        Some(doubt) => Err(doubt.into()),
        None => Ok(device(&report, &chain, chip, compared)),
    }
}

/// Whether a genuine GPU said this in answer to this nonce.
fn authentic(
    evidence: &Evidence<'_>,
    policy: &Policy<'_>,
    now: Timestamp,
) -> Result<(Report, Chain), Refusal> {
    let report = report::parse(evidence.report).map_err(Refusal::Report)?;
    if report.nonce != *policy.nonce {
        return Err(Refusal::Nonce);
    }
    let chain = chain::parse_under(evidence.chain, policy.roots).map_err(Refusal::Chain)?;
    chain.verify(now).map_err(Refusal::Chain)?;
    let named = chain.leaf().fwid;
    if named.is_none() || named != report.opaque.fwid {
        return Err(Refusal::Firmware);
    }
    if !report.is_signed_by(chain.key()) {
        return Err(Refusal::Signature);
    }
    Ok((report, chain))
}

fn admitted(report: &Report, chain: &Chain, policy: &Policy<'_>) -> Result<(), Refusal> {
    if let Some((at, serial)) = policy.revocations.find_revoked(chain) {
        return Err(Refusal::Revoked { at, serial });
    }
    match (report.opaque.mode, policy.rules.protected_pcie) {
        (Mode::ProtectedPcie, false) => Err(Refusal::ProtectedPcie),
        (Mode::ProtectedPcie, true) | (Mode::Single | Mode::Multi, true | false) => Ok(()),
    }
}

fn doubt(chain: &Chain, policy: &Policy<'_>, now: Timestamp) -> Option<Doubt> {
    let Policy { references, revocations, rules, .. } = policy;
    if let Some(days) = too_old(references.issued_at, rules.reference_days_max, now) {
        return Some(Doubt::ReferencesOld { days, limit: rules.reference_days_max });
    }
    if let Some(issuer) = revocations.find_unknown(chain) {
        return Some(Doubt::RevocationUnknown { issuer });
    }
    let days = too_old(revocations.fetched_at, rules.revocation_days_max, now)?;
    Some(Doubt::RevocationOld { days, limit: rules.revocation_days_max })
}

/// How many days old it is, when that is more than `limit`; none of them when it is dated after now.
#[expect(clippy::option_option, reason = "the inner one becomes a field of a doubt")]
fn too_old(made: Timestamp, limit: u16, now: Timestamp) -> Option<Option<u64>> {
    if made > now {
        return Some(None);
    }
    let age = now.since(made);
    let days = age.as_secs().div_ceil(DAY.as_secs());
    let allowed: Duration = DAY * u32::from(limit);
    (age > allowed).then_some(Some(days.max(u64::from(limit) + 1)))
}

fn device(report: &Report, chain: &Chain, chip: String, compared: Compared) -> Device {
    let opaque = report.opaque.clone();
    Device {
        chip,
        serial: chain.device().serial.clone(),
        key_serial: chain.leaf().serial.clone(),
        board: compared.board,
        sku: format!("{} {} {}", opaque.project, opaque.project_sku, opaque.chip_sku),
        driver: opaque.driver,
        vbios: opaque.vbios,
        firmware: HEXLOWER.encode(&opaque.fwid.unwrap_or([0; report::DIGEST_BYTES])),
        mode: opaque.mode,
        until: chain.until(),
        compared: compared.compared,
        excepted: compared.excepted,
    }
}

/// The chip's name: the first word of what its certificate calls it, `GH100 A01 GSP BROM`.
fn chip(chain: &Chain) -> String {
    chain.device().common_name.split(' ').next().unwrap_or_default().to_owned()
}

/// One GPU counts once, and all are passed through in one mode.
fn together(devices: Vec<Device>) -> MachineVerdict {
    for (gpu, device) in devices.iter().enumerate() {
        let same = devices[..gpu].iter().position(|earlier| earlier.serial == device.serial);
        if let Some(earlier) = same {
            return refused(gpu, Refusal::SameDevice { earlier });
        }
        if device.mode != devices[0].mode {
            return refused(gpu, Refusal::MixedModes);
        }
    }
    MachineVerdict::Attested(devices)
}

const fn refused(gpu: usize, why: Refusal) -> MachineVerdict {
    MachineVerdict::Refused { gpu, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_of_one_machine_are_passed_through_in_one_mode() {
        check(&[("a", Mode::Multi), ("b", Mode::Multi)], "attested 2");
        check(
            &[("a", Mode::Single), ("b", Mode::Multi)],
            "1: it is passed through in another mode than number 0",
        );
        check(
            &[("a", Mode::Multi), ("b", Mode::Multi), ("b", Mode::Multi)],
            "2: it is the same GPU as number 1",
        );
    }

    fn check(gpus: &[(&str, Mode)], expected: &str) {
        let devices = gpus.iter().map(|(serial, mode)| named(serial, *mode)).collect();
        let words = match together(devices) {
            MachineVerdict::Attested(devices) => format!("attested {}", devices.len()),
            MachineVerdict::Refused { gpu, why } => format!("{gpu}: {why}"),
            MachineVerdict::Inconclusive { gpu, why } => format!("{gpu}: {why}"),
        };
        assert_eq!(words, expected);
    }

    fn named(serial: &str, mode: Mode) -> Device {
        Device {
            chip: "GH100".to_owned(),
            serial: serial.to_owned(),
            key_serial: String::new(),
            board: None,
            driver: String::new(),
            vbios: String::new(),
            sku: String::new(),
            firmware: String::new(),
            mode,
            until: Timestamp::default(),
            compared: 1,
            excepted: Vec::new(),
        }
    }
}
