//! The part of a report that SPDM leaves to the vendor: versions, board, and modes, as tagged values.
//!
//! Types that are not known are kept out of the way, since new firmware adds them and the signature covers them; a
//! type that is known must read exactly, and none may come twice.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::report::DIGEST_BYTES;

/// What a GPU says about itself beside its measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The version of the driver, such as `550.90.07`.
    pub driver: String,
    /// The version of the VBIOS, such as `96.00.9f.00.01`.
    pub vbios: String,
    /// The chip's stock-keeping unit, such as `882`.
    pub chip_sku: String,
    /// The board's project, such as `1010`.
    pub project: String,
    /// The board's stock-keeping unit within the project, such as `0200`.
    pub project_sku: String,
    /// The firmware's identity, which the leaf certificate repeats. Absent on old firmware.
    pub fwid: Option<[u8; DIGEST_BYTES]>,
    /// Whether the first video decoder's firmware is loaded, and so measured.
    pub nvdec0: bool,
    /// How the GPU is shared and what is protected.
    pub mode: Mode,
}

/// How a GPU in confidential mode is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Alone in its virtual machine ("SPT"). What firmware means that says nothing of modes.
    Single,
    /// One of several in one virtual machine ("MPT").
    Multi,
    /// Protected PCI Express: the link to the host is not encrypted, but access to it is guarded.
    ProtectedPcie,
}

/// Why opaque data does not read. Offsets count from its own first byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOpaque {
    /// The data ends within a tag or a value.
    #[error("it ends within the value that starts at byte {at}")]
    Short {
        /// Where the value's tag starts.
        at: usize,
    },
    /// A type comes twice.
    #[error("type {kind} comes twice")]
    Twice {
        /// Which.
        kind: u16,
    },
    /// A value of a known type does not read.
    #[error("the {field} does not read")]
    Value {
        /// Which.
        field: &'static str,
    },
    /// A value that every report has is not there.
    #[error("the {field} is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
}

const DRIVER: u16 = 3;
const VBIOS: u16 = 6;
const NVDEC0: u16 = 11;
const CHIP_SKU: u16 = 15;
const PROJECT: u16 = 17;
const PROJECT_SKU: u16 = 18;
const FWID: u16 = 20;
const PROTECTED_PCIE: u16 = 21;
const FEATURE: u16 = 36;

/// How NVIDIA's firmware writes yes: two bits of damage do not make it a no.
const YES: u8 = 0xaa;
const NO: u8 = 0x55;

/// Reads opaque data.
///
/// # Errors
/// Why it does not read.
pub fn parse(bytes: &[u8]) -> Result<Opaque, BadOpaque> {
    let values = split(bytes)?;
    let value = |kind| values.iter().find(|(known, _)| *known == kind).map(|(_, value)| *value);
    let named = |kind, field| text(value(kind).ok_or(BadOpaque::Missing { field })?, field);
    Ok(Opaque {
        driver: named(DRIVER, "driver version")?,
        vbios: vbios(value(VBIOS).ok_or(BadOpaque::Missing { field: "VBIOS version" })?)?,
        chip_sku: named(CHIP_SKU, "chip SKU")?,
        project: named(PROJECT, "project")?,
        project_sku: named(PROJECT_SKU, "project SKU")?,
        fwid: value(FWID).map(fwid).transpose()?,
        nvdec0: flag(value(NVDEC0), "state of the video decoder")?.unwrap_or(true),
        mode: mode(value(FEATURE), value(PROTECTED_PCIE))?,
    })
}

