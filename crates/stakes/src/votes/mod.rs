//! What holders decide together: proposals, ballots, and the brake that the operator can pull and holders can lift.
//!
//! Voting power comes in from outside as account → coins and is kept with each proposal as it was when the proposal
//! was made; delegation is resolved at the same moment. So whoever comes to power afterwards has no say, and nobody
//! votes twice by moving coins or delegates.
//!
//! ```text
//! Pending ──► Voting ──► Queued ──► Executed
//!    │          │ │        │ ├────► Failed    the patch no longer fits
//!    │          │ │        │ └────► Expired
//!    │          │ ├► Succeeded      text only: there is nothing to execute
//!    │          │ └► Defeated
//!    │          ├──────────┴──────► Vetoed
//!    └──────────┴─────────────────► Cancelled
//! ```
//!
//! # Invariants
//! - Yes, no and abstentions of a proposal sum to at most the power it was made under.
//! - A unit of power is in one tally: its owner's, once the owner has voted, before that its delegate's.
//! - What a proposal must reach is fixed when it is made: a change of rules never moves a running vote.
//! - When something happens does not depend on when [`Votes::on_wake`] was called, only on the time it was due.
//! - Open proposals hold a snapshot, closed ones none; at most [`CLOSED_KEPT`] closed ones are remembered.
//! - One brake at a time, never longer than the rules allow, never two without a pause between them.
//!
//! Whoever holds this calls [`Votes::on_wake`] before each command: a command does nothing that time does.
//!
//! Deliberately absent: money (none is held here), and what a patch means (the caller applies it and reports back).

mod audit;
mod ballot;
mod brake;
mod proposal;
mod rules;
mod stage;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins, HOUR, ProposalId, Timestamp};

pub use audit::Unsound;
pub use ballot::{BallotRefusal, Choice, Seat, Tally};
pub use brake::{Brake, BrakeOrder, BrakeRefusal, Lift, Lifted, Switch};
pub use proposal::{Draft, Kind, KindName, Proposal, ProposeRefusal, Terms};
pub use rules::{BadVoteRules, OPEN_CEILING, TEXT_CEILING_CHARS, VoteRules};
pub use stage::{Cancellation, Defeat, Event, Stage, StageRefusal};

/// How many closed proposals are remembered, the latest: years of a network that decides weekly.
pub const CLOSED_KEPT: usize = 256;
/// How many lifted brakes are remembered, the latest.
pub const BRAKES_KEPT: usize = 64;
/// How many accounts may have a delegate: more than any proof-of-stake network has delegators.
pub const DELEGATIONS_MAX: usize = 1_000_000;
/// How much of the reason for a failed execution is kept.
pub const FAILURE_CHARS_MAX: usize = 1_000;

/// Voting power by account, as the caller counts it: whatever is at stake and not about to leave.
pub type Powers = BTreeMap<AccountId, Coins>;

/// Every proposal, who votes for whom, and the brake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    proposals: BTreeMap<ProposalId, Proposal>,
    /// The closed ones of `proposals`, first closed first.
    closed: VecDeque<ProposalId>,
    /// Who votes for whom, from the next proposal on.
    delegates: BTreeMap<AccountId, AccountId>,
    /// When an account made its latest proposal, while that keeps it from making another.
    proposed: BTreeMap<AccountId, Timestamp>,
    brake: Option<Brake>,
    /// Lifted brakes, oldest first.
    brakes: VecDeque<Brake>,
}

/// Something that came about, for the caller to journal and to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A proposal reached another stage.
    Moved {
        /// Which.
        proposal: ProposalId,
        /// Where it stands.
        stage: Stage,
    },
    /// The brake is off.
    BrakeLifted {
        /// Why.
        why: Lift,
    },
}

/// Why nothing was done about a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalRefusal {
    /// There is none of this name, or it is forgotten.
    #[error("there is no such proposal; list the proposals to see which there are")]
    NotFound,
    /// Only its proposer may do that.
    #[error("only the proposer may cancel a proposal")]
    NotProposer,
    /// It stands where that does not apply.
    #[error(transparent)]
    Stage(#[from] StageRefusal),
}

