//! `check`: the quick loop. Formatting, tidy, and lints and tests of the brains: no shell is compiled.

use anyhow::{Result, ensure};

use super::Verb;
use super::steps::run as run_steps;
use super::test::{formatting, laws, lints, tests};
use crate::metadata::Metadata;
use crate::tree::root;

pub(crate) const VERB: Verb =
    Verb { name: "check", about: "the quick loop: tidy, and lints and tests of brains", run };

fn run(arguments: &[String]) -> Result<bool> {
    ensure!(arguments.is_empty(), "check takes no arguments");
    let root = root()?;
    std::env::set_current_dir(&root)?;
    let metadata = Metadata::read(&root)?;
    let brains =
        metadata.members().filter(|package| metadata.manifest_of(package).starts_with("crates/"));
    let packages: Vec<&str> = brains.flat_map(|package| ["-p", package.name.as_str()]).collect();
    Ok(run_steps(vec![formatting(), laws(), lints(&packages), tests(&packages)]))
}
