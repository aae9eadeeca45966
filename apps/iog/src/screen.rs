//! What the program writes: data to standard output, everything else to standard error.
//!
//! Absent on purpose: what it says. Texts are made by functions without side effects and handed over here.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

use crate::failure::Failure;

/// How a piece of text is meant. Nothing is said by color alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Went well.
    Good,
    /// Went badly.
    Bad,
    /// Worth a look.
    Note,
    /// A heading or a name.
    Strong,
    /// Beside the point.
    Faint,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Note => "36",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Whether text is colored.
    pub(crate) color: bool,
    /// Whether standard error is a terminal where a line can be drawn over.
    pub(crate) live: bool,
    /// How wide the terminal is that standard output goes to; none where it goes elsewhere.
    pub(crate) columns: Option<usize>,
}

impl Screen {
    /// No color, no terminal.
    pub(crate) const PLAIN: Self = Self { color: false, live: false, columns: None };

    /// What standard output and standard error are connected to.
    pub(crate) fn detect(no_color: bool) -> Self {
        let live = io::stderr().is_terminal();
        let columns = columns(&io::stdout());
        Self { color: !no_color && live && io::stdout().is_terminal(), live, columns }
    }

    /// The text, colored if this reader sees colors.
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{}m{text}\x1b[0m", ink.code()),
            false => text.to_owned(),
        }
    }

    /// Data: a text that ends with a line's end.
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        Ok(written.context("write to standard output")?)
    }

    /// Data as JSON.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).context("write JSON")?;
        self.data(&format!("{text}\n"))
    }

    /// One line or more beside the data. That nobody reads it is no reason to stop.
    pub(crate) fn note(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// How wide the terminal is, if it is one that says so.
fn columns(out: &io::Stdout) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