/// Why somebody's delegate stays who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegateRefusal {
    /// Everybody votes for themselves anyway.
    #[error("an account cannot be its own delegate; undelegate to vote for yourself")]
    Oneself,
    /// Nothing to give.
    #[error("the account has no voting power to delegate; stake first")]
    NoPower,
    /// There was no delegate.
    #[error("the account has no delegate")]
    NoDelegate,
    /// More accounts have one than can be remembered.
    #[error("{DELEGATIONS_MAX} accounts have a delegate already; vote directly")]
    TooMany,
}

impl Votes {
    /// No proposals, no delegates, no brake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a proposal to the vote, under the power that accounts have at this moment.
    ///
    /// `powers` must be what was counted before the command that proposes: coins staked by the same command, or
    /// lent for it, would vote otherwise.
    ///
    /// # Errors
    /// Why it is not put to the vote.
    pub fn propose(
        &mut self,
        draft: Draft,
        powers: &Powers,
        now: Timestamp,
        rules: &VoteRules,
    ) -> Result<(), ProposeRefusal> {
        draft.check(rules)?;
        self.check_room(&draft, now, rules)?;
        let total = ballot::total(powers).ok_or(ProposeRefusal::TooMuchPower)?;
        let terms = Terms::new(draft.kind.name(), total, rules);
        let has = powers.get(&draft.proposer).copied().unwrap_or(Coins::ZERO);
        if has < terms.propose_min || has.is_zero() {
            let needs = terms.propose_min;
            return Err(match draft.kind.slash() {
                Some(_) => ProposeRefusal::TooLittlePowerForJury { has, needs },
                None => ProposeRefusal::TooLittlePower { has, needs },
            });
        }
        let wait = HOUR * rules.propose_wait_hours;
        self.proposed.retain(|_, at| at.after(wait) > now);
        self.proposed.insert(draft.proposer, now);
        let (id, seats) = (draft.id, ballot::seat(powers, &self.delegates));
        self.proposals.insert(id, Proposal::new(draft, terms, seats, now, rules));
        Ok(())
    }

