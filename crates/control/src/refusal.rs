//! Why a command is refused.

use std::fmt;

use market::{NoRate, StageRefusal};
use rewards::season;
use stakes::votes;
use units::{Credits, FullMinute, Money, Timestamp};

/// A kind of thing, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noun {
    /// A person or company.
    Account,
    /// The coin's beginning.
    Genesis,
    /// Coins set aside for somebody.
    Grant,
    /// An invitation.
    Invite,
    /// A job.
    Job,
    /// A key.
    Key,
    /// An offer to co-stake.
    Offer,
    /// An order that waits.
    Order,
    /// A project.
    Project,
    /// A proposal.
    Proposal,
    /// A quote.
    Quote,
    /// A rental.
    Rental,
    /// A reward program.
    Season,
    /// A slash.
    Slash,
    /// A worker.
    Worker,
}

impl Noun {
    /// How it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Genesis => "genesis",
            Self::Grant => "grant",
            Self::Invite => "invite",
            Self::Job => "job",
            Self::Key => "key",
            Self::Offer => "offer",
            Self::Order => "order",
            Self::Project => "project",
            Self::Proposal => "proposal",
            Self::Quote => "quote",
            Self::Rental => "rental",
            Self::Season => "season",
            Self::Slash => "slash",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What it takes to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// To be the operator.
    Operator,
    /// To be the account it is about.
    Self_,
    /// To own the project.
    ProjectOwner,
    /// To be an owner or a member of the project.
    ProjectMember,
    /// To be the machine.
    Worker,
    /// To be the clock.
    Clock,
}

/// Why a command is refused. Checks run in the order of these variants, so that the same command is always refused
/// for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The id was used for another command.
    #[error("this idempotency key was used before for another request")]
    IdReused,
    /// The brake stops this part of the network.
    #[error("the emergency brake stops {} until {}: try again then", .what.text(), FullMinute(*.until))]
    Braked {
        /// Which part.
        what: votes::Switch,
        /// Until when, unless the brake is lifted before.
        until: Timestamp,
    },
    /// Something named does not exist, or not for the one who asks.
    #[error("there is no such {0}")]
    NotFound(Noun),
    /// The one who asks may not.
    #[error("not allowed: it takes {}", .0.text())]
    Forbidden(Needs),
    /// Something of this id exists already.
    #[error("this {0} exists already")]
    Exists(Noun),
    /// A value makes no sense here.
    #[error("{field}: {why}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There are as many as there may be.
    #[error("no more than {max} {what} at a time")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Its time is over.
    #[error("this {0} is no longer valid")]
    Expired(Noun),
    /// It was used before.
    #[error("this {0} was used before")]
    Used(Noun),
    /// The same hardware has joined under another name.
    #[error("this machine has joined before, as another worker")]
    SameMachine,
    /// A card has attested in another machine, and that stands.
    #[error(
        "the card with serial number {serial} stands for another machine: it may attest here once that has ended"
    )]
    SameCard {
        /// The card's chip.
        serial: String,
    },
    /// It is not the moment for that.
    #[error("not now: {0}")]
    Stage(#[from] StageRefusal),
    /// A machine in use cannot do that.
    #[error("the worker serves {rentals} rentals")]
    InUse {
        /// How many.
        rentals: usize,
    },
    /// A spot rental costs more than its renter bids.
    #[error(
        "the spot price is {price:#} USD for a card's hour, above the bid of {bid:#}: bid more, or rent on demand"
    )]
    Outbid {
        /// The price.
        price: Credits,
        /// The bid.
        bid: Credits,
    },
    /// No machines for it.
    #[error("{0}")]
    NoOffer(scheduler::Refusal),
    /// Machines fit that are kept for others.
    #[error("the machines that fit are reserved for orders that waited longer")]
    Reserved,
    /// The price is beyond all measure.
    #[error("the price of this booking is more than can be written down")]
    TooMuch,
    /// A coin has no rate, or none that is fresh.
    #[error("{0}")]
    NoRate(#[from] NoRate),
    /// The rate has moved since it was asked for.
    #[error("the rate has moved: it comes to {got:#}, not {wanted:#}")]
    RateMoved {
        /// What it comes to now.
        got: Money,
        /// What it should at least.
        wanted: Money,
    },
    /// A coin has fallen too far since the quote for its rate to be good for more.
    #[error(
        "a coin was worth {:#} USD in the quote and is worth {:#} now: rent anew",
        Credits::from_units(*.quoted), Credits::from_units(*.rate)
    )]
    Fallen {
        /// The quote's rate.
        quoted: u64,
        /// The rate now.
        rate: u64,
    },
    /// More coins would come in than have ever gone out.
    #[error(
        "{available:#} are outside, not {wanted:#}: all coins there will ever be were made at genesis"
    )]
    NotOutside {
        /// How many are outside.
        available: Money,
        /// How many should come in.
        wanted: Money,
    },
    /// A stake cannot be put or taken so.
    #[error("{0}")]
    Stake(#[from] stakes::StakeRefusal),
    /// An offer cannot be made, taken or left so.
    #[error("{0}")]
    Offer(#[from] stakes::OfferRefusal),
    /// The safety module does not do that.
    #[error("{0}")]
    Safety(#[from] stakes::SafetyRefusal),
    /// Nobody is slashed so, and nothing said about a slash.
    #[error("{0}")]
    Slash(#[from] stakes::SlashRefusal),
    /// A proposal is not put to the vote.
    #[error("{0}")]
    Propose(#[from] votes::ProposeRefusal),
    /// A ballot or a veto does not count.
    #[error("{0}")]
    Ballot(#[from] votes::BallotRefusal),
    /// A proposal cannot be taken back.
    #[error("{0}")]
    Proposal(#[from] votes::ProposalRefusal),
    /// A delegate stays who it is.
    #[error("{0}")]
    Delegate(#[from] votes::DelegateRefusal),
    /// The brake is not pulled, lifted or objected to.
    #[error("{0}")]
    Brake(#[from] votes::BrakeRefusal),
    /// A season is not planned so.
    #[error("{0}")]
    Plan(#[from] season::PlanRefusal),
    /// A season is not taken back.
    #[error("{0}")]
    Season(#[from] season::SeasonRefusal),
    /// A quest does not count.
    #[error("{0}")]
    Quest(#[from] season::QuestRefusal),
    /// What the operator gave a project does not leave it.
    #[error(
        "{free:#} can leave this project, not {wanted:#}: what the operator gave it is for rentals"
    )]
    Granted {
        /// What can.
        free: Money,
        /// What should.
        wanted: Money,
    },
    /// The exchange has not enough.
    #[error("the exchange has {available:#}, {wanted:#} needed: change less, or later")]
    NoLiquidity {
        /// What it has.
        available: Money,
        /// What it would take.
        wanted: Money,
    },
    /// The balance is too small.
    #[error("the balance is too small: {wanted:#} needed, {available:#} available")]
    Insufficient {
        /// What is there.
        available: Money,
        /// What it takes.
        wanted: Money,
    },
}

impl Needs {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Operator => "the operator",
            Self::Self_ => "the account itself",
            Self::ProjectOwner => "an owner of the project",
            Self::ProjectMember => "an owner or a member of the project",
            Self::Worker => "the machine itself",
            Self::Clock => "the clock",
        }
    }
}
