//! The nomination checklist: what keeps a machine from the hour's rewards, and what its owner can do about it.
//!
//! A machine is nominated when it fulfils every rule or is excused from it. Nominated machines are tried once more when
//! the hour closes: did they prove their work, and were they up?

use serde::{Deserialize, Serialize};
use units::{Coins, HOUR, Hour, Multiplier, Tier, Timestamp};

use crate::block::{Proof, Proofs};
use crate::rule::{Rule, RuleSet};

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
    /// Whether a proof of work of the hour is asked for. io.net: yes. Off until machines of this network give proofs.
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
            proof_of_work_required: false,
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

/// What is known of a machine. What is not known counts against it, and the reason says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What the operator and its owner have decided about it.
    pub status: Status,
    /// What it is doing in the hour.
    pub engagement: Engagement,
    /// Whether it has passed its test clusters.
    pub clusters_passed: Option<bool>,
    /// How many wallets its owner has bound.
    pub account_wallets: u32,
    /// How much one of its chips counts for.
    pub multiplier: Multiplier,
    /// Its connection, if measured.
    pub tier: Option<Tier>,
    /// Since when it is up without a break, if it is.
    pub up_since: Option<Timestamp>,
    /// Its last proof of work.
    pub work: Option<WorkProof>,
    /// How many tests of its graphics memory it has failed in a row.
    pub vram_failures: u32,
    /// When it failed the last of them.
    pub vram_failed_at: Option<Timestamp>,
    /// What is staked on it.
    pub stake: Coins,
    /// What must be staked on it.
    pub stake_needed: Coins,
    /// Whether its owner has signed the suppliers' agreement.
    pub agreement_signed: Option<bool>,
    /// Whether its owner has said where to pay.
    pub payout_address: Option<bool>,
}

impl Default for Standing {
    /// A machine of which nothing is known.
    fn default() -> Self {
        Self {
            status: Status::Active,
            engagement: Engagement::Idle,
            clusters_passed: None,
            account_wallets: 0,
            multiplier: Multiplier::default(),
            tier: None,
            up_since: None,
            work: None,
            vram_failures: 0,
            vram_failed_at: None,
            stake: Coins::ZERO,
            stake_needed: Coins::ZERO,
            agreement_signed: None,
            payout_address: None,
        }
    }
}

/// What the operator and its owner have decided about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It takes part.
    Active,
    /// Its owner has paused it.
    Paused,
    /// The operator has shut it out.
    Blocked,
    /// Its owner has taken it out for good.
    Terminated,
    /// Its hardware or its agent is no longer supported.
    Unsupported,
}

/// What a machine is doing in an hour, which decides what it can be asked to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engagement {
    /// Nobody has hired it.
    Idle,
    /// A renter has it: a puzzle would take from what is rented.
    Hired,
    /// It is kept free for the heads of clusters.
    HeadNode,
    /// A renter has the whole machine, and the agent is not on it.
    BareMetal,
}

impl Engagement {
    /// Whether a renter has it.
    pub const fn is_hired(self) -> bool {
        match self {
            Engagement::Hired | Engagement::BareMetal => true,
            Engagement::Idle | Engagement::HeadNode => false,
        }
    }

    /// Whether it is excused from proofs of work.
    pub const fn excuses_work(self) -> bool {
        match self {
            Engagement::Hired | Engagement::HeadNode | Engagement::BareMetal => true,
            Engagement::Idle => false,
        }
    }

    /// Whether it is excused from proofs of time-lock.
    pub const fn excuses_time_lock(self) -> bool {
        match self {
            Engagement::BareMetal => true,
            Engagement::Idle | Engagement::Hired | Engagement::HeadNode => false,
        }
    }
}

/// A proof of work as it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkProof {
    /// When its task was given.
    pub at: Timestamp,
    /// Whether it was right and in time.
    pub valid: bool,
}

impl WorkProof {
    fn holds_in(&self, hour: Hour) -> bool {
        self.valid && Hour::of(self.at) == hour
    }
}

/// A decision that excuses a machine from rules for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// From which rules.
    pub rules: RuleSet,
    /// From when on.
    pub from: Timestamp,
    /// Until when; without it, until it is revoked.
    pub until: Option<Timestamp>,
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
    if standing.engagement.excuses_work() { exempt.with(Rule::ProofOfWork) } else { exempt }
}

