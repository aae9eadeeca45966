//! What a confidential virtual machine on an Intel processor proves: TDX quotes, verified offline.
//!
//! A quote is signed by an enclave's key; a report of that enclave, which names the key, is signed by the processor's;
//! and the processor's key is certified up to Intel's root. Which firmware and which enclave are current is Intel's
//! word, signed, in [`Collateral`].
//!
//! # Invariants
//! - What the verifier lacks, or what has gone old, is never held against the machine: it is a [`Doubt`].
//! - A refusal outweighs a doubt: a revoked processor is refused by an old list, too.
//! - Nothing is said of a guest whose quote does not carry the report data that was expected.

mod certificate;
mod platform;
mod quote;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use std::time::Duration;
use units::{DAY, Timestamp};

pub use self::certificate::BadChain;
pub use self::platform::Platform;
pub use self::quote::{Enclave, Quote, Td, parse};

use self::certificate::{Chain, RevocationList};
use crate::Rules;
use crate::binding::REPORT_DATA_BYTES;
use crate::collateral::{
    Collateral, EnclaveIdentity, Family, Hex, Module, Said, TcbInfo, TcbStatus,
};
use crate::images::{Image, Images};
use crate::roots::Roots;

/// Intel SGX Root CA.
pub const ROOT_PEM: &str = include_str!("../intel_sgx_root_ca.pem");

/// SHA-256 of the root's DER, for people to compare with what Intel publishes. A test compares it with [`ROOT_PEM`].
pub const ROOT_SHA256: &str = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

/// Attributes by which the host may look into the virtual machine: the lowest byte, of which debugging is the lowest
/// bit.
const UNDER_DEBUG: u64 = 0xff;
/// The attribute by which the virtual machine may be moved.
const MIGRATABLE: u64 = 1 << 29;

/// What a guest is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// [`crate::binding::report_data`] of what was asked and shown.
    pub report_data: &'a [u8; REPORT_DATA_BYTES],
    /// The images that are admitted.
    pub images: &'a Images,
    /// Intel's word on platforms.
    pub collateral: &'a Collateral,
    /// How old that may be, and how current firmware.
    pub rules: &'a Rules,
    /// Which roots are believed.
    pub roots: &'a Roots,
}

/// A guest whose quote is true and admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The admitted image's name.
    pub image: String,
    /// What was launched (MRTD), in hexadecimal digits.
    pub measurement: String,
    /// The platform.
    pub platform: Platform,
    /// What Intel says of its firmware.
    pub status: TcbStatus,
    /// The last moment at which its certificates hold and Intel's word on them is not too old.
    pub until: Timestamp,
}

/// Why a guest is not attested. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAGuest {
    /// The bytes are no quote of a known version.
    #[error("it is not a TDX quote of version 4 or 5, signed with ECDSA on P-256")]
    Quote,
    /// The processor's chain is refused.
    #[error("the chain of the processor's key is refused: {0}")]
    Chain(BadChain),
    /// The processor's certificate does not name its platform.
    #[error("the certificate of the processor's key does not name its platform")]
    Platform,
    /// The quoting enclave's report is not signed by the processor.
    #[error("the quoting enclave's report is not signed by the processor's key")]
    EnclaveSignature,
    /// The quoting enclave's report names another key.
    #[error("the quoting enclave's report does not name the key of the quote")]
    EnclaveKey,
    /// The quote is not signed by its key.
    #[error("the quote is not signed by its key")]
    Signature,
    /// The quote is about something else.
    #[error("the quote carries other report data than expected")]
    ReportData,
    /// The host may look into the guest, or move it.
    #[error("the guest may be read or moved by its host")]
    Attributes,
    /// What was launched is not admitted.
    #[error("the guest was launched from an image that is not admitted")]
    Image,
    /// A certificate was revoked.
    #[error("the certificate with serial number {serial} is revoked")]
    Revoked {
        /// Its serial number.
        serial: String,
    },
    /// The TDX module is not Intel's, or of a generation that Intel does not list.
    #[error("the TDX module is not one that Intel lists")]
    Module,
    /// The quoting enclave is another one.
    #[error("the quoting enclave is not the one that Intel names")]
    Enclave,
    /// The firmware is older than admitted.
    #[error("Intel calls the platform's firmware {status:?}")]
    Tcb {
        /// What Intel says of it.
        status: TcbStatus,
    },
    /// The firmware is older than any that Intel lists.
    #[error("the platform's firmware is older than any that Intel lists")]
    TcbUnlisted,
    /// What the verifier lacks.
    #[error("{0}")]
    Doubt(Doubt),
}