fn split(bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, BadOpaque> {
    let (mut rest, mut seen, mut values) = (bytes, BTreeSet::new(), Vec::new());
    while !rest.is_empty() {
        let short = BadOpaque::Short { at: bytes.len() - rest.len() };
        let Some(([k0, k1, s0, s1], after)) = rest.split_first_chunk() else {
            return Err(short);
        };
        let size = usize::from(u16::from_le_bytes([*s0, *s1]));
        let (value, after) = after.split_at_checked(size).ok_or(short)?;
        let kind = u16::from_le_bytes([*k0, *k1]);
        if !seen.insert(kind) {
            return Err(BadOpaque::Twice { kind });
        }
        values.push((kind, value));
        rest = after;
    }
    Ok(values)
}

/// Text ends at its first zero, and only zeros follow. It becomes part of a manifest's name, so it is kept plain.
fn text(value: &[u8], field: &'static str) -> Result<String, BadOpaque> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    let (said, padding) = value.split_at(end);
    let plain = said.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
    if said.is_empty() || !plain || padding.iter().any(|byte| *byte != 0) {
        return Err(BadOpaque::Value { field });
    }
    Ok(String::from_utf8_lossy(said).into_owned())
}

/// Eight bytes, two little-endian words: the first is the version, the second's lowest byte is the maker's own part.
fn vbios(value: &[u8]) -> Result<String, BadOpaque> {
    let [a, b, c, d, oem, 0, 0, 0] = value else {
        return Err(BadOpaque::Value { field: "VBIOS version" });
    };
    Ok(format!("{d:02x}.{c:02x}.{b:02x}.{a:02x}.{oem:02x}"))
}

fn fwid(value: &[u8]) -> Result<[u8; DIGEST_BYTES], BadOpaque> {
    value.try_into().map_err(|_| BadOpaque::Value { field: "firmware identity" })
}

fn flag(value: Option<&[u8]>, field: &'static str) -> Result<Option<bool>, BadOpaque> {
    match value {
        None => Ok(None),
        Some([YES]) => Ok(Some(true)),
        Some([NO]) => Ok(Some(false)),
        Some(_) => Err(BadOpaque::Value { field }),
    }
}

fn mode(feature: Option<&[u8]>, protected: Option<&[u8]>) -> Result<Mode, BadOpaque> {
    let bad = BadOpaque::Value { field: "mode" };
    let protected = flag(protected, "state of protected PCIe")?;
    let said = match feature {
        None => None,
        Some([0, zeros @ ..]) if only_zeros(zeros) => Some(Mode::Single),
        Some([1, zeros @ ..]) if only_zeros(zeros) => Some(Mode::Multi),
        Some([2, zeros @ ..]) if only_zeros(zeros) => Some(Mode::ProtectedPcie),
        Some(_) => return Err(bad),
    };
    match (said, protected) {
        (None, Some(false) | None) => Ok(Mode::Single),
        (None, Some(true)) => Ok(Mode::ProtectedPcie),
        (Some(mode @ (Mode::Single | Mode::Multi)), Some(false) | None) => Ok(mode),
        (Some(mode @ Mode::ProtectedPcie), Some(true) | None) => Ok(mode),
        // The two places contradict each other.
        (Some(Mode::Single | Mode::Multi), Some(true))
        | (Some(Mode::ProtectedPcie), Some(false)) => Err(bad),
    }
}

fn only_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Option<&[u8]> = Some(&[NO]);
    const ON: Option<&[u8]> = Some(&[YES]);

    #[test]
    fn a_mode_is_what_both_places_agree_on() {
        check(None, None, Some(Mode::Single));
        check(None, OFF, Some(Mode::Single));
        check(None, ON, Some(Mode::ProtectedPcie));
        check(Some(0), OFF, Some(Mode::Single));
        check(Some(1), OFF, Some(Mode::Multi));
        check(Some(1), None, Some(Mode::Multi));
        check(Some(2), ON, Some(Mode::ProtectedPcie));
        check(Some(2), None, Some(Mode::ProtectedPcie));
        check(Some(0), ON, None);
        check(Some(1), ON, None);
        check(Some(2), OFF, None);
        check(Some(3), OFF, None);
        check(None, Some(&[0]), None);
        check(None, Some(&[YES, YES]), None);
    }

    fn check(feature: Option<u8>, protected: Option<&[u8]>, expected: Option<Mode>) {
        let feature = feature.map(|flag| [flag, 0, 0, 0]);
        let feature = feature.as_ref().map(<[u8; 4]>::as_slice);
        assert_eq!(mode(feature, protected).ok(), expected, "{feature:?} {protected:?}");
    }
}
