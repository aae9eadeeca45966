//! How money, sizes, moments and hardware are written for people.

use units::{Coins, Credits, Money, Resources};
use wire::Time;

/// Columns below which no text is broken: it could not be read.
const ROOM_MIN: usize = 20;

/// Mebibytes in a gibibyte.
const GIB: u64 = 1024;

/// US dollars without the zeros that say nothing: at least two decimals, at most six.
pub(crate) fn usd(amount: Credits) -> String {
    short(&amount.to_string())
}

/// An amount of any asset without the zeros that say nothing, and the asset.
pub(crate) fn money(amount: Money) -> String {
    format!("{} {}", short(&amount.amount()), amount.asset)
}

/// Coins without the zeros that say nothing, and without their name.
pub(crate) fn coins(amount: Coins) -> String {
    short(&amount.to_string())
}

/// An amount with at least two decimals.
fn short(text: &str) -> String {
    let short = text.trim_end_matches('0');
    let decimals = short.len() - short.find('.').map_or(0, |point| point + 1);
    match decimals {
        0 => format!("{short}00"),
        1 => format!("{short}0"),
        _ => short.to_owned(),
    }
}

/// A size: whole gibibytes where they are whole, tenths of them rounded down elsewhere, mebibytes below one.
pub(crate) fn mib(size: u64) -> String {
    if size >= GIB && size.is_multiple_of(GIB) {
        format!("{} GiB", size / GIB)
    } else if size >= GIB {
        format!("{}.{} GiB", size / GIB, size % GIB * 10 / GIB)
    } else {
        format!("{size} MiB")
    }
}

/// A size in bytes.
pub(crate) fn bytes(size: u64) -> String {
    const KIB: u64 = 1024;
    match size {
        0..KIB => format!("{size} B"),
        KIB..0x10_0000 => format!("{}.{} KiB", size / KIB, size % KIB * 10 / KIB),
        _ => mib_of_bytes(size),
    }
}

fn mib_of_bytes(size: u64) -> String {
    const MIB: u64 = 1 << 20;
    format!("{}.{} MiB", size / MIB, size % MIB * 10 / MIB)
}

/// Ten-thousandths as percent: `0.25 %`.
pub(crate) fn percent(basis_points: u16) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A moment to the second: `2026-11-22 16:10:00 UTC`.
pub(crate) fn moment(time: Time) -> String {
    let text = time.to_string();
    let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock = clock.split('.').next().unwrap_or_default();
    format!("{day} {clock} UTC")
}

/// The clock of a moment: `16:10:00 UTC`.
pub(crate) fn clock(time: Time) -> String {
    let text = moment(time);
    text.split_once(' ').map_or_else(|| text.clone(), |(_, clock)| clock.to_owned())
}

/// Hardware in words: `1 vCPU, 2 GiB memory`.
pub(crate) fn resources(what: &Resources) -> String {
    let mut parts = Vec::new();
    if what.gpus > 0 {
        parts.push(count(u64::from(what.gpus), "GPU"));
    }
    if what.vcpus > 0 {
        parts.push(count(u64::from(what.vcpus), "vCPU"));
    }
    if what.memory_mib > 0 {
        parts.push(format!("{} memory", mib(what.memory_mib)));
    }
    if what.disk_mib > 0 {
        parts.push(format!("{} disk", mib(what.disk_mib)));
    }
    parts.join(", ")
}

/// The text, broken between words where a terminal of so many columns ends, and set in by `margin` after that.
pub(crate) fn hung(text: &str, margin: usize, columns: Option<usize>) -> String {
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(margin).max(ROOM_MIN));
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > room {
            lines.push_str(&format!("\n{:margin$}", ""));
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines
}

/// A count of things that take an `s`: `1 node`, `3 nodes`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// The text without what only a terminal understands: what others wrote must not move the cursor, change the clipboard,
/// or look like more lines than it is.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|letter| if is_wild(letter) { ' ' } else { letter }).collect()
}

/// Controls, and what turns the direction of a text around.
pub(crate) fn is_wild(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use units::Timestamp;

    use super::*;

    #[test]
    fn money_keeps_every_digit_that_says_something() {
        for (amount, text) in [
            ("0", "0.00"),
            ("10", "10.00"),
            ("0.1", "0.10"),
            ("0.030075", "0.030075"),
            ("1.23", "1.23"),
            ("100.5", "100.50"),
        ] {
            assert_eq!(usd(amount.parse().unwrap()), text);
        }
        for (amount, text) in [("1.50000001 IO", "1.50000001 IO"), ("7 USDC", "7.00 USDC")] {
            assert_eq!(money(amount.parse().unwrap()), text);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (size, text) in
            [(512, "512 MiB"), (1024, "1 GiB"), (1536, "1.5 GiB"), (24_105, "23.5 GiB")]
        {
            assert_eq!(mib(size), text);
        }
        for (size, text) in [(0, "0 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB")] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn texts_are_broken_between_words_and_hang() {
        assert_eq!(hung("one two three", 4, None), "one two three");
        let text = "a text that is longer than what the terminal has";
        let broken = hung(text, 4, Some(30));
        assert_eq!(broken, "a text that is longer than\n    what the terminal has");
        assert_eq!(hung(text, 100, Some(30)).lines().count(), 3, "it is never too narrow");
    }

    #[test]
    fn moments_are_to_the_second() {
        let time = Time(Timestamp::from_millis(1_795_363_800_500));
        assert_eq!(moment(time), "2026-11-22 16:10:00 UTC");
        assert_eq!(clock(time), "16:10:00 UTC");
    }

    #[test]
    fn rates_are_percent() {
        for (rate, text) in [(25, "0.25 %"), (0, "0 %"), (100, "1 %"), (1_050, "10.5 %")] {
            assert_eq!(percent(rate), text);
        }
    }

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        assert_eq!(tame("fine, ä and 漢"), "fine, ä and 漢");
        assert_eq!(tame("a\x1b]52;c;AAAA\x07b\nc\td\u{9b}2J"), "a ]52;c;AAAA b c d 2J");
        assert_eq!(tame("\u{202e}txt.exe"), " txt.exe");
    }
}
