//! What holders of stakes decide: proposals, ballots, delegates, and what is done with what was decided.

use stakes::votes::{Choice, Draft, Kind, Outcome, Powers};
use units::{AccountId, Coins, Hour, ProposalId, SlashId, Timestamp};

use crate::effect::Subject;
use crate::parameters::{canonical, is_of_registry, patched};
use crate::record::{Actor, ProposalRecord};
use crate::refusal::{Needs, Noun, Refusal};
use crate::state::{Control, Reply};

impl Control {
    /// Puts something to the vote, under the power that holders have before this command.
    pub(crate) fn propose(
        &mut self,
        by: Actor,
        record: ProposalRecord,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let ProposalRecord { proposal: id, account, title, body, what } = record;
        only_oneself(by, account)?;
        if self.economy.votes.proposal(id).is_some() {
            return Err(Refusal::Exists(Noun::Proposal));
        }
        let kind = self.sensible(what)?;
        let mut powers = self.powers(now);
        if let Some(slash) = kind.slash().and_then(|slash| self.economy.stakes.slash(slash)) {
            // Whose coins are at issue is no judge of it, nor is who lets them vote in their place.
            let votes = &self.economy.votes;
            let lent = |account| votes.delegate_of(account).is_some_and(|to| slash.touches(to));
            powers.retain(|account, _| !slash.touches(*account) && !lent(*account));
        }
        let rules = self.parameters().votes.clone();
        let draft = Draft { id, kind, title, body, proposer: account };
        self.economy.votes.propose(draft, &powers, now, &rules)?;
        self.changed(Subject::ProposalStage(id));
        Ok(Reply::Proposal(id))
    }

    /// What a proposal asks for in its canonical form, if it could be done today.
    fn sensible(&self, what: Kind) -> Result<Kind, Refusal> {
        let invalid = |why| Refusal::Invalid { field: "patch", why };
        match what {
            Kind::Parameters { patch } => {
                let patch = canonical(&patch).map_err(invalid)?;
                patched(&self.versions.newest().parameters, &patch).map_err(invalid)?;
                Ok(Kind::Parameters { patch })
            }
            Kind::Registry { patch } => {
                let patch = canonical(&patch).map_err(invalid)?;
                if !is_of_registry(&patch) {
                    let why = r#"a patch of the registry alone: {"registry": …}"#.to_owned();
                    return Err(invalid(why));
                }
                patched(&self.versions.newest().parameters, &patch).map_err(invalid)?;
                Ok(Kind::Registry { patch })
            }
            Kind::AppealJury { slash } => {
                let known = self.economy.stakes.slash(slash);
                let stage = known.ok_or(Refusal::NotFound(Noun::Slash))?.stage;
                if !stage.holds_coins() {
                    let stands = stakes::SlashStands { state: stage.text() };
                    return Err(stakes::SlashRefusal::from(stands).into());
                }
                Ok(Kind::AppealJury { slash })
            }
            Kind::Text => Ok(Kind::Text),
        }
    }

    pub(crate) fn vote(
        &mut self,
        by: Actor,
        id: ProposalId,
        account: AccountId,
        choice: Choice,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_oneself(by, account)?;
        self.known_proposal(id)?;
        self.economy.votes.vote(id, account, choice, now)?;
        self.changed(Subject::Proposal(id));
        Ok(Reply::Done)
    }

    /// Lets another vote for an account from the next proposal on, or nobody.
    pub(crate) fn delegate(
        &mut self,
        by: Actor,
        account: AccountId,
        to: Option<AccountId>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_oneself(by, account)?;
        match to {
            Some(to) if !self.people.contains_key(&to) => {
                return Err(Refusal::NotFound(Noun::Account));
            }
            Some(to) => {
                let power = self.power_of(account, now);
                self.economy.votes.delegate(account, to, power)?;
            }
            None => {
                self.economy.votes.undelegate(account)?;
            }
        }
        self.changed(Subject::Account(account));
        Ok(Reply::Done)
    }

    pub(crate) fn cancel_proposal(
        &mut self,
        by: Actor,
        id: ProposalId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_oneself(by, account)?;
        self.known_proposal(id)?;
        let outcome = self.economy.votes.cancel(id, account, now)?;
        self.votes_did([outcome]);
        Ok(Reply::Done)
    }

