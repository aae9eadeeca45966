//! The nomination checklist: what keeps a machine from the hour's rewards, and what its owner can do about it.
//!
//! A machine is nominated when it fulfils every rule or is excused from it. Nominated machines are tried once more when
//! the hour closes: did they prove their work, and were they up?

mod question;
mod standing;
mod work;

use serde::{Deserialize, Serialize};
use units::Timestamp;

use crate::block::{Proof, Proofs};
use crate::rule::{Rule, RuleSet};

use question::Question;
pub use standing::{Engagement, Exemption, Standing, Status};
pub use work::{ROUNDS_KEPT, WORK_HOURS_KEPT, Work, WorkOutcome, WorkProof, Works};

/// Minutes of an hour.
pub const HOUR_MINUTES: u8 = 60;
/// The longest time that a rule may ask to wait for: thirty days.
const WAIT_HOURS_MAX: u32 = 720;

/// The checklist's constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistRules {
    /// Whether machines must have passed test clusters. io.net: yes.
    pub cluster_formation_required: bool,
    /// Whether the account must have a wallet. io.net: yes.
    pub wallet_required: bool,
    /// Hours for which a machine must have been up without a break. io.net: 5.
    pub up_hours_min: u32,
    /// Whether proofs of work are asked for: as an hour begins, the last one of the hour before, and when its block is
    /// closed, one of the hour itself. io.net: yes.
    pub proof_of_work_required: bool,
    /// From how many failures of graphics memory on a machine waits. io.net: fewer than 4 are forgiven.
    pub vram_failures_max: u32,
    /// Hours for which it waits after the last of them. io.net: 12.
    pub vram_wait_hours: u32,
    /// How many wallets an account must have bound. io.net: 3 since April 2025. Here 1: the number keeps out nobody
    /// who can make three keys, and keeps out honest suppliers with one.
    pub account_wallets_min: u32,
    /// Whether the suppliers' agreement must be signed. io.net: yes.
    pub supplier_agreement_required: bool,
    /// Whether an address for payouts must be given. io.net: yes.
    pub payout_address_required: bool,
    /// Whether a nominated machine must have been up in the hour. io.net: yes.
    pub time_lock_required: bool,
    /// Minutes of the hour in which it must have been up. Not published; 54 of 60 is marked as a success in io.net's
    /// own sample.
    pub time_lock_minutes_min: u8,
}

impl Default for ChecklistRules {
    fn default() -> Self {
        Self {
            cluster_formation_required: true,
            wallet_required: true,
            up_hours_min: 5,
            proof_of_work_required: true,
            vram_failures_max: 4,
            vram_wait_hours: 12,
            account_wallets_min: 1,
            supplier_agreement_required: true,
            payout_address_required: true,
            time_lock_required: true,
            time_lock_minutes_min: 54,
        }
    }
}

/// Why rules for the checklist are refused. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAChecklist {
    /// A wait that no machine would sit out.
    #[error("`{field}` is at most {WAIT_HOURS_MAX} hours, not {found}")]
    Wait {
        /// Which.
        field: &'static str,
        /// What was asked for.
        found: u32,
    },
    /// No machine could ever pass the tests of its memory.
    #[error("`vram_failures_max` is at least 1, or a machine without a failure would wait")]
    NoFailureForgiven,
    /// More minutes than an hour has.
    #[error("`time_lock_minutes_min` is at most {HOUR_MINUTES}, not {found}")]
    Minutes {
        /// What was asked for.
        found: u8,
    },
}

impl ChecklistRules {
    /// Refuses nonsense.
    pub fn check(&self) -> Result<(), NotAChecklist> {
        let waits =
            [("up_hours_min", self.up_hours_min), ("vram_wait_hours", self.vram_wait_hours)];
        if let Some((field, found)) = waits.into_iter().find(|(_, hours)| *hours > WAIT_HOURS_MAX) {
            return Err(NotAChecklist::Wait { field, found });
        }
        if self.vram_failures_max == 0 {
            return Err(NotAChecklist::NoFailureForgiven);
        }
        if self.time_lock_minutes_min > HOUR_MINUTES {
            return Err(NotAChecklist::Minutes { found: self.time_lock_minutes_min });
        }
        Ok(())
    }
}

