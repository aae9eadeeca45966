//! The evidence of cards in confidential mode, through the driver's management library.
//!
//! # Invariants
//! - A driver that knows nothing of confidential mode, or has it off, has no evidence: nothing is wrong with it.
//! - Cards in development mode are not shown: their measurements would be refused.

use std::ffi::OsStr;
use std::path::Path;

use data_encoding::BASE64;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::probe::LIBRARY;

/// What one card handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) report: Vec<u8>,
    pub(super) chain: Vec<u8>,
}

impl Shown {
    pub(super) fn wire(&self) -> wire::GpuEvidence {
        wire::GpuEvidence { report: BASE64.encode(&self.report), chain: BASE64.encode(&self.chain) }
    }
}

/// What keeps cards from attesting, and how much it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoEvidence {
    /// There is no driver, or no confidential mode.
    Off,
    /// Something an owner should know.
    Odd(String),
}

/// The driver that is asked. It is loaded for each question: between two there are hours.
#[derive(Debug)]
pub(super) struct Cards {
    nvml: Nvml,
    count: u32,
}

impl Cards {
    /// The first so many cards, if they are in confidential mode.
    pub(super) fn open(library: Option<&Path>, count: u32) -> Result<Self, NoEvidence> {
        if count == 0 {
            return Err(NoEvidence::Off);
        }
        let path = library.map_or(OsStr::new(LIBRARY), Path::as_os_str);
        let nvml = Nvml::builder().lib_path(path).init().map_err(|fault| off(&fault))?;
        if nvml.lib().nvmlShutdown.is_err() {
            // What it cannot end it must not begin to.
            std::mem::forget(nvml);
            return Err(NoEvidence::Off);
        }
        let first = nvml.device_by_index(0).map_err(|fault| off(&fault))?;
        if !is_on(&first)? {
            return Err(NoEvidence::Off);
        }
        if first.is_cc_dev_mode_enabled().unwrap_or(false) {
            let why = "the cards are in confidential mode for development, which no network admits";
            return Err(NoEvidence::Odd(why.to_owned()));
        }
        Ok(Self { nvml, count })
    }

    /// What each card answers to this nonce.
    pub(super) fn show(&self, nonce: &[u8; 32]) -> Result<Vec<Shown>, NoEvidence> {
        let odd = |index: u32, fault: NvmlError| {
            NoEvidence::Odd(format!("card {index} gives no evidence: {fault}"))
        };
        let show = |index| {
            let card = self.nvml.device_by_index(index).map_err(|fault| odd(index, fault))?;
            of_card(&card, *nonce).map_err(|fault| odd(index, fault))
        };
        (0..self.count).map(show).collect()
    }
}

fn of_card(card: &Device<'_>, nonce: [u8; 32]) -> Result<Shown, NvmlError> {
    let report = card.confidential_compute_gpu_attestation_report(nonce)?.attestation_report;
    let chain = card.confidential_compute_gpu_certificate()?.attestation_cert_chain;
    Ok(Shown { report, chain })
}

/// Whether cards encrypt what leaves them, or guard the way it takes. Drivers before 550 have the older question only.
fn is_on(card: &Device<'_>) -> Result<bool, NoEvidence> {
    match card.is_cc_enabled() {
        Ok(true) => Ok(true),
        Ok(false) => Ok(card.is_multi_gpu_protected_pcie_enabled().unwrap_or(false)),
        Err(NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound) => {
            card.check_confidential_compute_status().map_err(|fault| off(&fault))
        }
        Err(fault) => Err(off(&fault)),
    }
}

/// A driver that cannot say is taken for one that has no such mode, unless it is ill.
fn off(fault: &NvmlError) -> NoEvidence {
    let is_ill = matches!(
        fault,
        NvmlError::GpuLost | NvmlError::ResetRequired | NvmlError::LibRmVersionMismatch
    );
    match is_ill {
        true => NoEvidence::Odd(format!("the graphics driver does not answer: {fault}")),
        false => NoEvidence::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;
    use fake_nvml::{Attests, Card, Code, Script, Stage};

    fn script() -> Script {
        // What it signs is not looked at here: its chain reads as it is, and its report has a nonce in its place.
        let attests = Attests {
            chain: "a chain".to_owned(),
            report: "00".repeat(200),
            key: format!("{:0>96}", 1),
        };
        let card = Card { attests: Some(attests), ..Card::new("GPU-a", "NVIDIA H100 PCIe") };
        Script { cards: vec![card], confidential: true, ..Script::default() }
    }

    /// What comes of asking a library without some of its symbols.
    fn check(without: &[&str], change: impl FnOnce(&mut Script), expected: &str) {
        let scratch = Scratch::new("attest-cards");
        let mut script = script();
        change(&mut script);
        let stage = Stage::set(scratch.path(), without, &script).unwrap();
        let shown = Cards::open(Some(&stage.library()), 1).and_then(|cards| cards.show(&[7; 32]));
        let said = match shown {
            Ok(shown) => {
                assert_eq!(shown[0].report[4..36], [7; 32]);
                assert_eq!((shown.len(), shown[0].chain.as_slice()), (1, &b"a chain"[..]));
                "shown".to_owned()
            }
            Err(NoEvidence::Off) => "off".to_owned(),
            Err(NoEvidence::Odd(why)) => why,
        };
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn cards_in_confidential_mode_show_what_they_sign_and_others_nothing() {
        check(&[], |_| {}, "shown");
        // Drivers before 550.
        check(&["nvmlSystemGetConfComputeSettings"], |_| {}, "shown");
        check(&[], |script| script.confidential = false, "off");
        let unknown = ["nvmlSystemGetConfComputeSettings", "nvmlSystemGetConfComputeState"];
        check(&unknown, |_| {}, "off");
        check(&[], |script| script.devtools = true, "development");
        check(&[], |script| script.cards[0].attests = None, "card 0 gives no evidence");
        let lost = ("nvmlSystemGetConfComputeSettings".to_owned(), Code::GPU_IS_LOST);
        check(&[], |script| script.fail.extend([lost]), "does not answer");
        check(&[], |script| script.cards.clear(), "off");
    }

    #[test]
    fn a_machine_that_offers_no_cards_asks_no_driver() {
        let nowhere = Path::new("/nowhere/libnvidia-ml.so.1");
        assert_eq!(Cards::open(Some(nowhere), 0).unwrap_err(), NoEvidence::Off);
        assert_eq!(Cards::open(Some(nowhere), 1).unwrap_err(), NoEvidence::Off);
    }
}