    /// A holder objects to a proposal; enough of them stop it.
    pub(crate) fn veto_proposal(
        &mut self,
        by: Actor,
        id: ProposalId,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        only_oneself(by, account)?;
        self.known_proposal(id)?;
        let outcome = self.economy.votes.veto(id, account, now)?;
        self.changed(Subject::Proposal(id));
        self.votes_did(outcome);
        Ok(Reply::Done)
    }

    /// When something about votes must be looked at next.
    pub(crate) fn votes_due(&self) -> Option<Timestamp> {
        let (votes, now) = (&self.economy.votes, self.head().at);
        let due = !votes.due_for_execution(now).is_empty();
        [due.then_some(now), votes.wake_at(), votes.execution_at(now)].into_iter().flatten().min()
    }

    /// What votes have to do because time passes: they open and end, and what was decided is carried out.
    pub(crate) fn wake_votes(&mut self, now: Timestamp) {
        let outcomes = self.economy.votes.on_wake(now);
        self.votes_did(outcomes);
        for id in self.economy.votes.due_for_execution(now) {
            self.execute(id, now);
        }
    }

    /// Carries out what was decided, or keeps why that could not be done.
    fn execute(&mut self, id: ProposalId, now: Timestamp) {
        let proposal = self.economy.votes.proposal(id);
        let Some(kind) = proposal.map(|proposal| proposal.kind.clone()) else { return };
        let done = match kind {
            Kind::Parameters { patch } | Kind::Registry { patch } => self.adopt(id, &patch, now),
            Kind::AppealJury { slash } => self.overturn(slash, id, now),
            Kind::Text => Ok(()),
        };
        let votes = &mut self.economy.votes;
        let outcome = match done {
            Ok(()) => votes.executed(id, now),
            Err(why) => votes.failed(id, &why.to_string(), now),
        };
        self.votes_did([outcome.expect("what is due is executed or fails")]);
    }

    /// A patch that was voted through takes effect with the next hour, or with the last version that waits already:
    /// versions take effect in the order they were decided.
    fn adopt(&mut self, id: ProposalId, patch: &str, now: Timestamp) -> Result<(), Refusal> {
        let from = self.versions.newest().from.max(Hour::of(now).next());
        self.add_version(patch, Some(from), now)?;
        self.versions.decided(id);
        Ok(())
    }

    fn overturn(&mut self, slash: SlashId, by: ProposalId, now: Timestamp) -> Result<(), Refusal> {
        self.decide_slash(slash, false, format!("holders overturned it: {by}"), now)
    }

    /// Accounts have less at stake than before: a proposal of theirs may fall.
    pub(crate) fn power_shrank(&mut self, accounts: &[AccountId], now: Timestamp) {
        let open = self.economy.votes.proposals().filter(|(_, proposal)| proposal.stage.is_open());
        let proposers: Vec<AccountId> = open.map(|(_, proposal)| proposal.proposer).collect();
        let concerned: Vec<_> =
            accounts.iter().filter(|account| proposers.contains(account)).collect();
        for account in concerned {
            let power = self.power_of(*account, now);
            let outcomes = self.economy.votes.on_power(*account, power, now);
            self.votes_did(outcomes);
        }
    }

    /// What each account votes with now.
    pub fn powers(&self, now: Timestamp) -> Powers {
        self.economy.stakes.voting_power(now, &self.parameters().stakes)
    }

    /// What one account votes with now.
    pub fn power_of(&self, account: AccountId, now: Timestamp) -> Coins {
        self.economy.stakes.voting_power_of(account, now, &self.parameters().stakes)
    }

    pub(crate) fn votes_did(&mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        for outcome in outcomes {
            self.changed(match outcome {
                Outcome::Moved { proposal, .. } => Subject::ProposalStage(proposal),
                Outcome::BrakeLifted { .. } => Subject::Brake,
            });
        }
    }

    fn known_proposal(&self, id: ProposalId) -> Result<(), Refusal> {
        let known = self.economy.votes.proposal(id);
        known.map(|_| ()).ok_or(Refusal::NotFound(Noun::Proposal))
    }
}

/// A vote is one's own: nobody casts it for another, the operator neither.
pub(super) fn only_oneself(by: Actor, account: AccountId) -> Result<(), Refusal> {
    match by {
        Actor::Account(told_by) if told_by == account => Ok(()),
        Actor::Operator | Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
            Err(Refusal::Forbidden(Needs::Self_))
        }
    }
}
