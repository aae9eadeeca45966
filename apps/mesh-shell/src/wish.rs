//! What a person asks of the process by a signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// How often wishes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To end.
    End,
    /// To read its file again.
    Reload,
    /// To tell how it goes.
    Status,
}

/// Wishes that were not fulfilled yet.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    end: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    status: Arc<AtomicBool>,
}

impl Wishes {
    /// Begins to collect them.
    pub(crate) fn collect() -> anyhow::Result<Self> {
        let wishes = Self::default();
        for (signal, flag) in [
            (SIGINT, &wishes.end),
            (SIGTERM, &wishes.end),
            (SIGHUP, &wishes.reload),
            (SIGUSR1, &wishes.status),
        ] {
            signal_hook::flag::register(signal, flag.clone()).context("listen for signals")?;
        }
        Ok(wishes)
    }

    /// Waits a moment for the next.
    pub(crate) fn next(&self) -> Option<Wish> {
        let wished = |flag: &AtomicBool| flag.swap(false, Relaxed);
        if wished(&self.end) {
            return Some(Wish::End);
        }
        if wished(&self.reload) {
            return Some(Wish::Reload);
        }
        if wished(&self.status) {
            return Some(Wish::Status);
        }
        thread::sleep(LOOK_EVERY);
        None
    }
}