/// What the verifier lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Nothing is known of the platform.
    #[error("there is none of Intel's data on the family of platforms {fmspc}")]
    None {
        /// The family.
        fmspc: String,
    },
    /// The data is not Intel's, or not of the kind that is expected.
    #[error("Intel's data on the platform is not as Intel signed it: {what}")]
    Bad {
        /// Which part.
        what: &'static str,
    },
    /// The data is too old, or from the future.
    #[error("Intel's data on the platform is too old, or dated after now: {what}")]
    Old {
        /// Which part.
        what: &'static str,
    },
}

/// Judges a quote.
///
/// # Errors
/// Why the guest is not attested.
pub fn verify(quote: &[u8], expected: &Expected<'_>, now: Timestamp) -> Result<Guest, NotAGuest> {
    let quote = parse(quote).ok_or(NotAGuest::Quote)?;
    let (chain, platform) = authentic(&quote, expected.roots, now)?;
    let image = admitted(&quote.td, expected)?;
    let doubt = |doubt| NotAGuest::Doubt(doubt);
    let fmspc = || data_encoding::HEXLOWER.encode(&platform.fmspc);
    let family = expected.collateral.of(platform.fmspc);
    let family = family.ok_or_else(|| doubt(Doubt::None { fmspc: fmspc() }))?;
    let lists = lists(family, expected.roots, now).map_err(doubt)?;
    refuse_revoked(&chain, &lists)?;
    let issuers = is_intels(family, expected.roots, now).map_err(doubt)?;
    let status = status(&quote, &platform, family)?;
    let is_admitted = match status {
        TcbStatus::UpToDate => true,
        TcbStatus::SWHardeningNeeded => expected.rules.hardening_needed,
        TcbStatus::ConfigurationNeeded
        | TcbStatus::ConfigurationAndSWHardeningNeeded
        | TcbStatus::OutOfDate
        | TcbStatus::OutOfDateConfigurationNeeded
        | TcbStatus::Revoked => false,
    };
    if !is_admitted {
        return Err(NotAGuest::Tcb { status });
    }
    let fresh = fresh_until(family, &lists, expected.rules, now).map_err(doubt)?;
    Ok(Guest {
        image: image.name.clone(),
        measurement: String::from(quote.td.mr_td),
        platform,
        status,
        until: fresh.min(chain.until()).min(issuers),
    })
}

/// Whether Intel signed all of a file's data, and it is fresh at this time: what an operator asks before it keeps the
/// file. Until when it is.
///
/// # Errors
/// What is wrong with it.
pub fn check_collateral(
    bytes: &[u8],
    roots: &Roots,
    rules: &Rules,
    now: Timestamp,
) -> Result<Timestamp, Doubt> {
    let family = crate::collateral::family(bytes).map_err(|_| Doubt::Bad { what: "the file" })?;
    let lists = lists(&family, roots, now)?;
    let until = is_intels(&family, roots, now)?;
    Ok(fresh_until(&family, &lists, rules, now)?.min(until))
}

/// Whether a genuine processor said this of a guest.
fn authentic(quote: &Quote, roots: &Roots, now: Timestamp) -> Result<(Chain, Platform), NotAGuest> {
    let chain = Chain::verify_exact(&quote.chain, roots, now).map_err(NotAGuest::Chain)?;
    let platform = chain.leaf().sgx.as_deref().and_then(platform::parse);
    let platform = platform.ok_or(NotAGuest::Platform)?;
    if !quote.enclave_is_signed_by(&chain.leaf().key) {
        return Err(NotAGuest::EnclaveSignature);
    }
    if !quote.names_its_key() {
        return Err(NotAGuest::EnclaveKey);
    }
    if !quote.is_signed_by_its_key() {
        return Err(NotAGuest::Signature);
    }
    Ok((chain, platform))
}

