//! How a conversation with the control plane goes: trouble is told once, and so is its end.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::link::Trouble;

/// Says once that the control plane is out of reach, and once that it is back.
#[derive(Debug)]
pub(crate) struct Mood {
    what: &'static str,
    trouble: Option<Trouble>,
    backoff: Backoff,
}

impl Mood {
    /// About this, nothing is known yet.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, trouble: None, backoff: Backoff::default() }
    }

    /// Whether what was said last was no good.
    pub(crate) const fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// It was answered.
    pub(crate) fn good(&mut self) {
        self.backoff.reset();
        if self.trouble.take().is_some() {
            tracing::info!(what = self.what, "the control plane serves this machine again");
        }
    }

    /// It was not. Returns how long to wait before trying again.
    pub(crate) fn bad(&mut self, trouble: Trouble) -> Duration {
        let news = match (&self.trouble, &trouble) {
            // Bad weather has many words; one is enough.
            (Some(Trouble::Weather(_)), Trouble::Weather(_)) => false,
            (known, _) => known.as_ref() != Some(&trouble),
        };
        if news {
            tracing::warn!(
                what = self.what,
                %trouble,
                "the control plane does not serve this machine; nodes keep running"
            );
        } else {
            tracing::debug!(what = self.what, %trouble, "the control plane does not serve this machine");
        }
        self.trouble = Some(trouble);
        self.backoff.next()
    }
}
