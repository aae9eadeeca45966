//! Each rule asked of a machine: whether it is fulfilled, and the reason in words.

use units::{HOUR, Tier, Timestamp};

use super::{ChecklistRules, Standing, Status, Work};
use crate::rule::Rule;

/// A machine's standing, asked about at a moment.
pub(super) struct Question<'a> {
    pub(super) rules: &'a ChecklistRules,
    pub(super) standing: &'a Standing,
    pub(super) now: Timestamp,
}

impl Question<'_> {
    /// Whether it fulfils the rule by itself.
    pub(super) fn fulfilled(&self, rule: Rule) -> bool {
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
            Rule::ProofOfWork => !rules.proof_of_work_required || standing.work == Work::Good,
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

    /// Why it does or does not, and what to do.
    pub(super) fn reason(&self, rule: Rule) -> String {
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
            Rule::Processor => self.processor_reason(),
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

    fn processor_reason(&self) -> String {
        let Standing { multiplier, measured_as, .. } = self.standing;
        let reason = said(
            self.fulfilled(Rule::Processor),
            &format!("its processor counts {multiplier} each"),
            "its processor is not on the list of those that earn: it can be rented all the same",
        );
        match measured_as {
            Some(model) => format!(
                "{reason}; it is listed as {model}, which its proofs measured time after time: see what holds it \
                 back, or correct what it says it is"
            ),
            None => reason,
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
        match self.standing.work {
            Work::Good => "its last proof of work is good",
            Work::Slow => {
                "its last proof of work was right, but too late: it is weaker than it says, or something else used it: \
                 free it, and it is asked again within the hour"
            }
            Work::Wrong => {
                "its last proof of work was wrong: look into its log of proofs, and mend it; it is asked again within \
                 the hour"
            }
            Work::Unproved => {
                "it has proved nothing in this hour nor in the one before: leave it online and idle, and it is asked \
                 twice an hour"
            }
            Work::Silent { nothing, of } => {
                return format!(
                    "{nothing} of its last {of} proofs came to nothing: look at its connection, and at what else uses \
                     it; those that are good push the others out"
                );
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
        Status::Unverified => {
            "its verification failed: its last proof was wrong, and it is not for rent until it gives one that is right"
        }
        Status::Terminated => "it was taken out for good: join it anew",
        Status::Unsupported => "its hardware or its agent is not supported: update the agent",
    }
}
