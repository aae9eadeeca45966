//! A statement as text: lines of words with one space between, each ended by a newline, the header's first.
//!
//! ```text
//! iog block 1
//! hour 2025-03-05T10:00:00
//! previous none
//! points tier 50 hardware 200 hired 5
//! grouping pool gpu 9500 enterprise 9500
//! safety-module 300
//! empty-group to-others
//! rewarded-max all
//! close-delay 35
//! emission 4129.11742836
//! workers 4005.24390551
//! safety-module-emission 123.87352285
//! unearned 0.00000000
//! group enterprise amount 3804.98171023 norm 9500000000000 base 1600205 earned 1
//! group community amount 200.26219528 norm 500000000000 base 20100 earned 1
//! machines nominated 2 succeeded 2 failed 0 missed 1
//! verified cpu-workers 0 gpu-workers 2 cpus 0 gpus 9
//! rows 3
//! root 5dc9…
//! wkr_… gpu enterprise ultra-high 10.00 8 hired - exempt passed 60 earned 1600205 9500000000000 3804.98171023
//! wkr_… gpu community low 1.50 2 idle uptime,stake not-asked passed 60 missed rules
//! ```
//!
//! A machine's line: its id, kind, pool, tier, multiplier, chips, `hired` or `idle`, the rules it missed or `-`, what
//! came of its proofs of work and of time-lock, its minutes up, and its outcome: `earned` with base score, normalized
//! score in millionths and payout, `failed` with the proof, or `missed` with `rules` or `outranked`. Scores and norms
//! are whole numbers; coins have eight decimals. Lines are in the order of ids. The leaves of the tree are the lines
//! without their newlines; the header's bytes are its lines with them.

use std::fmt::{self, Write};
use std::str::FromStr;

use units::{Coins, WorkerId};

use super::Header;
use crate::block::{
    BlockRules, Counts, Device, EmptyGroup, Failure, Group, GroupName, Grouping, Missed, Outcome,
    Proof, Proofs, Row,
};
use crate::rule::{Rule, RuleSet};
use crate::score::ScoreRules;

/// The first line: what it is, and which form it has.
const FIRST_LINE: &str = "iog block 1";

/// Words for the values of an enum, in both directions.
macro_rules! words {
    ($($name:ident { $($value:ident = $text:literal,)* })*) => {$(
        impl $name {
            /// How it is written.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }

            fn of_text(text: &str) -> Option<Self> {
                [$(Self::$value),*].into_iter().find(|word| word.text() == text)
            }
        }
    )*};
}

words! {
    Proof { Passed = "passed", Failed = "failed", Exempt = "exempt", NotAsked = "not-asked", }
    Failure { ProofOfWork = "proof-of-work", TimeLock = "time-lock", }
    Grouping { Kind = "kind", Pool = "pool", }
    EmptyGroup { ToOthers = "to-others", ToTreasury = "to-treasury", }
    GroupName { Gpu = "gpu", Cpu = "cpu", Enterprise = "enterprise", Community = "community", }
}

impl fmt::Display for Row {
    /// Its line, without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        write_row(&mut line, self);
        f.write_str(&line)
    }
}

/// Appends a row's line, without a newline.
pub(super) fn write_row(out: &mut String, row: &Row) {
    append_row(out, row).expect("a string takes every text");
}

/// A block may have a million lines, so words are copied and only numbers are formatted.
fn append_row(out: &mut String, row: &Row) -> fmt::Result {
    let Device { worker, kind, pool, tier, multiplier, quantity, hired, missing, proofs } =
        &row.device;
    write!(out, "{worker}")?;
    push(out, &[kind.text(), pool.text(), tier.text()]);
    write!(out, " {multiplier} {quantity}")?;
    push(out, &[if *hired { "hired" } else { "idle" }]);
    if missing.is_empty() {
        push(out, &["-"]);
    } else {
        write!(out, " {missing}")?;
    }
    push(out, &[proofs.work.text(), proofs.time_lock.text()]);
    write!(out, " {}", proofs.up_minutes)?;
    match row.outcome {
        Outcome::Earned { base, norm, payout } => write!(out, " earned {base} {norm} {payout}")?,
        Outcome::Failed { why } => push(out, &["failed", why.text()]),
        Outcome::Missed { why: Missed::Rules(_) } => push(out, &["missed", "rules"]),
        Outcome::Missed { why: Missed::Outranked } => push(out, &["missed", "outranked"]),
    }
    Ok(())
}

