//! The constants of coming in.

use serde::{Deserialize, Serialize};

use crate::record::Release;

/// The most machines that may be tried together: more would be one renter's cluster of strangers.
pub const TRIAL_NODES_MAX: u32 = 8;
/// The longest wait that these rules may ask for: thirty days, in minutes.
const WAIT_MINUTES_MAX: u32 = 30 * 24 * 60;

/// What a machine must go through before renters see it.
///
/// Where io.net publishes a figure, it is that; for the rest `docs/adr/0019-trials.md` gives reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingRules {
    /// Whether machines are pending at all. If not, each is open as soon as it speaks: for networks of one's own.
    pub required: bool,
    /// Minutes that a machine must have been up in all before it is open. io.net: 12 hours, once.
    pub pending_minutes: u32,
    /// Whether it must have passed a trial.
    pub trial_required: bool,
    /// How many machines are tried together at least, where there are so many.
    pub trial_nodes_min: u32,
    /// How many machines are tried together at most.
    pub trial_nodes_max: u32,
    /// Minutes that a machine waits for company, before it is tried alone.
    pub trial_company_wait_minutes: u32,
    /// Minutes that the stress job of a trial runs.
    pub trial_stress_minutes: u32,
    /// Minutes after which a trial is over in any case.
    pub trial_deadline_minutes: u32,
    /// Minutes until a machine is tried again; twice as many after each further trial in a row that it did not pass.
    pub trial_retry_minutes: u32,
    /// The longest that such a wait becomes, in minutes.
    pub trial_retry_minutes_max: u32,
    /// After so many failures in different company a machine is not tried again unless its owner asks.
    pub trials_failed_max: u32,
    /// Days of silence after which a machine is inactive. io.net: 5.
    pub inactive_days: u32,
    /// Whether its connection must have been measured.
    pub connection_required: bool,
    /// Hours for which a measurement of a connection is good.
    pub connection_hours_max: u32,
    /// Megabits a second that it must be able to fetch. io.net: 100.
    pub down_mbps_min: u32,
    /// Megabits a second that it must be able to send. io.net: 75 in one place, 10 in its table of tiers.
    pub up_mbps_min: u32,
    /// The longest way there and back, in milliseconds. io.net recommends less than 30, and asks for nothing.
    pub ping_ms_max: u32,
    /// The most cards of one machine. io.net: 8.
    pub gpus_max: u32,
    /// Memory that it must have, in mebibytes. io.net: 12 GB; a machine sold with that shows a little less.
    pub memory_mib_min: u64,
    /// Disk that it must have, in gibibytes. io.net: 256 GB; a disk sold as that holds 238 gibibytes, and its file
    /// system takes some of them.
    pub disk_gib_min: u64,
    /// The oldest CUDA that the driver of an NVIDIA card may serve. io.net: 11.8.
    #[schema(value_type = String, example = "11.8")]
    pub cuda_min: Release,
    /// The oldest agent that is still served. An older one is told to restart with a newer one.
    #[schema(value_type = String, example = "0.1")]
    pub agent_min: Release,
}

impl Default for OnboardingRules {
    fn default() -> Self {
        Self {
            required: true,
            pending_minutes: 12 * 60,
            trial_required: true,
            trial_nodes_min: 2,
            trial_nodes_max: TRIAL_NODES_MAX,
            trial_company_wait_minutes: 10,
            trial_stress_minutes: 5,
            trial_deadline_minutes: 30,
            trial_retry_minutes: 15,
            trial_retry_minutes_max: 4 * 60,
            trials_failed_max: 3,
            inactive_days: 5,
            connection_required: true,
            connection_hours_max: 7 * 24,
            down_mbps_min: 100,
            up_mbps_min: 10,
            ping_ms_max: 1_000,
            gpus_max: 8,
            memory_mib_min: 11 * 1024,
            disk_gib_min: 230,
            cuda_min: Release::new([11, 8, 0]),
            agent_min: Release::default(),
        }
    }
}

