//! What the auditor believes of how machines behave: hours up, checks passed, broken connections, slashes, and what
//! they come to.

use std::collections::{BTreeMap, BTreeSet};

use control::{Body, Command, Control};
use rewards::block::Outcome;
use stakes::Conduct;
use units::{Hour, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

const WEEK_DAYS: u32 = 7;
/// More than this in one day is not counted.
const DAY_MAX: u32 = 255;
const WHOLE: u128 = 10_000;

/// The last seven days of every machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Weeks {
    /// The hour that is observed.
    hour: Option<Hour>,
    of: BTreeMap<WorkerId, Week>,
    /// Machines of which it is not known what each of several days has shown.
    unknown: BTreeSet<WorkerId>,
}

#[derive(Clone, Debug, Default)]
struct Week {
    newest: u32,
    days: BTreeMap<u32, Day>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Day {
    hours: u32,
    up: u32,
    checks: u32,
    passed: u32,
    breaks: u32,
}

impl Week {
    /// The day of an hour, or the newest when that has passed; what is a week old is forgotten.
    fn day(&mut self, hour: Hour) -> &mut Day {
        self.newest = self.newest.max(hour.number() / 24);
        let newest = self.newest;
        self.days.retain(|day, _| day + WEEK_DAYS > newest);
        self.days.entry(newest).or_default()
    }

    fn sum(&self, of: fn(&Day) -> u32) -> u32 {
        self.days.values().map(|day| of(day).min(DAY_MAX)).sum()
    }
}

impl Belief {
    /// What one entry shows of machines, but for their proofs.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_conduct(&mut self, control: &Control, body: &Body) {
        let now = control.economy().market.hour;
        let before = std::mem::replace(&mut self.weeks.hour, now);
        if let (Some(hour), true) = (before, before != now) {
            self.hour_passed(control, hour);
        }
        let today = Hour::of(self.at);
        match &body.command {
            Command::WorkerSilent { worker, .. } => {
                self.weeks.of.entry(*worker).or_default().day(today).breaks += 1;
            }
            Command::Retire { worker } => {
                self.weeks.of.remove(worker);
                self.weeks.unknown.remove(worker);
            }
            _ => {}
        }
    }

    /// Whoever was there all hour was up in it, or was not.
    fn hour_passed(&mut self, control: &Control, hour: Hour) {
        let enough = u64::from(control.parameters().checklist.time_lock_minutes_min);
        for (id, _) in control.workers().filter(|(_, worker)| worker.described < hour.start()) {
            let up = self.blocks.minutes_of(id, hour, self.at) >= enough;
            let day = self.weeks.of.entry(id).or_default().day(hour);
            (day.hours, day.up) = (day.hours + 1, day.up + u32::from(up));
        }
    }

    /// So many blocks up to the newest have tried machines. Of several at once only the newest shows its rows.
    pub(super) fn see_trials(&mut self, control: &Control, from: Hour, closed: u32) {
        let Some((hour, block)) = &control.economy().blocks.last else { return };
        if closed == 1 {
            for row in &block.rows {
                let passed = match row.outcome {
                    Outcome::Earned { .. } => 1,
                    Outcome::Failed { .. } => 0,
                    Outcome::Missed { .. } => continue,
                };
                let day = self.weeks.of.entry(row.device.worker).or_default().day(*hour);
                (day.checks, day.passed) = (day.checks + 1, day.passed + passed);
            }
            return;
        }
        let one_day = from.number() / 24 == hour.number() / 24;
        for (id, worker) in control.workers() {
            let says = worker.week.conduct(0);
            let week = self.weeks.of.entry(id).or_default();
            let more = says.checks.checked_sub(week.sum(|day| day.checks));
            let passed = says.checks_passed.checked_sub(week.sum(|day| day.passed));
            match (more, passed) {
                (Some(0), Some(0)) => {}
                (Some(more), Some(passed)) if one_day && passed <= more && more <= closed => {
                    let day = week.day(*hour);
                    (day.checks, day.passed) = (day.checks + more, day.passed + passed);
                }
                (_, _) => {
                    self.weeks.unknown.insert(id);
                }
            }
        }
    }

    /// How reliable each machine is said to be follows from what it did.
    pub(super) fn conduct_agrees(&self, control: &Control) -> Step {
        for (id, worker) in control.workers().filter(|(id, _)| !self.weeks.unknown.contains(id)) {
            let slashes = control.economy().stakes.slashes_of(id);
            let stand = slashes.filter(|(_, slash)| slash.stage.is_burned()).count();
            let slashes = u32::try_from(stand).expect("a few");
            let says = worker.week.conduct(slashes);
            let empty = Week::default();
            let week = self.weeks.of.get(&id).unwrap_or(&empty);
            let ours = Conduct {
                hours: week.sum(|day| day.hours),
                hours_up: week.sum(|day| day.up),
                hours_staked: says.hours_staked.min(says.hours),
                checks: week.sum(|day| day.checks),
                checks_passed: week.sum(|day| day.passed),
                disconnections: week.sum(|day| day.breaks),
                slashes,
            };
            let score = score(control, &ours);
            let agrees = ours == says && control.reliability_bp(id).map(u128::from) == Some(score);
            must(agrees, Invariant::Conduct, || {
                format!("{id} has shown {ours:?}, which makes {score}, and is said {says:?}")
            })?;
        }
        Ok(())
    }
}

/// A part of a whole, and all of it where there is nothing to be a part of.
fn share(part: u32, whole: u32) -> u128 {
    if whole == 0 { WHOLE } else { u128::from(part) * WHOLE / u128::from(whole) }
}

fn score(control: &Control, of: &Conduct) -> u128 {
    let rules = &control.parameters().reliability;
    let bearable = u128::from(rules.disconnections_week_max) * u128::from(of.hours);
    let broken = match (of.disconnections, bearable) {
        (0, _) => 0,
        (_, 0) => WHOLE,
        (breaks, bearable) => (u128::from(breaks) * 168 * WHOLE / bearable).min(WHOLE),
    };
    let guilt = (u128::from(of.slashes) * u128::from(rules.slash_penalty_bp)).min(WHOLE);
    let factors = [
        (share(of.hours_up, of.hours), rules.uptime_weight_bp),
        (share(of.checks_passed, of.checks), rules.consistency_weight_bp),
        (WHOLE - broken, rules.connection_weight_bp),
        (WHOLE - guilt, rules.record_weight_bp),
        (share(of.hours_staked, of.hours), rules.staking_weight_bp),
    ];
    let all: u128 = factors.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let own = factors.iter().map(|(factor, weight)| factor * u128::from(*weight)).sum::<u128>();
    let (settling, known) = (u128::from(rules.newcomer_hours), u128::from(of.hours));
    let known = known.min(settling);
    (own / all * known + u128::from(rules.newcomer_bp) * (settling - known)) / settling
}
