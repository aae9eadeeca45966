//! What a run can find.

use std::fmt;

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// The book sums to zero, and says what the auditor says.
    I1Book,
    /// No coin is made after genesis, none is lost, and nothing leaves what is burned.
    I1Supply,
    /// A card, and a share of a machine, is in at most one live rental.
    I2Seats,
    /// Money is held exactly while a rental's stage says so.
    I3Holds,
    /// What the renter is charged is what suppliers are paid and the network keeps.
    I4Receipts,
    /// An hour emits what the schedule says, all of it goes somewhere, and what waits is claimed once.
    I5Blocks,
    /// What is at stake is what was put in less what was taken out or burned.
    Stakes,
    /// Revenue is set aside once, and coins are burned for no more than that.
    Burns,
    /// A proposal is carried out once, in its time, and only if it reached what it had to by the powers of its day.
    Votes,
    /// The brake stops what it names, until its time is over or it is lifted, and nothing else.
    Brake,
    /// What a reward program pays sums to its prizes, by points that were earned.
    Seasons,
    /// No price moves further than its bound in an hour or leaves its limits, and what is quoted is the price.
    Prices,
    /// A spot rental is told to go for a reason, and has all of its notice.
    Notice,
    /// An order that waits becomes one rental, lapses in time or is left, and whoever is first is served first.
    Orders,
    /// The log of proofs hashes to what was sealed, and who is paid has proved their work.
    Proofs,
    /// Nobody is ready before all is done, no newcomer serves a renter, and no trial comes near any money.
    Newcomers,
    /// A private network is those who are wanted in it, and what was opened and written down for it.
    Networks,
    /// How reliable a machine is said to be follows from what it did.
    Conduct,
    /// Effects follow durable entries, replay gives the live state, and the chain of hashes holds.
    I7Journal,
    /// No rental stays in a stage beyond its time.
    I10Waits,
    /// Every queue is bounded.
    I11Queues,
    /// The same seed twice gives the same final hash.
    I12Chance,
    /// An acknowledged command is never lost, and none is applied twice.
    Acknowledged,
    /// A refused command changes nothing, and is refused for a reason.
    Refused,
    /// What is rented is what was asked for, at no more than was quoted.
    Promise,
    /// What a coin is worth follows from what most sources say, and is used only while it is fresh.
    Rate,
    /// A version of the parameters holds from its hour on, and no sooner.
    Rules,
    /// Nobody changes what is not theirs.
    Authority,
    /// A machine never runs two nodes on one card.
    OneNodePerCard,
    /// A rental fails only when something went wrong with its machines.
    NoFailureWithoutCause,
    /// When the weather stops, everything finishes.
    Liveness,
    /// No brain panics.
    NoPanic,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::I1Book => "I1 the book sums to zero and says what the auditor says",
            Self::I1Supply => "I1 no coin is made after genesis, and none is lost",
            Self::I2Seats => "I2 a card is in at most one live rental",
            Self::I3Holds => "I3 money is held exactly while the stage says so",
            Self::I4Receipts => "I4 the renter is charged what suppliers get and the network keeps",
            Self::I5Blocks => {
                "I5 an hour's payouts sum to its emission, and wait to be claimed once"
            }
            Self::Stakes => "what is at stake is what was put in and neither taken out nor burned",
            Self::Burns => "revenue is set aside once, and coins are burned for no more than that",
            Self::Votes => {
                "a proposal is carried out once, in its time, if it reached what it had to"
            }
            Self::Brake => "the brake stops what it names until its time is over",
            Self::Seasons => "a reward program pays its prizes, by points that were earned",
            Self::Prices => "prices move within their bounds, and what is quoted is the price",
            Self::Orders => {
                "an order that waits becomes one rental, lapses in time or is left, the first first"
            }
            Self::Notice => "a spot rental that is told to go has all of its notice",
            Self::Proofs => {
                "the log hashes to what was sealed, and who is paid has proved their work"
            }
            Self::Newcomers => {
                "nobody is ready before all is done, and no trial comes near any money"
            }
            Self::Networks => {
                "a private network is who is wanted in it, and whoever goes by effects knows it"
            }
            Self::Conduct => "how reliable a machine is said to be follows from what it did",
            Self::I7Journal => "I7 effects follow durable entries, and replay gives the live state",
            Self::I10Waits => "I10 no rental stays in a stage beyond its time",
            Self::I11Queues => "I11 every queue is bounded",
            Self::I12Chance => "I12 the same seed twice gives the same final hash",
            Self::Acknowledged => "no acknowledged command is lost, and none is applied twice",
            Self::Refused => "a refused command changes nothing, and is refused for a reason",
            Self::Promise => "what is rented is what was asked for, at no more than was quoted",
            Self::Rate => "a coin is worth what most sources say, while that is fresh",
            Self::Rules => "parameters hold from their hour on, and no sooner",
            Self::Authority => "nobody changes what is not theirs",
            Self::OneNodePerCard => "a machine never runs two nodes on one card",
            Self::NoFailureWithoutCause => "a rental fails only when its machines did",
            Self::Liveness => "when the weather stops, everything finishes",
            Self::NoPanic => "no brain panics",
        };
        f.write_str(text)
    }
}

/// An invariant that did not hold, and how it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub seen: String,
}

/// What every step of a run answers.
pub(crate) type Step = Result<(), Broken>;

/// Nothing, unless `holds` is false.
pub(crate) fn must(holds: bool, invariant: Invariant, seen: impl FnOnce() -> String) -> Step {
    if holds { Ok(()) } else { Err(Broken { invariant, seen: seen() }) }
}
