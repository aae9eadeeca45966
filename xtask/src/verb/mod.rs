//! The verbs, one file each. A new one is a file here and a line in [`ALL`].

mod bench;
mod check;
mod openapi;
mod sim;
mod steps;
mod test;
mod tidy;

use anyhow::Result;

/// One chore.
pub(crate) struct Verb {
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// Its work, told the remaining arguments. False when it found something wrong and has said so.
    pub run: fn(&[String]) -> Result<bool>,
}

/// In the order of the alphabet.
pub(crate) const ALL: &[Verb] =
    &[bench::VERB, check::VERB, openapi::VERB, sim::VERB, test::VERB, tidy::VERB];