/// What is known of a nominated machine when its hour closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it was doing.
    pub engagement: Engagement,
    /// Its last proof of work.
    pub work: Option<WorkProof>,
    /// Minutes of the hour in which it was up.
    pub up_minutes: u8,
    /// Rules from which it is excused.
    pub exempt: RuleSet,
}

/// What came of a machine's proofs in an hour.
pub fn proofs(rules: &ChecklistRules, hour: Hour, evidence: &Evidence) -> Proofs {
    let judge = |required: bool, excused: bool, passed: bool| match (required, excused, passed) {
        (false, _, _) => Proof::NotAsked,
        (true, true, _) => Proof::Exempt,
        (true, false, true) => Proof::Passed,
        (true, false, false) => Proof::Failed,
    };
    let engagement = evidence.engagement;
    let up_minutes = evidence.up_minutes.min(HOUR_MINUTES);
    Proofs {
        work: judge(
            rules.proof_of_work_required,
            engagement.excuses_work() || evidence.exempt.has(Rule::ProofOfWork),
            evidence.work.is_some_and(|proof| proof.holds_in(hour)),
        ),
        time_lock: judge(
            rules.time_lock_required,
            engagement.excuses_time_lock(),
            up_minutes >= rules.time_lock_minutes_min,
        ),
        up_minutes,
    }
}

/// A machine's standing, asked about at a moment.
struct Question<'a> {
    rules: &'a ChecklistRules,
    standing: &'a Standing,
    now: Timestamp,
}

