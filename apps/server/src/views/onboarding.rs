//! Machines that come in: what they say they are, how far they have come, and why not further.

use control::{
    Control, HostRecord, MachineRecord, OnboardingRules, OnboardingStage, Release, Step, Tried,
    Worker,
};
use serde::Serialize;
use units::{HOUR, Tier, Timestamp, WorkerId};
use wire::{Host, Machine, OnboardingRow, OnboardingView, SpeedView, Time, TrialView};

pub(crate) fn machine(record: &MachineRecord) -> Machine {
    let MachineRecord {
        offers,
        gpu_model,
        vram_mib,
        cpu_model,
        os,
        country,
        tier,
        certifications,
        host,
    } = record.clone();
    let text = |release: Option<Release>| release.map(|it| it.to_string());
    let host = host.map(|host| Host {
        memory_mib: host.memory_mib,
        disk_mib: host.disk_mib,
        driver: text(host.driver),
        cuda: text(host.cuda),
        agent: text(host.agent),
        mesh: host.mesh,
    });
    Machine { offers, gpu_model, vram_mib, cpu_model, os, country, tier, certifications, host }
}

pub(crate) fn machine_record(machine: Machine) -> MachineRecord {
    let Machine { offers, gpu_model, vram_mib, cpu_model, os, country, tier, certifications, host } =
        machine;
    // A release that cannot be read is not known; nobody is turned away for how a driver numbers itself.
    let release = |text: Option<String>| text.and_then(|text| text.parse::<Release>().ok());
    let host = host.map(|host| HostRecord {
        memory_mib: host.memory_mib,
        disk_mib: host.disk_mib,
        driver: release(host.driver),
        cuda: release(host.cuda),
        agent: release(host.agent),
        mesh: host.mesh,
    });
    MachineRecord {
        offers,
        gpu_model,
        vram_mib,
        cpu_model,
        os,
        country,
        tier,
        certifications,
        host,
    }
}

/// The word that something is written with.
pub(crate) fn word_of(what: &impl Serialize) -> String {
    let value = serde_json::to_value(what).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// How far a machine has come in; nothing for one that is not known.
pub(crate) fn onboarding(state: &Control, id: WorkerId, at: Timestamp) -> Option<OnboardingView> {
    let (worker, seen) = (state.worker(id)?, state.onboarding(id, at)?);
    let rules = &state.parameters().onboarding;
    let row = |row: &control::OnboardingCheck| OnboardingRow {
        step: row.step.text().to_owned(),
        state: match row.check {
            true => "met",
            false if is_waiting(row.step, worker, rules, at) => "waiting",
            false => "missing",
        }
        .to_owned(),
        reason: row.reason.clone(),
    };
    let going_on = worker.onboarding.trial.and_then(|trial| state.trial(trial));
    let going_on = going_on.filter(|trial| trial.ended.is_none()).map(|trial| TrialView {
        trial: trial.id,
        began: Time(trial.began),
        ended: None,
        machines: count(trial.nodes.len()),
        passed: None,
        note: "it is under way".to_owned(),
    });
    let over = seen.trials.iter().rev().map(tried);
    Some(OnboardingView {
        worker: id,
        name: worker.name.clone(),
        status: word_of(&seen.status),
        readiness: word_of(&seen.readiness),
        stage: word_of(&seen.stage),
        blocked: worker.checks.blocked.as_ref().map(|blocked| blocked.text.clone()),
        rows: seen.checks.iter().map(row).collect(),
        pending_minutes: seen.minutes,
        pending_minutes_needed: seen.minutes_needed,
        connection: worker.onboarding.connection.map(|seen| SpeedView {
            at: Time(seen.at),
            down_mbps: seen.down_mbps,
            up_mbps: seen.up_mbps,
            ping_ms: seen.ping_ms,
            tier: Tier::of_mbps(seen.down_mbps, seen.up_mbps),
        }),
        trials: going_on.into_iter().chain(over).collect(),
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn tried(tried: &Tried) -> TrialView {
    TrialView {
        trial: tried.trial,
        began: Time(tried.began),
        ended: Some(Time(tried.ended)),
        machines: count(tried.company.len()).saturating_add(1),
        passed: tried.passed,
        note: tried.note.clone(),
    }
}

/// Whether its last trial showed something that its owner should mend.
fn has_failed(worker: &Worker, rules: &OnboardingRules) -> bool {
    let onboarding = &worker.onboarding;
    let last = onboarding.trials.back().filter(|_| onboarding.trial.is_none());
    onboarding.has_failed(rules) || last.is_some_and(|last| last.passed == Some(false))
}

/// Whether what is missing comes by itself while the machine stays online, and its owner has nothing to mend.
fn is_waiting(step: Step, worker: &Worker, rules: &OnboardingRules, at: Timestamp) -> bool {
    match step {
        Step::Requirements => false,
        Step::Connection => worker
            .onboarding
            .connection
            .is_none_or(|seen| at.since(seen.at) >= HOUR * rules.connection_hours_max),
        Step::Proof => worker.checks.work.last().is_none(),
        Step::Trial => !has_failed(worker, rules),
        Step::Uptime => worker.up || worker.onboarding.stage == OnboardingStage::Ready,
    }
}