    fn check_room(
        &self,
        draft: &Draft,
        now: Timestamp,
        rules: &VoteRules,
    ) -> Result<(), ProposeRefusal> {
        if self.proposals.contains_key(&draft.id) {
            return Err(ProposeRefusal::IdReused);
        }
        let open = || self.proposals.values().filter(|proposal| proposal.stage.is_open());
        if let Some(at) = self.proposed.get(&draft.proposer) {
            let until = at.after(HOUR * rules.propose_wait_hours);
            if now < until {
                return Err(ProposeRefusal::TooSoon { until });
            }
        }
        let own = open().filter(|proposal| proposal.proposer == draft.proposer).count();
        if own >= usize::from(rules.open_per_account_max) {
            return Err(ProposeRefusal::TooManyOwn { max: rules.open_per_account_max });
        }
        if open().count() >= usize::from(rules.open_max).min(OPEN_CEILING) {
            return Err(ProposeRefusal::TooManyOpen { max: rules.open_max });
        }
        match draft.kind.slash() {
            Some(slash) if open().any(|proposal| proposal.kind.slash() == Some(slash)) => {
                Err(ProposeRefusal::AlreadyAsked { slash })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Casts or changes the ballot of `account`, with the power it had when the proposal was made.
    ///
    /// # Errors
    /// Why the ballot does not count.
    pub fn vote(
        &mut self,
        id: ProposalId,
        account: AccountId,
        choice: Choice,
        now: Timestamp,
    ) -> Result<(), BallotRefusal> {
        let proposal = self.proposals.get_mut(&id).ok_or(BallotRefusal::NotFound)?;
        proposal.check_voting(now)?;
        ballot::cast(proposal, account, choice)
    }

    /// Objects to a proposal that is voted on or queued, with the account's own power at the time it was made.
    ///
    /// A veto cannot be taken back. A delegate vetoes with its own power alone: it was lent a vote, not a veto.
    ///
    /// # Errors
    /// Why the veto does not count.
    pub fn veto(
        &mut self,
        id: ProposalId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Outcome>, BallotRefusal> {
        let proposal = self.proposals.get_mut(&id).ok_or(BallotRefusal::NotFound)?;
        proposal.check_vetoable(now)?;
        if !ballot::object(proposal, account)? {
            return Ok(None);
        }
        Ok(Some(self.advance(id, Event::Vetoed, now).expect("a stage that can be vetoed")))
    }

    /// Takes a proposal back before its vote has ended.
    ///
    /// # Errors
    /// When it is not the proposer who asks, or the vote has ended.
    pub fn cancel(
        &mut self,
        id: ProposalId,
        by: AccountId,
        now: Timestamp,
    ) -> Result<Outcome, ProposalRefusal> {
        let proposal = self.proposals.get(&id).ok_or(ProposalRefusal::NotFound)?;
        if proposal.proposer != by {
            return Err(ProposalRefusal::NotProposer);
        }
        if proposal.is_vote_over(now) {
            return Err(StageRefusal { stage: proposal.stage.text() }.into());
        }
        Ok(self.advance(id, Event::Cancelled(Cancellation::ByProposer), now)?)
    }

    /// Tells what power an account has from here on: its proposals that are not voted through yet fall when it has
    /// less than it needed to make them. To be called whenever an account's power shrinks.
    pub fn on_power(&mut self, account: AccountId, power: Coins, now: Timestamp) -> Vec<Outcome> {
        let lost = |(id, proposal): (&ProposalId, &Proposal)| {
            let lost = proposal.proposer == account && power < proposal.terms.propose_min;
            (lost && !proposal.is_vote_over(now)).then_some(*id)
        };
        let lost: Vec<ProposalId> = self.proposals.iter().filter_map(lost).collect();
        let cancelled = Event::Cancelled(Cancellation::PowerLost);
        lost.into_iter().filter_map(|id| self.advance(id, cancelled.clone(), now).ok()).collect()
    }

    /// What waits to be executed, longest first. Changes of parameters and of the registry wait for the brake.
    pub fn due_for_execution(&self, now: Timestamp) -> Vec<ProposalId> {
        let held = self.is_braked(Switch::ParameterChanges, now);
        let due = |(id, proposal): (&ProposalId, &Proposal)| {
            let from = proposal.stage.executes_from()?;
            let in_time = from <= now && proposal.stage.ends_at().is_some_and(|until| now < until);
            let free = !(held && proposal.kind.changes_parameters());
            (in_time && free).then_some((from, *id))
        };
        let mut due: Vec<_> = self.proposals.iter().filter_map(due).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// When, after `now`, something more comes to wait for execution, if nothing else happens.
    pub fn execution_at(&self, now: Timestamp) -> Option<Timestamp> {
        let starts = self.proposals.values().filter_map(|proposal| proposal.stage.executes_from());
        starts.chain(self.brake.as_ref().map(|brake| brake.until)).filter(|at| *at > now).min()
    }

    /// Reports that a proposal was carried out.
    ///
    /// # Errors
    /// When it is not due.
    pub fn executed(&mut self, id: ProposalId, now: Timestamp) -> Result<Outcome, ProposalRefusal> {
        self.proposals.get(&id).ok_or(ProposalRefusal::NotFound)?;
        Ok(self.advance(id, Event::Executed, now)?)
    }

    /// Reports that a proposal could not be carried out, and why; of that at most [`FAILURE_CHARS_MAX`] are kept.
    ///
    /// # Errors
    /// When it is not due.
    pub fn failed(
        &mut self,
        id: ProposalId,
        why: &str,
        now: Timestamp,
    ) -> Result<Outcome, ProposalRefusal> {
        self.proposals.get(&id).ok_or(ProposalRefusal::NotFound)?;
        let why = why.chars().take(FAILURE_CHARS_MAX).collect();
        Ok(self.advance(id, Event::Failed { why }, now)?)
    }

    /// Lets `to` vote for `account` from the next proposal on, until it votes itself. One level: what others
    /// entrusted to `account` does not go along.
    ///
    /// `power` is what the account has now: who has none is refused, so that nobody fills the list for free.
    ///
    /// # Errors
    /// Why not.
    pub fn delegate(
        &mut self,
        account: AccountId,
        to: AccountId,
        power: Coins,
    ) -> Result<(), DelegateRefusal> {
        if account == to {
            return Err(DelegateRefusal::Oneself);
        }
        if power.is_zero() {
            return Err(DelegateRefusal::NoPower);
        }
        if !self.delegates.contains_key(&account) && self.delegates.len() >= DELEGATIONS_MAX {
            return Err(DelegateRefusal::TooMany);
        }
        self.delegates.insert(account, to);
        Ok(())
    }

    /// Ends a delegation from the next proposal on; answers who the delegate was.
    ///
    /// # Errors
    /// When there is none.
    pub fn undelegate(&mut self, account: AccountId) -> Result<AccountId, DelegateRefusal> {
        self.delegates.remove(&account).ok_or(DelegateRefusal::NoDelegate)
    }

    /// When [`Votes::on_wake`] next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let proposals = self.proposals.values().filter_map(|proposal| proposal.stage.ends_at());
        proposals.chain(self.brake.as_ref().map(|brake| brake.until)).min()
    }

    /// Does what time brings, in the order it was due, among equals by the proposal's id.
    pub fn on_wake(&mut self, now: Timestamp) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        // Each step moves a proposal along its table, which has no circle, or lifts the one brake: this ends.
        while let Some(due) = self.wake_at().filter(|due| *due <= now) {
            outcomes.extend(self.lift_if_over(due));
            let ripe = |(id, proposal): (&ProposalId, &Proposal)| {
                let event = proposal.what_time_brings()?;
                (proposal.stage.ends_at() == Some(due)).then_some((*id, event))
            };
            let ripe: Vec<_> = self.proposals.iter().filter_map(ripe).collect();
            for (id, event) in ripe {
                outcomes.push(self.advance(id, event, due).expect("what time brings applies"));
            }
        }
        outcomes
    }

    /// Moves a proposal that exists; closes it when it is decided for good.
    fn advance(
        &mut self,
        id: ProposalId,
        event: Event,
        now: Timestamp,
    ) -> Result<Outcome, StageRefusal> {
        let proposal = self.proposals.get_mut(&id).expect("the caller found it");
        let stage = proposal.stage.on(event, now)?;
        proposal.stage = stage.clone();
        if !stage.is_open() {
            proposal.close();
            self.closed.push_back(id);
            while self.closed.len() > CLOSED_KEPT {
                let oldest = self.closed.pop_front().expect("more than none");
                self.proposals.remove(&oldest);
            }
        }
        Ok(Outcome::Moved { proposal: id, stage })
    }

    /// A proposal, unless it was never made or is forgotten.
    pub fn proposal(&self, id: ProposalId) -> Option<&Proposal> {
        self.proposals.get(&id)
    }

    /// Every proposal that is remembered, in order of id.
    pub fn proposals(&self) -> impl Iterator<Item = (ProposalId, &Proposal)> {
        self.proposals.iter().map(|(id, proposal)| (*id, proposal))
    }

    /// Who votes for `account` from the next proposal on, if not itself.
    pub fn delegate_of(&self, account: AccountId) -> Option<AccountId> {
        self.delegates.get(&account).copied()
    }

    /// Every delegation: who, and to whom.
    pub fn delegations(&self) -> impl Iterator<Item = (AccountId, AccountId)> {
        self.delegates.iter().map(|(account, to)| (*account, *to))
    }
}

#[cfg(test)]
mod tests;
