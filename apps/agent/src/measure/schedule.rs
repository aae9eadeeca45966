//! When the line is measured: soon after the machine has joined, and once a day while it is idle.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use wire::SpeedView;

use crate::backoff::Backoff;
use crate::board::Board;
use crate::limits::{IDLE_LOOK_EVERY, LINE_AGAIN_AFTER, LINE_SLOW_AGAIN_AFTER};
use crate::link::{Link, Trouble};
use crate::quit::Quit;

/// What was measured last.
const MEASURED: &str = "line.json";

/// Starts to measure the line of this data folder's machine.
///
/// # Errors
/// If no thread can be started.
pub(crate) fn start(link: &Arc<Link>, data: &Path, board: &Arc<Board>, quit: &Quit) -> Result<()> {
    let (link, board, quit) = (Arc::clone(link), Arc::clone(board), quit.clone());
    let data = data.to_owned();
    let work = move || keep_measured(&link, &data, &board, &quit);
    thread::Builder::new().name("line".to_owned()).spawn(work).context("start a thread")?;
    Ok(())
}

fn keep_measured(link: &Link, data: &Path, board: &Board, quit: &Quit) {
    let mut backoff = Backoff::default();
    let mut wait = last(data).map_or(Duration::ZERO, |known| due_in(&known, SystemTime::now()));
    loop {
        if quit.wait(wait) {
            return;
        }
        if !board.is_idle() {
            wait = IDLE_LOOK_EVERY;
            continue;
        }
        wait = match link.measure_line() {
            Ok(speed) => {
                backoff.reset();
                let SpeedView { down_mbps, up_mbps, ping_ms, tier, .. } = speed;
                tracing::info!(down_mbps, up_mbps, ping_ms, %tier, "the control plane has measured the line");
                note(data, &speed);
                // By no clock: this machine's may be days ahead of the one that measured.
                every(&speed)
            }
            // Others are measured, or the machine serves: both pass.
            Err(Trouble::Weather(why)) => {
                tracing::debug!(why, "the line is not measured");
                backoff.next()
            }
            Err(trouble @ Trouble::Refused(_)) => {
                tracing::debug!(%trouble, "the line is not measured");
                IDLE_LOOK_EVERY
            }
        };
    }
}

/// How long until it is measured again: a day, and less for one that is too slow for a tier, whose owner may mend it.
fn due_in(known: &SpeedView, now: SystemTime) -> Duration {
    let every = every(known);
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(known.at.0.millis());
    // A clock that was set back does not put it off for years.
    every.saturating_sub(now.duration_since(at).unwrap_or_default()).min(every)
}

fn every(known: &SpeedView) -> Duration {
    if known.tier == units::Tier::None { LINE_SLOW_AGAIN_AFTER } else { LINE_AGAIN_AFTER }
}

/// What was measured last; `None` if that is not known.
pub(crate) fn last(data: &Path) -> Option<SpeedView> {
    serde_json::from_slice(&std::fs::read(data.join(MEASURED)).ok()?).ok()
}

/// Forgets what was measured.
pub(crate) fn forget(data: &Path) {
    let _ = std::fs::remove_file(data.join(MEASURED));
}

/// A note that cannot be written costs one test at the next start.
fn note(data: &Path, speed: &SpeedView) {
    let text = serde_json::to_vec_pretty(speed).unwrap_or_default();
    if let Err(fault) = std::fs::write(data.join(MEASURED), text) {
        tracing::warn!(%fault, "what was measured could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{Tier, Timestamp};
    use wire::Time;

    #[test]
    fn a_line_is_measured_once_a_day_and_a_slow_one_sooner() {
        let measured = |tier| SpeedView {
            at: Time(Timestamp::from_millis(1_000_000)),
            down_mbps: 1,
            up_mbps: 1,
            ping_ms: 1,
            tier,
        };
        let later =
            |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + millis);
        assert_eq!(due_in(&measured(Tier::Low), later(0)), LINE_AGAIN_AFTER);
        assert_eq!(due_in(&measured(Tier::Low), later(86_400_000)), Duration::ZERO);
        assert_eq!(due_in(&measured(Tier::None), later(0)), LINE_SLOW_AGAIN_AFTER);
        assert_eq!(due_in(&measured(Tier::Low), SystemTime::UNIX_EPOCH), LINE_AGAIN_AFTER);
    }
}
