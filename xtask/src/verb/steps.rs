//! Runs a list of steps, counts what passed and failed, and prints one closing line.
//!
//! A step that runs tests counts as many as its runner reports; any other step counts as one.
//! A runner that ends badly without a failed test (it did not build, it was killed) counts as one failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};

/// One thing that must pass.
pub(super) struct Step {
    /// What it is about, in a word or two.
    pub name: &'static str,
    pub work: Work,
}

/// How a step is done.
pub(super) enum Work {
    /// Inside this process.
    Here(fn() -> Result<bool>),
    /// By another program.
    Program(Command),
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// A step that runs `cargo` with these words.
pub(super) fn cargo<'a>(name: &'static str, words: impl IntoIterator<Item = &'a str>) -> Step {
    let mut command = Command::new("cargo");
    command.args(words);
    Step { name, work: Work::Program(command) }
}

impl Step {
    /// The same with a variable set.
    pub(super) fn with(mut self, variable: &str, value: &str) -> Self {
        if let Work::Program(command) = &mut self.work {
            command.env(variable, value);
        }
        self
    }
}

/// Runs every step, the later ones too when one fails or cannot be run. True when nothing failed.
pub(super) fn run(steps: Vec<Step>) -> bool {
    let mut total = Tally::default();
    let mut broken = Vec::new();
    for step in steps {
        println!("── {}", step.name);
        let tally = count(step.work).unwrap_or_else(|fault| {
            eprintln!("{}: {fault:#}", step.name);
            Tally { passed: 0, failed: 1 }
        });
        if tally.failed > 0 {
            broken.push(step.name);
        }
        total += tally;
    }
    if !broken.is_empty() {
        println!("failed: {}", broken.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

fn count(work: Work) -> Result<Tally> {
    match work {
        Work::Here(work) => Ok(settle(Tally::default(), work()?)),
        Work::Program(command) => {
            let (tally, ended_well) = watch(command, std::io::stdout(), std::io::stderr())?;
            Ok(settle(tally, ended_well))
        }
    }
}

/// What a step counts for, given what its runner reported and how it ended.
fn settle(reported: Tally, ended_well: bool) -> Tally {
    let silent = reported == Tally::default();
    match ended_well {
        true if silent => Tally { passed: 1, failed: 0 },
        false if reported.failed == 0 => Tally { failed: 1, ..reported },
        true | false => reported,
    }
}

/// Runs a program, passes its output on as it comes, and adds up the summaries in it.
fn watch(
    mut command: Command,
    to_out: impl Write + Send,
    to_err: impl Write + Send,
) -> Result<(Tally, bool)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    let out = child.stdout.take().context("read its output")?;
    let err = child.stderr.take().context("read its messages")?;
    let tally = Mutex::new(Tally::default());
    let add = |line: &str| {
        if let Ok(mut tally) = tally.lock() {
            *tally += summary_in(line);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| pass_on(out, to_out, add));
        scope.spawn(|| pass_on(err, to_err, add));
    });
    let ended_well = child.wait().context("wait for its end")?.success();
    let tally = tally.into_inner().unwrap_or_default();
    Ok((tally, ended_well))
}

fn pass_on(from: impl Read, mut to: impl Write, seen: impl Fn(&str)) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A reader that went away (a closed terminal) must not stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        seen(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

/// What a line of output reports: the closing line of nextest, or one of `cargo test`.
fn summary_in(line: &str) -> Tally {
    let line = without_colors(line);
    let line = line.trim();
    if let Some((head, counts)) = line.split_once(" run: ")
        && head.starts_with("Summary [")
        && (head.ends_with(" tests") || head.ends_with(" test"))
    {
        return add_up(counts.split(','));
    }
    match line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
        Some((_, counts)) => add_up(counts.split(';')),
        None => Tally::default(),
    }
}

fn add_up<'a>(counts: impl Iterator<Item = &'a str>) -> Tally {
    let mut tally = Tally::default();
    for (number, what) in counts.filter_map(|count| count.trim().split_once(' ')) {
        let number = number.parse().unwrap_or(0);
        // Words in brackets say more about the same tests: `9 passed (1 slow)`.
        match what.split(" (").next().unwrap_or_default() {
            "passed" => tally.passed += number,
            "failed" | "timed out" | "exec failed" => tally.failed += number,
            _ => {}
        }
    }
    tally
}

/// The line without the escape sequences that color it.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_nextest_are_read() {
        check("     Summary [   0.123s] 12 tests run: 12 passed, 0 skipped", (12, 0));
        check("Summary [ 1.2s] 1 test run: 1 passed (1 slow, 1 flaky), 3 skipped", (1, 0));
        check(
            "Summary [ 1.2s] 9/12 tests run: 5 passed (1 leaky), 2 failed, 1 timed out, 1 exec failed",
            (5, 4),
        );
        let bold_two = "\u{1b}[1m2\u{1b}[0m";
        let colored = format!(
            "\u{1b}[32;1m Summary\u{1b}[0m [ 0.1s] {bold_two} tests run: {bold_two} passed"
        );
        check(&colored, (2, 0));
    }

    #[test]
    fn closing_lines_of_cargo_test_are_read() {
        check(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            (3, 0),
        );
        check(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            (3, 2),
        );
    }

    #[test]
    fn other_lines_count_for_nothing() {
        check("5 passed, 2 failed", (0, 0));
        check("test a_summary_is_read ... ok", (0, 0));
        check("    Starting 5 tests across 2 binaries", (0, 0));
    }

    #[test]
    fn a_step_counts_what_it_reports_or_one() {
        let tally = |passed, failed| Tally { passed, failed };
        assert_eq!(settle(tally(0, 0), true), tally(1, 0), "a step without tests passed");
        assert_eq!(settle(tally(0, 0), false), tally(0, 1), "a build failed");
        assert_eq!(settle(tally(7, 0), false), tally(7, 1), "the runner was killed");
        assert_eq!(settle(tally(7, 2), false), tally(7, 2), "tests failed");
        assert_eq!(settle(tally(7, 0), true), tally(7, 0), "tests passed");
    }

    #[test]
    fn a_program_is_watched_to_its_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: ok. 2 passed; 0 failed;'; exit 3"]);
        let mut passed_on = Vec::new();
        let watched = watch(command, &mut passed_on, std::io::sink()).unwrap();
        assert_eq!(watched, (Tally { passed: 2, failed: 0 }, false));
        assert_eq!(passed_on, b"test result: ok. 2 passed; 0 failed;\n");
    }

    fn check(line: &str, (passed, failed): (u64, u64)) {
        assert_eq!(summary_in(line), Tally { passed, failed }, "{line}");
    }
}
