//! `iog worker status`: how far a machine has come in, what is asked of it, and what to do.

use wire::{OnboardingRow, OnboardingView, SpeedView, TrialView};

use crate::screen::{Ink, Screen};
use crate::show::{count, hung, moment};

/// How wide a bar of progress is.
const BAR: u64 = 20;
/// Trials that are shown.
const TRIALS_SHOWN: usize = 3;
/// How wide the column of labels is.
const LABEL: usize = 13;
/// What stands before what a row says.
const MARGIN: usize = 18;

/// One machine in full.
pub(crate) fn text(view: &OnboardingView, screen: Screen) -> String {
    let mut text = format!(
        "{}  {}\n  {}\n\n",
        screen.paint(Ink::Strong, view.name.text()),
        screen.paint(Ink::Faint, &view.worker.to_string()),
        summary(view, screen)
    );
    text.extend(view.rows.iter().map(|row| line(row, screen)));
    let mut more = String::new();
    if view.stage == "pending" && view.pending_minutes_needed > 0 {
        more.push_str(&labeled("online", &progress(view), screen));
    }
    if let Some(connection) = &view.connection {
        more.push_str(&labeled("connection", &connection_text(connection), screen));
    }
    for (at, trial) in view.trials.iter().take(TRIALS_SHOWN).enumerate() {
        let label = if at == 0 { "trials" } else { "" };
        more.push_str(&labeled(label, &trial_text(trial), screen));
    }
    if !more.is_empty() {
        text.push_str(&format!("\n{more}"));
    }
    text.push_str(&format!("\n  {}\n", hung(&next(view), 2, screen.columns)));
    text
}

/// What it does and what it is good for, in a sentence.
fn summary(view: &OnboardingView, screen: Screen) -> String {
    if let Some(why) = &view.blocked {
        return screen.paint(Ink::Bad, &format!("blocked: {why}"));
    }
    let (ink, good_for) = match view.readiness.as_str() {
        "cluster-ready" => (Ink::Good, "ready: renters can have it"),
        "hired" => (Ink::Good, "hired: a renter has it"),
        "pending" => (Ink::Note, "pending: it is coming in"),
        _ if view.stage == "ready" => {
            (Ink::Note, "ready for renters; it earns in no block (`iog ready` says why)")
        }
        _ => (Ink::Bad, "not ready: something is to be done"),
    };
    let does = match view.status.as_str() {
        "up" => "online".to_owned(),
        "down" => "not heard of: is its agent running?".to_owned(),
        "inactive" => "not heard of for days".to_owned(),
        "restart-required" => "its agent is too old".to_owned(),
        other => other.to_owned(),
    };
    format!("{does}; {}", screen.paint(ink, good_for))
}

fn line(row: &OnboardingRow, screen: Screen) -> String {
    let mark = match row.state.as_str() {
        "met" => screen.paint(Ink::Good, "✓"),
        "waiting" => screen.paint(Ink::Note, "…"),
        _ => screen.paint(Ink::Bad, "✗"),
    };
    let reason = hung(&row.reason, MARGIN, screen.columns);
    format!("  {mark} {:<LABEL$} {reason}\n", row.step)
}

fn labeled(label: &str, text: &str, screen: Screen) -> String {
    let text = hung(text, MARGIN, screen.columns);
    format!("    {} {text}\n", screen.paint(Ink::Faint, &format!("{label:<LABEL$}")))
}

/// A span of minutes: `45 min`, `3 h 20 min`, `12 h`.
fn span(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn progress(view: &OnboardingView) -> String {
    let needed = u64::from(view.pending_minutes_needed);
    let done = view.pending_minutes.min(needed);
    let full = usize::try_from(done * BAR / needed.max(1)).unwrap_or_default();
    let empty = usize::try_from(BAR).unwrap_or_default().saturating_sub(full);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(empty));
    let left = match needed - done {
        0 => String::new(),
        left => format!(", {} to go", span(left)),
    };
    format!("{bar} {} of {}{left}", span(done), span(needed))
}

fn connection_text(seen: &SpeedView) -> String {
    format!(
        "{} Mbps down, {} Mbps up, ping {} ms; measured {}",
        seen.down_mbps,
        seen.up_mbps,
        seen.ping_ms,
        moment(seen.at)
    )
}

