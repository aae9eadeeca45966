//! Time as brains are told it: milliseconds since 1970, in UTC; and the hours and months that rewards go by.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::id::as_text;

/// One minute: the grain in which a rental earns.
pub const MINUTE: Duration = Duration::from_secs(60);
/// One hour: the grain in which a rental is booked.
pub const HOUR: Duration = Duration::from_secs(3600);

/// One day of 24 hours.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment this many milliseconds after 1970 began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 began.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The moment `span` later; the end of time when there is no such moment.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A moment as people are told it: the first full minute that is not before it, `2025-03-05 10:07 UTC`. What is
/// possible from the moment on is possible then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullMinute(pub Timestamp);

impl fmt::Display for FullMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.millis().div_ceil(60_000);
        let hour = Hour::of(Timestamp::from_millis(minutes.saturating_mul(60_000)));
        let (year, month, day) = civil_of_day(hour.0 / 24);
        let (hour, minute) = (hour.0 % 24, minutes % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

/// An hour of the UTC clock, counted from 1970: what a block of rewards is named after (`2025-03-05T10:00:00`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u32);

/// A month of the UTC calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    /// From 1 to 12.
    month: u8,
}

/// Why a text is not an hour or a month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct NotATime {
    /// What was given, cut to a readable length.
    pub found: String,
    /// What was expected, in words.
    pub expected: &'static str,
}

impl Hour {
    /// The hour this many hours after the first of 1970.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// How many hours lie between it and the first of 1970.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The hour that a moment lies in. The last hour that can be named, for a moment beyond it.
    pub fn of(moment: Timestamp) -> Self {
        Self(u32::try_from(moment.millis() / 3_600_000).unwrap_or(u32::MAX))
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(u64::from(self.0) * 3_600_000)
    }

    /// When it ends: when the next one begins.
    pub fn end(self) -> Timestamp {
        self.start().after(HOUR)
    }

    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The hour `hours` later.
    #[must_use]
    pub const fn later(self, hours: u32) -> Self {
        Self(self.0.saturating_add(hours))
    }

    /// How many hours lie between `earlier` and it; zero when that lies ahead.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The month it lies in.
    pub fn month(self) -> Month {
        let (year, month, _) = civil_of_day(self.0 / 24);
        Month { year, month }
    }
}

impl Month {
    /// A month of a year from 1970 to 9999.
    pub const fn new(year: u16, month: u8) -> Option<Self> {
        if year >= 1970 && year <= 9999 && month >= 1 && month <= 12 {
            Some(Self { year, month })
        } else {
            None
        }
    }

    /// Its year.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Its number in the year, from 1.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// How many days it has.
    pub const fn days(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year.is_multiple_of(4)
                && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400)) =>
            {
                29
            }
            2 => 28,
            _ => 31,
        }
    }

    /// How many hours it has.
    pub const fn hours(self) -> u32 {
        self.days() * 24
    }

    /// Its first hour.
    pub fn first_hour(self) -> Hour {
        Hour(day_of_civil(self.year, self.month, 1) * 24)
    }

    /// The month `months` later; the last that can be named when there is no such month.
    #[must_use]
    pub fn later(self, months: u32) -> Self {
        let count = u32::from(self.year) * 12 + u32::from(self.month) - 1;
        let count = count.saturating_add(months).min(9999 * 12 + 11);
        let year = u16::try_from(count / 12).expect("at most 9999");
        Self { year, month: u8::try_from(count % 12 + 1).expect("at most 12") }
    }

    /// How many months lie between `earlier` and it; zero when that lies ahead.
    pub fn since(self, earlier: Self) -> u32 {
        let count = |of: Self| u32::from(of.year) * 12 + u32::from(of.month);
        count(self).saturating_sub(count(earlier))
    }
}

