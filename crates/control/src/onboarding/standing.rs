//! How far a machine has come in: what it has gone through, and what is still asked of it.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use units::{DAY, MINUTE, RentalId, Timestamp, WorkerId};

use super::OnboardingRules;
use crate::record::ConnectionRecord;
use crate::state::MINUTE_MILLIS;

/// Trials of a machine that are remembered.
pub const TRIALS_KEPT: usize = 8;

/// How far a machine has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is new, or another kind of machine than it was.
    #[default]
    Pending,
    /// It was ready, and its cards or its fingerprint are other than they were: it must prove what it has.
    Changed,
    /// It has gone through everything.
    Ready,
}

/// A trial as one machine will remember it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Which trial.
    pub trial: RentalId,
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Who was tried with it.
    pub company: BTreeSet<WorkerId>,
    /// Whether it passed; none where nothing can be said of it.
    pub passed: Option<bool>,
    /// What its owner should know of it.
    pub note: String,
}

/// What a machine has gone through since it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Onboarding {
    /// How far it has come.
    pub stage: Stage,
    /// Since when it is pending: what it was up before does not count.
    pub since: Timestamp,
    /// Milliseconds it was up since then, before it spoke last without a break.
    pub(crate) up_millis: u64,
    /// When it will have been up for long enough, while that lies ahead.
    pub(crate) full_at: Option<Timestamp>,
    /// Since when it has not spoken; while it has not spoken at all, since it joined.
    pub down_since: Option<Timestamp>,
    /// Its connection when it was measured last.
    pub connection: Option<ConnectionRecord>,
    /// When it last gave a node of a rental back: what it serves is not measured.
    pub served_at: Option<Timestamp>,
    /// The trial it is in, until it is cleared.
    pub trial: Option<RentalId>,
    /// Its last trials, oldest first.
    pub trials: VecDeque<Tried>,
    /// The company in which it has failed since it passed last: none twice, but for no company.
    pub failed_in: Vec<BTreeSet<WorkerId>>,
    /// Trials in a row that it did not pass.
    pub tries: u32,
    /// Before when it is not tried again.
    pub retry_at: Timestamp,
}

impl Onboarding {
    pub(crate) fn joined(now: Timestamp) -> Self {
        Self { since: now, down_since: Some(now), ..Self::default() }
    }

    /// Whether renters may see it.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// It begins anew. Its connection stays what it is.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.stage = Stage::Pending;
        self.since = now;
        self.up_millis = 0;
        self.forgive();
    }

    /// What it has failed counts no more.
    pub(crate) fn pardon(&mut self) {
        self.failed_in.clear();
    }

    /// It is tried again as if it had not failed.
    fn forgive(&mut self) {
        self.pardon();
        self.tries = 0;
        self.retry_at = Timestamp::default();
    }

    /// It has spoken without a break from `since` to `heard`.
    pub(crate) fn spoke(&mut self, since: Option<Timestamp>, heard: Timestamp) {
        if self.stage == Stage::Pending {
            self.up_millis = self.up_millis.saturating_add(self.present(since, heard));
        }
    }

    fn present(&self, since: Option<Timestamp>, now: Timestamp) -> u64 {
        let from = since.map(|since| since.max(self.since));
        from.map_or(0, |from| now.millis().saturating_sub(from.millis()))
    }

    /// Whole minutes it was up since it is pending; `since` is since when it speaks, if it does.
    pub fn minutes(&self, since: Option<Timestamp>, now: Timestamp) -> u64 {
        self.up_millis.saturating_add(self.present(since, now)) / MINUTE_MILLIS
    }

    /// When it will have been up for long enough, if it goes on to speak.
    pub(crate) fn minutes_full_at(
        &self,
        since: Option<Timestamp>,
        rules: &OnboardingRules,
    ) -> Option<Timestamp> {
        if self.stage != Stage::Pending {
            return None;
        }
        let left = (MINUTE * rules.pending_minutes)
            .saturating_sub(std::time::Duration::from_millis(self.up_millis));
        Some(since?.max(self.since).after(left))
    }

    /// Whether it has failed too often for being tried again without being asked.
    pub fn has_failed(&self, rules: &OnboardingRules) -> bool {
        u32::try_from(self.failed_in.len()).is_ok_and(|failed| failed >= rules.trials_failed_max)
    }

    /// Whether it has been silent for so long that nobody counts on it.
    pub fn is_inactive(&self, now: Timestamp, rules: &OnboardingRules) -> bool {
        self.down_since.is_some_and(|since| now >= since.after(DAY * rules.inactive_days))
    }

    /// A trial is over for it. A failure counts once in any company, and each time without any.
    pub(crate) fn tried(&mut self, tried: Tried, rules: &OnboardingRules) {
        match tried.passed {
            Some(true) => self.forgive(),
            passed => {
                let is_new = tried.company.is_empty() || !self.failed_in.contains(&tried.company);
                if passed == Some(false) && is_new {
                    self.failed_in.push(tried.company.clone());
                }
                self.retry_at = tried.ended.after(rules.retry_after(self.tries));
                self.tries = self.tries.saturating_add(1);
            }
        }
        self.trials.push_back(tried);
        if self.trials.len() > TRIALS_KEPT {
            self.trials.pop_front();
        }
    }
}

