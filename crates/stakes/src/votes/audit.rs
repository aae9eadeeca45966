//! Whether the votes add up, asked of them as they stand and not of how they came to be.

use std::collections::{BTreeMap, BTreeSet};

use units::{AccountId, Coins, ProposalId};

use super::ballot::{Seat, Tally};
use super::brake::Brake;
use super::proposal::Proposal;
use super::rules::OPEN_CEILING;
use super::{BRAKES_KEPT, CLOSED_KEPT, DELEGATIONS_MAX, Votes, ballot};

/// What does not add up. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// More of something than may be.
    #[error("there are {count} {of} and at most {max} may be")]
    TooMany {
        /// Of what.
        of: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The list of closed proposals is not the closed proposals.
    #[error("the list of closed proposals does not name exactly these")]
    Closed,
    /// Somebody is its own delegate.
    #[error("{account} is its own delegate")]
    OwnDelegate {
        /// Who.
        account: AccountId,
    },
    /// An open proposal without a snapshot, or a closed one with.
    #[error("{proposal} holds a snapshot and is closed, or holds none and is open")]
    Snapshot {
        /// Which.
        proposal: ProposalId,
    },
    /// Seats do not sum to all power, or lent power is not what its owners lent.
    #[error("the seats of {proposal} do not add up")]
    Seats {
        /// Which.
        proposal: ProposalId,
    },
    /// The tally is not what the ballots say, or more than all power.
    #[error("the tally of {proposal} is not what was voted")]
    Tally {
        /// Which.
        proposal: ProposalId,
    },
    /// What objects is not what the vetoes say, or stopped nothing though it is enough.
    #[error("the vetoes of {proposal} do not add up")]
    Vetoes {
        /// Which.
        proposal: ProposalId,
    },
    /// A brake that could not have come about.
    #[error("a brake does not add up")]
    Brake,
}

impl Votes {
    /// Whether every tally is what was voted, nobody's power counts twice, and nothing is kept beyond its limit.
    /// Takes time in proportion to the snapshots.
    ///
    /// # Errors
    /// The first thing that does not add up.
    pub fn audit(&self) -> Result<(), Unsound> {
        self.audit_counts()?;
        let closed = self.proposals.iter().filter(|(_, proposal)| !proposal.stage.is_open());
        let closed: BTreeSet<ProposalId> = closed.map(|(id, _)| *id).collect();
        let listed: BTreeSet<ProposalId> = self.closed.iter().copied().collect();
        if closed != listed || listed.len() != self.closed.len() {
            return Err(Unsound::Closed);
        }
        if let Some((account, _)) = self.delegates.iter().find(|(account, to)| account == to) {
            return Err(Unsound::OwnDelegate { account: *account });
        }
        for (id, proposal) in &self.proposals {
            audit_proposal(*id, proposal)?;
        }
        self.audit_brakes()
    }

    fn audit_counts(&self) -> Result<(), Unsound> {
        let open = self.proposals.values().filter(|proposal| proposal.stage.is_open()).count();
        let counts = [
            ("open proposals", open, OPEN_CEILING),
            ("closed proposals", self.closed.len(), CLOSED_KEPT),
            ("delegations", self.delegates.len(), DELEGATIONS_MAX),
            ("lifted brakes", self.brakes.len(), BRAKES_KEPT),
        ];
        match counts.into_iter().find(|(_, count, max)| count > max) {
            Some((of, count, max)) => Err(Unsound::TooMany { of, count, max }),
            None => Ok(()),
        }
    }

    fn audit_brakes(&self) -> Result<(), Unsound> {
        let on = self.brake.as_ref().is_none_or(is_sound_brake_on);
        let lifted = self.brakes.iter().all(|brake| {
            let in_time = brake
                .lifted
                .is_some_and(|lifted| brake.from <= lifted.at && lifted.at <= brake.until);
            in_time && brake.powers.is_empty() && brake.objectors.is_empty()
        });
        if on && lifted { Ok(()) } else { Err(Unsound::Brake) }
    }
}

fn is_sound_brake_on(brake: &Brake) -> bool {
    let power = |account| brake.powers.get(account).copied();
    let objected = brake
        .objectors
        .iter()
        .try_fold(Coins::ZERO, |sum, account| sum.checked_add(power(account)?));
    brake.lifted.is_none()
        && ballot::total(&brake.powers).is_some()
        && objected == Some(brake.objected)
        && brake.objected < brake.veto
}

fn audit_proposal(id: ProposalId, proposal: &Proposal) -> Result<(), Unsound> {
    if proposal.stage.is_open() == proposal.seats.is_empty() {
        return Err(Unsound::Snapshot { proposal: id });
    }
    if proposal.tally.sum().is_none_or(|sum| sum > proposal.terms.total) {
        return Err(Unsound::Tally { proposal: id });
    }
    if proposal.objected > proposal.terms.total {
        return Err(Unsound::Vetoes { proposal: id });
    }
    if !proposal.stage.is_open() {
        return Ok(());
    }
    audit_seats(id, proposal)?;
    let voted = proposal.seats.values().filter_map(|seat| Some((seat.choice?, seat.weight())));
    let mut tally = Tally::default();
    voted.clone().for_each(|(choice, weight)| tally.add(choice, weight));
    let voters = u32::try_from(voted.count()).ok();
    if tally != proposal.tally || voters != Some(proposal.voters) {
        return Err(Unsound::Tally { proposal: id });
    }
    let objected = sum(proposal.seats.values().filter(|seat| seat.objects).map(|seat| seat.own));
    if objected != Some(proposal.objected) || proposal.objected >= proposal.terms.veto {
        return Err(Unsound::Vetoes { proposal: id });
    }
    Ok(())
}

/// Whether the seats' own power is all power, and what is lent is what those lent who have not voted.
fn audit_seats(id: ProposalId, proposal: &Proposal) -> Result<(), Unsound> {
    let unsound = Unsound::Seats { proposal: id };
    if sum(proposal.seats.values().map(|seat| seat.own)) != Some(proposal.terms.total) {
        return Err(unsound);
    }
    if proposal.seats.iter().any(|(account, seat)| seat.delegate == Some(*account)) {
        return Err(unsound);
    }
    let mut lent: BTreeMap<AccountId, Coins> = BTreeMap::new();
    let lenders = proposal.seats.values().filter(|seat| seat.choice.is_none());
    for (to, own) in lenders.filter_map(|seat| Some((seat.delegate?, seat.own))) {
        let so_far = lent.entry(to).or_insert(Coins::ZERO);
        *so_far = so_far.checked_add(own).ok_or(unsound)?;
    }
    lent.retain(|_, power| !power.is_zero());
    let entrusted = |(account, seat): (&AccountId, &Seat)| {
        (!seat.entrusted.is_zero()).then_some((*account, seat.entrusted))
    };
    let entrusted: BTreeMap<_, _> = proposal.seats.iter().filter_map(entrusted).collect();
    if lent == entrusted { Ok(()) } else { Err(unsound) }
}

fn sum(mut powers: impl Iterator<Item = Coins>) -> Option<Coins> {
    powers.try_fold(Coins::ZERO, |sum, power| sum.checked_add(power))
}