/// Why rules for coming in are refused. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOnboarding {
    /// A wait that no machine would sit out.
    #[error("`{field}` is at most {WAIT_MINUTES_MAX} minutes, not {found}")]
    Wait {
        /// Which.
        field: &'static str,
        /// What was asked for.
        found: u32,
    },
    /// What must be at least one.
    #[error("`{field}` is at least 1")]
    Nothing {
        /// Which.
        field: &'static str,
    },
    /// A group of machines that cannot be.
    #[error(
        "`trial_nodes_min` is at least 1, and `trial_nodes_max` at least that and at most \
         {TRIAL_NODES_MAX}: not {least} and {most}"
    )]
    Group {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// A trial would end before its stress job.
    #[error(
        "`trial_deadline_minutes` is more than `trial_stress_minutes`: the machines must come up first"
    )]
    Deadline,
    /// The longest wait is shorter than the first.
    #[error("`trial_retry_minutes_max` is at least `trial_retry_minutes`")]
    Retry,
}

impl OnboardingRules {
    /// Refuses nonsense.
    ///
    /// # Errors
    /// The first thing that makes no sense.
    pub fn check(&self) -> Result<(), NotOnboarding> {
        let waits = [
            ("pending_minutes", self.pending_minutes),
            ("trial_company_wait_minutes", self.trial_company_wait_minutes),
            ("trial_deadline_minutes", self.trial_deadline_minutes),
            ("trial_retry_minutes_max", self.trial_retry_minutes_max),
        ];
        if let Some((field, found)) = waits.into_iter().find(|(_, wait)| *wait > WAIT_MINUTES_MAX) {
            return Err(NotOnboarding::Wait { field, found });
        }
        let somethings = [
            ("trial_stress_minutes", self.trial_stress_minutes),
            ("trials_failed_max", self.trials_failed_max),
            ("inactive_days", self.inactive_days),
            ("connection_hours_max", self.connection_hours_max),
            ("gpus_max", self.gpus_max),
        ];
        if let Some((field, _)) = somethings.into_iter().find(|(_, value)| *value == 0) {
            return Err(NotOnboarding::Nothing { field });
        }
        let (least, most) = (self.trial_nodes_min, self.trial_nodes_max);
        if least == 0 || least > most || most > TRIAL_NODES_MAX {
            return Err(NotOnboarding::Group { least, most });
        }
        if self.trial_deadline_minutes <= self.trial_stress_minutes {
            return Err(NotOnboarding::Deadline);
        }
        if self.trial_retry_minutes_max < self.trial_retry_minutes {
            return Err(NotOnboarding::Retry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_make_no_sense_are_refused_by_name() {
        assert_eq!(OnboardingRules::default().check(), Ok(()));
        let check = |change: fn(&mut OnboardingRules), why: &str| {
            let mut rules = OnboardingRules::default();
            change(&mut rules);
            let found = rules.check().expect_err(why).to_string();
            assert!(found.contains(why), "{found}");
        };
        check(|rules| rules.pending_minutes = 50_000, "`pending_minutes` is at most");
        check(|rules| rules.trial_stress_minutes = 0, "`trial_stress_minutes` is at least 1");
        check(|rules| rules.trials_failed_max = 0, "`trials_failed_max` is at least 1");
        check(|rules| rules.gpus_max = 0, "`gpus_max` is at least 1");
        check(|rules| rules.trial_nodes_min = 0, "`trial_nodes_min`");
        check(|rules| rules.trial_nodes_min = 9, "not 9 and 8");
        check(|rules| rules.trial_nodes_max = 9, "not 2 and 9");
        check(|rules| rules.trial_deadline_minutes = 5, "the machines must come up first");
        check(|rules| rules.trial_retry_minutes = 500, "`trial_retry_minutes_max` is at least");
    }
}