fn admitted<'a>(td: &Td, expected: &Expected<'a>) -> Result<&'a Image, NotAGuest> {
    if td.report_data != *expected.report_data {
        return Err(NotAGuest::ReportData);
    }
    if td.attributes & (UNDER_DEBUG | MIGRATABLE) != 0 {
        return Err(NotAGuest::Attributes);
    }
    expected.images.of_tdx(&td.mr_td, &td.rtmr).ok_or(NotAGuest::Image)
}

/// The lists of revoked certificates, when Intel made them.
fn lists(family: &Family, roots: &Roots, now: Timestamp) -> Result<[RevocationList; 2], Doubt> {
    let bad = || Doubt::Bad { what: "lists of revoked certificates" };
    let issuers = family.issuers.as_bytes();
    let issuers = certificate::Issuers::verify(issuers, roots, now).map_err(|_| bad())?;
    let read = |der: &Vec<u8>| RevocationList::parse(der).ok_or_else(bad);
    let [root, platform] = [read(&family.lists[0])?, read(&family.lists[1])?];
    let is_signed = root.is_of(issuers.root()) && platform.is_of(issuers.leaf());
    if is_signed { Ok([root, platform]) } else { Err(bad()) }
}

fn refuse_revoked(chain: &Chain, lists: &[RevocationList; 2]) -> Result<(), NotAGuest> {
    for (certificate, issuer) in chain.issued() {
        let is_revoked = lists.iter().any(|list| list.is_named(issuer) && list.has(certificate));
        if is_revoked {
            return Err(NotAGuest::Revoked { serial: certificate.serial.clone() });
        }
    }
    // A list of another issuer says nothing about this one's certificates.
    let is_covered = |issuer| lists.iter().any(|list| list.is_named(issuer));
    if chain.issuers().iter().all(is_covered) {
        Ok(())
    } else {
        Err(NotAGuest::Doubt(Doubt::Bad { what: "lists of revoked certificates" }))
    }
}

/// Whether Intel signed both statements, and they are of the kind that is expected; until when its signers'
/// certificates hold.
fn is_intels(family: &Family, roots: &Roots, now: Timestamp) -> Result<Timestamp, Doubt> {
    let Family { tcb, tcb_said, enclave, enclave_said, .. } = family;
    let tcb_until =
        signed(tcb_said, roots, now).ok_or(Doubt::Bad { what: "levels of firmware" })?;
    let enclave_until =
        signed(enclave_said, roots, now).ok_or(Doubt::Bad { what: "quoting enclave" })?;
    if tcb.id != "TDX" || tcb.version != 3 {
        return Err(Doubt::Bad { what: "levels of firmware" });
    }
    if enclave.id != "TD_QE" || enclave.version != 2 {
        return Err(Doubt::Bad { what: "quoting enclave" });
    }
    Ok(tcb_until.min(enclave_until))
}

fn signed(said: &Said, roots: &Roots, now: Timestamp) -> Option<Timestamp> {
    let chain = Chain::verify(said.chain.as_bytes(), roots, now).ok()?;
    let key: &VerifyingKey = &chain.leaf().key;
    let signature = Signature::from_slice(&said.signature).ok()?;
    let digest: [u8; 32] = Sha256::digest(&said.text).into();
    key.verify_prehash(&digest, &signature).ok().map(|()| chain.until())
}

