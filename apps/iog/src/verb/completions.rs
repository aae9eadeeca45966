//! `iog completions`: what a shell needs to complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::screen::Screen;

/// Write completions for a shell to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog completions bash > ~/.local/share/bash-completion/completions/iog
  iog completions zsh > ~/.zfunc/_iog
  iog completions fish > ~/.config/fish/completions/iog.fish")]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

impl Args {
    pub(crate) fn run(&self, screen: Screen) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "iog", &mut script);
        screen.data(&String::from_utf8_lossy(&script))
    }
}