impl Question<'_> {
    fn fulfilled(&self, rule: Rule) -> bool {
        let Self { rules, standing, now } = self;
        match rule {
            Rule::ClusterFormation => {
                !rules.cluster_formation_required || standing.clusters_passed == Some(true)
            }
            Rule::Wallet => !rules.wallet_required || standing.account_wallets > 0,
            Rule::Processor => standing.multiplier.hundredths() > 0,
            Rule::Connectivity => standing.tier.is_some_and(|tier| tier > Tier::None),
            Rule::Uptime => {
                rules.up_hours_min == 0
                    || standing
                        .up_since
                        .is_some_and(|since| now.since(since) >= HOUR * rules.up_hours_min)
            }
            Rule::ProofOfWork => {
                let hour = Hour::of(*now);
                !rules.proof_of_work_required
                    || standing.work.is_some_and(|proof| proof.holds_in(hour))
            }
            Rule::VramTests => {
                standing.vram_failures < rules.vram_failures_max || self.vram_wait_is_over()
            }
            Rule::AccountWallets => standing.account_wallets >= rules.account_wallets_min,
            Rule::Stake => standing.stake >= standing.stake_needed,
            Rule::Status => standing.status == Status::Active,
            Rule::SupplierAgreement => {
                !rules.supplier_agreement_required || standing.agreement_signed == Some(true)
            }
            Rule::PayoutAddress => {
                !rules.payout_address_required || standing.payout_address == Some(true)
            }
        }
    }

    fn vram_wait_is_over(&self) -> bool {
        let wait = HOUR * self.rules.vram_wait_hours;
        self.standing.vram_failed_at.is_none_or(|failed| self.now.since(failed) > wait)
    }

    fn reason(&self, rule: Rule) -> String {
        let Self { rules, standing, .. } = self;
        let fulfilled = self.fulfilled(rule);
        match rule {
            Rule::ClusterFormation if !rules.cluster_formation_required => not_asked(),
            Rule::ClusterFormation => said(
                fulfilled,
                "it has passed its test clusters",
                match standing.clusters_passed {
                    Some(false) => {
                        "it failed its test clusters: see what failed, mend it, and ask for new ones"
                    }
                    Some(true) | None => {
                        "it has not passed its test clusters yet: leave it online and idle"
                    }
                },
            ),
            Rule::Wallet if !rules.wallet_required => not_asked(),
            Rule::Wallet => said(
                fulfilled,
                "the account has a wallet",
                "the account has no wallet: bind one whose keys are yours, not an exchange's",
            ),
            Rule::Processor => said(
                fulfilled,
                &format!("its processor counts {} each", standing.multiplier),
                "its processor is not on the list of those that earn: it can be rented all the same",
            ),
            Rule::Connectivity => self.connectivity_reason(),
            Rule::Uptime => self.uptime_reason(),
            Rule::ProofOfWork => self.work_reason(),
            Rule::VramTests => self.vram_reason(),
            Rule::AccountWallets => format!(
                "{} of {} wallets are bound to the account{}",
                standing.account_wallets,
                rules.account_wallets_min,
                if fulfilled { "" } else { ": bind more" },
            ),
            Rule::Stake => self.stake_reason(),
            Rule::Status => status_reason(standing.status).to_owned(),
            Rule::SupplierAgreement if !rules.supplier_agreement_required => not_asked(),
            Rule::SupplierAgreement => said(
                fulfilled,
                "the suppliers' agreement is signed",
                "the suppliers' agreement is not signed: read and sign it in the account",
            ),
            Rule::PayoutAddress if !rules.payout_address_required => not_asked(),
            Rule::PayoutAddress => said(
                fulfilled,
                "there is an address for payouts",
                "there is no address for payouts: choose one of the account's wallets",
            ),
        }
    }

    fn connectivity_reason(&self) -> String {
        match self.standing.tier {
            Some(Tier::None) => "its connection is below every tier: at least 100 Mbps down and \
                                 10 Mbps up are needed"
                .to_owned(),
            Some(tier) => format!("its connection is of tier {tier}"),
            None => "its connection is not measured yet: run the speed test".to_owned(),
        }
    }

    fn uptime_reason(&self) -> String {
        let needed = self.rules.up_hours_min;
        match self.standing.up_since {
            Some(since) if self.fulfilled(Rule::Uptime) => {
                format!("it has been up for {} hours", self.now.since(since).as_secs() / 3_600)
            }
            Some(since) => {
                let left = (HOUR * needed).saturating_sub(self.now.since(since));
                let minutes = left.as_secs().div_ceil(60);
                format!("it must be up for {needed} hours on end: {minutes} minutes are left")
            }
            None if needed == 0 => not_asked(),
            None => format!("it is not up: start it, and leave it up for {needed} hours on end"),
        }
    }

    fn work_reason(&self) -> String {
        if !self.rules.proof_of_work_required {
            return not_asked();
        }
        let hour = Hour::of(self.now);
        match self.standing.work {
            Some(proof) if proof.holds_in(hour) => "its proof of work of this hour is valid",
            Some(proof) if Hour::of(proof.at) == hour => {
                "its proof of work of this hour is not valid: look into its log of proofs"
            }
            Some(_) | None => {
                "it has not given a proof of work in this hour yet: leave it online and idle"
            }
        }
        .to_owned()
    }

    fn vram_reason(&self) -> String {
        let Self { rules, standing, now } = self;
        let failures = standing.vram_failures;
        let Some(failed) = standing.vram_failed_at.filter(|_| !self.fulfilled(Rule::VramTests))
        else {
            return format!("{failures} failed tests of its graphics memory are forgiven");
        };
        let left = (HOUR * rules.vram_wait_hours).saturating_sub(now.since(failed));
        let minutes = left.as_secs() / 60 + 1;
        format!(
            "it failed {failures} tests of its graphics memory: free the cards, and wait for {minutes} minutes"
        )
    }

    fn stake_reason(&self) -> String {
        let Standing { stake, stake_needed, .. } = self.standing;
        match stake_needed.checked_sub(*stake).filter(|short| !short.is_zero()) {
            Some(short) => {
                format!("{stake} of {stake_needed} coins are staked: stake {short} more")
            }
            None => format!("{stake} of {stake_needed} coins are staked"),
        }
    }
}

fn not_asked() -> String {
    "this network does not ask for it".to_owned()
}

fn said(fulfilled: bool, good: &str, bad: &str) -> String {
    if fulfilled { good } else { bad }.to_owned()
}

const fn status_reason(status: Status) -> &'static str {
    match status {
        Status::Active => "it takes part",
        Status::Paused => "it is paused: resume it",
        Status::Blocked => "the operator has blocked it: ask why, and appeal",
        Status::Terminated => "it was taken out for good: join it anew",
        Status::Unsupported => "its hardware or its agent is not supported: update the agent",
    }
}