/// The day of the proleptic Gregorian calendar as days since 1970. Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", for years from 1970 on.
const fn day_of_civil(year: u16, month: u8, day: u32) -> u32 {
    let shifted = if month <= 2 { year as u32 - 1 } else { year as u32 };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let month = if month > 2 { month as u32 - 3 } else { month as u32 + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round: year, month, day.
fn civil_of_day(day: u32) -> (u16, u8, u32) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u32::from(month <= 2);
    (u16::try_from(year).unwrap_or(u16::MAX), u8::try_from(month).expect("from 1 to 12"), day)
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_of_day(self.0 / 24);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:00:00", self.0 % 24)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

fn two_digits(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

impl FromStr for Month {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let parsed = text.split_once('-').and_then(|(year, month)| {
            let digits = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
            Self::new(digits.then(|| year.parse().ok()).flatten()?, two_digits(month)?)
        });
        parsed.ok_or_else(|| NotATime {
            found: text.chars().take(40).collect(),
            expected: "a month from 1970 to 9999, as in 2025-03",
        })
    }
}

impl FromStr for Hour {
    type Err = NotATime;

    /// `2025-03-05T10:00:00`, and shorter: without the minutes, or with a `Z`.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let parsed = text.split_once('T').and_then(|(date, clock)| {
            let month: Month = date.get(..7)?.parse().ok()?;
            let day = u32::from(two_digits(date.get(7..)?.strip_prefix('-')?)?);
            let hour = u32::from(two_digits(clock.get(..2)?)?);
            let rest = clock.get(2..)?;
            let even = matches!(rest, "" | "Z" | ":00" | ":00Z" | ":00:00" | ":00:00Z");
            (even && hour < 24 && day >= 1 && day <= month.days())
                .then(|| Self(day_of_civil(month.year, month.month, day) * 24 + hour))
        });
        parsed.ok_or_else(|| NotATime {
            found: text.chars().take(40).collect(),
            expected: "an hour of the UTC clock, as in 2025-03-05T10:00:00",
        })
    }
}

as_text!(Hour, "2025-03-05T10:00:00".to_owned());
as_text!(Month, "2025-03".to_owned());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_adds_up_forward() {
        let noon = Timestamp::from_millis(1_000);
        assert_eq!(noon.after(MINUTE).since(noon), MINUTE);
        assert_eq!(noon.since(noon.after(HOUR)), Duration::ZERO);
        assert_eq!(noon.after(Duration::MAX).millis(), u64::MAX);
    }

    #[test]
    fn people_are_told_the_first_full_minute() {
        let at = |millis| FullMinute(Timestamp::from_millis(millis)).to_string();
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(1_797_392_337_137), "2026-12-16 03:39 UTC");
        assert_eq!(at(86_399_999), "1970-01-02 00:00 UTC");
        assert!(at(u64::MAX).ends_with("UTC"), "no moment is too late");
    }

    #[test]
    fn an_hour_is_named_as_blocks_are() {
        let hour: Hour = "2025-03-05T10:00:00".parse().unwrap();
        assert_eq!(hour.number(), 483_658);
        assert_eq!(hour.to_string(), "2025-03-05T10:00:00");
        assert_eq!("2025-03-05T10".parse(), Ok(hour));
        assert_eq!(hour.month().to_string(), "2025-03");
        for wrong in ["", "2025-03-05", "2025-02-29T00", "2025-03-05T24", "2025-03-05T10:30:00"] {
            assert!(wrong.parse::<Hour>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_month_has_its_hours() {
        let rows = [("2024-02", 696), ("2025-02", 672), ("2100-02", 672), ("2000-02", 696)];
        for (month, hours) in rows {
            assert_eq!(month.parse::<Month>().unwrap().hours(), hours, "{month}");
        }
        let mut hour = Month::new(1970, 1).unwrap().first_hour();
        for months in 0..1_200 {
            let month = Month::new(1970, 1).unwrap().later(months);
            assert_eq!((month.first_hour(), hour.month()), (hour, month));
            assert_eq!(month.since(Month::new(1970, 1).unwrap()), months);
            hour = hour.later(month.hours());
        }
    }
}

#[cfg(test)]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hours_read_back_as_written(number in 0_u32..70_000_000) {
            let hour = Hour::from_number(number);
            prop_assert_eq!(hour.to_string().parse::<Hour>(), Ok(hour));
            prop_assert_eq!(Hour::of(hour.start()), hour);
            prop_assert_eq!(hour.end(), hour.next().start());
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<Hour>();
            let _ = text.parse::<Month>();
        }
    }
}
