//! The emergency brake: what it stops, and who pulls and lifts it.

use stakes::votes::{BrakeOrder, Switch};
use units::{AccountId, Timestamp};

use super::vote::only_oneself;
use crate::effect::Subject;
use crate::record::{Actor, BrakeRecord, Command};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Reply};

impl Control {
    /// Refuses a command while the brake stops that part of the network.
    pub(crate) fn unbraked(&self, command: &Command, now: Timestamp) -> Result<(), Refusal> {
        let Some(what) = stopped_by(command) else { return Ok(()) };
        match self.economy.votes.brake_on(now).filter(|brake| brake.what.contains(&what)) {
            Some(brake) => Err(Refusal::Braked { what, until: brake.until }),
            None => Ok(()),
        }
    }

    /// Whether the brake stops this part of the network.
    pub(crate) fn is_braked(&self, what: Switch, now: Timestamp) -> bool {
        self.economy.votes.is_braked(what, now)
    }

    /// When stakes have something to do: while slashing is stopped not before the brake is off.
    pub(crate) fn stakes_due(&self) -> Option<Timestamp> {
        let due = self.economy.stakes.wake_at()?;
        let brake = self.economy.votes.brake_on(self.head().at);
        let brake = brake.filter(|brake| brake.what.contains(&Switch::Slashing));
        Some(brake.map_or(due, |brake| due.max(brake.until)))
    }

    pub(crate) fn pull_brake(
        &mut self,
        by: Actor,
        record: BrakeRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let BrakeRecord { what, reason, by, hours } = record;
        if !self.people.contains_key(&by) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        let (powers, rules) = (self.powers(now), self.parameters().votes.clone());
        let order = BrakeOrder { what, reason, by, hours };
        self.economy.votes.pull_brake(order, &powers, now, &rules)?;
        self.changed(Subject::Brake);
        Ok(Reply::Done)
    }

    pub(crate) fn lift_brake(&mut self, by: Actor, now: Timestamp) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        let outcome = self.economy.votes.lift_brake(now)?;
        self.votes_did([outcome]);
        Ok(Reply::Done)
    }

    /// A holder objects to the brake; enough of them lift it.
    pub(crate) fn veto_brake(
        &mut self,
        by: Actor,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_oneself(by, account)?;
        let outcome = self.economy.votes.veto_brake(account, now)?;
        self.changed(Subject::Brake);
        self.votes_did(outcome);
        Ok(Reply::Done)
    }
}

/// A pattern of commands, whatever they carry.
macro_rules! any_of {
    ($($name:ident),* $(,)?) => { $(Command::$name { .. })|* };
}

/// The part of the network that a command belongs to, if it is one that can be stopped.
///
/// What is under way goes on: a rental that was taken before the brake begins, and a version of the parameters that
/// was decided before it takes effect, unless the operator withdraws it: that leaves all as it is. A slash can always
/// be overturned: that burns nothing.
fn stopped_by(command: &Command) -> Option<Switch> {
    use Command as C;
    match command {
        C::ClaimGrant { .. } | C::ClaimRewards { .. } | C::SafetyClaim { .. } => {
            Some(Switch::Claims)
        }
        C::Quote { .. } | C::Rent { .. } | C::Wait { .. } => Some(Switch::NewRentals),
        C::SetParameters { .. } => Some(Switch::ParameterChanges),
        C::Slash { .. } | C::Judge { uphold: true, .. } => Some(Switch::Slashing),
        C::Withdraw { .. }
        | C::WithdrawOverflow { .. }
        | C::WithdrawStake { .. }
        | C::SafetyWithdraw { .. } => Some(Switch::Withdrawals),
        // Spelled out, so that a new command does not compile until it is known whether the brake stops it.
        C::Judge { uphold: false, .. }
        | any_of! {
            OpenAccount, OpenProject, SetMember, IssueKey, RevokeKey, TopUp, WithdrawVersion, Genesis,
            OpenGrant, Deposit, CardPaid, Transfer, Convert, RecordProof, SealProof, SealLock, Attest,
            Exempt, SetBlocked, Stake, Unstake, OfferCoStake, RetractOffer, AcceptOffer, LeaveOffer,
            SafetyStake, SafetyUnstake, Appeal, StateOnSlash, Propose, Vote, Delegate, CancelProposal,
            VetoProposal, PullBrake, LiftBrake, VetoBrake, OpenSeason, WithdrawSeason, CompleteQuest,
            ObserveRate, Invite, Join, ChangeMachine, MeasureConnection, BeginTrial, EndTrial, RetryTrial,
            SetPaused, Retire, WorkerUp, WorkerSilent, Observe, TurnedAway, Leave, Extend, EndRental, SubmitJob,
            StopJob, OpenService, CloseService, SetNetworkPolicy, SetOperatorPolicy,
            Wake,
        } => None,
    }
}
