//! `iog up`: a whole network on this machine, and a first rental on it.

use crate::failure::Failure;
use crate::screen::Screen;

/// Start a whole network on this machine and play a first rental.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog up\n  iog up --once")]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self, _screen: Screen) -> Result<(), Failure> {
        Err(Failure::ended("not there yet", "wait"))
    }
}