/// Appends words, a space before each.
fn push(out: &mut String, words: &[&str]) {
    for word in words {
        out.push(' ');
        out.push_str(word);
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        writeln!(f, "hour {}", self.hour)?;
        match &self.previous {
            Some(previous) => writeln!(f, "previous {previous}")?,
            None => writeln!(f, "previous none")?,
        }
        write_rules(f, &self.rules)?;
        writeln!(f, "emission {}", self.emission)?;
        writeln!(f, "workers {}", self.worker_emission)?;
        writeln!(f, "safety-module-emission {}", self.safety_module_emission)?;
        writeln!(f, "unearned {}", self.unearned)?;
        for Group { name, amount, norm, base, earned } in &self.groups {
            let name = name.text();
            writeln!(f, "group {name} amount {amount} norm {norm} base {base} earned {earned}")?;
        }
        let Counts { nominated, succeeded, failed, missed, .. } = self.counts;
        writeln!(
            f,
            "machines nominated {nominated} succeeded {succeeded} failed {failed} missed {missed}"
        )?;
        let Counts { cpu_workers, gpu_workers, verified_cpus, verified_gpus, .. } = self.counts;
        writeln!(
            f,
            "verified cpu-workers {cpu_workers} gpu-workers {gpu_workers} cpus {verified_cpus} gpus {verified_gpus}"
        )?;
        writeln!(f, "rows {}", self.rows)?;
        writeln!(f, "root {}", self.root)
    }
}

fn write_rules(f: &mut fmt::Formatter<'_>, rules: &BlockRules) -> fmt::Result {
    let ScoreRules { tier_points, hardware_points, hired_points } = rules.score;
    writeln!(f, "points tier {tier_points} hardware {hardware_points} hired {hired_points}")?;
    let (gpu, enterprise) = (rules.gpu_share_bp, rules.enterprise_share_bp);
    writeln!(f, "grouping {} gpu {gpu} enterprise {enterprise}", rules.grouping.text())?;
    writeln!(f, "safety-module {}", rules.safety_module_share_bp)?;
    writeln!(f, "empty-group {}", rules.empty_group.text())?;
    match rules.rewarded_max {
        Some(most) => writeln!(f, "rewarded-max {most}")?,
        None => writeln!(f, "rewarded-max all")?,
    }
    writeln!(f, "close-delay {}", rules.close_delay_secs)
}

/// Writes a whole statement.
pub fn write(header: &Header, rows: &[Row]) -> String {
    let mut out = header.to_string();
    for row in rows {
        write_row(&mut out, row);
        out.push('\n');
    }
    out
}

/// Why a text is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the statement is not {expected}")]
pub struct NotAStatement {
    /// Which line, from 1.
    pub line: usize,
    /// What it should be.
    pub expected: &'static str,
}

/// Reads a whole statement. What is read writes the same text again, byte for byte.
pub fn read(text: &str) -> Result<(Header, Vec<Row>), NotAStatement> {
    let mut lines = Lines { lines: text.split('\n'), number: 0 };
    let header = read_header(&mut lines)?;
    let mut rows = Vec::new();
    loop {
        lines.number += 1;
        let line = lines.number;
        match lines.lines.next() {
            Some("") if lines.lines.clone().next().is_none() => break,
            Some(row) => rows.push(read_row(row).ok_or(NotAStatement { line, expected: ROW })?),
            None => return Err(NotAStatement { line, expected: "ended by a newline" }),
        }
    }
    if write(&header, &rows) != text {
        return Err(NotAStatement { line: 1, expected: "written the one way there is" });
    }
    Ok((header, rows))
}

const ROW: &str = "a machine's line";

/// The lines that are still to be read.
struct Lines<'a> {
    lines: std::str::Split<'a, char>,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The values of the next line, whose other words are known: `*` stands for a value.
    fn values<const N: usize>(
        &mut self,
        pattern: &'static str,
    ) -> Result<[&'a str; N], NotAStatement> {
        self.number += 1;
        let wrong = NotAStatement { line: self.number, expected: pattern };
        let line = self.lines.next().ok_or_else(|| wrong.clone())?;
        let (mut words, mut values) = (line.split(' '), Vec::new());
        for known in pattern.split(' ') {
            match words.next() {
                Some(value) if known == "*" => values.push(value),
                Some(word) if known == word => {}
                Some(_) | None => return Err(wrong),
            }
        }
        if words.next().is_some() {
            return Err(wrong);
        }
        values.try_into().map_err(|_| wrong)
    }

    /// The one value of the next line, read.
    fn value<T>(
        &mut self,
        pattern: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, NotAStatement> {
        let [value] = self.values(pattern)?;
        read(value).ok_or_else(|| self.wrong(pattern))
    }

    fn parsed<T: FromStr>(&mut self, pattern: &'static str) -> Result<T, NotAStatement> {
        self.value(pattern, parsed)
    }

    /// The values of the next line, all numbers.
    fn numbers<T: FromStr, const N: usize>(
        &mut self,
        pattern: &'static str,
    ) -> Result<[T; N], NotAStatement> {
        let values: [&str; N] = self.values(pattern)?;
        let numbers: Option<Vec<T>> = values.into_iter().map(parsed).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| self.wrong(pattern))
    }

    const fn wrong(&self, expected: &'static str) -> NotAStatement {
        NotAStatement { line: self.number, expected }
    }
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `none` as the absence of a value.
fn unless<T: FromStr>(none: &str, text: &str) -> Option<Option<T>> {
    if text == none { Some(None) } else { parsed(text).map(Some) }
}

