//! How shares are said to people.

use std::fmt;

/// Ten-thousandths as percent: `12.5 %`.
pub(crate) struct Percent(pub(crate) u16);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}
