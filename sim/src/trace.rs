//! One line per event in fixed columns, so that a run can be read.

use std::collections::VecDeque;

use units::Timestamp;

use crate::limits::LINES_SHOWN;

/// How much of a run is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Quiet,
    /// The last lines.
    Last,
    /// Every line, as it happens, to the standard output.
    All,
}

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    detail: Detail,
    start: Timestamp,
    lines: VecDeque<String>,
}

impl Trace {
    pub(crate) const fn new(detail: Detail, start: Timestamp) -> Self {
        Self { detail, start, lines: VecDeque::new() }
    }

    pub(crate) fn line(&mut self, now: Timestamp, place: &str, text: impl FnOnce() -> String) {
        if self.detail == Detail::Quiet {
            return;
        }
        let since = now.since(self.start);
        let (seconds, millis) = (since.as_secs(), since.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let line = format!("{hours}:{minutes:02}:{seconds:02}.{millis:03}  {place:<5} {}", text());
        if self.detail == Detail::All {
            say(&line);
        }
        self.lines.push_back(line);
        if self.lines.len() > LINES_SHOWN {
            self.lines.pop_front();
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

#[expect(clippy::print_stdout, reason = "a run is read on the terminal")]
fn say(line: &str) {
    println!("{line}");
}