fn read_header(lines: &mut Lines<'_>) -> Result<Header, NotAStatement> {
    let [] = lines.values(FIRST_LINE)?;
    let hour = lines.parsed("hour *")?;
    let previous = lines.value("previous *", |text| unless("none", text))?;
    let rules = read_rules(lines)?;
    let emission = lines.parsed("emission *")?;
    let worker_emission = lines.parsed("workers *")?;
    let safety_module_emission = lines.parsed("safety-module-emission *")?;
    let unearned = lines.parsed("unearned *")?;
    let groups = [read_group(lines)?, read_group(lines)?];
    let [nominated, succeeded, failed, missed] =
        lines.numbers("machines nominated * succeeded * failed * missed *")?;
    let [cpu_workers, gpu_workers, cpus, gpus] =
        lines.numbers::<u64, 4>("verified cpu-workers * gpu-workers * cpus * gpus *")?;
    let few = |count: u64| u32::try_from(count).map_err(|_| lines.wrong("a count of machines"));
    let counts = Counts {
        nominated,
        succeeded,
        failed,
        missed,
        cpu_workers: few(cpu_workers)?,
        gpu_workers: few(gpu_workers)?,
        verified_cpus: cpus,
        verified_gpus: gpus,
    };
    let rows = lines.parsed("rows *")?;
    let root = lines.parsed("root *")?;
    Ok(Header {
        hour,
        previous,
        rules,
        emission,
        worker_emission,
        safety_module_emission,
        unearned,
        groups,
        counts,
        rows,
        root,
    })
}

fn read_rules(lines: &mut Lines<'_>) -> Result<BlockRules, NotAStatement> {
    let [tier_points, hardware_points, hired_points] =
        lines.numbers("points tier * hardware * hired *")?;
    let pattern = "grouping * gpu * enterprise *";
    let [grouping, gpu, enterprise] = lines.values(pattern)?;
    let wrong = || lines.wrong(pattern);
    Ok(BlockRules {
        score: ScoreRules { tier_points, hardware_points, hired_points },
        grouping: Grouping::of_text(grouping).ok_or_else(wrong)?,
        gpu_share_bp: parsed(gpu).ok_or_else(wrong)?,
        enterprise_share_bp: parsed(enterprise).ok_or_else(wrong)?,
        safety_module_share_bp: lines.parsed("safety-module *")?,
        empty_group: lines.value("empty-group *", EmptyGroup::of_text)?,
        rewarded_max: lines.value("rewarded-max *", |text| unless("all", text))?,
        close_delay_secs: lines.parsed("close-delay *")?,
    })
}

fn read_group(lines: &mut Lines<'_>) -> Result<Group, NotAStatement> {
    let pattern = "group * amount * norm * base * earned *";
    let [name, amount, norm, base, earned] = lines.values(pattern)?;
    let group = || {
        Some(Group {
            name: GroupName::of_text(name)?,
            amount: parsed(amount)?,
            norm: parsed(norm)?,
            base: parsed(base)?,
            earned: parsed(earned)?,
        })
    };
    group().ok_or_else(|| lines.wrong(pattern))
}

/// Reads a machine's line, without its newline.
pub fn read_row(line: &str) -> Option<Row> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let device = Device {
        worker: parsed::<WorkerId>(word()?)?,
        kind: parsed(word()?)?,
        pool: parsed(word()?)?,
        tier: parsed(word()?)?,
        multiplier: parsed(word()?)?,
        quantity: parsed(word()?)?,
        hired: match word()? {
            "hired" => true,
            "idle" => false,
            _ => return None,
        },
        missing: read_rule_set(word()?)?,
        proofs: Proofs {
            work: Proof::of_text(word()?)?,
            time_lock: Proof::of_text(word()?)?,
            up_minutes: parsed(word()?)?,
        },
    };
    let outcome = match (word()?, word()?) {
        ("earned", base) => Outcome::Earned {
            base: parsed(base)?,
            norm: parsed(word()?)?,
            payout: parsed::<Coins>(word()?)?,
        },
        ("failed", why) => Outcome::Failed { why: Failure::of_text(why)? },
        ("missed", "rules") => Outcome::Missed { why: Missed::Rules(device.missing) },
        ("missed", "outranked") => Outcome::Missed { why: Missed::Outranked },
        _ => return None,
    };
    words.next().is_none().then_some(Row { device, outcome })
}

fn read_rule_set(text: &str) -> Option<RuleSet> {
    if text == "-" {
        return Some(RuleSet::NONE);
    }
    let named = |text| Rule::ALL.iter().copied().find(|rule| rule.text() == text);
    text.split(',').map(named).collect()
}
