//! The cheater zoo: provers that cheat, and verifiers that do, against the real `proofs::session` and the real control
//! plane, on a virtual clock. Each states what becomes of it, and that is asserted.
//!
//! # Invariants
//! - A seed decides everything: the table is the same every time.
//! - Bytes are real, at 256 rows and 64 blocks; times are those of the tasks that the rules ask for, by the rates of
//!   the fingerprints. Only in company are sessions reckoned.
//!
//! Absent on purpose: real cards, real networks, real clocks.

mod animal;
mod blind;
mod card;
mod cast;
mod company;
mod farms;
mod hours;
mod identities;
mod letters;
mod rig;
mod stand;
mod verifiers;
mod wire;

use std::fmt::Write as _;

use proofs::Outcome;

use self::stand::{Row, Stand};

/// The seed of the table that is written down.
const SEED: u64 = 1;

/// The tables of the zoo.
///
/// # Panics
/// When a bound does not hold.
pub fn report() -> String {
    let (honest, houses) = (all(cast::HONEST_ONES), company::honest(SEED));
    let cheats = [
        ("Something else is computed", all(cast::PRODUCTS)),
        ("The same, by who breaks off rather than fail", all(cast::SHY)),
        ("Something else computes", all(cast::CARDS)),
        ("Somebody else speaks, or late on purpose", all(cast::LINES)),
        ("One card for several, or only sometimes", identities::rows(SEED)),
        ("One card for several that are called in company", company::cheats(SEED)),
        ("Messages that are none", letters::rows(SEED)),
        ("The verifier cheats", verifiers::rows(SEED)),
    ];
    let mut text = summary(&cheats, &honest);
    for (title, rows) in &cheats {
        section(&mut text, title, rows);
    }
    section(&mut text, "Nobody cheats", &honest);
    section(&mut text, "Nobody cheats, in company", &houses);
    text
}

fn all(stands: &[Stand]) -> Vec<Row> {
    stands.iter().map(|stand| stand.watch(SEED)).collect()
}

/// How much was tried, and how often somebody honest was called something else.
fn summary(cheats: &[(&str, Vec<Row>)], honest: &[Row]) -> String {
    let rows: Vec<&Row> = cheats.iter().flat_map(|(_, rows)| rows).collect();
    let open = rows.iter().filter(|row| row.bound.contains("not caught")).count();
    let sessions: u32 = rows.iter().flat_map(|row| row.outcomes.values()).sum();
    let of = |outcome| -> u32 { honest.iter().filter_map(|row| row.outcomes.get(&outcome)).sum() };
    let fails = of(Outcome::Fail);
    assert_eq!(fails, 0, "nobody honest fails");
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} ways to cheat in {sessions} sessions, of which {open} are not caught.\n",
        rows.len()
    );
    let _ = writeln!(
        text,
        "{} honest machines in {} sessions: {} passed, {fails} failed, {} were slow (a card at work on something \
         else), {} came to nothing (a line that broke).\n",
        honest.len(),
        honest.iter().flat_map(|row| row.outcomes.values()).sum::<u32>(),
        of(Outcome::Pass),
        of(Outcome::Slow),
        of(Outcome::Inconclusive),
    );
    text
}

fn section(text: &mut String, title: &str, rows: &[Row]) {
    let _ = writeln!(text, "### {title}\n");
    *text +=
        "| who | sessions | found | hours paid | gains | asserted |\n|---|---|---|---|---|---|\n";
    for Row { name, tried, found, paid, gain, bound, .. } in rows {
        let _ = writeln!(text, "| {name} | {tried} | {found} | {paid} | {gain} | {bound} |");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    /// What is written down.
    const PAGE: &str = include_str!("../../../docs/proofs.md");
    const BEGIN: &str = "<!-- What follows is printed by ./x sim zoo. -->\n\n";
    const END: &str = "<!-- What was printed ends here. -->";

    #[test]
    fn what_becomes_of_each_cheat_is_written_down() {
        let told = super::report();
        let (_, rest) = PAGE.split_once(BEGIN).expect("the page has a mark");
        let (written, _) = rest.split_once(END).expect("the page has another");
        for (written, told) in written.lines().zip(told.lines()) {
            assert_eq!(written, told, "put what `./x sim zoo` prints into docs/proofs.md");
        }
        assert_eq!(written, told, "put what `./x sim zoo` prints into docs/proofs.md");
    }
}
