//! What voting goes by.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::proposal::KindName;

/// The most proposals that may ever be open at once, whatever the rules say: each keeps a snapshot of every holder.
pub const OPEN_CEILING: usize = 128;
/// The longest any text of a proposal may be made, whatever the rules say: closed proposals keep their texts.
pub const TEXT_CEILING_CHARS: u32 = 65_536;
/// Ten years: a bar that keeps a wrong unit from locking governance for good.
const HOURS_CEILING: u32 = 87_600;
const WHOLE_BP: u16 = 10_000;

/// What voting goes by. Not known of io.net, which has not launched governance: chosen after well-known governors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRules {
    /// Hours between a proposal and the first ballot: time to read it. As `OpenZeppelin` does.
    pub voting_delay_hours: u32,
    /// Hours in which ballots are taken. As `OpenZeppelin` does: a week has every weekday once.
    pub voting_period_hours: u32,
    /// Hours between the end of the vote and the execution: time to leave or to veto. As Compound's timelock.
    pub timelock_hours: u32,
    /// Hours after the timelock in which it can be executed. As the grace period of Compound's timelock.
    pub execution_hours: u32,
    /// Of all power, how much must say yes or abstain, in basis points.
    pub quorum_bp: u16,
    /// Of yes and no, how much must be exceeded by yes, in basis points.
    pub threshold_bp: u16,
    /// The same for kinds that need more than a majority.
    pub supermajority_bp: u16,
    /// The kinds that need more than a majority.
    pub supermajority_for: BTreeSet<KindName>,
    /// Of all power, how much stops a proposal by objecting, in basis points.
    pub veto_bp: u16,
    /// Of all power, how much an account needs to propose, in basis points. As Compound's governor.
    pub propose_min_bp: u16,
    /// Hours an account waits between two proposals.
    pub propose_wait_hours: u32,
    /// How many proposals of one account may be open at once.
    pub open_per_account_max: u16,
    /// How many proposals may be open at once.
    pub open_max: u16,
    /// The longest title, in characters.
    pub title_chars_max: u32,
    /// The longest body, in characters.
    pub body_chars_max: u32,
    /// The longest patch, in characters.
    pub patch_chars_max: u32,
    /// The longest a brake holds, in hours.
    pub brake_hours_max: u32,
    /// Hours between the end of one brake and the next.
    pub brake_pause_hours: u32,
    /// Of all power, how much lifts a brake, in basis points.
    pub brake_veto_bp: u16,
}

impl Default for VoteRules {
    fn default() -> Self {
        Self {
            voting_delay_hours: 24,
            voting_period_hours: 168,
            timelock_hours: 48,
            execution_hours: 336,
            quorum_bp: 1_000,
            threshold_bp: 5_000,
            supermajority_bp: 6_000,
            supermajority_for: BTreeSet::from([KindName::AppealJury, KindName::Parameters]),
            veto_bp: 3_334,
            propose_min_bp: 25,
            propose_wait_hours: 24,
            open_per_account_max: 1,
            open_max: 32,
            title_chars_max: 120,
            body_chars_max: 10_000,
            patch_chars_max: 10_000,
            brake_hours_max: 72,
            brake_pause_hours: 168,
            brake_veto_bp: 1_000,
        }
    }
}

/// Why rules are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVoteRules {
    /// A number out of its range.
    #[error("{field} is {found}; write a number from {min} to {max}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it is.
        found: u32,
        /// The least it may be.
        min: u32,
        /// The most it may be.
        max: u32,
    },
    /// Kinds that need more than a majority would need less.
    #[error("supermajority_bp is below threshold_bp; raise it or lower the other")]
    SupermajorityBelowMajority,
    /// A brake could hold up a change until nobody may execute it any more.
    #[error("brake_hours_max is not below execution_hours; a brake would let every change expire")]
    BrakeOutlastsExecution,
}

impl VoteRules {
    /// Whether a vote under these rules can be won and can be lost.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), BadVoteRules> {
        let open = u32::try_from(OPEN_CEILING).expect("a small constant");
        let whole = u32::from(WHOLE_BP);
        let ranges = [
            ("voting_delay_hours", self.voting_delay_hours, 0, HOURS_CEILING),
            ("voting_period_hours", self.voting_period_hours, 1, HOURS_CEILING),
            ("timelock_hours", self.timelock_hours, 0, HOURS_CEILING),
            ("execution_hours", self.execution_hours, 1, HOURS_CEILING),
            ("quorum_bp", u32::from(self.quorum_bp), 1, whole),
            // At least half, so that no minority outvotes a majority; below the whole, which nothing exceeds.
            ("threshold_bp", u32::from(self.threshold_bp), whole / 2, whole - 1),
            ("supermajority_bp", u32::from(self.supermajority_bp), whole / 2, whole - 1),
            ("veto_bp", u32::from(self.veto_bp), 1, whole),
            ("propose_min_bp", u32::from(self.propose_min_bp), 1, whole),
            ("propose_wait_hours", self.propose_wait_hours, 0, HOURS_CEILING),
            ("open_per_account_max", u32::from(self.open_per_account_max), 1, open),
            ("open_max", u32::from(self.open_max), 1, open),
            ("title_chars_max", self.title_chars_max, 1, TEXT_CEILING_CHARS),
            ("body_chars_max", self.body_chars_max, 1, TEXT_CEILING_CHARS),
            ("patch_chars_max", self.patch_chars_max, 2, TEXT_CEILING_CHARS),
            ("brake_hours_max", self.brake_hours_max, 1, HOURS_CEILING),
            ("brake_pause_hours", self.brake_pause_hours, 1, HOURS_CEILING),
            ("brake_veto_bp", u32::from(self.brake_veto_bp), 1, whole),
        ];
        for (field, found, min, max) in ranges {
            if found < min || found > max {
                return Err(BadVoteRules::OutOfRange { field, found, min, max });
            }
        }
        if self.supermajority_bp < self.threshold_bp {
            return Err(BadVoteRules::SupermajorityBelowMajority);
        }
        if self.brake_hours_max >= self.execution_hours {
            return Err(BadVoteRules::BrakeOutlastsExecution);
        }
        Ok(())
    }

    /// What part of yes and no yes must exceed for this kind, in basis points.
    pub fn threshold_for(&self, kind: KindName) -> u16 {
        if self.supermajority_for.contains(&kind) {
            self.supermajority_bp
        } else {
            self.threshold_bp
        }
    }
}
