//! Sizes as people type them: `1GiB`, `1.5 GiB`, `512MiB`.

use std::fmt;
use std::str::FromStr;

/// A size in whole mebibytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mebibytes(pub(crate) u64);

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a size: `{found}` (write a number and MiB, GiB or TiB, as in 1GiB or 1.5GiB)")]
pub(crate) struct NotASize {
    found: String,
}

impl fmt::Display for Mebibytes {
    /// As it is read: `2GiB`, `1536MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            whole if whole > 0 && whole.is_multiple_of(1024) => write!(f, "{}GiB", whole / 1024),
            other => write!(f, "{other}MiB"),
        }
    }
}

impl FromStr for Mebibytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let refused = || NotASize { found: text.chars().take(40).collect() };
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let (number, unit) = text.split_at(end);
        let unit: u64 = match unit.trim_start() {
            "MiB" | "M" => 1,
            "GiB" | "G" => 1 << 10,
            "TiB" | "T" => 1 << 20,
            _ => return Err(refused()),
        };
        scaled(number, unit).map(Self).ok_or_else(refused)
    }
}

/// A decimal number times `unit`, if that is whole.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let one = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    parts.is_multiple_of(one).then_some(parts / one)?.checked_add(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [
            ("1GiB", 1024),
            ("1.5 GiB", 1536),
            ("512MiB", 512),
            ("2G", 2048),
            ("1TiB", 1 << 20),
            ("0.5T", 1 << 19),
        ] {
            assert_eq!(text.parse(), Ok(Mebibytes(size)), "{text}");
        }
    }

    #[test]
    fn a_size_without_a_unit_or_with_part_of_a_mebibyte_is_refused() {
        for wrong in [
            "",
            "1024",
            "GiB",
            "1.GiB",
            ".5GiB",
            "1GB",
            "0.3MiB",
            "-1GiB",
            "1e3MiB",
            "99999999999999999T",
        ] {
            assert!(wrong.parse::<Mebibytes>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn sizes_read_back_as_written(size in 0_u64..1 << 40) {
            prop_assert_eq!(Mebibytes(size).to_string().parse(), Ok(Mebibytes(size)));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<Mebibytes>();
        }
    }
}