fn trial_text(trial: &TrialView) -> String {
    let outcome = match (trial.ended, trial.passed) {
        (None, _) => "under way",
        (Some(_), Some(true)) => "passed",
        (Some(_), Some(false)) => "failed",
        (Some(_), None) => "broken off",
    };
    let at = moment(trial.ended.unwrap_or(trial.began));
    let with = match trial.machines {
        0 | 1 => "alone".to_owned(),
        several => format!("with {}", count(u64::from(several - 1), "other")),
    };
    format!("{outcome}, {at}, {with}: {}", trial.note)
}

/// What to do next, in a sentence.
fn next(view: &OnboardingView) -> String {
    if view.blocked.is_some() {
        return "Ask whoever runs the network what would let it in again.".to_owned();
    }
    if matches!(view.status.as_str(), "down" | "inactive") {
        return "Start its agent: `iog worker run`; its log says why it stopped.".to_owned();
    }
    if view.stage == "ready" {
        return "There is nothing to do.".to_owned();
    }
    let missing = |row: &&OnboardingRow| !matches!(row.state.as_str(), "met" | "waiting");
    match view.rows.iter().find(missing) {
        Some(row) if row.step == "trial" => {
            format!(
                "Mend what its trial showed, and ask for another: iog worker retry {}",
                view.worker
            )
        }
        Some(row) => {
            format!("See to this first: {}. `iog worker check` on the machine says more.", row.step)
        }
        None => "Leave it online and idle: the rest comes by itself.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use units::{RentalId, Tier, Timestamp, WorkerId};
    use wire::Time;

    use super::*;

    fn row(step: &str, state: &str, reason: &str) -> OnboardingRow {
        let owned = |text: &str| text.to_owned();
        OnboardingRow { step: owned(step), state: owned(state), reason: owned(reason) }
    }

    fn at(minutes: u64) -> Time {
        Time(Timestamp::from_millis(1_795_363_800_000 + minutes * 60_000))
    }

    fn pending() -> OnboardingView {
        OnboardingView {
            worker: WorkerId::from_bits(5),
            name: "rack-3".parse().unwrap(),
            status: "up".to_owned(),
            readiness: "pending".to_owned(),
            stage: "pending".to_owned(),
            blocked: None,
            rows: vec![
                row("requirements", "met", "it meets the requirements"),
                row("connection", "met", "its connection is of tier medium"),
                row("trial", "waiting", "it is tried again in 12 minutes at the earliest"),
                row("uptime", "waiting", "it must be up for 720 minutes in all: 520 are left"),
            ],
            pending_minutes: 200,
            pending_minutes_needed: 720,
            connection: Some(SpeedView {
                at: at(0),
                down_mbps: 420,
                up_mbps: 310,
                ping_ms: 12,
                tier: Tier::Medium,
            }),
            trials: vec![TrialView {
                trial: RentalId::from_bits(9),
                began: at(1),
                ended: Some(at(9)),
                machines: 3,
                passed: None,
                note: "another machine broke it off".to_owned(),
            }],
        }
    }

    #[test]
    fn a_machine_that_comes_in_sees_how_far_it_is() {
        assert_snapshot!(text(&pending(), Screen::PLAIN), @r"
        rack-3  wkr_00000000000000000000000005
          online; pending: it is coming in

          ✓ requirements  it meets the requirements
          ✓ connection    its connection is of tier medium
          … trial         it is tried again in 12 minutes at the earliest
          … uptime        it must be up for 720 minutes in all: 520 are left

            online        █████░░░░░░░░░░░░░░░ 3 h 20 min of 12 h, 8 h 40 min to go
            connection    420 Mbps down, 310 Mbps up, ping 12 ms; measured 2026-11-22 16:10:00 UTC
            trials        broken off, 2026-11-22 16:19:00 UTC, with 2 others: another machine broke it off

          Leave it online and idle: the rest comes by itself.
        ");
    }

    #[test]
    fn what_is_to_be_done_is_said_last() {
        let check = |change: fn(&mut OnboardingView), said: &str| {
            let mut view = pending();
            change(&mut view);
            let text = text(&view, Screen::PLAIN);
            let last = text.lines().last().unwrap().trim();
            assert!(last.starts_with(said), "{text}");
        };
        check(|view| view.rows[2].state = "missing".to_owned(), "Mend what its trial showed");
        check(|view| view.rows[0].state = "missing".to_owned(), "See to this first: requirements");
        check(|view| view.status = "down".to_owned(), "Start its agent");
        check(|view| view.stage = "ready".to_owned(), "There is nothing to do.");
        check(|view| view.blocked = Some("it mined".to_owned()), "Ask whoever runs the network");
    }
}
