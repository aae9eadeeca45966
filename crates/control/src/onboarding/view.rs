//! What an owner sees of a machine that comes in: where it stands, what is still asked of it, and what to do.

use rewards::rule::{Rule, RuleSet};
use serde::{Deserialize, Serialize};
use units::{HOUR, Tier, Timestamp};

use super::{Onboarding, OnboardingRules, OnboardingStage, Tried};
use crate::record::MachineRecord;

/// What a machine is doing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceStatus {
    /// It speaks.
    Up,
    /// It does not speak.
    Down,
    /// It left for good. The state forgets such a machine; only read tables say this.
    Terminated,
    /// Its owner paused it.
    Paused,
    /// The operator shut it out.
    Blocked,
    /// Its agent is too old.
    RestartRequired,
    /// It does not meet the requirements.
    Unsupported,
    /// It has not spoken for days.
    Inactive,
}

/// What a machine is good for now.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Renters can have it.
    ClusterReady,
    /// A renter has it.
    Hired,
    /// It is still coming in.
    Pending,
    /// Something keeps it from rewards: the reasons say what.
    NotBlockRewardReady,
}

/// What is asked of a machine before it is ready, in the order in which it is shown.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Its memory, disk, cards, driver and agent.
    Requirements,
    /// Its connection, measured.
    Connection,
    /// That it has proved its work once, with the cards that it has.
    Proof,
    /// A trial with other newcomers.
    Trial,
    /// That it was up for long enough in all.
    Uptime,
}

/// One row, answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingCheck {
    /// What is asked.
    pub step: Step,
    /// Whether it is done, or not asked of it.
    pub check: bool,
    /// Why, and what to do.
    pub reason: String,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnboardingView {
    /// What it is doing.
    pub status: DeviceStatus,
    /// What it is good for.
    pub readiness: Readiness,
    /// How far it has come.
    pub stage: OnboardingStage,
    /// Minutes it was up while pending.
    pub minutes: u64,
    /// Minutes that are asked for.
    pub minutes_needed: u32,
    /// Every row, in order.
    pub checks: Vec<OnboardingCheck>,
    /// Its last trials, oldest first.
    pub trials: Vec<Tried>,
}

/// What is known of a machine when the rows are answered.
pub(crate) struct Question<'a> {
    pub(crate) rules: &'a OnboardingRules,
    pub(crate) machine: &'a MachineRecord,
    pub(crate) onboarding: &'a Onboarding,
    /// Since when it speaks.
    pub(crate) up_since: Option<Timestamp>,
    /// Whether a proof of work is asked of it, and the last one: whether it was good.
    pub(crate) proof: (bool, Option<bool>),
    /// What came of its trials.
    pub(crate) trial_passed: Option<bool>,
    /// Rules of the checklist from which the operator excused it.
    pub(crate) excused: RuleSet,
    pub(crate) now: Timestamp,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 5] =
        [Self::Requirements, Self::Connection, Self::Proof, Self::Trial, Self::Uptime];

    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Requirements => "requirements",
            Self::Connection => "connection",
            Self::Proof => "proof",
            Self::Trial => "trial",
            Self::Uptime => "uptime",
        }
    }
}

