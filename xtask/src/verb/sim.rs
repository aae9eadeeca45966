//! `sim`: runs the simulator, optimized, with every assertion on. Arguments go to it as they are.
//!
//! Without arguments the simulator runs what continuous integration runs: its committed seeds, and fresh ones
//! within a bound of its own.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Verb;
use crate::metadata::Metadata;
use crate::tree::root;

pub(crate) const VERB: Verb =
    Verb { name: "sim", about: "run the simulator (arguments go to it)", run };

fn run(arguments: &[String]) -> Result<bool> {
    let root = root()?;
    std::env::set_current_dir(&root)?;
    ensure!(has_binary(&Metadata::read(&root)?), "package `sim` has no program to run");
    Ok(command(arguments).status().context("start the simulator")?.success())
}

pub(super) fn has_binary(metadata: &Metadata) -> bool {
    metadata
        .members()
        .any(|package| package.name == "sim" && package.targets_of("bin").next().is_some())
}

pub(super) fn command(arguments: &[String]) -> Command {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--profile", "sim", "-p", "sim", "--"]).args(arguments);
    command
}
