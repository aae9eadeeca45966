//! Proposals, ballots, delegates, the brake.

use control::Control;
use stakes::votes::{Brake, Proposal, Seat, Stage};
use units::{AccountId, Coins, ProposalId, Timestamp};
use wire::{BallotView, BrakeView, BrakesView, PowerView, ProposalView, Time};

use super::slashing::word;

/// A proposal as everyone sees it.
pub(crate) fn proposal(id: ProposalId, proposal: &Proposal) -> ProposalView {
    let (until, decided_at, reason) = standing(&proposal.stage);
    ProposalView {
        id,
        kind: proposal.kind.name().text().to_owned(),
        title: proposal.title.clone(),
        body: proposal.body.clone(),
        patch: proposal.kind.patch().map(str::to_owned),
        slash: proposal.kind.slash(),
        proposer: proposal.proposer,
        proposed_at: Time(proposal.proposed_at),
        state: proposal.stage.text().to_owned(),
        until: until.map(Time),
        decided_at: decided_at.map(Time),
        reason,
        yes: proposal.tally.yes,
        no: proposal.tally.no,
        abstain: proposal.tally.abstain,
        voters: proposal.voters,
        quorum: proposal.terms.quorum,
        threshold_bp: proposal.terms.threshold_bp,
        passes: proposal.would_be_defeated().is_none(),
        objected: proposal.objected,
        veto: proposal.terms.veto,
        total: proposal.terms.total,
    }
}

/// When a stage ends, when it was reached for good, and why.
fn standing(stage: &Stage) -> (Option<Timestamp>, Option<Timestamp>, Option<String>) {
    match stage {
        Stage::Pending { until } | Stage::Voting { until } => (Some(*until), None, None),
        Stage::Queued { from, .. } => (Some(*from), None, None),
        Stage::Succeeded { at }
        | Stage::Executed { at }
        | Stage::Expired { at }
        | Stage::Vetoed { at } => (None, Some(*at), None),
        Stage::Failed { at, why } => (None, Some(*at), Some(why.clone())),
        Stage::Defeated { at, why } => (None, Some(*at), Some(word(why))),
        Stage::Cancelled { at, why } => (None, Some(*at), Some(word(why))),
    }
}

/// One's own part in a vote.
pub(crate) fn ballot(proposal: ProposalId, seat: &Seat) -> BallotView {
    BallotView {
        proposal,
        own: seat.own,
        entrusted: seat.entrusted,
        delegate: seat.delegate,
        choice: seat.choice.map(|choice| choice.text().to_owned()),
        objects: seat.objects,
    }
}

/// What an account would vote with now.
pub(crate) fn power(state: &Control, account: AccountId, now: Timestamp) -> PowerView {
    let (powers, votes) = (state.powers(now), &state.economy().votes);
    let of = |account: &AccountId| powers.get(account).copied().unwrap_or(Coins::ZERO);
    // All of them lie in two purses of one asset.
    let sum = |coins: &mut dyn Iterator<Item = Coins>| {
        coins.fold(Coins::ZERO, |sum, one| {
            sum.checked_add(one).unwrap_or(Coins::from_units(u64::MAX))
        })
    };
    let lent = votes.delegations().filter(|(_, to)| *to == account);
    let total = sum(&mut powers.values().copied());
    let propose_min = total.share_ceil(state.parameters().votes.propose_min_bp);
    PowerView {
        own: of(&account),
        entrusted: sum(&mut lent.map(|(from, _)| of(&from))),
        delegate: votes.delegate_of(account),
        total,
        propose_min: propose_min.unwrap_or(total),
        age_days: state.parameters().stakes.vote_age_days,
    }
}

/// The brake that is on, and those that were lifted.
pub(crate) fn brakes(state: &Control, now: Timestamp) -> BrakesView {
    let votes = &state.economy().votes;
    let mut lifted: Vec<BrakeView> = votes.brakes().map(brake).collect();
    lifted.reverse();
    BrakesView { on: votes.brake_on(now).map(brake), lifted }
}

/// The brake that is on, or else the one that was lifted last.
pub(super) fn newest_brake(state: &Control, now: Timestamp) -> Option<BrakeView> {
    let votes = &state.economy().votes;
    votes.brake_on(now).or_else(|| votes.brakes().last()).map(brake)
}

fn brake(brake: &Brake) -> BrakeView {
    BrakeView {
        what: brake.what.iter().map(|what| what.text().to_owned()).collect(),
        reason: brake.reason.clone(),
        from: Time(brake.from),
        until: Time(brake.until),
        objected: brake.objected,
        veto: brake.veto,
        lifted_at: brake.lifted.map(|lifted| Time(lifted.at)),
        lifted_by: brake.lifted.map(|lifted| word(&lifted.why)),
    }
}
