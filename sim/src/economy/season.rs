//! How the times are: growth over the years, seasons, booms and crashes, in thousandths.

/// Demand at the start of each year against the first, a curve that is followed year by year: growth, a boom in the
/// fifth year, a crash in the seventh, and a long slow rest.
const GROWTH: [u64; 22] = [
    1_000, 1_500, 2_000, 2_400, 2_700, 4_200, 3_300, 1_500, 2_000, 2_500, 2_800, 3_000, 3_100,
    3_200, 3_250, 3_300, 3_350, 3_400, 3_450, 3_500, 3_500, 3_500,
];
/// What people pay for what the network earns, at the start of each year.
const MOOD: [u64; 22] = [
    2_500, 1_500, 1_000, 1_000, 1_300, 2_800, 1_200, 500, 700, 900, 1_000, 1_000, 1_000, 1_100,
    1_000, 900, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000,
];
/// The day, hour by hour: what short jobs want against their mean.
const DAY: [u64; 24] = [
    420, 360, 320, 300, 320, 400, 560, 800, 1_150, 1_450, 1_600, 1_650, 1_600, 1_620, 1_650, 1_600,
    1_500, 1_350, 1_200, 1_050, 900, 780, 640, 520,
];
/// Hours of a year.
const YEAR: u64 = 8_766;

/// Between the points of a yearly curve.
fn along(curve: &[u64; 22], hour: u64) -> u64 {
    let year = usize::try_from(hour / YEAR).unwrap_or(usize::MAX).min(curve.len() - 2);
    let (from, to, into) = (curve[year], curve[year + 1], hour % YEAR);
    (from * (YEAR - into) + to * into) / YEAR
}

/// Growth and the season of the year: summers are a tenth quieter.
pub(super) fn growth(hour: u64) -> u64 {
    let day = hour / 24 % 365;
    let swing = if day < 183 { day } else { 365 - day };
    along(&GROWTH, hour) * (920 + swing * 160 / 183) / 1_000
}

/// The day and the week, for short jobs.
pub(super) fn daily(hour: u64) -> u64 {
    let weekend = hour / 24 % 7 >= 5;
    DAY[usize::try_from(hour % 24).unwrap_or(0)] * if weekend { 600 } else { 1_160 } / 1_000
}

/// How people feel about the coin.
pub(super) fn mood(hour: u64) -> u64 {
    along(&MOOD, hour)
}

/// Whether a region has no power: three times in twenty years, for one and a half days.
pub(super) fn is_dark(hour: u64) -> bool {
    [3 * YEAR + 1_000, 9 * YEAR + 5_000, 15 * YEAR + 2_000]
        .iter()
        .any(|from| (*from..*from + 36).contains(&hour))
}
