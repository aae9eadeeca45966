//! Intel's word on families of platforms: which firmware is current, which quoting enclave is right, which processors
//! were revoked.
//!
//! A file has the JSON that Intel's caching services hand out and that tools for TDX exchange: lists in hexadecimal
//! digits, chains in PEM, and two statements as text, each with Intel's signature. Nobody else signs it: what is in it
//! is checked against Intel's root whenever it is used.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use units::Timestamp;
use x509_cert::der::DateTime;

use crate::limits::{COLLATERAL_BYTES_MAX, TCB_LEVELS_MAX};

/// What is known of platforms, by family (FMSPC in lowercase hexadecimal digits).
#[derive(Clone, Debug, Default)]
pub struct Collateral(BTreeMap<String, Family>);

/// Why a file is none of Intel's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCollateral {
    /// More than anybody needs.
    #[error("it has more than {COLLATERAL_BYTES_MAX} bytes")]
    TooLong,
    /// Not the JSON that is expected.
    #[error("it is not Intel's data on a family of platforms: {why}")]
    Shape {
        /// What is wrong.
        why: String,
    },
}

/// What is known of one family.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) tcb: TcbInfo,
    pub(crate) tcb_said: Said,
    pub(crate) enclave: EnclaveIdentity,
    pub(crate) enclave_said: Said,
    /// Lists of revoked certificates, DER: the root's, and that of who issues to processors.
    pub(crate) lists: [Vec<u8>; 2],
    /// The chain of who issues to processors, leaf first, PEM.
    pub(crate) issuers: String,
}

/// A statement as it was signed.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) signature: Vec<u8>,
    /// PEM, leaf first.
    pub(crate) chain: String,
    pub(crate) issued: Timestamp,
    pub(crate) next: Timestamp,
}

#[derive(Deserialize)]
struct File {
    pck_crl_issuer_chain: String,
    root_ca_crl: String,
    pck_crl: String,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    tcb_info_signature: String,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    qe_identity_signature: String,
}

/// Which firmware of a family is how current, the newest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcbInfo {
    pub(crate) id: String,
    pub(crate) version: u32,
    issue_date: String,
    next_update: String,
    pub(crate) fmspc: String,
    pub(crate) pce_id: String,
    pub(crate) tdx_module: Option<Module>,
    #[serde(default)]
    pub(crate) tdx_module_identities: Vec<Module>,
    pub(crate) tcb_levels: Vec<Level<Tcb>>,
}

/// A generation of the TDX module.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Module {
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) mrsigner: Hex<48>,
    pub(crate) attributes: Hex<8>,
    pub(crate) attributes_mask: Hex<8>,
    #[serde(default)]
    pub(crate) tcb_levels: Vec<Level<Svn>>,
}

/// A level of firmware, and what Intel says of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Level<T> {
    pub(crate) tcb: T,
    pub(crate) tcb_status: TcbStatus,
}

/// Security versions of a platform.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tcb {
    pub(crate) sgxtcbcomponents: [Component; 16],
    pub(crate) pcesvn: u16,
    pub(crate) tdxtcbcomponents: [Component; 16],
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Component {
    pub(crate) svn: u8,
}

/// The security version of one thing.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Svn {
    pub(crate) isvsvn: u16,
}

/// The quoting enclave as it should be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnclaveIdentity {
    pub(crate) id: String,
    pub(crate) version: u32,
    issue_date: String,
    next_update: String,
    pub(crate) miscselect: Hex<4>,
    pub(crate) miscselect_mask: Hex<4>,
    pub(crate) attributes: Hex<16>,
    pub(crate) attributes_mask: Hex<16>,
    pub(crate) mrsigner: Hex<32>,
    pub(crate) isvprodid: u16,
    pub(crate) tcb_levels: Vec<Level<Svn>>,
}

/// What Intel says of a level of firmware, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TcbStatus {
    /// Nothing newer is needed.
    UpToDate,
    /// Nothing newer is needed, if software hardens itself.
    SWHardeningNeeded,
    /// The platform's settings must be changed.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSWHardeningNeeded,
    /// There is newer firmware.
    OutOfDate,
    /// There is newer firmware, and settings must be changed.
    OutOfDateConfigurationNeeded,
    /// It must not be believed.
    Revoked,
}

/// Bytes as hexadecimal digits of any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("{N} bytes in hexadecimal digits"))
    }
}

impl Collateral {
    /// Adds a file; what was known of its family before is replaced.
    ///
    /// # Errors
    /// Why it is none of Intel's data.
    pub fn add(&mut self, bytes: &[u8]) -> Result<String, NotCollateral> {
        let family = family(bytes)?;
        let name = family.tcb.fmspc.to_lowercase();
        self.0.insert(name.clone(), family);
        Ok(name)
    }

    pub(crate) fn of(&self, fmspc: [u8; 6]) -> Option<&Family> {
        self.0.get(&data_encoding::HEXLOWER.encode(&fmspc))
    }

    /// When Intel promised something newer about each family.
    pub fn next_updates(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let next = |family: &Family| family.tcb_said.next.min(family.enclave_said.next);
        self.0.iter().map(move |(name, family)| (name.as_str(), next(family)))
    }
}

pub(crate) fn family(bytes: &[u8]) -> Result<Family, NotCollateral> {
    if bytes.len() > COLLATERAL_BYTES_MAX {
        return Err(NotCollateral::TooLong);
    }
    let shape = |why: String| NotCollateral::Shape { why };
    let of_json = |why: serde_json::Error| shape(why.to_string());
    let file: File = serde_json::from_slice(bytes).map_err(of_json)?;
    let tcb: TcbInfo = serde_json::from_str(&file.tcb_info).map_err(of_json)?;
    let enclave: EnclaveIdentity = serde_json::from_str(&file.qe_identity).map_err(of_json)?;
    let levels = tcb.tcb_levels.len().max(enclave.tcb_levels.len());
    if levels > TCB_LEVELS_MAX || tcb.tdx_module_identities.len() > TCB_LEVELS_MAX {
        return Err(shape(format!("it lists more than {TCB_LEVELS_MAX} levels")));
    }
    if Hex::<6>::try_from(tcb.fmspc.clone()).is_err() {
        return Err(shape("its family is not 6 bytes".to_owned()));
    }
    let hex = |text: &str| {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|why| shape(why.to_string()))
    };
    let moment = |text: &str| moment(text).ok_or_else(|| shape(format!("`{text}` is no moment")));
    let tcb_said = Said {
        signature: hex(&file.tcb_info_signature)?,
        chain: file.tcb_info_issuer_chain,
        issued: moment(&tcb.issue_date)?,
        next: moment(&tcb.next_update)?,
        text: file.tcb_info,
    };
    let enclave_said = Said {
        signature: hex(&file.qe_identity_signature)?,
        chain: file.qe_identity_issuer_chain,
        issued: moment(&enclave.issue_date)?,
        next: moment(&enclave.next_update)?,
        text: file.qe_identity,
    };
    let lists = [hex(&file.root_ca_crl)?, hex(&file.pck_crl)?];
    let issuers = file.pck_crl_issuer_chain;
    Ok(Family { tcb, tcb_said, enclave, enclave_said, lists, issuers })
}

/// A moment as Intel writes it: `2025-06-19T10:16:03Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let moment: DateTime = text.parse().ok()?;
    let millis = moment.unix_duration().as_millis();
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}