/// What Intel says of all firmware that is involved: the worst of it.
fn status(quote: &Quote, platform: &Platform, family: &Family) -> Result<TcbStatus, NotAGuest> {
    let is_same_pce =
        Hex::<2>::try_from(family.tcb.pce_id.clone()).ok() == Some(Hex(platform.pce_id));
    if !is_same_pce {
        return Err(NotAGuest::Doubt(Doubt::Bad { what: "levels of firmware" }));
    }
    let module = module(&quote.td, &family.tcb)?;
    let enclave = enclave(&quote.enclave, &family.enclave)?;
    let level = family.tcb.tcb_levels.iter().find(|level| {
        let reaches = |is: &[u8], least: &[crate::collateral::Component]| {
            is.iter().zip(least).all(|(is, least)| *is >= least.svn)
        };
        // Of later generations the module is judged apart, by its own levels.
        let skipped = if quote.td.svn[1] == 0 { 0 } else { 2 };
        reaches(&platform.components, &level.tcb.sgxtcbcomponents)
            && platform.pce_svn >= level.tcb.pcesvn
            && reaches(&quote.td.svn[skipped..], &level.tcb.tdxtcbcomponents[skipped..])
    });
    let platform = level.ok_or(NotAGuest::TcbUnlisted)?.tcb_status;
    Ok(module.max(enclave).max(platform))
}

/// What Intel says of the TDX module.
fn module(td: &Td, tcb: &TcbInfo) -> Result<TcbStatus, NotAGuest> {
    let [svn, generation, ..] = td.svn;
    let is_this = |module: &Module| {
        let masked: Vec<u8> = td
            .module_attributes
            .iter()
            .zip(module.attributes_mask.0)
            .map(|(is, mask)| is & mask)
            .collect();
        module.mrsigner.0 == td.module_signer && module.attributes.0[..] == masked
    };
    if generation == 0 {
        let is_listed = tcb.tdx_module.as_ref().is_some_and(is_this);
        return if is_listed { Ok(TcbStatus::UpToDate) } else { Err(NotAGuest::Module) };
    }
    let name = format!("TDX_{generation:02x}");
    let known = tcb.tdx_module_identities.iter().find(|it| it.id.eq_ignore_ascii_case(&name));
    let known = known.filter(|module| is_this(module)).ok_or(NotAGuest::Module)?;
    let level = known.tcb_levels.iter().find(|level| u16::from(svn) >= level.tcb.isvsvn);
    Ok(level.ok_or(NotAGuest::TcbUnlisted)?.tcb_status)
}

/// What Intel says of the quoting enclave.
fn enclave(is: &Enclave, should: &EnclaveIdentity) -> Result<TcbStatus, NotAGuest> {
    let masked = |is: &[u8], mask: &[u8], should: &[u8]| {
        is.iter().zip(mask).zip(should).all(|((is, mask), should)| is & mask == should & mask)
    };
    let fits = masked(&is.miscselect, &should.miscselect_mask.0, &should.miscselect.0)
        && masked(&is.attributes, &should.attributes_mask.0, &should.attributes.0)
        && is.signer == should.mrsigner.0
        && is.product == should.isvprodid;
    if !fits {
        return Err(NotAGuest::Enclave);
    }
    let level = should.tcb_levels.iter().find(|level| is.svn >= level.tcb.isvsvn);
    Ok(level.ok_or(NotAGuest::Enclave)?.tcb_status)
}

/// Until when all of Intel's data is fresh enough.
fn fresh_until(
    family: &Family,
    lists: &[RevocationList; 2],
    rules: &Rules,
    now: Timestamp,
) -> Result<Timestamp, Doubt> {
    let grace: Duration = DAY * u32::from(rules.collateral_grace_days);
    let [root, platform] = lists;
    let parts = [
        ("levels of firmware", family.tcb_said.issued, Some(family.tcb_said.next)),
        ("quoting enclave", family.enclave_said.issued, Some(family.enclave_said.next)),
        ("the root's list of revoked certificates", root.from, root.next),
        ("list of revoked processors", platform.from, platform.next),
    ];
    let mut until = Timestamp::from_millis(u64::MAX);
    for (what, from, next) in parts {
        // A list that names no next one would be good for ever.
        let next = next.ok_or(Doubt::Old { what })?.after(grace);
        if from > now || now > next {
            return Err(Doubt::Old { what });
        }
        until = until.min(next);
    }
    Ok(until)
}
