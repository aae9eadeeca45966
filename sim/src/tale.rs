//! What a story had in it, by its auditor's count: a swarm in which nothing happens finds nothing.

use std::ops::Add;

/// How often what is rare has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tale {
    /// Rentals that failed, for whatever good reason.
    pub failed: u64,
    /// Proposals that were carried out.
    pub executed: u64,
    /// Proposals that were voted through and could not be carried out any more.
    pub in_vain: u64,
    /// Proposals that holders objected to, enough of them.
    pub vetoed: u64,
    /// Brakes that were pulled.
    pub brakes: u64,
    /// Brakes that holders took off.
    pub lifted: u64,
    /// Commands that a brake stopped.
    pub stopped: u64,
    /// Reward programs that were paid.
    pub seasons: u64,
    /// Spot rentals that were told to go.
    pub told_to_go: u64,
    /// Spot rentals that had to.
    pub reclaimed: u64,
    /// Prices that moved as an hour ended.
    pub price_steps: u64,
    /// Payments by card.
    pub cards: u64,
    /// Sessions of proofs that were good, and bad.
    pub proved: u64,
    /// See above.
    pub disproved: u64,
    /// Hours that were paid because a machine had proved its work in them.
    pub worked: u64,
    /// Hours that a nominated machine was not paid for want of a proof.
    pub unproved: u64,
    /// Machines that were not nominated because they break off too often.
    pub silent: u64,
    /// Wrong proofs that were charged.
    pub charged: u64,
    /// Sessions of machines that are listed as less than they say.
    pub relisted: u64,
    /// Versions of the parameters that were taken back while they waited.
    pub withdrawn: u64,
    /// Trials of newcomers.
    pub trials: u64,
    /// Newcomers that became ready.
    pub graduated: u64,
    /// Machines that became ready again after a change of their hardware.
    pub changed: u64,
    /// Rentals and trials that had a private network.
    pub meshes: u64,
    /// Services that were opened or changed, that were there before, and that were closed.
    pub opened: u64,
    /// See above.
    pub reopened: u64,
    /// See above.
    pub closed: u64,
    /// Policies that were written or taken back.
    pub policies: u64,
    /// Commands about networks by people without a say.
    pub kept_out: u64,
    /// Records of time-lock that were sealed.
    pub records: u64,
    /// Refunds after a settlement.
    pub refunds: u64,
    /// Records that opened a slash.
    pub caught: u64,
    /// Orders that waited and were served.
    pub served: u64,
    /// Orders that waited in vain.
    pub lapsed: u64,
}

impl Add for Tale {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            failed: self.failed + other.failed,
            executed: self.executed + other.executed,
            in_vain: self.in_vain + other.in_vain,
            vetoed: self.vetoed + other.vetoed,
            brakes: self.brakes + other.brakes,
            lifted: self.lifted + other.lifted,
            stopped: self.stopped + other.stopped,
            seasons: self.seasons + other.seasons,
            told_to_go: self.told_to_go + other.told_to_go,
            reclaimed: self.reclaimed + other.reclaimed,
            price_steps: self.price_steps + other.price_steps,
            cards: self.cards + other.cards,
            proved: self.proved + other.proved,
            disproved: self.disproved + other.disproved,
            worked: self.worked + other.worked,
            unproved: self.unproved + other.unproved,
            silent: self.silent + other.silent,
            charged: self.charged + other.charged,
            relisted: self.relisted + other.relisted,
            withdrawn: self.withdrawn + other.withdrawn,
            trials: self.trials + other.trials,
            graduated: self.graduated + other.graduated,
            changed: self.changed + other.changed,
            meshes: self.meshes + other.meshes,
            opened: self.opened + other.opened,
            reopened: self.reopened + other.reopened,
            closed: self.closed + other.closed,
            policies: self.policies + other.policies,
            kept_out: self.kept_out + other.kept_out,
            records: self.records + other.records,
            refunds: self.refunds + other.refunds,
            caught: self.caught + other.caught,
            served: self.served + other.served,
            lapsed: self.lapsed + other.lapsed,
        }
    }
}
