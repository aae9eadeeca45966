//! `test`: everything that must pass, cheapest first, with one closing line `N passed, N failed`.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::steps::{Step, Work, cargo, run as run_steps};
use super::{Verb, sim, tidy};
use crate::metadata::Metadata;
use crate::tree::root;

pub(crate) const VERB: Verb = Verb { name: "test", about: "run everything that must pass", run };

fn run(arguments: &[String]) -> Result<bool> {
    ensure!(
        arguments.is_empty(),
        "test takes no arguments; for one package: cargo nextest run -p NAME"
    );
    let root = root()?;
    std::env::set_current_dir(&root)?;
    let mut steps = vec![formatting(), laws(), lints(&["--workspace"]), tests(&["--workspace"])];
    // Where cargo cannot say, the law about dependencies fails and says why.
    if Metadata::read(&root).is_ok_and(|metadata| sim::has_binary(&metadata)) {
        steps.push(Step { name: "simulator", work: Work::Program(sim::command(&[])) });
    }
    steps.push(cargo(
        "documentation tests",
        locked(["test", "--doc", "--workspace", "--no-fail-fast"]),
    ));
    let doc = cargo("documentation", locked(["doc", "--no-deps", "--workspace"]));
    steps.push(doc.with("RUSTDOCFLAGS", "-D warnings"));
    Ok(run_steps(steps))
}

pub(super) fn formatting() -> Step {
    cargo("formatting", ["fmt", "--all", "--check"])
}

pub(super) fn laws() -> Step {
    Step { name: "tidy", work: Work::Here(tidy::tidy) }
}

/// Lints of these packages, tests and benchmarks included.
pub(super) fn lints(packages: &[&str]) -> Step {
    let words = ["clippy"].iter().chain(packages).chain(&["--all-targets"]).copied();
    cargo("lints", locked(words).into_iter().chain(["--", "-D", "warnings"]))
}

/// Tests of these packages, by nextest where it is installed.
pub(super) fn tests(packages: &[&str]) -> Step {
    let words: &[&str] = if has_nextest() {
        &["nextest", "run", "--profile", "ci", "--no-tests", "pass"]
    } else {
        &["test", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    cargo("tests", locked(words.iter().chain(packages).copied()))
}

fn has_nextest() -> bool {
    let mut command = Command::new("cargo");
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// In continuous integration the lock file must be right as it is; elsewhere cargo may complete it.
fn locked<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let flag = std::env::var_os("CI").map(|_| "--locked");
    words.into_iter().chain(flag).collect()
}