impl OnboardingRules {
    /// How long a machine waits that has tried so often before.
    fn retry_after(&self, tries: u32) -> std::time::Duration {
        let doubled = 1_u32.checked_shl(tries).unwrap_or(u32::MAX);
        let minutes = self.trial_retry_minutes.saturating_mul(doubled);
        MINUTE * minutes.min(self.trial_retry_minutes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tried(company: &[u128], passed: Option<bool>, ended: Timestamp) -> Tried {
        let company = company.iter().map(|bits| WorkerId::from_bits(*bits)).collect();
        let (trial, note) = (RentalId::from_bits(1), String::new());
        Tried { trial, began: ended, ended, company, passed, note }
    }

    #[test]
    fn waits_double_up_to_a_limit_and_end_with_a_pass() {
        let rules = OnboardingRules::default();
        let mut onboarding = Onboarding::joined(Timestamp::default());
        let now = Timestamp::from_millis(1_000);
        for minutes in [15, 30, 60, 120, 240, 240] {
            onboarding.tried(tried(&[2], None, now), &rules);
            assert_eq!(onboarding.retry_at, now.after(MINUTE * minutes));
        }
        assert!(onboarding.failed_in.is_empty(), "nothing could be said of it");
        onboarding.tried(tried(&[2], Some(true), now), &rules);
        assert_eq!((onboarding.tries, onboarding.retry_at), (0, Timestamp::default()));
        for _ in 0..20 {
            onboarding.tried(tried(&[2], Some(true), now), &rules);
        }
        assert_eq!(onboarding.trials.len(), TRIALS_KEPT);
    }

    proptest! {
        /// However it comes and goes, what counts is the time since it is pending in which it was heard, and it is full
        /// exactly when it was said that it would be.
        #[test]
        fn every_minute_up_counts_once(
            spells in prop::collection::vec((1_u64..5_000, 1_u64..5_000), 0..12),
            before in 0_u64..2_000,
        ) {
            let rules = OnboardingRules { pending_minutes: 10, ..OnboardingRules::default() };
            let at = Timestamp::from_millis;
            let mut onboarding = Onboarding::joined(at(before * 1_000));
            let (mut clock, mut up) = (0, 0);
            for (spoke, silent) in spells {
                let (since, heard) = (clock, clock + spoke);
                let full_at = onboarding.minutes_full_at(Some(at(since * 1_000)), &rules);
                onboarding.spoke(Some(at(since * 1_000)), at(heard * 1_000));
                up += heard.saturating_sub(since.max(before));
                prop_assert_eq!(onboarding.minutes(None, at(heard * 1_000)), up / 60);
                let full = full_at.is_some_and(|full_at| full_at <= at(heard * 1_000));
                prop_assert_eq!(full && heard >= before, up >= 600);
                clock = heard + silent;
            }
        }
    }
}
