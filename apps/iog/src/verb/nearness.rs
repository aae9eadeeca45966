//! How near each other nodes are, and what they do not share, as one types it.

use std::fmt;
use std::str::FromStr;

use wire::{Apart, Near};

/// How near: `country`, `site`, or the longest round trip, as in `5ms` or `800us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nearness {
    Place(Near),
    RttMicros(u32),
}

impl Nearness {
    /// Wherever they are.
    pub(crate) const ANYWHERE: Self = Self::Place(Near::Anywhere);

    /// What an order says.
    pub(crate) const fn of(near: Near, rtt_max_micros: Option<u32>) -> Self {
        match rtt_max_micros {
            Some(micros) => Self::RttMicros(micros),
            None => Self::Place(near),
        }
    }

    /// As an order says it: `near`, and the longest round trip in microseconds.
    pub(crate) const fn told(self) -> (Near, Option<u32>) {
        match self {
            Self::Place(near) => (near, None),
            Self::RttMicros(micros) => (Near::Anywhere, Some(micros)),
        }
    }
}

impl FromStr for Nearness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let micros = |digits: &str, each: u32| {
            digits.parse::<u32>().ok().and_then(|number| number.checked_mul(each))
        };
        let rtt = match (text.strip_suffix("ms"), text.strip_suffix("us")) {
            (Some(digits), _) => micros(digits, 1_000),
            (None, Some(digits)) => micros(digits, 1),
            (None, None) => None,
        };
        match (text, rtt) {
            ("anywhere", _) => Ok(Self::Place(Near::Anywhere)),
            ("country", _) => Ok(Self::Place(Near::Country)),
            ("site", _) => Ok(Self::Place(Near::Site)),
            (_, Some(micros)) => Ok(Self::RttMicros(micros)),
            (_, None) => Err("`country`, `site`, or a round trip as in 5ms".to_owned()),
        }
    }
}

impl fmt::Display for Nearness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(Near::Anywhere) => f.write_str("anywhere"),
            Self::Place(Near::Country) => f.write_str("country"),
            Self::Place(Near::Site) => f.write_str("site"),
            Self::RttMicros(micros) if micros % 1_000 == 0 => write!(f, "{}ms", micros / 1_000),
            Self::RttMicros(micros) => write!(f, "{micros}us"),
        }
    }
}

/// What no two nodes share: `suppliers`, `sites` or `countries`.
pub(crate) fn apart(text: &str) -> Result<Apart, String> {
    match text {
        "nothing" => Ok(Apart::Nothing),
        "suppliers" => Ok(Apart::Suppliers),
        "sites" => Ok(Apart::Sites),
        "countries" => Ok(Apart::Countries),
        _ => Err("`suppliers`, `sites` or `countries`".to_owned()),
    }
}

/// The word for it, if there is anything to say.
pub(crate) const fn apart_word(of: Apart) -> Option<&'static str> {
    match of {
        Apart::Nothing => None,
        Apart::Suppliers => Some("suppliers"),
        Apart::Sites => Some("sites"),
        Apart::Countries => Some("countries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_is_a_place_or_a_round_trip() {
        for text in ["country", "site", "anywhere", "5ms", "800us"] {
            assert_eq!(text.parse::<Nearness>().unwrap().to_string(), text);
        }
        assert_eq!("5ms".parse::<Nearness>().unwrap().told(), (Near::Anywhere, Some(5_000)));
        for text in ["", "ms", "5", "5s", "-1ms", "4294968ms"] {
            assert!(text.parse::<Nearness>().is_err(), "{text}");
        }
    }
}
