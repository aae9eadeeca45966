//! How a thread that carries waits: awake for a while where that pays, then asleep.

use std::thread;
use std::time::{Duration, Instant};

use vigil::{Pause, Vigil};

/// How one thread waits.
#[derive(Debug)]
pub(crate) struct Watch(Vigil);

impl Watch {
    /// On a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self(Vigil::new(cores))
    }

    /// Waits for what `take` gives: looks for it again and again without waiting, `take(false)`, as long as is worth it
    /// and if it can be looked for at all; then `take(true)`, which sleeps until it is there or something interrupts.
    ///
    /// Between two looks whoever else wants the core has it: a thread that carries on, and the programs that talk.
    pub(crate) fn wait<T>(
        &mut self,
        can_look: bool,
        mut take: impl FnMut(bool) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        let (begun, span) = (Instant::now(), self.0.span());
        let mut watched = Duration::ZERO;
        while can_look && watched < span {
            let seen = take(false)?;
            watched = begun.elapsed();
            if seen.is_some() {
                self.0.learn(Pause { watched, waited: watched, is_seen: true });
                return Ok(seen);
            }
            thread::yield_now();
        }
        let slept_for = take(true)?;
        if can_look {
            let waited = begun.elapsed();
            self.0.learn(Pause { watched, waited, is_seen: false });
        }
        Ok(slept_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits so often for what is there at once, and says how often it was looked for and how often slept for.
    fn waits(watch: &mut Watch, can_look: bool, times: usize) -> (usize, usize) {
        let (mut looks, mut sleeps) = (0, 0);
        for _ in 0..times {
            let take = |wait| {
                *if wait { &mut sleeps } else { &mut looks } += 1;
                Ok(Some(()))
            };
            assert!(watch.wait(can_look, take).expect("nothing fails").is_some());
        }
        (looks, sleeps)
    }

    #[test]
    fn what_comes_at_once_is_looked_for_once_that_is_known() {
        let mut watch = Watch::new(2);
        // However busy the machine is: a sleep that took long is taken for a long pause.
        let mut seen = 0;
        while seen == 0 {
            seen = waits(&mut watch, true, 1).0;
        }
    }

    #[test]
    fn what_cannot_be_looked_for_and_whoever_has_one_core_is_slept_for() {
        assert_eq!(waits(&mut Watch::new(2), false, 100), (0, 100));
        assert_eq!(waits(&mut Watch::new(1), true, 100), (0, 100));
    }

    #[test]
    fn what_fails_is_told() {
        let fails = |_| -> anyhow::Result<Option<()>> { anyhow::bail!("gone") };
        assert!(Watch::new(2).wait(true, fails).is_err());
    }
}