impl Question<'_> {
    /// Every row.
    pub(crate) fn rows(&self) -> Vec<OnboardingCheck> {
        let row = |step: &Step| {
            let (check, reason) = match self.asked(*step) {
                Ok(reason) => (true, reason),
                Err(reason) => (false, reason),
            };
            OnboardingCheck { step: *step, check, reason }
        };
        Step::ALL.iter().map(row).collect()
    }

    /// Whether everything is done that is asked of a machine of its stage.
    pub(crate) fn is_done(&self) -> bool {
        let asked: &[Step] = match self.onboarding.stage {
            OnboardingStage::Pending => &Step::ALL,
            OnboardingStage::Changed => &[Step::Requirements, Step::Proof],
            OnboardingStage::Ready => &[],
        };
        !self.rules.required || asked.iter().all(|step| self.asked(*step).is_ok())
    }

    /// When it will have been up for long enough, if it goes on to speak.
    pub(crate) fn minutes_full_at(&self) -> Option<Timestamp> {
        let is_asked = self.rules.required;
        let full_at = || self.onboarding.minutes_full_at(self.up_since, self.rules);
        is_asked.then(full_at).flatten()
    }

    /// Whether it meets the requirements.
    pub(crate) fn meets_requirements(&self) -> bool {
        self.asked(Step::Requirements).is_ok()
    }

    fn asked(&self, step: Step) -> Result<String, String> {
        if !self.rules.required {
            return Ok("this network does not ask for it".to_owned());
        }
        let rule = match step {
            Step::Connection => Some(Rule::Connectivity),
            Step::Trial => Some(Rule::ClusterFormation),
            Step::Requirements | Step::Proof | Step::Uptime => None,
        };
        if rule.is_some_and(|rule| self.excused.has(rule)) {
            return Ok("the operator has excused it".to_owned());
        }
        match step {
            Step::Requirements => self.requirements(),
            Step::Connection => self.connection(),
            Step::Proof => self.proof(),
            Step::Trial => self.trial(),
            Step::Uptime => self.uptime(),
        }
    }

    fn requirements(&self) -> Result<String, String> {
        let (rules, machine) = (self.rules, self.machine);
        let host = machine.host.clone().unwrap_or_default();
        let offers = machine.offers;
        if offers.gpus > rules.gpus_max {
            let (has, most) = (offers.gpus, rules.gpus_max);
            return Err(format!("it has {has} cards, at most {most} are served: offer fewer"));
        }
        let memory = host.memory_mib.max(offers.memory_mib);
        if memory < rules.memory_mib_min {
            let least = rules.memory_mib_min;
            return Err(format!("it has {memory} MiB of memory, {least} are needed"));
        }
        let disk = host.disk_mib.max(offers.disk_mib) / 1_024;
        if disk < rules.disk_gib_min {
            let least = rules.disk_gib_min;
            return Err(format!("it has {disk} GiB of disk, {least} are needed"));
        }
        if let Some(cuda) = host.cuda.filter(|cuda| *cuda < rules.cuda_min) {
            let least = rules.cuda_min;
            return Err(format!("its driver serves CUDA {cuda}, {least} is needed: update it"));
        }
        if self.is_agent_old() {
            let least = rules.agent_min;
            return Err(format!("its agent is older than {least}: restart it with a newer one"));
        }
        Ok("it meets the requirements".to_owned())
    }

    /// Whether its agent is older than what is served.
    pub(crate) fn is_agent_old(&self) -> bool {
        let agent = self.machine.host.as_ref().and_then(|host| host.agent);
        agent.is_some_and(|agent| agent < self.rules.agent_min)
    }

    fn connection(&self) -> Result<String, String> {
        let rules = self.rules;
        if !rules.connection_required {
            return Ok("this network does not ask for it".to_owned());
        }
        let Some(seen) = self.onboarding.connection else {
            return Err("its connection is not measured yet: leave it online".to_owned());
        };
        let (down, up, ping) = (seen.down_mbps, seen.up_mbps, seen.ping_ms);
        let found = format!("{down} Mbps down, {up} Mbps up, {ping} ms");
        if self.now.since(seen.at) >= HOUR * rules.connection_hours_max {
            return Err(format!("its connection was measured too long ago ({found})"));
        }
        if down < rules.down_mbps_min || up < rules.up_mbps_min || ping > rules.ping_ms_max {
            let (least_down, least_up) = (rules.down_mbps_min, rules.up_mbps_min);
            let most = rules.ping_ms_max;
            return Err(format!(
                "its connection has {found}: at least {least_down} down, {least_up} up and at most {most} ms are needed"
            ));
        }
        let tier = Tier::of_mbps(down, up);
        Ok(format!("its connection is of tier {tier} ({found})"))
    }

    fn proof(&self) -> Result<String, String> {
        match self.proof {
            (false, _) => Ok("this network does not ask for it".to_owned()),
            (true, Some(true)) => Ok("it has proved its work".to_owned()),
            (true, Some(false)) => {
                Err("its last proof of work was not good: look into its log of proofs".to_owned())
            }
            (true, None) => {
                Err("it has not proved its work yet: leave it online and idle".to_owned())
            }
        }
    }

    fn trial(&self) -> Result<String, String> {
        let onboarding = self.onboarding;
        if !self.rules.trial_required {
            return Ok("this network does not ask for it".to_owned());
        }
        if self.trial_passed == Some(true) {
            return Ok("it has passed its trial".to_owned());
        }
        if onboarding.trial.is_some() {
            return Err("its trial is under way: leave it online and idle".to_owned());
        }
        let last = onboarding.trials.back().filter(|last| last.passed != Some(true));
        let note = last.map_or(String::new(), |last| format!(": {}", last.note));
        if onboarding.has_failed(self.rules) {
            let failed = onboarding.failed_in.len();
            return Err(format!("it failed {failed} trials{note}; mend that, and ask for another"));
        }
        match (last, onboarding.retry_at.since(self.now).as_secs().div_ceil(60)) {
            (None, _) => Err("it waits for its trial: leave it online and idle".to_owned()),
            (Some(_), 0) => Err(format!("it waits for another trial{note}")),
            (Some(_), minutes) => {
                Err(format!("it is tried again in {minutes} minutes at the earliest{note}"))
            }
        }
    }

    fn uptime(&self) -> Result<String, String> {
        let needed = u64::from(self.rules.pending_minutes);
        if self.onboarding.stage != OnboardingStage::Pending {
            return Ok("it was up for long enough".to_owned());
        }
        let minutes = self.onboarding.minutes(self.up_since, self.now);
        if minutes >= needed {
            return Ok(format!("it was up for {minutes} minutes in all"));
        }
        let left = needed - minutes;
        Err(format!("it must be up for {needed} minutes in all: {left} are left"))
    }
}
