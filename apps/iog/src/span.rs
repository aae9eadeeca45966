//! Spans of time as people type them: `90m`, `6h`, `2d`.

use std::fmt;
use std::str::FromStr;

/// A span in whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes(pub(crate) u32);

/// Why a text is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a span of time: `{found}` (write a whole number and m, h or d, as in 90m, 6h or 2d)")]
pub(crate) struct NotASpan {
    found: String,
}

/// Each unit with its minutes, longest first.
const UNITS: [(&str, u32); 3] = [("d", 24 * 60), ("h", 60), ("m", 1)];

impl fmt::Display for Minutes {
    /// As it is read, in the longest unit in which it is whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, minutes): &&(&str, u32)| self.0.is_multiple_of(*minutes);
        let (unit, minutes) = UNITS.iter().find(whole).unwrap_or(&("m", 1));
        write!(f, "{}{unit}", self.0 / minutes)
    }
}

impl Minutes {
    /// As long as an order may wait at most: 30 days.
    const WAIT_MAX: u32 = 30 * 24 * 60;

    /// A span that an order may wait.
    pub(crate) fn of_wait(text: &str) -> Result<Self, String> {
        let span: Self = text.parse().map_err(|why: NotASpan| why.to_string())?;
        match span.0 <= Self::WAIT_MAX {
            true => Ok(span),
            false => Err(format!("an order waits at most {}", Self(Self::WAIT_MAX))),
        }
    }
}

impl FromStr for Minutes {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let read = |(unit, minutes): &(&str, u32)| {
            let number = text.strip_suffix(unit)?;
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u32>().ok().filter(|_| is_number)?.checked_mul(*minutes)
        };
        let found = UNITS.iter().find_map(read).filter(|minutes| *minutes > 0).map(Self);
        found.ok_or_else(|| NotASpan { found: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, minutes) in [("90m", 90), ("6h", 360), ("2d", 2_880), ("1d", 1_440)] {
            assert_eq!(text.parse(), Ok(Minutes(minutes)));
            assert_eq!(Minutes(minutes).to_string(), text);
        }
        assert_eq!("60m".parse::<Minutes>().unwrap().to_string(), "1h");
        for text in ["", "6", "h", "0h", "1.5h", "-1h", "+1h", "6 h", "4294967295d", "6w"] {
            assert!(text.parse::<Minutes>().is_err(), "{text}");
        }
        assert_eq!(Minutes::of_wait("30d"), Ok(Minutes(43_200)));
        assert_eq!(Minutes::of_wait("31d"), Err("an order waits at most 30d".to_owned()));
    }
}
