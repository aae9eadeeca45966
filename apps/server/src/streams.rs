//! Streams of events and logs that are open: not too many in all, and no caller with most of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use units::AccountId;

use crate::limits::{STREAMS_MAX, STREAMS_PER_CALLER_MAX};
use crate::metrics::Metrics;

/// How many streams each caller has open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<AccountId, usize>>>);

/// Why no stream is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The caller has enough.
    Caller,
    /// All together have enough.
    Server,
}

impl Streams {
    /// Counts one more, until it is dropped.
    pub(crate) fn open(&self, caller: AccountId, metrics: &Metrics) -> Result<Stream, Full> {
        let mut open = self.0.lock().expect("nobody panics with the counts in hand");
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return Err(Full::Server);
        }
        let mine = open.entry(caller).or_insert(0);
        if *mine >= STREAMS_PER_CALLER_MAX {
            return Err(Full::Caller);
        }
        *mine += 1;
        metrics.stream_opened();
        Ok(Stream { streams: self.clone(), caller, metrics: metrics.clone() })
    }
}

/// A stream that is open while this lives.
#[derive(Debug)]
pub(crate) struct Stream {
    streams: Streams,
    caller: AccountId,
    metrics: Metrics,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.metrics.stream_closed();
        let mut open = self.streams.0.lock().expect("nobody panics with the counts in hand");
        if let Some(mine) = open.get_mut(&self.caller) {
            *mine -= 1;
            if *mine == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_take_all_streams() {
        let (streams, metrics) = (Streams::default(), Metrics::new());
        let (one, other) = (AccountId::from_bits(1), AccountId::from_bits(2));
        let mut open: Vec<Stream> =
            (0..STREAMS_PER_CALLER_MAX).map(|_| streams.open(one, &metrics).unwrap()).collect();
        assert_eq!(streams.open(one, &metrics).err(), Some(Full::Caller));
        assert!(streams.open(other, &metrics).is_ok());
        open.pop();
        assert!(streams.open(one, &metrics).is_ok(), "one that ended makes room");
    }
}
