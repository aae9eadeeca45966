//! What a whole machine showed, as it is kept and checked again: its cards' evidence, its processor's quote, and what
//! ties them to each other and to the machine.
//!
//! Kept as JSON and named by the hash of its bytes. Whoever has it, the data of then and the time of then comes to the
//! same answer.
//!
//! # Invariants
//! - Cards and processor answer one nonce, which the network gave to this machine.
//! - With a quote, the quote carries the digest of the nonce, of the machine's key, and of what its cards said.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use units::{DAY, Timestamp, WorkerId};

use crate::binding::{machine_key, report_data};
use crate::collateral::Collateral;
use crate::images::Images;
use crate::limits::{AUX_BYTES_MAX, CHAIN_BYTES_MAX, GPUS_MAX, QUOTE_BYTES_MAX, REPORT_BYTES_MAX};
use crate::revocation::Revocations;
use crate::{
    Device, Doubt, Evidence, MachineVerdict, Policy, References, Refusal, Roots, Rules, snp, tdx,
    verify_machine,
};

/// What a machine showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Which machine.
    pub worker: WorkerId,
    /// The machine's ed25519 key, in hexadecimal digits.
    pub machine_key: String,
    /// What it was asked with: 32 bytes in hexadecimal digits.
    pub nonce: String,
    /// Its cards, in the order of its driver.
    pub gpus: Vec<Gpu>,
    /// Its processor's quote, if it is a confidential virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
}

/// What one card's driver handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// The report, in base 64.
    pub report: String,
    /// The chain of certificates, in base 64.
    pub chain: String,
}

/// What a kernel handed out about its virtual machine (`/sys/kernel/config/tsm/report`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// `sev_guest` or `tdx_guest`.
    pub provider: String,
    /// The report or quote, in base 64.
    pub quote: String,
    /// What the host gives beside it, in base 64: for SEV-SNP, the table of certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aux: Option<String>,
}

/// What evidence is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The firmware and drivers that are admitted.
    pub references: &'a References,
    /// What NVIDIA's issuers took back.
    pub revocations: &'a Revocations,
    /// The images that are admitted.
    pub images: &'a Images,
    /// Intel's word on platforms.
    pub collateral: &'a Collateral,
    /// How old data may be, and what counts.
    pub rules: &'a Rules,
    /// Which roots are believed.
    pub roots: &'a Roots,
}

/// A machine that has attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Its cards.
    pub gpus: Vec<Device>,
    /// Its virtual machine, if it showed a quote.
    pub guest: Option<Guest>,
    /// The last moment at which all certificates hold, and what is known of them is fresh enough.
    pub until: Timestamp,
}

/// A confidential virtual machine that has attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// What keeps its memory: `tdx`, `sev-snp Milan`.
    pub platform: String,
    /// The admitted image's name.
    pub image: String,
    /// What was measured at its launch, in hexadecimal digits.
    pub measurement: String,
}

/// Why a machine has not attested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAttested {
    /// A field does not read, or is longer than such a thing is.
    #[error("`{field}` does not read")]
    Unreadable {
        /// Which.
        field: &'static str,
    },
    /// Neither a card nor a processor said anything.
    #[error("it shows neither a card's evidence nor a processor's quote")]
    Nothing,
    /// A card is refused.
    #[error("card {gpu}: {why}")]
    Gpu {
        /// Which, by its place.
        gpu: usize,
        /// Why.
        why: Box<Refusal>,
    },
    /// The virtual machine is refused.
    #[error("processor: {why}")]
    Guest {
        /// Why.
        why: String,
    },
    /// Of a card nothing can be said.
    #[error("card {gpu}: {why}")]
    GpuDoubt {
        /// Which, by its place.
        gpu: usize,
        /// Why.
        why: Doubt,
    },
    /// Of the virtual machine nothing can be said.
    #[error("processor: {why}")]
    GuestDoubt {
        /// Why.
        why: String,
    },
}

impl NotAttested {
    /// Whether only the verifier lacks something: asking later may bring another answer.
    pub const fn is_doubt(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::Nothing | Self::Gpu { .. } | Self::Guest { .. } => {
                false
            }
            Self::GpuDoubt { .. } | Self::GuestDoubt { .. } => true,
        }
    }
}

impl Shown {
    /// Judges what was shown.
    ///
    /// # Errors
    /// Why the machine has not attested; a refusal, where anything refuses it.
    pub fn judge(&self, known: &Known<'_>, now: Timestamp) -> Result<Attestation, NotAttested> {
        let bytes = self.bytes()?;
        if bytes.gpus.is_empty() && bytes.cpu.is_none() {
            return Err(NotAttested::Nothing);
        }
        let evidence: Vec<Evidence<'_>> =
            bytes.gpus.iter().map(|(report, chain)| Evidence { report, chain }).collect();
        let gpus = match evidence.is_empty() {
            true => Ok(Vec::new()),
            false => judge_gpus(&evidence, known, &bytes.nonce, now),
        };
        // Of both, a refusal outweighs a doubt.
        if let Err(why) = &gpus
            && !why.is_doubt()
        {
            return Err(why.clone());
        }
        let expected = report_data(&bytes.nonce, &machine_key(&bytes.key), &evidence);
        let cpu = bytes.cpu.as_ref();
        let guest = cpu.map(|cpu| judge_cpu(cpu, &expected, known, now)).transpose()?;
        let gpus = gpus?;
        let mut until = guest.as_ref().map_or(Timestamp::from_millis(u64::MAX), |it| it.1);
        if !gpus.is_empty() {
            until = until.min(fresh_until(&gpus, known));
        }
        Ok(Attestation { gpus, guest: guest.map(|it| it.0), until })
    }

