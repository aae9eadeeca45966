//! How the program ends: one number for each answer to "will saying it again help?".

use std::process::ExitCode;

/// An exit code. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Ok,
    /// Something broke: here, on the server, or in the job that was asked for. Say it again only after a look.
    Fault,
    /// The command line or the configuration is wrong. Saying it again cannot help.
    Usage,
    /// The network understood and said no, or what was checked here does not do: a proof, this machine. Saying it again
    /// helps only if something changes: the order, the balance, the machines on offer.
    Refused,
    /// Nobody answered, or the server is too busy. Saying it again may help.
    Unavailable,
}

/// What `iog exit-codes` and `iog help exit-codes` say.
pub(crate) const TEXT: &str = "\
Exit codes

   0  ok           it was done
   1  fault        something broke: here, on the server, or in the job that was asked for
   2  usage        the command line or the configuration is wrong
  10  refused      the network said no, or what was checked here does not do; saying it again helps only if
                   something changes
  11  unavailable  nobody answered, or the server is too busy; saying it again may help

Errors go to standard error: a line `error: …`, and where something can be done, a line `hint: …`.";

impl Exit {
    /// All of them, lowest first.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] =
        [Self::Ok, Self::Fault, Self::Usage, Self::Refused, Self::Unavailable];

    /// Its number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::Refused => 10,
            Self::Unavailable => 11,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_code() {
        for exit in Exit::ALL {
            let row = format!("\n  {:>2}  {}", exit.number(), format!("{exit:?}").to_lowercase());
            assert!(TEXT.contains(&row), "{row}");
        }
    }

    #[test]
    fn the_reference_names_every_code() {
        let page = include_str!("../../../docs/reference/cli.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.number(), format!("{exit:?}").to_lowercase());
            assert!(page.contains(&row), "{row}");
        }
    }
}
