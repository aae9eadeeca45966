//! Who may vote with how much, and what it adds up to.
//!
//! A seat is an account's place in one vote. Its own power lies with its delegate until it votes itself; from then
//! on with it. So whatever is cast, each unit of power is counted once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{AccountId, Coins};

use super::Powers;
use super::proposal::Proposal;

/// What a ballot says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Present, without taking a side.
    Abstain,
}

impl Choice {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Abstain => "abstain",
        }
    }
}

/// What was voted, in power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// For it.
    pub yes: Coins,
    /// Against it.
    pub no: Coins,
    /// Without taking a side.
    pub abstain: Coins,
}

impl Default for Tally {
    fn default() -> Self {
        Self { yes: Coins::ZERO, no: Coins::ZERO, abstain: Coins::ZERO }
    }
}

impl Tally {
    /// Yes and abstentions. No is left out: otherwise an opponent could help a proposal by turning up.
    pub fn counts_for_quorum(&self) -> Coins {
        self.yes.checked_add(self.abstain).expect("parts of one total")
    }

    /// Whether yes is more than `threshold_bp` of yes and no.
    pub fn exceeds(&self, threshold_bp: u16) -> bool {
        let yes = u128::from(self.yes.units());
        let all = yes + u128::from(self.no.units());
        yes * 10_000 > all * u128::from(threshold_bp)
    }

    /// All that was voted; `None` when that is more than can be written down.
    pub fn sum(&self) -> Option<Coins> {
        self.yes.checked_add(self.no)?.checked_add(self.abstain)
    }

    fn of(&mut self, choice: Choice) -> &mut Coins {
        match choice {
            Choice::Yes => &mut self.yes,
            Choice::No => &mut self.no,
            Choice::Abstain => &mut self.abstain,
        }
    }

    pub(super) fn add(&mut self, choice: Choice, power: Coins) {
        let side = self.of(choice);
        *side = side.checked_add(power).expect("parts of one total");
    }

    fn take(&mut self, choice: Choice, power: Coins) {
        let side = self.of(choice);
        *side = side.checked_sub(power).expect("it was added before");
    }
}

/// An account's place in one vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Its own power.
    pub own: Coins,
    /// The power of those who delegated to it and have not voted themselves.
    pub entrusted: Coins,
    /// Who votes for it until it does.
    pub delegate: Option<AccountId>,
    /// What it voted.
    pub choice: Option<Choice>,
    /// Whether it objects to the proposal.
    pub objects: bool,
}

impl Seat {
    pub(super) const EMPTY: Self = Self {
        own: Coins::ZERO,
        entrusted: Coins::ZERO,
        delegate: None,
        choice: None,
        objects: false,
    };

    /// What its ballot weighs.
    pub fn weight(&self) -> Coins {
        self.own.checked_add(self.entrusted).expect("parts of one total")
    }
}

/// Why a ballot or a veto does not count. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotRefusal {
    /// There is no such proposal, or it is forgotten.
    #[error("there is no such proposal; list the proposals to see which there are")]
    NotFound,
    /// Voting has not begun, or has ended.
    #[error("the proposal is {stage}; ballots count only while it is voted on")]
    NotVoting {
        /// Where it stands.
        stage: &'static str,
    },
    /// It is too early or too late to object.
    #[error("the proposal is {stage}; it can be vetoed while it is voted on or queued")]
    NotVetoable {
        /// Where it stands.
        stage: &'static str,
    },
    /// The account had no power when the proposal was made.
    #[error(
        "the account had no voting power when the proposal was made; it can vote on later ones"
    )]
    NoPower,
    /// The account objects already.
    #[error("the account has vetoed this already")]
    AlreadyObjects,
}

/// All power together; `None` when that is more than can be written down.
pub(super) fn total(powers: &Powers) -> Option<Coins> {
    powers.values().try_fold(Coins::ZERO, |sum, power| sum.checked_add(*power))
}

/// A seat for everybody who has power or is lent some. All power together must fit, as [`total`] says.
pub(super) fn seat(
    powers: &Powers,
    delegates: &BTreeMap<AccountId, AccountId>,
) -> BTreeMap<AccountId, Seat> {
    let mut seats: BTreeMap<AccountId, Seat> = BTreeMap::new();
    for (account, power) in powers.iter().filter(|(_, power)| !power.is_zero()) {
        let delegate = delegates.get(account).copied();
        let seat = seats.entry(*account).or_insert(Seat::EMPTY);
        seat.own = *power;
        seat.delegate = delegate;
        if let Some(delegate) = delegate {
            let lent = &mut seats.entry(delegate).or_insert(Seat::EMPTY).entrusted;
            *lent = lent.checked_add(*power).expect("parts of one total");
        }
    }
    seats
}

/// Casts or changes a ballot.
pub(super) fn cast(
    proposal: &mut Proposal,
    account: AccountId,
    choice: Choice,
) -> Result<(), BallotRefusal> {
    let seat = proposal.seats.get_mut(&account).ok_or(BallotRefusal::NoPower)?;
    // Whoever had power lent to it and taken back by its owners has nothing left to vote with.
    if seat.weight().is_zero() {
        return Err(BallotRefusal::NoPower);
    }
    let before = seat.choice.replace(choice);
    let seat = *seat;
    match before {
        Some(before) => proposal.tally.take(before, seat.weight()),
        None => {
            proposal.voters += 1;
            take_back(proposal, &seat);
        }
    }
    proposal.tally.add(choice, seat.weight());
    Ok(())
}

/// Takes the seat's own power out of its delegate's hands: it votes itself.
fn take_back(proposal: &mut Proposal, seat: &Seat) {
    let Some(delegate) = seat.delegate else { return };
    let lent = proposal.seats.get_mut(&delegate).expect("a delegate has a seat");
    lent.entrusted = lent.entrusted.checked_sub(seat.own).expect("it was lent");
    if let Some(choice) = lent.choice {
        proposal.tally.take(choice, seat.own);
    }
}

/// Objects with the account's own power; answers whether that is enough to stop the proposal.
pub(super) fn object(proposal: &mut Proposal, account: AccountId) -> Result<bool, BallotRefusal> {
    let seat = proposal.seats.get_mut(&account).ok_or(BallotRefusal::NoPower)?;
    if seat.own.is_zero() {
        return Err(BallotRefusal::NoPower);
    }
    if seat.objects {
        return Err(BallotRefusal::AlreadyObjects);
    }
    seat.objects = true;
    proposal.objected = proposal.objected.checked_add(seat.own).expect("parts of one total");
    Ok(proposal.objected >= proposal.terms.veto)
}