    fn bytes(&self) -> Result<Bytes, NotAttested> {
        let bad = |field| NotAttested::Unreadable { field };
        let fixed = |text: &str, field| {
            let bytes = HEXLOWER.decode(text.as_bytes()).ok();
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| bad(field))
        };
        let base64 = |text: &str, max: usize, field| {
            let bytes = BASE64.decode(text.as_bytes()).ok();
            bytes.filter(|bytes| bytes.len() <= max).ok_or_else(|| bad(field))
        };
        let key: [u8; 32] = fixed(&self.machine_key, "machine_key")?;
        VerifyingKey::from_bytes(&key).map_err(|_| bad("machine_key"))?;
        if self.gpus.len() > GPUS_MAX {
            return Err(bad("gpus"));
        }
        let gpu = |gpu: &Gpu| {
            Ok((
                base64(&gpu.report, REPORT_BYTES_MAX, "report")?,
                base64(&gpu.chain, CHAIN_BYTES_MAX, "chain")?,
            ))
        };
        let cpu = |cpu: &Cpu| {
            let platform = match cpu.provider.as_str() {
                "sev_guest" => Provider::Snp,
                "tdx_guest" => Provider::Tdx,
                _ => return Err(bad("provider")),
            };
            let aux = cpu.aux.as_deref().unwrap_or_default();
            Ok((
                platform,
                base64(&cpu.quote, QUOTE_BYTES_MAX, "quote")?,
                base64(aux, AUX_BYTES_MAX, "aux")?,
            ))
        };
        Ok(Bytes {
            key,
            nonce: fixed(&self.nonce, "nonce")?,
            gpus: self.gpus.iter().map(gpu).collect::<Result<_, _>>()?,
            cpu: self.cpu.as_ref().map(cpu).transpose()?,
        })
    }
}

#[derive(Clone, Copy)]
enum Provider {
    Snp,
    Tdx,
}

type Quote = (Provider, Vec<u8>, Vec<u8>);

struct Bytes {
    key: [u8; 32],
    nonce: [u8; 32],
    gpus: Vec<(Vec<u8>, Vec<u8>)>,
    cpu: Option<Quote>,
}

fn judge_gpus(
    evidence: &[Evidence<'_>],
    known: &Known<'_>,
    nonce: &[u8; 32],
    now: Timestamp,
) -> Result<Vec<Device>, NotAttested> {
    let Known { references, revocations, rules, roots, .. } = *known;
    let policy = Policy { nonce, references, revocations, rules, roots };
    match verify_machine(evidence, &policy, now) {
        MachineVerdict::Attested(devices) => Ok(devices),
        MachineVerdict::Refused { gpu, why } => Err(NotAttested::Gpu { gpu, why: Box::new(why) }),
        MachineVerdict::Inconclusive { gpu, why } => Err(NotAttested::GpuDoubt { gpu, why }),
    }
}

fn judge_cpu(
    (provider, quote, aux): &Quote,
    report_data: &[u8; 64],
    known: &Known<'_>,
    now: Timestamp,
) -> Result<(Guest, Timestamp), NotAttested> {
    match provider {
        Provider::Snp => judge_snp(quote, aux, report_data, known.images, now),
        Provider::Tdx => {
            let Known { images, collateral, rules, roots, .. } = *known;
            let expected = tdx::Expected { report_data, images, collateral, rules, roots };
            let guest = tdx::verify(quote, &expected, now).map_err(not_a_guest)?;
            let tdx::Guest { image, measurement, until, .. } = guest;
            Ok((Guest { platform: "tdx".to_owned(), image, measurement }, until))
        }
    }
}

fn not_a_guest(why: tdx::NotAGuest) -> NotAttested {
    if let tdx::NotAGuest::Doubt(doubt) = why {
        return NotAttested::GuestDoubt { why: doubt.to_string() };
    }
    NotAttested::Guest { why: why.to_string() }
}

fn judge_snp(
    report: &[u8],
    table: &[u8],
    report_data: &[u8; 64],
    images: &Images,
    now: Timestamp,
) -> Result<(Guest, Timestamp), NotAttested> {
    let refused = |why: String| NotAttested::Guest { why };
    let certificate = snp::certificate_of(table).ok_or_else(|| {
        refused("the host gave no certificate of the processor's key beside the report".to_owned())
    })?;
    let measurements: Vec<_> = images.images.iter().flat_map(|it| it.snp.clone()).collect();
    let firmware_min = images.snp_firmware_min;
    let expected = snp::Expected { report_data, measurements: &measurements, firmware_min };
    let guest =
        snp::verify(report, certificate, &expected, now).map_err(|why| refused(why.to_string()))?;
    let image = images.of_snp(&guest.measurement).map(|image| image.name.clone());
    let shown = Guest {
        platform: format!("sev-snp {}", guest.family),
        image: image.unwrap_or_default(),
        measurement: String::from(guest.measurement),
    };
    Ok((shown, guest.until))
}

/// Until when the cards' certificates hold and what is known of them is fresh.
fn fresh_until(gpus: &[Device], known: &Known<'_>) -> Timestamp {
    let days = |from: Timestamp, days: u16| from.after(DAY * u32::from(days));
    let references = days(known.references.issued_at, known.rules.reference_days_max);
    let revocations = days(known.revocations.fetched_at, known.rules.revocation_days_max);
    let certificates = gpus.iter().map(|device| device.until);
    certificates.fold(references.min(revocations), Timestamp::min)
}