/// The rules that exemptions excuse from at a moment.
pub fn in_force<'a>(
    exemptions: impl IntoIterator<Item = &'a Exemption>,
    now: Timestamp,
) -> RuleSet {
    let holds = |exemption: &&Exemption| {
        exemption.from <= now && exemption.until.is_none_or(|until| now < until)
    };
    exemptions.into_iter().filter(holds).fold(RuleSet::NONE, |all, one| all.or(one.rules))
}

/// One row of the checklist, answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Which rule.
    pub rule: Rule,
    /// Whether it is fulfilled or excused.
    pub check: bool,
    /// Whether it is not fulfilled, but excused.
    pub exempt: bool,
    /// Why, and what to do.
    pub reason: String,
}

/// Whether every row is fulfilled or excused.
pub fn is_ready(rows: &[Checked]) -> bool {
    rows.iter().all(|row| row.check)
}

/// The checklist of a machine at a moment, every rule in order, with reasons.
pub fn check(
    rules: &ChecklistRules,
    standing: &Standing,
    exempt: RuleSet,
    now: Timestamp,
) -> Vec<Checked> {
    let excused = excused(standing, exempt);
    let question = Question { rules, standing, now };
    let row = |rule: &Rule| {
        let fulfilled = question.fulfilled(*rule);
        let exempt = !fulfilled && excused.has(*rule);
        let reason = question.reason(*rule);
        let reason = if exempt { format!("excused ({reason})") } else { reason };
        Checked { rule: *rule, check: fulfilled || exempt, exempt, reason }
    };
    Rule::ALL.iter().map(row).collect()
}

/// The rules that keep a machine from being nominated at a moment: none if it is.
pub fn missing(
    rules: &ChecklistRules,
    standing: &Standing,
    exempt: RuleSet,
    now: Timestamp,
) -> RuleSet {
    let excused = excused(standing, exempt);
    let question = Question { rules, standing, now };
    let kept = |rule: &Rule| !excused.has(*rule) && !question.fulfilled(*rule);
    Rule::ALL.iter().copied().filter(kept).collect()
}

fn excused(standing: &Standing, exempt: RuleSet) -> RuleSet {
    let is_spared = standing.engagement.excuses_work() && standing.work != Work::Wrong;
    if is_spared { exempt.with(Rule::ProofOfWork) } else { exempt }
}

/// What is known of a nominated machine when its hour closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it was doing.
    pub engagement: Engagement,
    /// What its proofs of work that were asked for in the hour came to.
    pub work: Work,
    /// Minutes of the hour in which it was up.
    pub up_minutes: u8,
    /// Rules from which it is excused.
    pub exempt: RuleSet,
}

/// What came of a machine's proofs in an hour.
pub fn proofs(rules: &ChecklistRules, evidence: &Evidence) -> Proofs {
    let judge = |required: bool, excused: bool, passed: bool| match (required, excused, passed) {
        (false, _, _) => Proof::NotAsked,
        (true, true, _) => Proof::Exempt,
        (true, false, true) => Proof::Passed,
        (true, false, false) => Proof::Failed,
    };
    let engagement = evidence.engagement;
    // Whom a renter's load makes slow is not to blame, but no load makes an answer wrong.
    let is_spared = engagement.excuses_work() && evidence.work != Work::Wrong;
    let up_minutes = evidence.up_minutes.min(HOUR_MINUTES);
    Proofs {
        work: judge(
            rules.proof_of_work_required,
            is_spared || evidence.exempt.has(Rule::ProofOfWork),
            evidence.work == Work::Good,
        ),
        time_lock: judge(
            rules.time_lock_required,
            engagement.excuses_time_lock(),
            up_minutes >= rules.time_lock_minutes_min,
        ),
        up_minutes,
    }
}
