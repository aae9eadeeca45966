//! `iog worker join`, `run` and `check`: this machine as a supplier's.

use crate::failure::Failure;
use crate::session::Session;

/// What a machine does for itself.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {}

impl Verb {
    pub(crate) fn run(&self, _session: &Session) -> Result<(), Failure> {
        match *self {}
    }
}
