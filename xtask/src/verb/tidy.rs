//! `tidy`: checks the repository's own laws and prints each finding as `path:line: message`.

use anyhow::{Result, ensure};

use super::Verb;
use crate::law;
use crate::metadata::Metadata;
use crate::tree::{Tree, root};

pub(crate) const VERB: Verb = Verb { name: "tidy", about: "check the repository's own laws", run };

fn run(arguments: &[String]) -> Result<bool> {
    ensure!(arguments.is_empty(), "tidy takes no arguments");
    tidy()
}

/// Whether every law holds.
pub(super) fn tidy() -> Result<bool> {
    let root = root()?;
    let findings = law::findings(&Tree::read(&root)?, &Metadata::read(&root)?);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        println!("{} findings", findings.len());
    }
    Ok(findings.is_empty())
}
