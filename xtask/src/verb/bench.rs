//! `bench`: runs benchmarks, optimized. An argument picks those whose name contains it; from the first that begins with
//! `-` on, all goes to each of them (`--` itself does not).
//!
//! A benchmark is a program in a package's `benches/` with `harness = false`: it prints its own table.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Verb;
use crate::metadata::Metadata;
use crate::tree::root;

pub(crate) const VERB: Verb =
    Verb { name: "bench", about: "run benchmarks (an argument picks by name)", run };

fn run(arguments: &[String]) -> Result<bool> {
    let split = arguments.iter().position(|word| word.starts_with('-')).unwrap_or(arguments.len());
    let (picked, rest) = arguments.split_at(split);
    let rest: Vec<&String> = rest.iter().filter(|word| *word != "--").collect();
    let root = root()?;
    std::env::set_current_dir(&root)?;
    let metadata = Metadata::read(&root)?;
    let all = metadata
        .members()
        .flat_map(|package| package.targets_of("bench").map(|name| (&package.name, name)));
    let is_picked =
        |name: &str| picked.is_empty() || picked.iter().any(|part| name.contains(part.as_str()));
    let chosen: Vec<(&String, &str)> = all.filter(|(_, name)| is_picked(name)).collect();
    ensure!(!chosen.is_empty(), "there is no benchmark of that name");
    let mut well = true;
    for (package, name) in chosen {
        println!("── {package}: {name}");
        let mut command = Command::new("cargo");
        command.args(["bench", "--quiet", "-p", package, "--bench", name, "--"]).args(&rest);
        well &= command.status().with_context(|| format!("run {name}"))?.success();
    }
    Ok(well)
}
